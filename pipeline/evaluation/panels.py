"""Points of the curves that a report draws, one label at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import wilson

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
BINS = 10
GRID = np.round(np.linspace(0.01, 0.99, 99), 2)


@dataclass(frozen=True, slots=True)
class Bin:
    """Sentences of similar probability: their mean probability, and how many carry the label."""

    probability: float
    share: float
    low: float
    high: float
    sentences: int


def reliability(y: Labels, probability: Floats, bins: int = BINS) -> list[Bin]:
    """Return bins of equally many sentences, as `metrics.calibration_error` has them.

    Parameters
    ----------
    y, probability : ndarray of shape (n_sentences,)

    Notes
    -----
    `low` and `high` are Wilson's 95 % interval of the share: Wilson, E. (1927). Probable inference, the
    law of succession, and statistical inference.
    """
    found = []
    for part in np.array_split(np.argsort(probability, kind="stable"), min(bins, max(len(y), 1))):
        if len(part):
            low, high = wilson(int(y[part].sum()), len(part))
            share = float(y[part].mean())
            found.append(Bin(float(probability[part].mean()), share, low, high, len(part)))
    return found


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Precision, recall and F1 of a label at each threshold of the grid.

    Attributes
    ----------
    threshold, precision, recall, f1 : ndarray of shape (n_thresholds,)
        Precision is nan where no sentence is given the label.
    """

    threshold: Floats
    precision: Floats
    recall: Floats
    f1: Floats


def thresholds(y: Labels, probability: Floats, grid: Floats = GRID) -> Thresholds:
    """Return the scores of a label as its threshold moves; both of shape (n_sentences,)."""
    order = np.argsort(probability, kind="stable")
    ranked = probability[order]
    below = np.searchsorted(ranked, grid, side="left")  # given where at least the threshold
    hits_above = np.append(np.cumsum(y[order][::-1])[::-1], 0)[below].astype(np.float64)
    given, positive = (len(y) - below).astype(np.float64), float(y.sum())
    nan = np.full(len(grid), np.nan)
    precision = np.divide(hits_above, given, out=nan.copy(), where=given > 0)
    recall = hits_above / positive if positive else nan
    f1 = np.divide(2 * hits_above, given + positive, out=np.zeros(len(grid)), where=given + positive > 0)
    return Thresholds(grid, precision, recall, f1)
