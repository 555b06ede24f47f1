"""What makes an experiment's list of runs readable: names, columns, and no run that only seems to run."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

PROCESS = "pipeline.process"
VIEW = "columns"
LONGEST_NAME = 80
# Where results go and whence inputs come makes no other model.
_NO_DIFFERENCE = {"output", "report", "labelled", "tracking", "paths", "hydra"}
_CLEAN = re.compile(r"[^\w.:+]+")


def short_difference(overrides: Sequence[str], groups: Sequence[str]) -> str:
    """Return what a run's command line changed, such as "precise-C:10-seed:8".

    Parameters
    ----------
    overrides : sequence of str
        As Hydra has them, `key=value`.
    groups : sequence of str
        Keys whose value is the name of a choice and says enough alone.
    """
    parts = []
    for override in overrides:
        if override.startswith("model="):  # the name begins with it
            continue
        key, _, value = override.lstrip("+~").partition("=")
        if key.split(".")[0] in _NO_DIFFERENCE or "/" in value:
            continue
        value = _CLEAN.sub("_", value).strip("_")[:24]
        parts.append(value if key in groups else f"{key.rpartition('.')[2]}:{value}")
    return "-".join(parts)


def unique_name(client: Any, experiment_id: str, name: str) -> str:
    """Return a name that no run of the experiment has: with "-2", "-3", ... where it is taken."""
    name = name[:LONGEST_NAME]
    quoted = name.replace("'", "_")
    found = client.search_runs(
        [experiment_id], f"attributes.run_name LIKE '{quoted}%'", max_results=1000, order_by=[]
    )
    taken = {run.info.run_name for run in found}
    number = 1
    while (candidate := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return candidate


def process() -> str:
    """Return what tells this process from any other: host, number, and when it began."""
    import psutil

    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.2f}"


def end_dead_runs(client: Any, experiment_id: str) -> list[str]:
    """Mark runs as killed whose process on this machine is gone, and return their ids.

    A process that is killed outright cannot mark its run itself.
    """
    ended = []
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'", max_results=1000):
        if _is_gone(run.data.tags.get(PROCESS, "")):
            client.set_terminated(run.info.run_id, "KILLED")
            ended.append(run.info.run_id)
    return ended


def _is_gone(tag: str) -> bool:
    import psutil

    host, _, rest = tag.partition(" ")
    if host != socket.gethostname():
        return False  # of another machine, or not ours: who knows
    with suppress(ValueError, psutil.Error):
        pid, began = rest.split()
        return abs(psutil.Process(int(pid)).create_time() - float(began)) > 1
    return True


def share_view(client: Any, experiment_id: str, labels: Sequence[str]) -> None:
    """Give the experiment a view whose columns are the scores; `view_path` leads to it."""
    # MLflow sorts columns by name; few enough that all are seen.
    metrics = ["cv/macro_f1", *(f"test/{label}/f1" for label in labels), "test/macro_f1"]
    columns = [*(f"metrics.`{name}`" for name in metrics), "tags.`family`", "tags.`corpus`"]
    state = {"selectedColumns": columns, "orderByKey": "metrics.`test/macro_f1`", "orderByAsc": False}
    tags = {f"mlflow.sharedViewState.{VIEW}": json.dumps(state)}
    tags["mlflow.experimentKind"] = "custom_model_development"
    known = client.get_experiment(experiment_id).tags
    for key, value in tags.items():
        if known.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)


def view_path(experiment_id: str) -> str:
    """Return the path of the experiment's view below the address of the server."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}&workflowType=machine_learning"
