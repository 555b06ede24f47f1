"""Runs that belong together: a parent, and all runs opened while it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.terminal import warn
from pipeline.tracking.provenance import PARENT
from pipeline.tracking.run import Run, run
from pipeline.tracking.stores import TrackingError


@contextmanager
def family(
    uri: str | None, experiment: str, name: str, root: Path, *, resume: str | None = None
) -> Iterator[Run | None]:
    """Open a run whose children are all runs opened meanwhile; None, and a warning, without a store.

    Parameters
    ----------
    uri, experiment, name, root, resume
        As for `pipeline.tracking.run.run`.
    """
    with ExitStack() as stack:
        opened = None
        try:
            opened = stack.enter_context(run(uri, experiment, name, root, resume=resume))
        except TrackingError as error:
            warn(f"{error} Going on without a log.")
        stack.enter_context(children(opened))
        yield opened


@contextmanager
def children(parent: Run | None) -> Iterator[None]:
    """Make runs that are opened meanwhile, here or in processes started here, children of `parent`."""
    before = os.environ.get(PARENT)
    if parent:
        os.environ[PARENT] = parent.id
    try:
        yield
    finally:
        os.environ.pop(PARENT, None)
        if before is not None:
            os.environ[PARENT] = before


@contextmanager
def log_may_fail() -> Iterator[None]:
    """Warn where the store is gone in the middle; what is on disk is complete all the same."""
    try:
        yield
    except TrackingError as error:
        warn(f"{error} The log is incomplete.")
