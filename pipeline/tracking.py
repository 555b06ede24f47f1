"""All that knows MLflow: runs, what they carry, and where they are kept."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.schema import PipelineError

METRICS = ("macro_f1", "micro_f1", "subset_accuracy")
LONGEST_PARAMETER = 6000
PARAMETERS_A_BATCH = 100
METRICS_A_BATCH = 1000


class TrackingError(PipelineError):
    """The tracking store cannot be reached or refuses."""


@contextmanager
def run(uri: str | None, experiment: str, name: str, root: Path) -> Iterator[Run]:
    """Open a run, ended as finished, failed or killed by how the block ends.

    Parameters
    ----------
    uri : str, optional
        An MLflow tracking URI. Without it, SQLite in `root` with artifacts beside it.
    experiment, name : str
    root : path

    Raises
    ------
    TrackingError
        Where the store cannot be reached.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 12 s; MLflow's 7 take 4 minutes
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking_uri=uri or default_uri(root))
        found = client.get_experiment_by_name(experiment)
        location = None if uri else (home(root) / "mlartifacts").as_uri()
        experiment_id = (
            found.experiment_id if found else client.create_experiment(experiment, artifact_location=location)
        )
        run_id = client.create_run(experiment_id, run_name=name, tags=_source(root)).info.run_id
    except (MlflowException, OSError) as error:
        raise TrackingError(f"tracking.uri={uri}: {_first_line(error)}; is the server running?") from None
    opened = Run(client, experiment_id, run_id, name)
    status = "FAILED"
    try:
        yield opened
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        with suppress(MlflowException, OSError):  # gone since: what was logged stays
            client.set_terminated(run_id, status)


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

        flat = {key: str(value)[:LONGEST_PARAMETER] for key, value in flatten(config).items()}
        items = [Param(key, value) for key, value in flat.items()]
        for begin in range(0, len(items), PARAMETERS_A_BATCH):
            self._client.log_batch(self.id, params=items[begin : begin + PARAMETERS_A_BATCH])
        self._client.log_dict(self.id, dict(config), "config.yaml")

    @_store_may_fail()
    def metrics(self, block: Mapping[str, Any], prefix: str) -> None:
        """Log a block of scores: `test/macro_f1`, `test/macro_f1_low`, `test/denial/f1`, ..."""
        import time

        from mlflow.entities import Metric

        flat: dict[str, float] = {}
        for name in METRICS:
            score = block[name]
            flat |= {f"{prefix}/{name}": score["value"]}
            flat |= {f"{prefix}/{name}_{bound}": score[bound] for bound in ("low", "high")}
        names = metric_names(list(block["per_label"]))
        for name, scores in zip(names, block["per_label"].values(), strict=True):
            flat |= {f"{prefix}/{name}/{key}": v for key, v in scores.items() if v is not None}
        now = int(time.time() * 1000)
        items = [Metric(k, float(v), now, 0) for k, v in flat.items()]
        for begin in range(0, len(items), METRICS_A_BATCH):
            self._client.log_batch(self.id, metrics=items[begin : begin + METRICS_A_BATCH])

    @_store_may_fail()
    def numbers(self, values: Mapping[str, float]) -> None:
        """Log single figures, such as seconds."""
        for key, value in values.items():
            self._client.log_metric(self.id, key, value)

    @_store_may_fail()
    def tags(self, values: Mapping[str, str]) -> None:
        """Tag the run."""
        for key, value in values.items():
            self._client.set_tag(self.id, key, value)

    @_store_may_fail()
    def data(self, table: pa.Table, *, source: str, name: str, digest: str) -> None:
        """Log the labelled sentences as the run's data set input."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        columns = [{"name": f.name, "type": str(f.type)} for f in table.schema]
        dataset = Dataset(
            name=name,
            digest=digest[:36],
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps({"arrow": columns}),
            profile=json.dumps({"num_rows": table.num_rows}),
        )
        self._client.log_inputs(
            self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )

    @_store_may_fail()
    def files(self, folder: Path, path: str | None = None) -> None:
        """Log a folder of artifacts."""
        self._client.log_artifacts(self.id, str(folder), path)

    @_store_may_fail()
    def model(self, folder: Path) -> str:
        """Log a bundle as the run's model and return its URI, `models:/…`."""
        from mlflow.entities import LoggedModelOutput

        logged = self._client.create_logged_model(self.experiment, name="bundle", source_run_id=self.id)
        self._client.log_model_artifacts(logged.model_id, str(folder))
        self._client.finalize_logged_model(logged.model_id, "READY")
        self._client.log_outputs(self.id, [LoggedModelOutput(logged.model_id, 0)])
        return f"models:/{logged.model_id}"


def local_folder(uri: str | Path, root: Path) -> Path:
    """Return the folder of a model given as a path, or fetched from `models:/…` or `runs:/…`.

    Raises
    ------
    TrackingError
        Where there is no such logged model.
    """
    if ":/" not in str(uri):
        return Path(uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.exceptions import MlflowException

    store = os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=str(uri), tracking_uri=store))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"model_uri={uri}: {_first_line(error)}") from None


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


def _source(root: Path) -> dict[str, str]:
    """Return tags that say which code and which data a run came from."""
    tags = {"mlflow.source.name": " ".join(sys.argv[:1]), "mlflow.source.type": "LOCAL"}
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    with suppress(OSError, subprocess.SubprocessError):  # not a checkout: nothing to say
        tags["mlflow.source.git.commit"] = subprocess.run(
            git, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
