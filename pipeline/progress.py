"""A running count on stderr for people who watch, and nothing for those who do not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counter(
    unit: str, total: int | None = None, position: Callable[[], int] | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how many units are done and how fast, on a terminal only.

    Parameters
    ----------
    unit : str
        What is counted, such as "sentences".
    total : int, optional
        Where the end is known, in whatever `position` counts, such as bytes: then the time left is shown.
    position : callable, optional

    Yields
    ------
    callable
        To be called with the number just done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from time import monotonic

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    known = (BarColumn(20), TimeRemainingColumn()) if total and position else ()
    text = TextColumn("{task.fields[units]:,} {task.description}, {task.fields[rate]:,.0f}/s")
    columns = (SpinnerColumn(), text, TimeElapsedColumn(), *known)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(unit, total=total if known else None, units=0, rate=0.0)
        began, start, units = monotonic(), position() if position else 0, 0

        def advance(done: int) -> None:
            nonlocal units
            units += done
            rate = units / max(monotonic() - began, 1e-9)
            completed = position() - start if known and position else units
            progress.update(task, completed=completed, units=units, rate=rate)

        yield advance


SPENT: dict[str, float] = {}


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Add the processor time of a block, in seconds over all cores, to `SPENT[what]`."""
    began = time.process_time()
    try:
        yield
    finally:
        SPENT[what] = SPENT.get(what, 0.0) + time.process_time() - began
