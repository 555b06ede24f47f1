"""Stage: train, test, export and log a classifier."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import ROOT, apart, stage
from pipeline.evaluation.data import Data
from pipeline.reports.folder import MARKS as REPORTS
from pipeline.reports.folder import report
from pipeline.reports.tested import abstention, cut_short, evaluate_both, examine, training_profile
from pipeline.schema import ConfigError, InputError, LabelSet
from pipeline.terminal import say, warn

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.models.training import CrossValidated
    from pipeline.tracking.run import Run


@stage("train")
def main(config: DictConfig) -> float:
    """Run the stage; returns what a sweep optimises, the cross-validated macro-F1."""
    apart(config, output="bundle", report="report")
    return train(config, difference=difference())["cross_validation"]["macro_f1"]["value"]


def difference() -> str:
    """Return what the command line changed, for the run's name."""
    from hydra.core.hydra_config import HydraConfig

    from pipeline.experiments import short_difference

    choices = HydraConfig.get().runtime.choices
    return short_difference(HydraConfig.get().overrides.task, list(choices))


def train(config: DictConfig, *, difference: str = "") -> dict[str, Any]:
    """Train, test, export and log, and return the metrics that were written.

    Parameters
    ----------
    config : DictConfig
        Composed from `conf/train.yaml`.
    difference : str
        How the run differs from others of its model: the end of its name.

    Raises
    ------
    PipelineError
        For data or settings that cannot be trained on.
    """
    from hydra.utils import instantiate

    from pipeline.bundle import MARKS, Bundle, save
    from pipeline.files import replaceable
    from pipeline.models.portable import portable

    began = time.perf_counter()
    replaceable(config.output, MARKS)
    replaceable(config.report, *REPORTS)
    behaviour = config.behaviour_tests if config.behaviour else None
    with ExitStack() as stack:
        run = open_run(stack, config, difference)
        data = corpus_of(config)
        leakage = leaks(data, config)
        model = with_unlabelled(instantiate(config.model.estimator, _convert_="all"), data, config)
        if config.augmentation:
            model = instantiate(config.augmentation, _convert_="all")(model)
        decision = instantiate(config.decision, task=data.labels.task)
        fitted, crossed = fit(model, decision, data, config.split.get("score_folds"))
        bundle = Bundle(portable(fitted), crossed.decision, data.labels)
        blocks, predicted = evaluate_both(bundle, crossed, data, config.seed)
        metrics = {
            "run_id": run.id if run else "",
            "model": config.model.name,
            "labels": list(data.labels.names),
            "seed": config.seed,
            "data": describe(data),
            **blocks,
            "truncated": cut_short(bundle, data),
            "abstention": abstention(bundle, crossed, data, predicted["probabilities"]),
            "leakage": leakage,
            **examine(bundle, data, predicted["predicted"], config.seed, behaviour),
            "seconds": {"train": time.perf_counter() - began, "score": predicted["seconds"]},
        }
        bundle.card = card(metrics, corpus_named(config.corpus)) | {
            "reference": training_profile(data, crossed)
        }
        save(bundle, config.output)
        report(Path(config.report), metrics, data, predicted, bundle, settings(config), crossed, origin(run))
        logged = try_to_log(run, record_of(run, config, data, metrics["seconds"], difference), metrics)
    say(conclusion(config, metrics, run if logged else None))
    return metrics


def corpus_of(config: DictConfig) -> Data:
    """Return the configured corpus, split: the project's annotated articles, or tables of one's own."""
    if config.corpus.get("kind", "articles") == "articles":
        return split(labelled_sentences(config), label_set_of(config), config)
    from pipeline.corpora.problems import left_out_rows
    from pipeline.corpora.table import read_corpus

    settings, labels = (OmegaConf.to_container(part, resolve=True) for part in (config.corpus, config.labels))
    corpus = read_corpus(settings, labels, config.split.folds)  # type: ignore[arg-type]
    data = split(corpus.table, corpus.labels, config)
    for warning in [*corpus.warnings, *left_out_rows(data.table, data.split.left_out, corpus.places)]:
        warn(f"{warning}")
    told = "" if config.labels.task else " (told from how they are written; task=… says otherwise)"
    say(f"task: {corpus.labels.task}, {len(corpus.labels.names)} labels{told}")
    return data


def label_set_of(config: DictConfig) -> LabelSet:
    """Return the configured label set."""
    from pipeline.labels.labelset import label_set

    return label_set(OmegaConf.to_container(config.labels, resolve=True))  # type: ignore[arg-type]


