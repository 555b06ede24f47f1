"""A model by its name: a folder, or what MLflow keeps as `models:/…` or `runs:/…`."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

from pipeline.settings import check_address
from pipeline.terminal import one_line
from pipeline.tracking.stores import TrackingError, default_uri, first_line


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
        raise TrackingError(f"model_uri={uri}: {first_line(error)}") from None
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
