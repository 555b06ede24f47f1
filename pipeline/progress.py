"""A running count on stderr for people who watch, and nothing for those who do not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counter(unit: str) -> Iterator[Callable[[int], None]]:
    """Show how many units are done and how fast, on a terminal only.

    Parameters
    ----------
    unit : str
        What is counted, such as "sentences".

    Yields
    ------
    callable
        To be called with the number just done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(unit, total=None)
        yield lambda done: progress.advance(task, done)


SPENT: dict[str, float] = {}


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Add the processor time of a block, in seconds over all cores, to `SPENT[what]`."""
    began = time.process_time()
    try:
        yield
    finally:
        SPENT[what] = SPENT.get(what, 0.0) + time.process_time() - began
