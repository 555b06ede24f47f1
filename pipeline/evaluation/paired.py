"""Tests of whether two classifiers differ on the same sentences by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.evaluation.metrics import RESAMPLES, article_counts, resample, summarise

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
SCORES = ("macro_f1", "micro_f1", "subset_accuracy")


def paired_bootstrap(
    y: Labels,
    predicted_a: Labels,
    predicted_b: Labels,
    groups: Sequence[object] | None = None,
    seed: int = 0,
    *,
    labels: Sequence[str] | None = None,
    times: int = RESAMPLES,
) -> dict[str, Any]:
    """Return what `b` scores above `a`, with intervals and p-values, from one resampling of both.

    Parameters
    ----------
    y, predicted_a, predicted_b : ndarray of shape (n_sentences, n_labels)
        0/1 truth, and two predictions for the same sentences.
    groups : sequence of length n_sentences, optional
        Article of each sentence; articles are resampled whole. Without it, sentences are.
    seed : int
        Of the resampling.
    labels : sequence of str of length n_labels, optional
        Keys of `per_label`; without them, column numbers as text.
    times : int
        Of the resampling; `p` is 2 / (times + 1) at least.

    Returns
    -------
    dict
        `macro_f1`, `micro_f1`, `subset_accuracy`, and `per_label` with the F1 of each. Each holds
        `a` and `b`, the scores; `difference`, b minus a, with `low` and `high` (95 %); and `p`,
        two-sided, of no difference.

    Raises
    ------
    ValueError
        Where the shapes differ, or there is no sentence.

    Notes
    -----
    Efron, B. & Tibshirani, R. (1993). An introduction to the bootstrap, chapters 13 and 15: the
    percentile interval, and the achieved significance level that inverts it, so that the two cannot
    contradict each other. Both classifiers are scored on the same resampled articles: what makes an
    article hard for both cancels out. With fewer than some thirty articles the interval is too narrow.
    """
    if not len(y):
        raise ValueError("no sentences to compare on")
    if not y.shape == predicted_a.shape == predicted_b.shape:
        raise ValueError(f"shapes differ: {y.shape}, {predicted_a.shape}, {predicted_b.shape}")
    both = np.hstack([article_counts(y, predicted, groups) for predicted in (predicted_a, predicted_b)])
    half = both.shape[1] // 2
    total, resampled = both.sum(axis=0, keepdims=True), resample(both, seed, times)
    a, b = summarise(total[:, :half]), summarise(total[:, half:])
    some_a, some_b = summarise(resampled[:, :half]), summarise(resampled[:, half:])
    names = [str(k) for k in range(y.shape[1])] if labels is None else list(labels)
    result: dict[str, Any] = {s: _difference(a[s][0], b[s][0], some_b[s] - some_a[s]) for s in SCORES}
    result["per_label"] = {
        name: _difference(a["f1"][0, k], b["f1"][0, k], some_b["f1"][:, k] - some_a["f1"][:, k])
        for k, name in enumerate(names)
    }
    return result


def mcnemar(y: Labels, predicted_a: Labels, predicted_b: Labels) -> list[dict[str, float]]:
    """Return the exact McNemar test of each label.

    Parameters
    ----------
    y, predicted_a, predicted_b : ndarray of shape (n_sentences, n_labels)

    Returns
    -------
    list of dict
        One for each label: `only_a` and `only_b`, sentences that one alone gets right, and `p`,
        two-sided, of both being right equally often.

    Notes
    -----
    McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions;
    exact, so that few disagreements are no obstacle. It takes sentences to be independent, which those
    of one article are not quite: where it and `paired_bootstrap` over articles differ, trust the latter.
    """
    from scipy.stats import binomtest

    right_a, right_b = predicted_a == y, predicted_b == y
    only_a = (right_a & ~right_b).sum(axis=0).tolist()
    only_b = (right_b & ~right_a).sum(axis=0).tolist()
    return [
        {"only_a": a, "only_b": b, "p": float(binomtest(a, a + b).pvalue) if a + b else 1.0}
        for a, b in zip(only_a, only_b, strict=True)
    ]


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted for their number, in the order given.

    Those below 0.05 are significant together: the chance of one or more false ones is 5 % at most,
    however the tests depend on each other.

    Holm, S. (1979). A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def enough_resamples(tests: int) -> int:
    """Return how many resamples let a p-value adjusted for a number of tests be below 0.05 by far."""
    return max(RESAMPLES, 80 * tests)


def _difference(a: float, b: float, resampled: Floats) -> dict[str, float]:
    difference = float(b - a)
    low, high = np.percentile(resampled, [2.5, 97.5])
    # Sums in another order differ in the last digit: that is no difference.
    below, above = np.sum(resampled <= 1e-12), np.sum(resampled >= -1e-12)
    p = min(1.0, 2 * (1 + min(below, above)) / (1 + len(resampled)))
    return {
        "a": float(a),
        "b": float(b),
        "difference": difference,
        "low": float(min(low, difference)),
        "high": float(max(high, difference)),
        "p": float(p),
    }
