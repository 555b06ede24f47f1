"""How far annotators agree."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.annotations import Annotation
from pipeline.schema import LabelSet

RESAMPLES = 1000
Votes = Sequence[Sequence[Annotation]]


def vote_matrix(votes: Votes, label: str) -> NDArray[np.float64]:
    """Return for one label who said yes (1), no (0) or did not see the sentence (nan).

    Returns
    -------
    ndarray of shape (n_annotators, n_sentences)
    """
    return _matrix(votes, lambda vote: label in vote.labels)


def class_matrix(votes: Votes, labels: LabelSet) -> NDArray[np.float64]:
    """Return the number of the class that each gave, that of no label being the last; see `vote_matrix`."""
    number = {name: i for i, name in enumerate(labels.names)}
    return _matrix(votes, lambda vote: min((number[name] for name in vote.labels), default=len(number)))


def alpha(matrix: NDArray[np.float64]) -> float:
    """Return Krippendorff's alpha for votes in numbers; nan where nobody disagrees or nothing varies.

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


def agreement(votes: Votes, labels: LabelSet, *, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return alpha with its interval for each label, over the sentences with two votes or more.

    Articles are resampled whole: their sentences resemble each other.
    Labels that none or all of those votes give have no alpha, and no entry.
    """
    shared = [same for same in votes if len(same) > 1]
    if not shared:
        return {}
    articles = [same[0].article for same in shared]
    found = {
        label: alpha_interval(vote_matrix(shared, label), groups=articles, seed=seed)
        for label in labels.names
    }
    return {label: alpha for label, alpha in found.items() if not np.isnan(alpha["value"])}


def class_agreement(votes: Votes, labels: LabelSet, *, seed: int = 0) -> dict[str, float] | None:
    """Return alpha over the classes of a "multiclass" task; None for another, and where there is none."""
    shared = [same for same in votes if len(same) > 1]
    if labels.task != "multiclass" or not shared:
        return None
    articles = [same[0].article for same in shared]
    found = alpha_interval(class_matrix(shared, labels), groups=articles, seed=seed)
    return None if np.isnan(found["value"]) else found


def _matrix(votes: Votes, said: Callable[[Annotation], float]) -> NDArray[np.float64]:
    annotators = sorted({vote.annotator for same in votes for vote in same})
    row = {annotator: i for i, annotator in enumerate(annotators)}
    matrix = np.full((len(annotators), len(votes)), np.nan)
    for column, same in enumerate(votes):
        for vote in same:
            matrix[row[vote.annotator], column] = said(vote)
    return matrix


def _pairs(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per sentence: disagreement (pairs that differ, over votes less one), votes for each value."""
    values = np.unique(matrix[~np.isnan(matrix)])
    counts = np.stack([(matrix == value).sum(axis=0) for value in values], axis=1, dtype=float)
    total = counts.sum(axis=1)
    paired = total > 1
    differ = (total**2 - (counts**2).sum(axis=1)) / 2
    disagreement = np.divide(differ, total - 1, out=np.zeros_like(total), where=paired)
    return np.column_stack([disagreement, counts * paired[:, None]])


def _alpha(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    disagreement, counts = totals[:, 0], totals[:, 1:]
    total = counts.sum(axis=1)
    differ = (total**2 - (counts**2).sum(axis=1)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - disagreement * (total - 1) / differ)
