"""How common a label is in a corpus, with intervals that account for the classifier's errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """An estimated share.

    Attributes
    ----------
    value, low, high : float
        Between 0 and 1.
    power : float
        How far the classifier's scores were trusted: 0 is the labelled sample alone, 1 is all the way.
    """

    value: float
    low: float
    high: float
    power: float


def prevalence(
    y: NDArray[np.int8] | Floats,
    scores: Floats,
    corpus: Floats,
    *,
    groups: Sequence[object] | NDArray[Any] | None = None,
    corpus_groups: Sequence[object] | NDArray[Any] | None = None,
    level: float = 0.95,
) -> Share:
    """Return the share of sentences that carry a label, from a few labelled and many scored ones.

    Parameters
    ----------
    y : ndarray of shape (n,)
        0/1 labels of a random sample of the corpus; n is at least 2.
    scores : ndarray of shape (n,)
        The classifier's scores of the same sentences. It must not have been trained on them.
    corpus : ndarray of shape (N,)
        Its scores of all sentences.
    groups, corpus_groups : sequences of length n and N, optional
        Articles: sentences of one article are not independent. Without them, they are taken to be.
    level : float
        Of the interval.

    Notes
    -----
    Prediction-powered inference with power tuning: the mean label, plus `power` times what the scores'
    mean over the corpus differs from their mean over the sample. It is unbiased however wrong the
    scores are; the better they are, the narrower the interval, which never gets wider than the
    sample's own but by chance [1]_ [2]_. With `power` 0 it is the sample mean, with 1 the difference
    estimator of survey sampling [3]_.

    The interval is Wilson's for an effective sample size, as for complex surveys [4]_: what an
    independent sample would have to count to be as precise. It stays within 0 and 1 and holds for
    rare labels, where the normal interval does not. Variances are those of articles' totals; Student's
    t replaces the normal quantile.

    References
    ----------
    .. [1] Angelopoulos, Bates, Fannjiang, Jordan & Zrnic (2023). Prediction-powered inference.
       Science 382.
    .. [2] Angelopoulos, Duchi & Zrnic (2023). PPI++: efficient prediction-powered inference.
       arXiv:2311.01453.
    .. [3] Särndal, Swensson & Wretman (1992). Model assisted survey sampling.
    .. [4] Franco, Little, Louis & Slud (2019). Comparative study of confidence intervals for proportions
       in complex sample surveys. Journal of Survey Statistics and Methodology 7.
    """
    y = np.asarray(y, dtype=np.float64)
    power = tuned_power(y, scores, corpus)
    mean = float(y.mean())
    value = mean + power * float(corpus.mean() - scores.mean())
    variance, free = _variance_of_mean(y - power * scores, groups)
    if power:
        variance += power**2 * _variance_of_mean(corpus, corpus_groups)[0]
    spread = mean * (1 - mean)
    effective = spread / variance if spread > 0 and variance > 0 else len(y)
    value = min(max(value, 0.0), 1.0)
    low, high = wilson(value, effective, float(stats.t.ppf((1 + level) / 2, free)))
    return Share(value, min(low, value), max(high, value), power)


def tuned_power(y: Floats, scores: Floats, corpus: Floats) -> float:
    """Return the power that makes the variance least, between 0 and 1: equation 8 of PPI++ for a mean."""
    variance = float(np.var(np.concatenate([scores, corpus]), ddof=1))
    if variance < 1e-12:
        return 0.0
    covariance = float(np.cov(y, scores, ddof=0)[0, 1])
    return float(np.clip(covariance / ((1 + len(y) / len(corpus)) * variance), 0, 1))


def wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's (1927) interval of a share of `size` independent draws."""
    scale = 1 + quantile**2 / size
    center = (share + quantile**2 / (2 * size)) / scale
    half = quantile / scale * np.sqrt(share * (1 - share) / size + quantile**2 / (4 * size**2))
    return float(max(center - half, 0.0)), float(min(center + half, 1.0))


def _variance_of_mean(values: Floats, groups: Sequence[object] | NDArray[Any] | None) -> tuple[float, int]:
    """Return the variance of the mean and its degrees of freedom, whole groups being drawn."""
    deviations = values - values.mean()
    if groups is not None:
        _, ids = np.unique(np.asarray(groups), return_inverse=True)
        deviations = np.bincount(ids, weights=deviations)
    n = len(deviations)
    if n < 2:
        return float("inf"), 1
    return float(n / (n - 1) * np.sum(deviations**2) / len(values) ** 2), n - 1


def distance(scores: Floats, corpus: Floats, groups: Sequence[object] | NDArray[Any] | None = None) -> float:
    """Return how many standard errors the sample's mean score is from the corpus's.

    A random sample is hardly ever more than four away; one chosen by its scores is.
    """
    variance, _ = _variance_of_mean(scores, groups)
    gap = abs(float(scores.mean() - corpus.mean()))
    return 0.0 if gap < 1e-12 else gap / max(float(np.sqrt(variance)), 1e-12)
