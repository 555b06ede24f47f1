"""Stage: train, test, export and log a classifier."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import ROOT, stage
from pipeline.schema import ConfigError, InputError, LabelSet

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from pipeline.evaluation.splits import Split
    from pipeline.models.training import CrossValidated
    from pipeline.tracking import Run


@dataclass(slots=True)
class Data:
    """Labelled sentences and how they are split.

    Attributes
    ----------
    table : pyarrow.Table
        As `pipeline.label` writes it.
    y : ndarray of shape (n_rows, n_labels)
    split : Split
    """

    table: pa.Table
    labels: LabelSet
    y: NDArray[np.int8]
    split: Split

    def column(self, name: str, rows: NDArray[np.int64]) -> list[Any]:
        """Return the values of some rows."""
        return self.table[name].take(rows).to_pylist()


@stage("train")
def main(config: DictConfig) -> float:
    """Run the stage; returns what a sweep optimises, the cross-validated macro-F1."""
    return train(config)["cross_validation"]["macro_f1"]["value"]


def train(config: DictConfig) -> dict[str, Any]:
    """Train, test, export and log, and return the metrics that were written.

    Parameters
    ----------
    config : DictConfig
        Composed from `conf/train.yaml`.

    Raises
    ------
    PipelineError
        For data or settings that cannot be trained on.
    """
    from hydra.utils import instantiate

    from pipeline.bundle import Bundle, save
    from pipeline.models.portable import portable

    began = time.perf_counter()
    data = corpus_of(config)
    model = instantiate(config.model.estimator, _convert_="all")
    decision = instantiate(config.decision, task=data.labels.task)
    with ExitStack() as stack:
        run = open_run(stack, config)
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
        }
        bundle.card = card(metrics)
        save(bundle, config.output)
        report(Path(config.report), metrics, data, predicted)
        if run:
            try_to_log(run, config, metrics, data, time.perf_counter() - began)
    say(conclusion(config, metrics, run))
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
        sys.stderr.write(f"warning: {warning}\n")
    say(f"task: {corpus.labels.task}, {len(corpus.labels.names)} labels")
    return data


def label_set_of(config: DictConfig) -> LabelSet:
    """Return the configured label set."""
    from pipeline.labels.labelset import label_set

    return label_set(OmegaConf.to_container(config.labels, resolve=True))  # type: ignore[arg-type]


def labelled_sentences(config: DictConfig) -> pa.Table:
    """Return the labelled sentences, prepared anew where missing or older than their inputs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.label import FINGERPRINT, fingerprint, prepare, summary

    path, corpus = Path(config.labelled), config.corpus
    if path.suffix != ".parquet":
        raise ConfigError(f"labelled={path}: extension must be .parquet")
    if path.is_file():
        wanted = fingerprint([corpus.articles, corpus.metadata, corpus.annotations], label_set_of(config))
        with suppress(pa.ArrowInvalid):  # damaged: as good as stale
            if (pq.read_schema(path).metadata or {}).get(FINGERPRINT) == wanted.encode():
                return pq.read_table(path)
    say(f"labelled sentences are {'stale' if path.is_file() else 'missing'}: preparing {path}")
    say(summary(prepare(config, output=path, statistics=path.with_suffix(".json"))))
    return pq.read_table(path)


def split(table: pa.Table, labels: LabelSet, config: DictConfig) -> Data:
    """Hold out the test articles and deal the others into folds."""
    import numpy as np

    from pipeline.evaluation.splits import split_rows
    from pipeline.labels.labelset import indicator

    if not table.num_rows:
        raise InputError(f"{config.labelled}: no labelled sentences to train on")
    y = indicator(table["labels"].to_pylist(), labels)
    fixed = np.array(table["split"].to_pylist()) == "test"
    settings = {name: value for name, value in config.split.items() if name != "score_folds"}
    rows = split_rows(
        table["text"].to_pylist(), y, table["article"].to_pylist(), fixed, seed=config.seed, **settings
    )
    data = Data(table, labels, y, rows)
    say(
        f"{config.model.name}: {len(rows.train)} sentences to train on in {config.split.folds} folds, "
        f"{len(rows.test)} to test on"
        + (f", {len(rows.left_out)} left out that the test nearly repeats" if len(rows.left_out) else "")
    )
    return data


