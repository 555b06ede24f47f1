"""Stage: log a training whose tracking store was out of reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.schema import InputError
from pipeline.terminal import say


@stage("log")
def main(config: DictConfig) -> None:
    """Run the stage."""
    name, run_id = log_report(config.report, config.tracking.uri)
    say(f"run      {name} {run_id}; `make ui` shows it")


def log_report(report: str, uri: str | None) -> tuple[str, str]:
    """Log the training that wrote a report, with its bundle, and return name and id of its run.

    A run that was broken off goes on, where the store still has it.

    Parameters
    ----------
    report : path
        The folder that `pipeline.train` wrote.
    uri : str, optional
        The tracking store; by default the one in the checkout.

    Raises
    ------
    InputError
        Where there is nothing left to be logged, or the bundle is of another training.
    TrackingError
        Where the store is still out of reach; what is to be logged stays.
    """
    from pipeline.bundle import load
    from pipeline.files import write_json
    from pipeline.record import kept_at, log, read_kept
    from pipeline.tracking.run import run

    record = read_kept(report)
    record["config"]["report"] = str(report)
    path = Path(report) / "metrics.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; the report is gone, train again")
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    bundle = record["bundle"]
    if load(bundle).card["scores"]["test"] != {
        name: metrics["test"][name] for name in ("macro_f1", "micro_f1", "subset_accuracy")
    }:
        raise InputError(f"{bundle}: is of another training than {report}; it cannot be logged with it")
    experiment = record["config"]["tracking"]["experiment"]
    with run(uri, experiment, record["name"], ROOT, resume=record["run"] or None) as opened:
        write_json(path, metrics | {"run_id": opened.id})
        log(opened, record, metrics)
    kept_at(report).unlink()
    return opened.name, opened.id


if __name__ == "__main__":
    main()
