"""Where runs are kept: the store of MLflow that is configured, or SQLite beside the project."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.files import locked
from pipeline.schema import PipelineError
from pipeline.terminal import without_secrets


class TrackingError(PipelineError):
    """The tracking store cannot be reached or refuses."""


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
        raise TrackingError(f"tracking.uri={uri}: {first_line(error)}; is the server running?") from None


@contextmanager
def alone(uri: str | None, root: Path) -> Iterator[None]:
    """Let one process at a time open a SQLite store: two that make its tables together ruin it.

    Nor is it interrupted at that: signals to end are put off till it is open.
    """
    database = _sqlite(uri or default_uri(root))
    if database is None:
        yield
        return
    try:
        with locked(f"{database}.lock"), _undisturbed():
            yield
    except OSError as error:
        raise TrackingError(f"tracking.uri={uri}: {first_line(error)}") from None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put signals to end off; of several threads, only the main one can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    ends = (signal.SIGINT, signal.SIGTERM)
    before = {end: signal.signal(end, lambda number, _: came.append(number)) for end in ends}
    try:
        yield
    finally:
        for end, handler in before.items():
            signal.signal(end, handler)
        if came:
            signal.raise_signal(came[0])


def _sqlite(uri: str) -> Path | None:
    scheme, _, path = uri.partition(":///")
    return Path(path.partition("?")[0]) if scheme == "sqlite" else None


def artifacts(uri: str) -> str | None:
    """Return where artifacts go that MLflow would put into the working directory."""
    database = _sqlite(uri)
    return (database.absolute().parent / "mlartifacts").as_uri() if database else None


def default_uri(root: Path) -> str:
    """Return the store that is used where none is configured."""
    return f"sqlite:///{home(root) / 'mlflow.db'}"


def home(root: Path) -> Path:
    """Return the checkout that keeps the store: DVC deletes the copies it runs queued experiments in."""
    return Path(*root.parts[: root.parts.index(".dvc")]) if ".dvc" in root.parts else root


def first_line(error: Exception) -> str:
    """Return the beginning of what an error says, without secrets."""
    return without_secrets(str(error).strip().split("\n")[0][:200])
