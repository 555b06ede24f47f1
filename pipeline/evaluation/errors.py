"""The sentences a classifier got wrong, worst first."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.rows import defuse
from pipeline.schema import LabelSet

COLUMNS = ("error", "label", "probability", "article", "sentence", "kind", "text")


def error_rows(
    table: pa.Table,
    y: NDArray[np.int8],
    predicted: NDArray[np.int8],
    probabilities: NDArray[np.float64],
    labels: LabelSet,
) -> list[dict[str, Any]]:
    """Return one row for each label wrongly given or missed, the most confident mistakes first.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        With a column `text`; `article`, `sentence` and `kind` where it has them.
    y, predicted, probabilities : ndarray of shape (n_rows, n_labels)
    labels : LabelSet
    """
    wrong = np.argwhere(y != predicted)
    confidence = np.abs(probabilities[wrong[:, 0], wrong[:, 1]] - y[wrong[:, 0], wrong[:, 1]])
    rows = []
    known = [name for name in ("article", "sentence", "kind", "text") if name in table.column_names]
    records = table.select(known).to_pylist()
    for row, label in wrong[np.argsort(-confidence, kind="stable")]:
        rows.append(
            {
                "error": "missed" if y[row, label] else "wrongly given",
                "label": labels.names[label],
                "probability": round(float(probabilities[row, label]), 4),
                **records[row],
            }
        )
    return rows


def write_errors(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write error rows as CSV, which no spreadsheet takes for formulas, and Excel for UTF-8."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({name: defuse(value) for name, value in row.items()} for row in rows)
