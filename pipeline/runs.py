"""Runs to be compared: found in the store by id, name, alias or rank, or on disk by folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.evaluation.predictions import FILE, Predictions, read_predictions
from pipeline.schema import ConfigError, InputError, nearest

METRICS = "metrics.json"
RANKED_BY = "cv/macro_f1"
TEST_SET = "test_set"  # tag: what a run was tested on
_SEVERAL = re.compile(r"(last|best) (\d+)")
_ID = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True, slots=True)
class Found:
    """A run, or a folder that a run wrote.

    Attributes
    ----------
    name : str
    id : str
        Of the MLflow run; empty where there is none.
    folder, bundle : path, optional
        Its report and its classifier on disk.
    numbers : dict
        What the run logged besides its scores, such as `seconds/train`.
    """

    name: str
    id: str = ""
    folder: Path | None = None
    bundle: Path | None = None
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compared:
    """A run with what it said of the test sentences.

    Attributes
    ----------
    found : Found
    made : Predictions
    metrics : dict
        Its metrics file.
    """

    found: Found
    made: Predictions
    metrics: dict[str, Any]


def find(
    client: Any, experiment: str, wanted: str | Sequence[object], aliased: Mapping[str, str]
) -> list[Found]:
    """Return the runs that are asked for, in that order; the first is what others are compared to.

    Parameters
    ----------
    client : mlflow.MlflowClient
    experiment : str
        Name of the experiment.
    wanted : str or sequence
        Ids (six characters suffice), names, aliases, folders with a report, or "last N", "best N":
        of the runs tested on what the newest was tested on. Best is by cross-validated macro-F1;
        choosing by the test score would flatter the chosen.
    aliased : mapping of str to str
        Alias, such as "champion", to the id of its run.

    Raises
    ------
    ConfigError, InputError
        Where one cannot be found, or fewer than two are.
    """
    items = [wanted] if isinstance(wanted, str) else list(wanted)
    found: list[Found] = []
    for item in (str(item).strip() for item in items):
        if (several := _SEVERAL.fullmatch(item)) or not Path(item).is_dir():
            runs = _finished(client, experiment)
            found += _ranked(runs, *several.groups()) if several else [_one(client, runs, aliased, item)]
        else:
            found.append(_on_disk(Path(item)))
    unique = list({one.id or str(one.folder): one for one in found}.values())
    if len(unique) < 2:
        have = f"only {unique[0].name}" if unique else "none"
        raise ConfigError(f"runs={','.join(map(str, items))}: two or more runs are needed, found {have}")
    return unique


def fetch(client: Any, found: Found, folder: Path) -> Compared:
    """Return a run with its metrics and predictions, downloaded below `folder` where they are not here.

    Raises
    ------
    InputError
        Where the run has none.
    """
    if found.folder is None and not found.id:
        raise InputError(
            f"runs: {found.bundle} has no report beside it; give the report, or input=FILE to score it"
        )
    metrics, path = metrics_of(client, found, folder), _local(client, found, FILE, folder)
    if not metrics or path is None:
        raise InputError(
            f"runs: {found.name} was not tested, as trials of a sweep are not, or by a version that did not "
            f"log {FILE}; train it"
        )
    return Compared(found, read_predictions(path), metrics)


def metrics_of(client: Any, found: Found, folder: Path) -> dict[str, Any]:
    """Return the metrics file of a run, downloaded below `folder` where it is not here; {} for none."""
    path = _local(client, found, METRICS, folder)
    return json.loads(path.read_text(encoding="utf-8")) if path else {}


def _local(client: Any, found: Found, name: str, folder: Path) -> Path | None:
    """Return where a file of a run's report is on this disk, None where there is none."""
    if found.folder is not None:
        return found.folder / name if (found.folder / name).is_file() else None
    if not found.id or name not in {item.path for item in client.list_artifacts(found.id)}:
        return None
    (folder / found.id).mkdir(parents=True, exist_ok=True)
    return Path(client.download_artifacts(found.id, name, str(folder / found.id)))


