"""How far annotators agree."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.annotations import Annotation
from pipeline.schema import LabelSet

RESAMPLES = 1000


def vote_matrix(votes: Sequence[Sequence[Annotation]], label: str) -> NDArray[np.float64]:
    """Return for one label who said yes (1), no (0) or did not see the sentence (nan).

    Returns
    -------
    ndarray of shape (n_annotators, n_sentences)
    """
    annotators = sorted({vote.annotator for same in votes for vote in same})
    row = {annotator: i for i, annotator in enumerate(annotators)}
    matrix = np.full((len(annotators), len(votes)), np.nan)
    for column, same in enumerate(votes):
        for vote in same:
            matrix[row[vote.annotator], column] = label in vote.labels
    return matrix


def alpha(matrix: NDArray[np.float64]) -> float:
    """Return Krippendorff's alpha for 0/1 votes; nan where nobody disagrees or nothing varies.

    Krippendorff, K. (2011). Computing Krippendorff's alpha-reliability. The nominal coefficient from
    per-sentence counts, so that resampling sentences is cheap (checked against `krippendorff`).
    """
    return float(_alpha(_pairs(matrix).sum(axis=0, keepdims=True))[0])


def alpha_interval(
    matrix: NDArray[np.float64], *, groups: Sequence[str] | None = None, seed: int = 0
) -> dict[str, float]:
    """Return alpha with a 95 % interval from resampled sentences, or articles where `groups` has them."""
    pairs = _pairs(matrix)
    if groups is not None:
        names, group = np.unique(groups, return_inverse=True)
        totals = np.zeros((len(names), pairs.shape[1]))
        np.add.at(totals, group, pairs)
        pairs = totals
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=RESAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all-nan: a label nobody used
        low, high = np.nanpercentile(_alpha(weights @ pairs), [2.5, 97.5])
    return {"value": alpha(matrix), "low": float(low), "high": float(high)}


def agreement(votes: Sequence[Sequence[Annotation]], labels: LabelSet) -> dict[str, dict[str, float]]:
    """Return alpha with its interval for each label, over the sentences with two votes or more.

    Articles are resampled whole: their sentences resemble each other.
    Labels that none or all of those votes give have no alpha, and no entry.
    """
    shared = [same for same in votes if len(same) > 1]
    if not shared:
        return {}
    articles = [same[0].article for same in shared]
    found = {label: alpha_interval(vote_matrix(shared, label), groups=articles) for label in labels.names}
    return {label: alpha for label, alpha in found.items() if not np.isnan(alpha["value"])}


def _pairs(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per sentence: disagreement (yes times no, over votes less one), yes votes, no votes."""
    yes, no = np.nansum(matrix, axis=0), np.nansum(1 - matrix, axis=0)
    total = yes + no
    paired = total > 1
    disagreement = np.divide(yes * no, total - 1, out=np.zeros_like(yes), where=paired)
    return np.column_stack([disagreement, yes * paired, no * paired])


def _alpha(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    disagreement, yes, no = np.asarray(totals, dtype=float).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - disagreement * (yes + no - 1) / (yes * no)
