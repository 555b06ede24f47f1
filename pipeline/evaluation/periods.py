"""Columns to tell apart by, dates cut to years, months or days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.schema import ConfigError, InputError

PERIODS = {"year": (4, r"\d{4}"), "month": (7, r"\d{4}-\d\d"), "day": (10, r"\d{4}-\d\d-\d\d")}


def value_of(row: Mapping[str, Any], column: str, where: str) -> str:
    """Return a row's value in a column such as "source" or "date:month".

    Raises
    ------
    ConfigError, InputError
        Where there is no such column or period, or the value is no such date.
    """
    name, _, period = column.partition(":")
    if name not in row:
        raise ConfigError(f"by={column}: {where} has no column {name!r}; it has {', '.join(row)}")
    value = "" if row[name] is None else str(row[name])
    if not period:
        return value
    if period not in PERIODS:
        raise ConfigError(f"by={column}: a period must be one of {', '.join(PERIODS)}")
    length, pattern = PERIODS[period]
    if not re.match(rf"{pattern}(?!\d)", value):
        raise InputError(f"{where}: field {name!r}: {value!r} has no {period}; write dates as 2026-01-31")
    return value[:length]
