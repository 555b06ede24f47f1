"""A run: how it begins and ends, and what it carries."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.schema import PipelineError
from pipeline.terminal import one_line
from pipeline.tracking.provenance import flatten, scrubbed, source
from pipeline.tracking.stores import TrackingError, alone, artifacts, connected, default_uri, first_line

METRICS = (
    *("macro_f1", "micro_f1", "subset_accuracy"),
    *("macro_average_precision", "macro_brier", "macro_calibration_error"),
)
LONGEST_PARAMETER = 6000
LONGEST_REASON = 1000
PARAMETERS_A_BATCH = 100
METRICS_A_BATCH = 1000
ERROR = "error"  # tag: why a run failed


class Terminated(SystemExit):
    """The process was asked to end (SIGTERM)."""


@contextmanager
def run(
    uri: str | None, experiment: str, name: str, root: Path, *, resume: str | None = None
) -> Iterator[Run]:
    """Open a run, ended as finished, failed or killed by how the block ends.

    Why it failed is its tag `error`. SIGTERM ends the process, and the run as killed.
    Within `pipeline.families.children` it becomes a child.

    Parameters
    ----------
    uri : str, optional
        An MLflow tracking URI. Without it, SQLite in `root`. Artifacts of SQLite stores lie beside it.
    experiment, name : str
    root : path
    resume : str, optional
        Id of a run that was broken off: it goes on, where the store still has it.

    Raises
    ------
    TrackingError
        Where the store cannot be reached.
    """
    from pipeline.experiments import PROCESS, end_dead_runs, process, unique_name

    with alone(uri, root), connected(uri, root) as client:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(experiment)
        location = artifacts(uri or default_uri(root))
        experiment_id = (
            found.experiment_id if found else client.create_experiment(experiment, artifact_location=location)
        )
        run_id = resume if resume and _restarted(client, resume) else None
        if run_id is None:
            end_dead_runs(client, experiment_id)
            tags = source(root) | {PROCESS: process()}
            name = unique_name(client, experiment_id, name)
            run_id = client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
    opened = Run(client, experiment_id, run_id, name)
    status = "FAILED"
    try:
        with _terminable():
            yield opened
        status = "FINISHED"
    except (KeyboardInterrupt, Terminated):
        status = "KILLED"
        raise
    except Exception as error:
        with suppress(TrackingError):
            opened.tags({ERROR: _reason(error)})
        raise
    finally:
        with suppress(MlflowException, OSError):  # gone since: what was logged stays
            client.set_terminated(run_id, status)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`; of several threads, only the main one can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, _: object) -> None:
    raise Terminated(128 + number)


def _restarted(client: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException:
        return False
    return True


def logged(uri: str | None, run_id: str, root: Path) -> Run | None:
    """Return a run that ended, to log more to it; None where the store does not have it."""
    try:
        with connected(uri, root) as client:
            info = client.get_run(run_id).info
    except TrackingError:
        return None
    return Run(client, info.experiment_id, run_id, info.run_name)


@contextmanager
def _store_may_fail() -> Iterator[None]:
    """Turn what MLflow raises into a TrackingError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise TrackingError(f"tracking: {first_line(error)}; is the server running?") from None


class Run:
    """One MLflow run.

    Attributes
    ----------
    id : str
    experiment : str
        Id of the experiment.
    name : str
    """

    def __init__(self, client: Any, experiment: str, run_id: str, name: str) -> None:
        self._client = client
        self.id = run_id
        self.experiment = experiment
        self.name = name

    @_store_may_fail()
    def parameters(self, config: Mapping[str, Any]) -> None:
        """Log a nested configuration as flat parameters, and whole as an artifact."""
        from mlflow.entities import Param

        config = scrubbed(config)
        flat = {key: str(value)[:LONGEST_PARAMETER] for key, value in flatten(config).items()}
        items = [Param(key, value) for key, value in flat.items()]
        for begin in range(0, len(items), PARAMETERS_A_BATCH):
            self._client.log_batch(self.id, params=items[begin : begin + PARAMETERS_A_BATCH])
        self._client.log_dict(self.id, dict(config), "config.yaml")

    @_store_may_fail()
    def metrics(self, block: Mapping[str, Any], prefix: str) -> None:
        """Log a block of scores: `test/macro_f1`, `test/macro_f1_low`, `test/denial/f1`, ..."""
        flat: dict[str, float] = {}
        for name in METRICS:
            score = block[name]
            flat |= {f"{prefix}/{name}": score["value"]}
            flat |= {f"{prefix}/{name}_{bound}": score[bound] for bound in ("low", "high")}
        names = metric_names(list(block["per_label"]))
        for name, scores in zip(names, block["per_label"].values(), strict=True):
            flat |= {f"{prefix}/{name}/{key}": v for key, v in scores.items() if v is not None}
        self.numbers(flat)

    @_store_may_fail()
    def numbers(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log single figures, such as seconds."""
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        items = [Metric(key, float(value), now, step) for key, value in values.items()]
        for begin in range(0, len(items), METRICS_A_BATCH):
            self._client.log_batch(self.id, metrics=items[begin : begin + METRICS_A_BATCH])

    @_store_may_fail()
    def tags(self, values: Mapping[str, str]) -> None:
        """Tag the run."""
        for key, value in values.items():
            self._client.set_tag(self.id, key, value)

    def adopt(self, child: Run) -> None:
        """Make another run a child of this one."""
        child.tags({"mlflow.parentRunId": self.id})

    @_store_may_fail()
    def view(self, labels: Sequence[str]) -> None:
        """Let the experiment's list of runs show the scores of these labels."""
        from pipeline.experiments import share_view

        share_view(self._client, self.experiment, labels)

    @_store_may_fail()
    def data(self, kinds: Mapping[str, str], rows: int, *, source: str, name: str, digest: str) -> None:
        """Log a table, described by the types of its columns, as the run's data set input."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        columns = [{"name": column, "type": kind} for column, kind in kinds.items()]
        dataset = Dataset(
            name=name,
            digest=digest[:36],
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps({"arrow": columns}),
            profile=json.dumps({"num_rows": rows}),
        )
        self._client.log_inputs(
            self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )

    @_store_may_fail()
    def files(self, folder: Path, path: str | None = None) -> None:
        """Log a folder of artifacts."""
        self._client.log_artifacts(self.id, str(folder), path)

    @_store_may_fail()
    def file(self, path: Path) -> None:
        """Log one file."""
        self._client.log_artifact(self.id, str(path))

    @_store_may_fail()
    def model(self, folder: Path, register: str | None = None) -> str:
        """Log a bundle as the run's model and return its URI, `models:/…`.

        With `register`, it is also a new version of that registered model: its challenger.
        """
        from mlflow.entities import LoggedModelOutput

        logged = self._client.create_logged_model(self.experiment, name="bundle", source_run_id=self.id)
        self._client.log_model_artifacts(logged.model_id, str(folder))
        self._client.finalize_logged_model(logged.model_id, "READY")
        self._client.log_outputs(self.id, [LoggedModelOutput(logged.model_id, 0)])
        if register:
            from pipeline.registry import challenge

            challenge(self._client, register, logged.model_id, self.id)
        return f"models:/{logged.model_id}"


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, PipelineError) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}")[:LONGEST_REASON]


def metric_names(labels: Sequence[str]) -> list[str]:
    """Return labels as parts of metrics' names, all different: MLflow allows letters, digits and " _-."."""
    names: list[str] = []
    for label in labels:
        name = re.sub(r"[^\w .-]", "_", label)
        while name in names:
            name += "_"
        names.append(name)
    return names
