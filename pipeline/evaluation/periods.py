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
    if not _has(value, period):
        raise InputError(
            f"{where}: field {name!r}: {value!r} has no {period}; {_coarser(name, value)}write dates as "
            "2026-01-31"
        )
    return value[: PERIODS[period][0]]


def _has(value: str, period: str) -> bool:
    return re.match(rf"{PERIODS[period][1]}(?!\d)", value) is not None


def _coarser(name: str, value: str) -> str:
    """Return what to use instead for a value that has a year, or a year and a month."""
    known = [period for period in PERIODS if _has(value, period)]
    return f"use {name}:{known[-1]}, or " if known else ""
