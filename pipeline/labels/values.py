"""The labels of a row in whatever form a table has them, as a list of names."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.schema import InputError

SEPARATOR = ";"
_YES = {"1", "1.0", "true", "yes", "y", "x"}
_NO = {"0", "0.0", "false", "no", "n", ""}
_NOTHING = {"", "nan", "NaN", "null", "NULL", "<NA>"}  # what databases and pandas write for a missing value
_WHOLE = re.compile(r"^([+-]?[0-9]+)\.0+$")
_FRACTION = re.compile(r"[+-]?[0-9]*\.[0-9]+")
_MOST_DIGITS = 18


def label_names(
    value: Any, *, separator: str | None = SEPARATOR, class_names: Sequence[str] | None = None
) -> list[str]:
    """Return the label names that one cell holds; none for a missing or empty one.

    Parameters
    ----------
    value : object
        A name, a whole number (also as 1.0), a truth value, or a list of them; a string may be a list
        written out (`["a", "b"]`, as JSON and Python do) or names joined by `separator`. "NaN" and "null"
        are missing values.
    separator : str, optional
        None takes a string for one name, whatever is in it.
    class_names : sequence of str, optional
        What whole numbers stand for; default: themselves.

    Raises
    ------
    InputError
        For anything else; the message begins with the value.
    """
    if isinstance(value, str):
        written = _written_list(value)
        if written is None:
            parts = value.split(separator) if separator else [value]
            found = [_name(part, class_names) for part in parts]
        else:
            found = [_name(item, class_names) for item in written]
    elif isinstance(value, list | tuple):
        found = [_name(item, class_names) for item in value]
    else:
        found = [_name(value, class_names)]
    return list(dict.fromkeys(name for name in found if name))


def flagged(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """Return the columns whose cell says yes: 1, true, yes; as against 0, false, no, empty.

    Raises
    ------
    InputError
        For any other cell, naming its column.
    """
    given = []
    for column in columns:
        value = row.get(column)
        text = "" if _missing(value) else str(value).strip().lower()
        if text in _YES:
            given.append(column)
        elif text not in _NO:
            raise InputError(f"{value!r} in column {column!r}: must be 1 or 0, true or false")
    return given


def is_number(name: str) -> bool:
    """Return whether a name is a whole number, which orders names and may stand for one."""
    return name.isdecimal() and len(name) <= _MOST_DIGITS


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _name(value: Any, class_names: Sequence[str] | None) -> str:
    if _missing(value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas' whole numbers beside a missing one
    if isinstance(value, str):
        value = value.strip()
        if value in _NOTHING:
            return ""
        value = _WHOLE.sub(r"\1", value)
    if class_names is not None and (is_number(str(value).removeprefix("-"))):
        number = int(value)
        if number < 0:  # Hugging Face's "no label", in test splits without truth
            return ""
        if number >= len(class_names):
            raise InputError(f"{number}: the table names only {len(class_names)} classes")
        return class_names[number]
    if isinstance(value, str | int) and not _FRACTION.fullmatch(str(value)):
        return str(value)
    raise InputError(f"{value!r}: expected names, whole numbers or lists of them")


def _written_list(text: str) -> list[Any] | None:
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None
