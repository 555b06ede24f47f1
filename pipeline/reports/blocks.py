"""Slices and behaviour tests of a metrics file, as rows for tables; what is not there is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import stdev
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


def protocol_words(split: Mapping[str, Any] | None, crossed: Mapping[str, Any] | None) -> str:
    """Return how the sentences were split, as a card and a metrics file say it; "" where they do not."""
    if not split:
        return ""
    words = [split["protocol"].replace("_", " ")]
    if column := split.get("column"):
        words.append(f"by {column}")
    if test_from := split.get("test_from"):
        words.append(f"tested from {test_from} on")
    if folds := (crossed or {}).get("folds"):
        scored = f"{folds['scored']} of " if folds["scored"] < folds["all"] else ""
        words.append(f"{scored}{folds['all']} folds")
    if split.get("repeats", 1) > 1:
        words.append(f"dealt {split['repeats']} times")
    return ", ".join(words)


def fold_rows(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the rows of folds, and how much their macro-F1 differs; None for fewer than two."""
    scores = [fold["macro_f1"]["value"] for fold in folds if fold["macro_f1"]]
    if len(scores) < 2:
        return None
    rows = [{"value": fold["name"], "flipped": None, **fold} for fold in folds]
    return {"rows": rows, "low": min(scores), "high": max(scores), "deviation": stdev(scores)}


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
