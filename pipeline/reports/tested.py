"""What a training run says of its classifier: scores of held-out sentences, slices, behaviour, abstention."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.evaluation.data import Data
    from pipeline.models.training import CrossValidated


def evaluate_both(
    bundle: Any, crossed: CrossValidated, data: Data, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the cross-validation and test blocks, and the test probabilities, labels and seconds."""
    from pipeline.evaluation.metrics import evaluate, spread

    rows = data.split.test
    texts = data.column("text", rows)
    began = time.perf_counter()
    probabilities = bundle.probabilities(texts)
    seconds = time.perf_counter() - began
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
            repeats=int(crossed.repeat.max()) + 1,
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
    blocks["cross_validation"]["per_fold"] = fold_by_fold(crossed, data, seed)
    blocks["cross_validation"]["repeats"] = spread(data.y[inside], crossed.predicted, crossed.repeat)
    return blocks, {"probabilities": probabilities, "predicted": predicted, "seconds": seconds}


def fold_by_fold(crossed: CrossValidated, data: Data, seed: int) -> list[dict[str, Any]]:
    """Return the scores of each fold: as of a slice, and its `name`, that of what was left out if it has one.

    Folds of later repeats follow those of the first.
    """
    from pipeline.evaluation.slices import slice_block

    folds = data.split.dealt[crossed.repeat, crossed.rows]
    column = data.split.about["column"] if data.split.about.get("protocol") == "leave_out" else None
    found = []
    for repeat in range(len(data.split.dealt)):
        for fold in sorted(set(folds[crossed.repeat == repeat].tolist())):
            some = (crossed.repeat == repeat) & (folds == fold)
            rows = data.split.train[crossed.rows[some]]
            name = f"fold {fold + 1}" + (f", repeat {repeat + 1}" if data.split.again else "")
            if column:
                name = ", ".join(sorted({str(value) for value in data.column(column, rows)}))
            groups = data.column("article", rows)
            block = slice_block(data.y[rows], crossed.predicted[some], data.labels.names, groups, seed)
            found.append({"name": name} | block)
    return found


def cut_short(bundle: Any, data: Data) -> dict[str, int] | None:
    """Return how many sentences are longer than the encoder reads; None where there is no encoder."""
    parts = {"train": data.split.train, "test": data.split.test}
    found = {name: bundle.truncated(data.column("text", rows)) for name, rows in parts.items()}
    return {name: n for name, n in found.items() if n is not None} or None


def abstention(
    bundle: Any, crossed: CrossValidated, data: Data, probabilities: NDArray[np.float64]
) -> dict[str, Any]:
    """Return what leaving test sentences to a person gives at several error rates, and the one chosen."""
    from pipeline.evaluation.abstention import curve

    inside, rows = data.split.train[crossed.rows], data.split.test
    points = curve(
        bundle.decision,
        (crossed.scores, data.y[inside]),
        data.y[rows],
        probabilities,
        labels=data.labels.names,
        groups=data.column("article", rows),
    )
    return {"error_rate": bundle.decision.error_rate, "curve": points}


def examine(
    bundle: Any, data: Data, predicted: NDArray[np.int8], seed: int, behaviour: str | None
) -> dict[str, Any]:
    """Return scores of parts of the test sentences, and what the behaviour tests of a folder found."""
    from pipeline.evaluation.behaviour import run_tests
    from pipeline.evaluation.behaviour_tests import read_tests
    from pipeline.evaluation.slices import COLUMNS, slices

    rows, names = data.split.test, data.labels.names
    texts = data.column("text", rows)
    columns = {name: data.column(name, rows) for name in COLUMNS if name in data.table.column_names}
    groups = data.column("article", rows)
    found: dict[str, Any] = {
        "slices": slices(
            bundle.score,
            texts,
            columns,
            data.y[rows],
            predicted,
            labels=names,
            groups=groups,
            seed=seed,
        )
    }
    if behaviour:
        tests = read_tests(behaviour, texts)
        found["behaviour"] = run_tests(bundle.score, tests, names, texts, seed=seed)
    return found


def training_profile(data: Data, crossed: CrossValidated) -> dict[str, Any]:
    """Return what `pipeline.predict drift=…` compares with: counts over the held-out training sentences."""
    from pipeline.evaluation.drift import reference

    texts = data.column("text", data.split.train[crossed.rows])
    return reference(texts, crossed.probabilities, crossed.predicted)
