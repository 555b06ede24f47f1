"""What a training logs: now, or later where the store was out of reach."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.files import write_json
from pipeline.schema import InputError
from pipeline.tracking.provenance import scrubbed
from pipeline.tracking.run import Run, metric_names


def kept_at(report: str | Path) -> Path:
    """Return where it is kept, beside its report, what a training has yet to log."""
    report = Path(report)
    return report.with_name(f".{report.name}.unlogged.json")


def keep(record: Mapping[str, Any]) -> Path:
    """Keep a record until it is logged, and return where: a store or a process that dies leaves it.

    Parameters
    ----------
    record : mapping
        `name`, `run` (an id or ""), `bundle` (a path), `config` (resolved), `rows`, `columns` (name to
        type), `task`, `seconds`.
        Passwords in it are not kept.
    """
    path = kept_at(record["config"]["report"])
    write_json(path, scrubbed(record))
    return path


def read_kept(report: str | Path) -> dict[str, Any]:
    """Return what there is still to log of the training that wrote a report.

    Raises
    ------
    InputError
        Where there is nothing.
    """
    path = kept_at(report)
    if not path.is_file():
        raise InputError(f"report={report}: has nothing left to be logged; it is logged, or is not a report")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); train again") from None
    return record


def log(run: Run, record: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Log what a run was made of and what came out, bundle and report included.

    Parameters
    ----------
    run : Run
    record : mapping
        As for `keep`.
    metrics : mapping
        As in the report.
    """
    from pipeline.evaluation.abstention import abstention_numbers, at_rate
    from pipeline.evaluation.behaviour_report import behaviour_numbers
    from pipeline.evaluation.predictions import FILE, read_predictions

    config, seconds = record["config"], record["seconds"]
    run.parameters(config)
    for block in ("cross_validation", "test"):
        run.metrics(metrics[block], "cv" if block == "cross_validation" else block)
    for step, fold in enumerate(metrics["cross_validation"].get("per_fold", ()), 1):
        run.numbers(fold_numbers(fold), step)
    speed = metrics["data"]["test"] / max(seconds["score"], 1e-9)
    run.numbers({"seconds/train": seconds["train"], "sentences_per_second": speed})
    if "behaviour" in metrics:
        run.numbers(behaviour_numbers(metrics["behaviour"]))
    if one := at_rate(metrics["abstention"]):
        run.numbers(abstention_numbers(one))
    digest = metrics["data"]["digest"]
    run.tags(
        {
            "model": metrics["model"],
            "family": family(config["model"]["estimator"]),
            "task": record["task"],
            "corpus": digest[:12],
            "test_set": read_predictions(Path(config["report"]) / FILE).digest[:12],
        }
    )
    run.view(metrics["labels"])
    source, columns = str(config["labelled"]), record["columns"]
    run.data(columns, record["rows"], source=source, name="labelled sentences", digest=digest)
    run.files(Path(config["report"]))
    run.model(Path(record["bundle"]), config["tracking"].get("register"))


def fold_numbers(fold: Mapping[str, Any]) -> dict[str, float]:
    """Return `cv/fold/macro_f1` and `cv/fold/LABEL/f1`, logged as steps: one line in MLflow's charts."""
    labels = zip(metric_names(list(fold["f1"])), fold["f1"].values(), strict=True)
    numbers = {f"cv/fold/{name}/f1": value for name, value in labels if value is not None}
    return numbers | ({"cv/fold/macro_f1": fold["macro_f1"]["value"]} if fold["macro_f1"] else {})


def family(estimator: Any) -> str:
    """Return the class of what decides in the end, such as "LogisticRegression"."""
    while True:
        if steps := estimator.get("steps"):
            estimator = steps[-1][1]
        elif inner := estimator.get("estimator"):
            estimator = inner
        else:
            return str(estimator.get("_target_", "unknown")).rpartition(".")[2]
