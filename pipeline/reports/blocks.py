"""Slices and behaviour tests of a metrics file, as rows for tables; what is not there is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WANTED = {
    "same": "the same labels",
    "up": "the label becomes likelier",
    "down": "the label becomes less likely",
    "labels": "exactly its labels",
}


def slice_rows(slices: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each facet of `evaluation.slices.slices`: its blocks, each with its `value`."""
    return {
        facet: [{"value": value, "flipped": None, **block} for value, block in values.items()]
        for facet, values in slices.items()
        if values
    }


def behaviour_rows(behaviour: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of `evaluation.behaviour.run_tests`, those that fail most first.

    Returns
    -------
    list of dict
        Of each test its block, with `name`, `wanted` and `held_out` (None where there is none).
    """
    rows = [
        {
            "about": "",
            "examples": [],
            "held_out": None,
            **test,
            "name": name,
            "wanted": WANTED[test["effect"]],
        }
        for name, test in (behaviour.get("tests") or {}).items()
    ]
    return sorted(rows, key=lambda row: -row["rate"])