def fit(model: Any, decision: Any, data: Data, score_folds: int | None = None) -> tuple[Any, CrossValidated]:
    """Cross-validate, then fit on all training sentences."""
    from rich.progress import track

    from pipeline.models.training import cross_validate

    def progress(folds: Iterable[int]) -> Iterable[int]:
        return track(folds, description="cross-validation", transient=True)

    rows = data.split.train
    texts, y = data.column("text", rows), data.y[rows]
    folds = data.split.folds[rows]
    if hasattr(model, "settled"):
        model = model.settled(texts, y)
        say(f"chosen within the training part: {model.choice}")
    crossed = cross_validate(model, decision, texts, y, folds, score_folds=score_folds, track=progress)
    return model.fit(texts, y), crossed


def evaluate_both(
    bundle: Any, crossed: CrossValidated, data: Data, seed: int
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Return the cross-validation and test blocks, and the test probabilities and labels."""
    from pipeline.evaluation.metrics import evaluate

    rows = data.split.test
    probabilities = bundle.probabilities(data.column("text", rows))
    predicted = bundle.decision.labels(probabilities)
    names, thresholds = data.labels.names, bundle.decision.reported_thresholds()
    inside = data.split.train[crossed.rows]
    blocks = {
        "cross_validation": evaluate(
            data.y[inside],
            crossed.predicted,
            crossed.probabilities,
            labels=names,
            thresholds=thresholds,
            groups=data.column("article", inside),
            seed=seed,
        ),
        "test": evaluate(
            data.y[rows],
            predicted,
            probabilities,
            labels=names,
            thresholds=thresholds,
            groups=data.column("article", rows),
            seed=seed,
        ),
    }
    scored, every = (len(set(data.split.folds[some])) for some in (inside, data.split.train))
    blocks["cross_validation"]["folds"] = {"scored": scored, "all": every}
    return blocks, {"probabilities": probabilities, "predicted": predicted}


def describe(data: Data) -> dict[str, Any]:
    """Return sizes and digest of what was trained on."""
    from pipeline.label import FINGERPRINT

    digest = (data.table.schema.metadata or {}).get(FINGERPRINT, b"").decode()
    return {
        "digest": digest,
        "train": len(data.split.train),
        "test": len(data.split.test),
        "left_out": len(data.split.left_out),
        "support": dict(zip(data.labels.names, data.y[data.split.train].sum(axis=0).tolist(), strict=True)),
    }


def card(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the model card: what it is, what it was trained on, how good it is, what it is not for."""
    return {
        "model": metrics["model"],
        "seed": metrics["seed"],
        "data": metrics["data"],
        "scores": {
            block: {name: metrics[block][name] for name in ("macro_f1", "micro_f1", "subset_accuracy")}
            for block in ("cross_validation", "test")
        },
        "intended_use": "Coding sentences of English news by the definitions in this bundle.",
        "limits": "Scores are for the corpus named above; on other news expect less, and measure it "
        "(python -m pipeline.evaluate). Not for judging whether a statement is true, nor people.",
    }


def report(folder: Path, metrics: dict[str, Any], data: Data, predicted: dict[str, Any]) -> None:
    """Write metrics, errors and plots of the test articles; the folder is replaced as a whole."""
    import json

    from pipeline.evaluation.errors import error_rows, write_errors
    from pipeline.evaluation.plots import draw
    from pipeline.files import atomic

    rows = data.split.test
    with atomic(folder) as temporary:
        temporary.mkdir()
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        errors = error_rows(
            data.table.take(rows),
            data.y[rows],
            predicted["predicted"],
            predicted["probabilities"],
            data.labels,
        )
        write_errors(temporary / "errors.csv", errors)
        title = f"{metrics['model']}, {len(rows)} sentences of the test articles"
        draw(
            temporary / "plots",
            data.y[rows],
            predicted["predicted"],
            predicted["probabilities"],
            data.labels.names,
            title,
        )
        tables(temporary, metrics, data, predicted["probabilities"])


def tables(folder: Path, metrics: dict[str, Any], data: Data, probabilities: NDArray[np.float64]) -> None:
    """Write what `dvc metrics` and `dvc plots` show, and the test sentences for `pipeline.evaluate`."""
    import json

    from pipeline.evaluation.curves import precision_recall_rows
    from pipeline.files import write_rows

    rows = data.split.test
    (folder / "scores.json").write_text(json.dumps(scores(metrics), indent=1) + "\n", encoding="utf-8")
    test = data.table.take(rows)
    write_rows(folder / "test.parquet", test.to_batches(), test.schema)
    curves = precision_recall_rows(data.y[rows], probabilities, data.labels.names)
    write_rows(folder / "precision_recall.csv", [curves], curves.schema)


def scores(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the few scores that runs are compared by."""
    return {
        short: {
            "macro_f1": metrics[block]["macro_f1"]["value"],
            "micro_f1": metrics[block]["micro_f1"]["value"],
            "subset_accuracy": metrics[block]["subset_accuracy"]["value"],
            **{name: one["f1"] for name, one in metrics[block]["per_label"].items()},
        }
        for short, block in (("cv", "cross_validation"), ("test", "test"))
    }


def open_run(stack: ExitStack, config: DictConfig) -> Run | None:
    """Open a tracking run; a store out of reach costs the log, not the training."""
    from pipeline.tracking import TrackingError, run

    try:
        return stack.enter_context(
            run(config.tracking.uri, config.tracking.experiment, config.model.name, ROOT)
        )
    except TrackingError as error:
        sys.stderr.write(f"warning: {error} Training goes on without a log.\n")
        return None


def try_to_log(run: Run, config: DictConfig, metrics: dict[str, Any], data: Data, seconds: float) -> None:
    """Log the run; where the store is gone by now, bundle and report are there all the same."""
    from pipeline.tracking import TrackingError

    try:
        log(run, config, metrics, data, seconds)
    except TrackingError as error:
        sys.stderr.write(f"warning: {error} The log is incomplete; bundle and report are not.\n")


def log(run: Run, config: DictConfig, metrics: dict[str, Any], data: Data, seconds: float) -> None:
    """Log what the run was made of and what came out."""
    run.parameters(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    for block in ("cross_validation", "test"):
        run.metrics(metrics[block], "cv" if block == "cross_validation" else block)
    run.numbers({"seconds/train": seconds})
    digest = metrics["data"]["digest"]
    run.tags({"model": metrics["model"], "task": data.labels.task, "corpus": digest[:12]})
    run.data(data.table, source=str(config.labelled), name="labelled sentences", digest=digest)
    run.files(Path(config.report))
    run.model(Path(config.output))


def conclusion(config: DictConfig, metrics: dict[str, Any], run: Run | None) -> str:
    """Return what the console shows at the end: the scores, and where everything is."""
    from pipeline.evaluation.tables import score_table

    table = score_table({"cross-validation": metrics["cross_validation"], "test": metrics["test"]})
    where = [
        f"bundle   {config.output}",
        f"report   {config.report}: metrics.json, errors.csv, plots/",
        f"run      {run.name} {run.id}; `make ui` shows it" if run else "run      not logged",
    ]
    notes = ["intervals: 95 %, articles resampled"]
    folds = metrics["cross_validation"]["folds"]
    if folds["scored"] < folds["all"]:
        notes.append(f"cross-validation: {folds['scored']} of {folds['all']} folds (split.score_folds)")
    return "\n".join([table, *notes, "", *where])


def say(text: str) -> None:
    """Print for the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
