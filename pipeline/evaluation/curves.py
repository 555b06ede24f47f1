"""Points of curves, for tools that draw their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

POINTS = 101


def precision_recall_rows(
    y: NDArray[np.int8], probabilities: NDArray[np.float64], labels: Sequence[str]
) -> pa.RecordBatch:
    """Return `label`, `recall`, `precision`: the best precision at recall 0.00, 0.01, ... 1.00.

    Parameters
    ----------
    y, probabilities : ndarray of shape (n_sentences, n_labels)
    labels : sequence of str
        Those that no sentence carries have no rows.
    """
    from sklearn.metrics import precision_recall_curve

    grid = np.round(np.linspace(0, 1, POINTS), 4)
    columns: dict[str, list[object]] = {"label": [], "recall": [], "precision": []}
    for k, label in enumerate(labels):
        if y[:, k].any():
            precision, recall, _ = precision_recall_curve(y[:, k], probabilities[:, k])
            # Recall falls along the curve, to a last point that no threshold gives.
            precision, recall = np.maximum.accumulate(precision[:-1]), recall[:-1]
            at = len(recall) - 1 - np.searchsorted(recall[::-1], grid - 1e-12)
            columns["label"] += [label] * POINTS
            columns["recall"] += grid.tolist()
            columns["precision"] += np.round(precision[at], 4).tolist()
    return pa.RecordBatch.from_pydict(columns)