def labelled_sentences(config: DictConfig) -> pa.Table:
    """Return the labelled sentences, prepared anew where missing or older than their inputs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.label import FINGERPRINT, current, prepare, summary

    path = Path(config.labelled)
    if path.suffix != ".parquet":
        raise ConfigError(f"labelled={path}: extension must be .parquet")
    if path.is_file():
        wanted = current(config)
        with suppress(pa.ArrowInvalid):  # damaged: as good as stale
            if (pq.read_schema(path).metadata or {}).get(FINGERPRINT) == wanted.encode():
                return pq.read_table(path)
    say(f"labelled sentences are {'stale' if path.is_file() else 'missing'}: preparing {path}")
    say(summary(prepare(config, output=path, statistics=path.with_suffix(".json"))))
    return pq.read_table(path)


def split(table: pa.Table, labels: LabelSet, config: DictConfig) -> Data:
    """Hold out the test articles and deal the others into folds."""
    from pipeline.evaluation.protocols import split_table
    from pipeline.labels.labelset import indicator

    if not table.num_rows:
        raise InputError(f"{config.labelled}: no labelled sentences to train on")
    y = indicator(table["labels"].to_pylist(), labels)
    settings = {name: value for name, value in config.split.items() if name not in ("score_folds", "leakage")}
    rows = split_table(table, y, seed=config.seed, **settings)
    data = Data(table, labels, y, rows)
    say(
        f"{config.model.name}: {len(rows.train)} sentences to train on in {len(set(rows.dealt[0]))} folds"
        + (f", dealt {len(rows.dealt)} times" if rows.again else "")
        + f", {len(rows.test)} to test on"
        + (f", {len(rows.left_out)} left out that others nearly repeat" if len(rows.left_out) else "")
    )
    return data


def with_unlabelled(model: Any, data: Data, config: DictConfig) -> Any:
    """Give a model that learns from unlabelled sentences those of `distill.articles`."""
    path = config.distill.articles
    if path is None:
        return model
    if "unlabelled" not in model.get_params(deep=False):
        raise ConfigError(f"distill.articles={path}: model={config.model.name} does not learn from them")
    from pipeline.unlabelled import unlabelled_sentences

    texts = unlabelled_sentences(path, data.table["text"].to_pylist(), config.split.near_duplicate)
    return model.set_params(unlabelled=texts)


def leaks(data: Data, config: DictConfig) -> dict[str, Any] | None:
    """Return what training rows give away of test rows, None where that is not to be looked at."""
    from pipeline.evaluation.leakage import check_leakage, find_leaks

    if config.split.leakage == "off":
        return None
    texts, articles = data.table["text"].to_pylist(), data.table["article"].to_pylist()
    found = find_leaks(texts, data.y, articles, data.split, data.labels.names)
    for leak in check_leakage(found, config.split.leakage):
        warn(f"split: {leak}")
    return found


def fit(model: Any, decision: Any, data: Data, score_folds: int | None = None) -> tuple[Any, CrossValidated]:
    """Cross-validate, then fit on all training sentences."""
    from rich.progress import track

    from pipeline.models.training import cross_validate
    from pipeline.progress import SPENT, timed

    def progress(fits: Iterable[int]) -> Iterable[int]:
        return track(fits, description="training", transient=True)

    rows = data.split.train
    texts, y = data.column("text", rows), data.y[rows]
    folds = data.split.dealt
    with timed("fit"):
        if hasattr(model, "settled"):
            model = model.settled(texts, y)
            say(f"chosen within the training part: {model.choice}")
        crossed = cross_validate(
            model, decision, texts, y, folds, score_folds=score_folds, fit_all=True, track=progress
        )
    SPENT["fit"] += crossed.elsewhere
    return crossed.fitted, crossed


def describe(data: Data) -> dict[str, Any]:
    """Return sizes and digest of what was trained on."""
    from pipeline.label import FINGERPRINT

    digest = (data.table.schema.metadata or {}).get(FINGERPRINT, b"").decode()
    return {
        "digest": digest,
        "split": data.split.about,
        "train": len(data.split.train),
        "test": len(data.split.test),
        "left_out": len(data.split.left_out),
        "support": dict(zip(data.labels.names, data.y[data.split.train].sum(axis=0).tolist(), strict=True)),
    }


def corpus_named(corpus: DictConfig) -> str:
    """Return the files of a corpus, or the set on the hub, without the folders they lie in."""
    if corpus.get("kind") == "hub":
        return Path(corpus.name).name if Path(corpus.name).is_dir() else str(corpus.name)
    paths = (corpus.get(key) for key in ("articles", "annotations", "train", "test"))
    return ", ".join(Path(path).name for path in paths if path)


def card(metrics: dict[str, Any], corpus: str) -> dict[str, Any]:
    """Return the model card: what it is, what it was trained on, how good it is, what it is not for."""
    return {
        "model": metrics["model"],
        "seed": metrics["seed"],
        "corpus": corpus,
        "data": metrics["data"],
        "scores": {
            block: {name: metrics[block][name] for name in ("macro_f1", "micro_f1", "subset_accuracy")}
            for block in ("cross_validation", "test")
        },
        "intended_use": f"Labelling texts like those of its corpus ({corpus}) by the labels here.",
        "limits": f"Scores are for its corpus ({corpus}); on other texts expect less, and measure it "
        "(python -m pipeline.evaluate). Not for judging whether a statement is true, nor people.",
    }


def settings(config: DictConfig) -> str:
    """Return what the report shows of the configuration: no path of this machine."""
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    shown = {name: resolved[name] for name in ("model", "augmentation", "decision", "split", "seed")}
    return OmegaConf.to_yaml(OmegaConf.create(shown)).replace(f"{ROOT}/", "")


def origin(run: Run | None) -> dict[str, str]:
    """Return what tells the report from others: the run, the code's commit and the day; "" for unknown."""
    from datetime import UTC, datetime

    from pipeline.tracking.provenance import commit

    return {
        "run": run.name if run else "",
        "run_id": run.id if run else "",
        "commit": commit(ROOT)[:10],
        "date": datetime.now(UTC).date().isoformat(),
    }


