"""Learning curves: what more labelled sentences would bring, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import summarise

Floats = NDArray[np.float64]
EXPONENTS = np.geomspace(0.05, 2.0, 60)
FARTHEST = 10.0


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Scores as `ceiling - scale * n ** -exponent`, one curve for each resample.

    Attributes
    ----------
    ceiling, scale, exponent : ndarray of shape (n_resamples,)
    """

    ceiling: Floats
    scale: Floats
    exponent: Floats

    def at(self, n: float) -> Floats:
        """Return the score of each curve at `n`."""
        return self.ceiling - self.scale * n**-self.exponent

    def needed(self, score: Floats) -> Floats:
        """Return the n at which each curve reaches its `score`; infinite where it never does."""
        gap = np.maximum(self.ceiling - score, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(gap > 0, np.exp(np.log(self.scale / gap) / self.exponent), np.inf)


def fit_power_law(n: Floats, scores: Floats) -> PowerLaw:
    """Fit an inverse power law to each row of scores by weighted least squares.

    Parameters
    ----------
    n : ndarray of shape (n_points,)
        Sizes of the training sets, ascending; three or more.
    scores : ndarray of shape (n_resamples, n_points)
        From 0 to 1, higher being better.

    Notes
    -----
    The j-th of m points weighs j / m: large sets say more of what still larger ones will give [1]_.
    For a given exponent the other two are linear, so that a grid of exponents finds all three at once;
    a ceiling above 1 is brought down to 1, a falling curve is flat.

    References
    ----------
    .. [1] Figueroa, Zeng-Treitler, Kandula & Ngo (2012). Predicting sample size required for
       classification performance. BMC Medical Informatics and Decision Making 12:8.
    """
    weights = np.arange(1, len(n) + 1) / len(n)
    weights /= weights.sum()
    mean = scores @ weights
    best = np.full(len(scores), np.inf)
    ceiling, scale, exponent = (np.zeros(len(scores)) for _ in range(3))
    for one in EXPONENTS:
        x = (n / n[-1]) ** -one
        deviation = x - weights @ x
        slope = np.maximum(-(scores @ (weights * deviation)) / (weights @ deviation**2), 0.0)
        top = mean + slope * (weights @ x)
        high = top > 1
        slope = np.where(high, np.maximum((1 - scores) @ (weights * x), 0) / (weights @ x**2), slope)
        top = np.minimum(top, 1.0)
        loss = (scores - top[:, None] + slope[:, None] * x) ** 2 @ weights
        better = loss < best
        best = np.where(better, loss, best)
        ceiling, scale = np.where(better, top, ceiling), np.where(better, slope * n[-1] ** one, scale)
        exponent = np.where(better, one, exponent)
    return PowerLaw(ceiling, scale, exponent)


def resampled_scores(counts: NDArray[np.int64], seed: int, times: int = 1000) -> dict[str, Floats]:
    """Return what the scores of a learning curve might have been, with other articles and other draws.

    Parameters
    ----------
    counts : ndarray of shape (n_points, n_draws, n_articles, n_counts)
        As `metrics.article_counts` gives them, of the same test articles at every point.
    seed : int
    times : int

    Returns
    -------
    dict
        `macro_f1` of shape (times + 1, n_points), `f1` of shape (times + 1, n_points, n_labels); the first
        row is the measured one, all articles and all draws once.

    Notes
    -----
    Test articles are resampled once for all points, since their scores move together; the training
    sets drawn at a point, for each point anew.
    """
    points, draws, articles, size = counts.shape
    rng = np.random.default_rng(seed)
    often = rng.multinomial(articles, np.full(articles, 1 / articles), size=times)
    often = np.vstack([np.ones((1, articles)), often])
    flat = counts.transpose(2, 0, 1, 3).reshape(articles, -1)
    found = summarise((often @ flat).reshape(-1, size))
    drawn = rng.multinomial(draws, np.full(draws, 1 / draws), size=(times, points)) / draws
    drawn = np.concatenate([np.full((1, points, draws), 1 / draws), drawn])
    macro = found["macro_f1"].reshape(times + 1, points, draws)
    f1 = found["f1"].reshape(times + 1, points, draws, -1)
    return {
        "macro_f1": np.einsum("tpd,tpd->tp", macro, drawn),
        "f1": np.einsum("tpdk,tpd->tpk", f1, drawn),
    }


def more_for(n: Floats, scores: Floats, gain: float) -> dict[str, float | None]:
    """Return how many more of what `n` counts are needed to gain so much, with a 95 % interval.

    Parameters
    ----------
    n : ndarray of shape (n_points,)
    scores : ndarray of shape (n_resamples + 1, n_points)
        The first row is the measured one.
    gain : float
        Such as 0.02, two points.

    Returns
    -------
    dict
        `more`, `low`, `high`; None where that is over ten times what there is, or never: a curve tells
        nothing so far from its points. `reached`: the share of resamples that get there before.
    """
    law = fit_power_law(n, scores)
    needed = law.needed(law.at(float(n[-1])) + gain) - n[-1]
    farthest = FARTHEST * n[-1]

    def told(value: float) -> float | None:
        return None if value > farthest else float(value)

    low, high = np.quantile(needed[1:], [0.025, 0.975], method="nearest")
    reached = float(np.mean(needed[1:] <= farthest))
    return {"more": told(needed[0]), "low": told(low), "high": told(high), "reached": reached}


def hindcast(n: Floats, scores: Floats) -> dict[str, float]:
    """Return what the points before the last one say of it, with a 95 % interval, and what it is."""
    law = fit_power_law(n[:-1], scores[:, :-1])
    predicted = law.at(float(n[-1]))
    low, high = np.quantile(predicted[1:], [0.025, 0.975])
    return {
        "predicted": float(predicted[0]),
        "low": float(low),
        "high": float(high),
        "measured": float(scores[0, -1]),
    }
