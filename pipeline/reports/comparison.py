"""The page of a comparison: how runs differ, where, and in which sentences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluation.tables import sentence
from pipeline.reports.page import write_page

MOST = 8  # changed sentences of each label and direction that are shown


def comparison_page(output: str | Path, result: Mapping[str, Any]) -> None:
    """Write the page of what `pipeline.compare` found."""
    first, *others = result["runs"]
    write_page(
        output,
        "comparison.html.j2",
        result=result,
        first=first,
        others=[
            {
                "run": run,
                "pair": pair,
                "sentence": sentence(run, first, pair),
                "slices": _grouped(pair["slices"], "slice"),
                "changed": _changes(pair["changed"]),
            }
            for run, pair in zip(others, result["pairs"], strict=True)
        ],
        most=MOST,
    )


def _grouped(rows: list[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def _changes(rows: list[dict[str, Any]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return label to direction to rows."""
    return {label: _grouped(some, "change") for label, some in _grouped(rows, "label").items()}