def open_run(stack: ExitStack, config: DictConfig, difference: str = "") -> Run | None:
    """Open a tracking run; a store out of reach costs the log, not the training."""
    from pipeline.tracking.run import run
    from pipeline.tracking.stores import TrackingError

    name = run_name(config, difference)
    try:
        return stack.enter_context(run(config.tracking.uri, config.tracking.experiment, name, ROOT))
    except TrackingError as error:
        warn(f"{error} Training goes on without a log.")
        return None


def try_to_log(run: Run | None, record: dict[str, Any], metrics: dict[str, Any]) -> bool:
    """Log the run; where the store is gone by now, bundle and report are there all the same."""
    from pipeline.record import keep, log
    from pipeline.tracking.stores import TrackingError

    path = keep(record)
    if run is None:
        return False
    try:
        log(run, record, metrics)
    except TrackingError as error:
        warn(f"{error} The log is incomplete; bundle and report are not.")
        return False
    path.unlink()
    return True


def record_of(
    run: Run | None, config: DictConfig, data: Data, seconds: dict[str, float], difference: str
) -> dict[str, Any]:
    """Return what is logged besides the metrics: see `pipeline.record.keep`."""
    return {
        "name": run_name(config, difference),
        "run": run.id if run else "",
        "bundle": str(Path(config.output).resolve()),
        "config": OmegaConf.to_container(config, resolve=True),
        "rows": data.table.num_rows,
        "columns": {column.name: str(column.type) for column in data.table.schema},
        "task": data.labels.task,
        "seconds": seconds,
    }


def run_name(config: DictConfig, difference: str) -> str:
    """Return the classifier, and how this training of it differs from others."""
    return "-".join(filter(None, (config.model.name, difference)))


def conclusion(config: DictConfig, metrics: dict[str, Any], run: Run | None) -> str:
    """Return what the console shows at the end: the scores, and where everything is."""
    from pipeline.evaluation.abstention import abstention_line, at_rate
    from pipeline.evaluation.behaviour_report import behaviour_line, weakest_line
    from pipeline.evaluation.tables import score_table

    table = score_table({"cross-validation": metrics["cross_validation"], "test": metrics["test"]})
    where = [
        f"bundle   {config.output}",
        f"report   {config.report}: report.html, metrics.json, predictions.parquet",
        f"run      {run.name} {run.id}; `make ui` shows it"
        if run
        else f"run      not logged; once the store is back: python -m pipeline.log report={config.report}",
    ]
    notes = ["intervals: 95 %, articles resampled"]
    folds = metrics["cross_validation"]["folds"]
    if folds["scored"] < folds["all"]:
        notes.append(f"cross-validation: {folds['scored']} of {folds['all']} folds (split.score_folds)")
    notes += [line] if (line := weakest_line(metrics["slices"])) else []
    notes += [behaviour_line(metrics["behaviour"])] if "behaviour" in metrics else []
    if cut := metrics["truncated"]:
        notes.append(f"cut at max_length: {cut['train']} training and {cut['test']} test sentences")
    notes += [abstention_line(one)] if (one := at_rate(metrics["abstention"])) else []
    return "\n".join([table, *notes, "", *where])


if __name__ == "__main__":
    main()
