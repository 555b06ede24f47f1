"""Scores of a classifier, and their intervals by resampling articles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
RESAMPLES = 2000
Z = 1.959963984540054  # of 95 %


def evaluate(
    y: Labels,
    predicted: Labels,
    probabilities: Floats,
    *,
    labels: Sequence[str],
    thresholds: Sequence[float | None],
    groups: Sequence[object] | None = None,
    seed: int = 0,
    repeats: int = 1,
) -> dict[str, Any]:
    """Return the block of scores that every report and metrics file carries.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_sentences, n_labels)
        0/1 truth and prediction.
    probabilities : ndarray of shape (n_sentences, n_labels)
    labels, thresholds : sequences of length n_labels
    groups : sequence of length n_sentences, optional
        Article of each sentence; articles are resampled whole. Without it, sentences are.
    seed : int
        Of the resampling.
    repeats : int
        How often each sentence is there, predicted anew each time: scores are then of all repeats, and
        intervals are none the narrower for them, since an article is resampled with all of its repeats.

    Returns
    -------
    dict
        `macro_f1`, `micro_f1`, `subset_accuracy` as value, low and high (95 %); `per_label` with
        precision, recall, f1, its interval, average precision, Brier score, expected calibration
        error, support and threshold; `sentences` and `articles`, the sizes.
    """
    counts = article_counts(y, predicted, groups)
    values = summarise(counts.sum(axis=0, keepdims=True))
    resampled = summarise(resample(counts, seed))
    block: dict[str, Any] = {
        name: interval(values[name][0], resampled[name])
        for name in ("macro_f1", "micro_f1", "subset_accuracy")
    }
    block["per_label"] = {
        label: {
            "precision": float(values["precision"][0, k]),
            "recall": float(values["recall"][0, k]),
            "f1": float(values["f1"][0, k]),
            "f1_low": interval(values["f1"][0, k], resampled["f1"][:, k])["low"],
            "f1_high": interval(values["f1"][0, k], resampled["f1"][:, k])["high"],
            "average_precision": average_precision(y[:, k], probabilities[:, k]),
            "brier": float(np.mean((probabilities[:, k] - y[:, k]) ** 2)),
            "calibration_error": calibration_error(y[:, k], probabilities[:, k]),
            "support": int(y[:, k].sum()) // repeats,
            "threshold": thresholds[k],
        }
        for k, label in enumerate(labels)
    }
    return block | {"sentences": len(y) // repeats, "articles": len(counts)}


def spread(y: Labels, predicted: Labels, repeat: NDArray[np.int64]) -> dict[str, Any]:
    """Return how many repeats there are and the macro-F1 of each: what the deal of the folds changes."""
    values = [
        summarise(article_counts(y[repeat == n], predicted[repeat == n], None).sum(axis=0)[None])
        for n in np.unique(repeat)
    ]
    return {"count": len(values), "macro_f1": [float(value["macro_f1"][0]) for value in values]}


def article_counts(y: Labels, predicted: Labels, groups: Sequence[object] | None) -> NDArray[np.int64]:
    """Return per article what all counted metrics are made of.

    Returns
    -------
    ndarray of shape (n_articles, 3 * n_labels + 2)
        True positives, false positives and false negatives of each label, rows wholly right, rows.
    """
    hit = y & predicted
    rows = np.hstack([hit, predicted - hit, y - hit, (y == predicted).all(axis=1)[:, None]]).astype(np.int64)
    rows = np.hstack([rows, np.ones((len(rows), 1), np.int64)])
    if groups is None:
        return rows
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    counts = np.zeros((group.max(initial=-1) + 1, rows.shape[1]), np.int64)
    np.add.at(counts, group, rows)
    return counts


def resample(counts: NDArray[np.int64], seed: int, times: int = RESAMPLES) -> Floats:
    """Return the totals of `times` bootstrap samples of articles, shape (times, n_counts).

    Efron, B. (1979). Bootstrap methods: another look at the jackknife. A sample of articles with
    replacement is a vector of multiplicities, so that all samples are one matrix product.
    """
    n = len(counts)
    rng = np.random.default_rng(seed)
    totals = np.empty((times, counts.shape[1]))
    step = max(1, 1_000_000 // max(n, 1))
    for begin in range(0, times, step):
        size = min(step, times - begin)
        # Counting drawn numbers takes a quarter of the time that drawing multinomial counts does.
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        totals[begin : begin + size] = weights.astype(np.float64) @ counts
    return totals


def summarise(totals: Floats | NDArray[np.int64]) -> dict[str, Floats]:
    """Return the metrics of each row of totals; a ratio of nothing to nothing is 0."""
    k = (totals.shape[1] - 2) // 3
    hit, false, missed = totals[:, :k], totals[:, k : 2 * k], totals[:, 2 * k : 3 * k]
    f1 = _ratio(2 * hit, 2 * hit + false + missed)
    summed = hit.sum(axis=1), false.sum(axis=1), missed.sum(axis=1)
    return {
        "precision": _ratio(hit, hit + false),
        "recall": _ratio(hit, hit + missed),
        "f1": f1,
        "macro_f1": f1.mean(axis=1),
        "micro_f1": _ratio(2 * summed[0], 2 * summed[0] + summed[1] + summed[2]),
        "subset_accuracy": _ratio(totals[:, -2], totals[:, -1]),
    }


def interval(value: float, resampled: Floats) -> dict[str, float]:
    """Return value with the 2.5th and 97.5th percentiles of its resamples."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"value": float(value), "low": float(min(low, value)), "high": float(max(high, value))}


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of n.

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    """
    if not n:
        return 0.0, 1.0
    share = successes / n
    center = share + Z**2 / (2 * n)
    width = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = (center - width) / (1 + Z**2 / n), (center + width) / (1 + Z**2 / n)
    return float(max(low, 0) if successes else 0.0), float(min(high, 1) if successes < n else 1.0)


def average_precision(y: Labels, probability: Floats) -> float:
    """Return the area under the precision-recall steps; 0 where the label never occurs."""
    return float(average_precision_score(y, probability)) if y.any() else 0.0


def calibration_error(y: Labels, probability: Floats, bins: int = 10) -> float:
    """Return the expected calibration error over equally filled bins.

    Nixon et al. (2019). Measuring calibration in deep learning: adaptive calibration error.
    """
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, max(len(y), 1)))
    gaps = [abs(probability[p].mean() - y[p].mean()) * len(p) for p in parts if len(p)]
    return float(sum(gaps) / max(len(y), 1))


def _ratio(part: Any, whole: Any) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)
