"""All that knows MLflow: runs, what they carry, and where they are kept."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.files import locked
from pipeline.schema import PipelineError
from pipeline.settings import check_address
from pipeline.terminal import one_line, without_secrets

METRICS = (
    *("macro_f1", "micro_f1", "subset_accuracy"),
    *("macro_average_precision", "macro_brier", "macro_calibration_error"),
)
LONGEST_PARAMETER = 6000
LONGEST_REASON = 1000
PARAMETERS_A_BATCH = 100
# Names the run that runs opened in this process and those it starts are children of.
PARENT = "PIPELINE_PARENT_RUN"
METRICS_A_BATCH = 1000
ERROR = "error"  # tag: why a run failed
_SECRET = re.compile(r"(?:password|passwd|secret|credential|access.?key|api.?key|auth.?token)", re.IGNORECASE)


class TrackingError(PipelineError):
    """The tracking store cannot be reached or refuses."""


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

    with _alone(uri, root), connected(uri, root) as client:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(experiment)
        location = _artifacts(uri or default_uri(root))
        experiment_id = (
            found.experiment_id if found else client.create_experiment(experiment, artifact_location=location)
        )
        run_id = resume if resume and _restarted(client, resume) else None
        if run_id is None:
            end_dead_runs(client, experiment_id)
            tags = _source(root) | {PROCESS: process()}
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


@contextmanager
def connected(uri: str | None, root: Path) -> Iterator[Any]:
    """Give a client of the store, for what else is done there; what MLflow raises is a TrackingError.

    Parameters
    ----------
    uri, root
        As for `run`.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 12 s; MLflow's 7 take 4 minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # seconds; MLflow's 120 are spent four times
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        yield MlflowClient(tracking_uri=uri or default_uri(root))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"tracking.uri={uri}: {_first_line(error)}; is the server running?") from None


@contextmanager
def _alone(uri: str | None, root: Path) -> Iterator[None]:
    """Let one process at a time open a SQLite store: two that make its tables together ruin it."""
    database = _sqlite(uri or default_uri(root))
    if database is None:
        yield
        return
    try:
        with locked(f"{database}.lock"):
            yield
    except OSError as error:
        raise TrackingError(f"tracking.uri={uri}: {_first_line(error)}") from None


def _sqlite(uri: str) -> Path | None:
    scheme, _, path = uri.partition(":///")
    return Path(path.partition("?")[0]) if scheme == "sqlite" else None


def _artifacts(uri: str) -> str | None:
    """Return where artifacts go that MLflow would put into the working directory."""
    database = _sqlite(uri)
    return (database.absolute().parent / "mlartifacts").as_uri() if database else None


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
        raise TrackingError(f"tracking: {_first_line(error)}; is the server running?") from None


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


def local_folder(uri: str | Path, root: Path, tracking_uri: str | None = None) -> Path:
    """Return the folder of a model given as a path, or fetched from `models:/…` or `runs:/…`.

    Fetched from `tracking_uri`, MLFLOW_TRACKING_URI, or the store that is used where none is configured.

    Raises
    ------
    TrackingError
        Where there is no such logged model.
    ConfigError
        Where it would come from another machine without TLS.

    Notes
    -----
    What was fetched is said on stderr: an alias may name another version tomorrow.
    """
    if ":/" not in str(uri):
        return Path(uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    store = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)
    check_address("model_uri", str(uri))
    check_address("tracking.uri", store)
    try:
        location = _location(mlflow.MlflowClient(tracking_uri=store), str(uri))
        check_address("model_uri", location)
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=location, tracking_uri=store))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"model_uri={uri}: {_first_line(error)}") from None
    sys.stderr.write(f"{one_line(_revision(str(uri), location, folder))}\n")
    return folder


def _revision(uri: str, location: str, folder: Path) -> str:
    """Return what pins a fetched model: where it was, and the digest of the list of its files."""
    manifest = folder / "manifest.json"
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else "none"
    return f"model_uri={uri}: fetched from {location}, manifest sha256 {digest}"


def _location(client: Any, uri: str) -> str:
    """Return where the files of `models:/ID`, `models:/NAME@ALIAS` or `models:/NAME/VERSION` are.

    MLflow itself would look such names up in the store of the process, whatever store is given.
    """
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))?", uri)
    if match is None:
        return uri
    name, alias, number = match.groups()
    if alias:
        return _location(client, client.get_model_version_by_alias(name, alias).source)
    if number:
        return _location(client, client.get_model_version(name, number).source)
    return str(client.get_logged_model(name).artifact_location)


def default_uri(root: Path) -> str:
    """Return the store that is used where none is configured."""
    return f"sqlite:///{home(root) / 'mlflow.db'}"


def home(root: Path) -> Path:
    """Return the checkout that keeps the store: DVC deletes the copies it runs queued experiments in."""
    return Path(*root.parts[: root.parts.index(".dvc")]) if ".dvc" in root.parts else root


def metric_names(labels: Sequence[str]) -> list[str]:
    """Return labels as parts of metrics' names, all different: MLflow allows letters, digits and " _-."."""
    names: list[str] = []
    for label in labels:
        name = re.sub(r"[^\w .-]", "_", label)
        while name in names:
            name += "_"
        names.append(name)
    return names


def scrubbed(value: Any) -> Any:
    """Return a nest of mappings and lists without passwords and tokens, in values or under such a key."""
    if isinstance(value, Mapping):
        return {
            key: "***" if isinstance(one, str) and _SECRET.search(str(key)) else scrubbed(one)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrubbed(one) for one in value]
    return without_secrets(value) if isinstance(value, str) else value


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `{"a.b.0": value}` for a nest of mappings and lists."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, list):
            value = dict(enumerate(value)) if any(isinstance(v, dict | list) for v in value) else value
        if isinstance(value, Mapping):
            flat |= flatten({str(k): v for k, v in value.items()}, f"{name}.")
        else:
            flat[name] = value
    return flat


def commit(root: Path) -> str:
    """Return the commit that is checked out; "" where nothing is."""
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _source(root: Path) -> dict[str, str]:
    """Return tags that say which code and which data a run came from."""
    tags = {"mlflow.source.name": " ".join(sys.argv[:1]), "mlflow.source.type": "LOCAL"}
    if name := commit(root):
        tags |= {"mlflow.source.git.commit": name, "commit": name[:10]}
    if parent := os.environ.get(PARENT):
        tags["mlflow.parentRunId"] = parent
    return tags | _dvc_hashes(root / "dvc.lock")


def _dvc_hashes(lock: Path) -> dict[str, str]:
    if not lock.is_file():
        return {}
    import yaml

    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    return {
        f"dvc.{name}.{dep['path']}": dep.get("md5", "")
        for name, stage in stages.items()
        for dep in stage.get("deps", []) + stage.get("outs", [])
    }


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, PipelineError) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}")[:LONGEST_REASON]


def _first_line(error: Exception) -> str:
    return without_secrets(str(error).strip().split("\n")[0][:200])
