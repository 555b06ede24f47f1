"""How a corpus is split: at random, by topic or source, or by date."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.evaluation.splits import (
    LEFT_OUT,
    TEST,
    Split,
    check_settings,
    grouped_folds,
    near_duplicates,
    split_rows,
)
from pipeline.schema import ConfigError, nearest

Labels = NDArray[np.int8]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def split_table(table: pa.Table, y: Labels, *, protocol: str, seed: int, **settings: Any) -> Split:
    """Split labelled sentences by a protocol of `conf/split/`.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        With `text`, `article`, `split`, and the column that the protocol goes by.
    y : ndarray of shape (n_rows, n_labels)
    protocol : {"grouped", "leave_out", "time"}
        `grouped`: articles at random. `leave_out`: every value of a column is scored by a model that
        saw none of it. `time`: train on the older articles, test on the newer.
    seed : int
    **settings
        Of the protocol: see the files.

    Raises
    ------
    ConfigError
        For a setting out of range, a column the rows do not have, or nothing left to train on.
    """
    ways: dict[str, Callable[..., Split]] = {"grouped": _grouped, "leave_out": _leave_out, "time": _time}
    if protocol not in ways:
        raise ConfigError(f"split.protocol={protocol}: must be one of {', '.join(ways)}")
    found = ways[protocol](table, y, seed=seed, **settings)
    found.about = {"protocol": protocol, "repeats": 1 + len(found.again), **found.about}
    return found


def _grouped(table: pa.Table, y: Labels, *, seed: int, **settings: Any) -> Split:
    fixed = _column(table, "split") == "test"
    texts, articles = table["text"].to_pylist(), table["article"].to_pylist()
    return split_rows(texts, y, articles, fixed, seed=seed, **settings)


def _leave_out(
    table: pa.Table,
    y: Labels,
    *,
    seed: int,
    column: str,
    folds: int | None,
    test_ratio: float,
    near_duplicate: float,
) -> Split:
    check_settings(folds=2 if folds is None else folds, test_ratio=test_ratio, near_duplicate=near_duplicate)
    values, ids = np.unique(_described(table, column), return_inverse=True)
    test = _column(table, "split") == "test"
    if not test.any():
        if len(values) < 3:
            raise ConfigError(f"split.column={column}: has {len(values)} values; three are needed")
        test = grouped_folds(y, ids, min(len(values), max(2, round(1 / test_ratio))), seed=seed) == 0
    train = ~test
    left = len(np.unique(ids[train]))
    if left < max(2, folds or 2):
        wanted = f"{folds} folds need as many" if folds else "two are needed"
        raise ConfigError(f"split.column={column}: {left} values to train on; {wanted}")
    result = np.full(len(y), TEST)
    dealt = np.unique(ids[train], return_inverse=True)[1]
    result[train] = dealt if folds is None else grouped_folds(y[train], dealt, folds, seed=seed)
    for one, other in near_duplicates(table["text"].to_pylist(), near_duplicate).tolist():
        if result[one] != result[other] and LEFT_OUT not in (result[one], result[other]):
            # A test sentence stays; of two that train, the first.
            result[one if result[other] == TEST else other] = LEFT_OUT
    return Split(result, about={"column": column, "values": int(left)})


def _time(
    table: pa.Table,
    y: Labels,
    *,
    seed: int,
    column: str,
    test_from: Any,
    test_ratio: float,
    **settings: Any,
) -> Split:
    check_settings(test_ratio=test_ratio, **settings)
    dates = _described(table, column)
    for row, date in enumerate(dates.tolist()):
        if not DATE.fullmatch(date):
            where = f"article {table['article'][row].as_py()!r}"
            raise ConfigError(f"split.column={column}: {where} has {date!r}, not a date such as 2009-05-31")
    cut = _cut(dates, test_ratio) if test_from is None else str(test_from)
    if not DATE.fullmatch(cut):
        raise ConfigError(f"split.test_from={cut}: must be a date such as 2009-05-31, or null")
    newer = dates >= cut
    first, last = min(dates.tolist()), max(dates.tolist())
    if newer.all() or not newer.any():
        raise ConfigError(
            f"split.test_from={cut}: leaves nothing to {'train' if newer.all() else 'test'} on; "
            f"the articles are from {first} to {last}"
        )
    texts, articles = table["text"].to_pylist(), table["article"].to_pylist()
    found = split_rows(texts, y, articles, newer, seed=seed, test_ratio=test_ratio, **settings)
    found.about = {"column": column, "test_from": cut, "from": first, "to": last}
    return found


def _cut(dates: NDArray[np.str_], ratio: float) -> str:
    """Return the date from which on there are most nearly `ratio` of the rows."""
    days, counts = np.unique(dates, return_counts=True)
    if len(days) < 2:
        raise ConfigError(f"split.column: all articles are of {days[0]}; a time split needs several dates")
    newer = np.cumsum(counts[::-1])[::-1] / len(dates)
    return str(days[1:][np.argmin(np.abs(newer[1:] - ratio))])


def _described(table: pa.Table, column: str) -> NDArray[np.str_]:
    """Return a column of the corpus metadata that tells articles apart."""
    if column not in table.column_names:
        known = nearest(column, table.column_names)
        raise ConfigError(f"split.column={column}: no such column in the labelled sentences{known}")
    values = _column(table, column)
    if not (values != "").any():
        raise ConfigError(f"split.column={column}: is empty; add it to the corpus metadata")
    return values


def _column(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.array(["" if value is None else str(value) for value in table[name].to_pylist()])
