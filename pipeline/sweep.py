"""Stage: search settings by cross-validation, then train and test the best."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import ROOT, composed, stage
from pipeline.schema import ConfigError, PipelineError, need
from pipeline.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.schema import LabelSet
    from pipeline.search import Search, Trial
    from pipeline.tracking.run import Run

# What trials share with the stage, and with each other.
SHARED = ("labels", "corpus", "split", "tracking", "seed", "paths", "labelled", "output", "report")
VARIED = ("model", "decision")
# What the result of a trial depends on, besides its settings and code.
DECIDES = ("model", "labels", "corpus", "split", "decision", "seed")
SHOWN = 10


@dataclass(slots=True)
class Training:
    """The training sentences and their folds; the test articles are not among them.

    Attributes
    ----------
    texts, articles : list of str
    y : ndarray of shape (n_sentences, n_labels)
    folds : ndarray of shape (n_sentences,)
    """

    labels: LabelSet
    texts: list[str]
    articles: list[str]
    y: NDArray[np.int8]
    folds: NDArray[np.int64]
    digest: str


@stage("sweep")
def main(config: DictConfig) -> float:
    """Run the stage; returns the cross-validated macro-F1 of the best."""
    return sweep(config)["cross_validation"]["macro_f1"]["value"]


def sweep(config: DictConfig) -> dict[str, Any]:
    """Try settings until there are `trials` of them, train and test the best, and return its metrics.

    Parameters
    ----------
    config : DictConfig
        Composed from `conf/sweep.yaml`.

    Raises
    ------
    PipelineError
        For a space that cannot be searched, or data that cannot be trained on.
    """
    need("a sweep", "sweep", "optuna")
    from pipeline.families import family
    from pipeline.files import locked, write_json
    from pipeline.kept import content_key
    from pipeline.search import Search
    from pipeline.train import train

    space = checked(OmegaConf.to_container(config.sweep.space, resolve=True))
    folder, data = Path(config.folder), training_sentences(configured(config, {}))
    write_json(folder / "space.json", space)
    common: Any = OmegaConf.to_container(configured(config, {}), resolve=True)
    key = content_key({part: common[part] for part in DECIDES}, space)
    with locked(folder / "study.lock", wait=False):
        search = Search(folder / "study.db", key[:12], space, config.seed)
        tracking, name = config.tracking, f"sweep {config.sweep.name}"
        with family(tracking.uri, tracking.experiment, name, ROOT, resume=search.run) as parent:
            if parent:
                search.run = parent.id
            run_trials(search, config, data, parent)
            best = search.best()
            if best is None:
                raise PipelineError(
                    f"sweep: no trial worked; the last said: {search.trials()[-1].about['error']}"
                )
            metrics = train(configured(config, best.settings))
            finish(search, best, metrics, config, parent)
    return metrics


def checked(space: Any) -> dict[str, Any]:
    """Return the space, or raise ConfigError for a key that changes what trials are judged by."""
    if not isinstance(space, dict) or not space:
        raise ConfigError("sweep.space: expected keys of the configuration with a range or choices each")
    for key in space:
        if key.lstrip("+").partition(".")[0] not in VARIED:
            raise ConfigError(
                f"sweep.space: {key}: trials can differ in {' and '.join(VARIED)} only, else they are not "
                "comparable; set it for all behind python -m pipeline.sweep"
            )
    return space


def overrides(config: DictConfig, settings: dict[str, Any]) -> list[str]:
    """Return what goes behind `python -m pipeline.train` for some settings."""
    model = [] if "model" in settings else [f"model={config.sweep.model}"]
    return [*model, *(f"{key}={_written(value)}" for key, value in settings.items())]


def configured(config: DictConfig, settings: dict[str, Any]) -> DictConfig:
    """Return the configuration of a training with some settings."""
    return composed("train", overrides(config, settings), **{key: config[key] for key in SHARED})


def training_sentences(config: DictConfig) -> Training:
    """Return the labelled sentences without those of the test articles."""
    from pipeline.train import describe, label_set_of, labelled_sentences, split

    data = split(labelled_sentences(config), label_set_of(config), config)
    rows = data.split.train
    return Training(
        data.labels,
        data.column("text", rows),
        data.column("article", rows),
        data.y[rows],
        data.split.folds[rows],
        describe(data)["digest"],
    )


def run_trials(search: Search, config: DictConfig, data: Training, parent: Run | None) -> None:
    """Try settings until there are enough, and say how far it is."""
    from pipeline.families import log_may_fail

    tried, began, here = len(search.trials()), time.perf_counter(), 0
    if tried:
        say(f"{tried} trials were kept")
    while tried < config.trials:
        asked = search.ask()
        started = time.perf_counter()
        value, about = run_trial(config, dict(asked.params), data, tried + 1)
        about["seconds"] = time.perf_counter() - started
        search.tell(asked, value, about)
        tried, here = tried + 1, here + 1
        best = search.best()
        if parent and best:
            with log_may_fail():
                parent.numbers({"cv/macro_f1": best.value or 0.0}, step=tried)
        left = (time.perf_counter() - began) / here * (config.trials - tried)
        say(
            f"trial {tried} of {config.trials}: {'failed' if value is None else f'{value:.4f}'}"
            + (f", best {best.value:.4f} (trial {best.number})" if best else "")
            + f", {about['seconds']:.0f} s, {duration(left)} left   {shown(asked.params)}"
            + (f"   {about['error']}" if "error" in about else "")
        )


def run_trial(
    config: DictConfig, settings: dict[str, Any], data: Training, number: int
) -> tuple[float | None, dict[str, Any]]:
    """Cross-validate some settings, as a child run; return macro-F1 and its interval, or None and why not."""
    from pipeline.families import family, log_may_fail

    made, name = configured(config, settings), f"{config.sweep.name} {number}"
    try:
        with family(made.tracking.uri, made.tracking.experiment, name, ROOT) as child:
            block = cross_validated(made, data)
            if child:
                with log_may_fail():
                    log_trial(child, made, block, data)
    except (PipelineError, ValueError) as error:  # scikit-learn's, for settings that do not go together
        return None, {"error": " ".join(str(error).split())[:300]}
    return block["macro_f1"]["value"], {bound: block["macro_f1"][bound] for bound in ("low", "high")}


def cross_validated(config: DictConfig, data: Training) -> dict[str, Any]:
    """Return the block of cross-validated scores."""
    from hydra.utils import instantiate

    from pipeline.evaluation.metrics import evaluate
    from pipeline.models.training import cross_validate

    model = instantiate(config.model.estimator, _convert_="all")
    decision = instantiate(config.decision, task=data.labels.task)
    scored = config.split.get("score_folds")
    crossed = cross_validate(model, decision, data.texts, data.y, data.folds, score_folds=scored)
    return evaluate(
        data.y[crossed.rows],
        crossed.predicted,
        crossed.probabilities,
        labels=data.labels.names,
        thresholds=crossed.decision.reported_thresholds(),
        groups=[data.articles[row] for row in crossed.rows],
        seed=config.seed,
    )


def log_trial(child: Run, config: DictConfig, block: dict[str, Any], data: Training) -> None:
    """Log the settings and scores of a trial under the keys of a training."""
    child.parameters(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    child.metrics(block, "cv")
    child.tags({"model": config.model.name, "task": data.labels.task, "corpus": data.digest[:12]})


def finish(
    search: Search, best: Trial, metrics: dict[str, Any], config: DictConfig, parent: Run | None
) -> None:
    """Write, show and log what was tried and what mattered."""
    from pipeline.evaluation.charts import importance
    from pipeline.families import log_may_fail
    from pipeline.files import atomic, write_json

    folder, trials, importances = Path(config.folder), search.trials(), search.importances()
    about = [{"trial": t.number, "macro_f1": t.value, "settings": t.settings, **t.about} for t in trials]
    write_json(folder / "trials.json", {"trials": about, "importances": importances})
    text = summary(trials, best, importances, metrics, config)
    with atomic(folder / "summary.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    names = ["summary.md", "trials.json"]
    if importances:
        points = [(t.settings, t.value) for t in trials if t.value is not None]
        with atomic(folder / "importance.png") as temporary:
            importance(temporary, importances, points, f"{config.sweep.name}, {len(points)} trials")
        names.append("importance.png")
    say(f"\n{text}\nwritten to {folder}: {', '.join(names)}")
    if parent:
        with log_may_fail():
            for name in names:
                parent.file(folder / name)


def summary(
    trials: list[Trial],
    best: Trial,
    importances: dict[str, float],
    metrics: dict[str, Any],
    config: DictConfig,
) -> str:
    """Return the best trials, the importances, and what the best gives on the test, as Markdown."""
    from pipeline.evaluation.charts import last_names
    from pipeline.evaluation.tables import aligned

    keys = list(config.sweep.space)
    ranking = sorted((t for t in trials if t.value is not None), key=lambda t: -(t.value or 0.0))
    head = ["trial", "macro-F1, cross-validation", "seconds", *(last_names(key) for key in keys)]
    rows = [
        [
            str(t.number),
            f"{t.value:.4f} [{t.about['low']:.3f}, {t.about['high']:.3f}]",
            f"{t.about['seconds']:.0f}",
            *(_shown(t.settings.get(key)) for key in keys),
        ]
        for t in ranking[:SHOWN]
    ]
    parts = [aligned([head, *rows])]
    if importances:
        weights = [[last_names(key), f"{value:.2f}"] for key, value in importances.items()]
        parts.append(aligned([["setting", "importance"], *weights]))
    failed = sum(t.value is None for t in trials)
    test = metrics["test"]["macro_f1"]
    parts.append(
        f"{len(trials)} trials{f', {failed} failed' if failed else ''}. Test, of the best only: "
        f"{test['value']:.4f} [{test['low']:.3f}, {test['high']:.3f}]. The best of many cross-validated "
        "scores is partly luck; the test score is not. Intervals: 95 %, articles resampled."
    )
    command = " ".join(
        f"'{one}'" if set(one) & set("[]+ ") else one for one in overrides(config, best.settings)
    )
    parts.append(f"The best again: `python -m pipeline.train {command}`")
    return "\n\n".join(parts) + "\n"


def shown(settings: dict[str, Any]) -> str:
    """Return settings as a short line."""
    from pipeline.evaluation.charts import last_names

    return " ".join(f"{last_names(key)}={_shown(value)}" for key, value in settings.items())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _written(value)


def _written(value: Any) -> str:
    """Return a value as Hydra's command line has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """Return a duration as one would say it."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    main()