def _finished(client: Any, experiment: str) -> list[Any]:
    """Return finished runs, the latest first."""
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return []
    order = ["attributes.start_time DESC"]
    return list(client.search_runs([known.experiment_id], "attributes.status = 'FINISHED'", 1, 5000, order))


def _ranked(runs: Sequence[Any], how: str, number: str) -> list[Found]:
    runs = [run for run in runs if TEST_SET in run.data.tags]  # neither trials nor parents
    runs = [run for run in runs if run.data.tags[TEST_SET] == runs[0].data.tags[TEST_SET]]
    if how == "best":
        runs = sorted(
            (run for run in runs if RANKED_BY in run.data.metrics),
            key=lambda run: -run.data.metrics[RANKED_BY],
        )
    return [_of(run) for run in runs[: int(number)]]


def _one(client: Any, runs: Sequence[Any], aliased: Mapping[str, str], item: str) -> Found:
    if item in aliased:
        return _of(client.get_run(aliased[item]), f"{item} ")
    for run in runs:
        if run.info.run_name == item:
            return _of(run)
    matching = [run for run in runs if run.info.run_id.startswith(item)] if _ID.fullmatch(item) else []
    if len(matching) > 1:
        raise ConfigError(f"runs: {item} begins the ids of {len(matching)} runs; give more of it")
    if not matching:
        hint = nearest(item, [*aliased, *(run.info.run_name for run in runs[:20])])
        raise ConfigError(f"runs: no finished run and no folder {item!r}{hint}")
    return _of(matching[0])


def _of(run: Any, prefix: str = "") -> Found:
    numbers = {name: value for name, value in run.data.metrics.items() if name.count("/") < 2}
    return Found(f"{prefix}{run.info.run_name}", run.info.run_id, numbers=numbers)


def _on_disk(folder: Path) -> Found:
    """Return a folder with a report, or a bundle with the report that belongs to it."""
    name = "/".join(folder.resolve().parts[-2:])
    if (folder / METRICS).is_file():
        return Found(name, folder=folder)
    if not (folder / "manifest.json").is_file():
        raise InputError(f"runs: {folder} has neither {METRICS} nor manifest.json; give a report or a bundle")
    beside = folder.resolve().parent.with_name("reports") / folder.name
    return Found(name, folder=beside if _belongs(beside, folder) else None, bundle=folder)


def _belongs(report: Path, bundle: Path) -> bool:
    """Return whether a report is of the classifier in a bundle."""
    if not (report / METRICS).is_file():
        return False
    card = json.loads((bundle / "model.json").read_text(encoding="utf-8"))["card"]
    told = json.loads((report / METRICS).read_text(encoding="utf-8"))
    same_scores = card.get("scores", {}).get("test", {}).get("macro_f1") == told["test"]["macro_f1"]
    return same_scores and card.get("data") == told["data"]


def cost(run: Compared) -> dict[str, float | None]:
    """Return seconds of training and sentences labelled a second; None for what nobody measured."""
    numbers, seconds = run.found.numbers, run.metrics.get("seconds")
    if seconds:
        speed = run.metrics["data"]["test"] / max(seconds["score"], 1e-9)
        numbers = {"seconds/train": seconds["train"], "sentences_per_second": speed} | numbers
    return {
        "train_seconds": numbers.get("seconds/train"),
        "sentences_per_second": numbers.get("sentences_per_second"),
    }


def bundle_uri(client: Any, found: Found) -> str | Path:
    """Return where the classifier of a run is: a folder, or what MLflow knows it by.

    Raises
    ------
    InputError
        Where there is only a report.
    """
    if found.bundle is not None:
        return found.bundle
    outputs = client.get_run(found.id).outputs if found.id else None
    if not outputs or not outputs.model_outputs:
        raise InputError(f"runs: {found.name} has no classifier with it; give the run or the bundle's folder")
    return f"models:/{outputs.model_outputs[0].model_id}"
