"""Labels that are probably wrong, told from out-of-fold probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that should perhaps be taken away, or given.

    Attributes
    ----------
    row, column : int
        Sentence and label.
    given : bool
        Whether the sentence carries the label.
    probability : float
        Out of fold, that it should.
    doubt : float
        Probability that what was given is wrong.
    """

    row: int
    column: int
    given: bool
    probability: float
    doubt: float


def suspect(y: Labels, probabilities: Floats) -> NDArray[np.bool_]:
    """Return which labels are suspect, shape (n_sentences, n_labels).

    Parameters
    ----------
    y : ndarray of shape (n_sentences, n_labels)
        0/1 labels as given.
    probabilities : ndarray of shape (n_sentences, n_labels)
        Of sentences that the classifier was not trained on.

    Notes
    -----
    Confident learning, each label for itself: a sentence counts for a side (label, no label) where its
    probability reaches the mean probability that the sentences given to that side have; who counts
    for the other side only is suspect. The mean makes it robust against a classifier that is too sure
    or too shy on one side. Same result as cleanlab's `filter_by="confident_learning"`.

    References
    ----------
    Northcutt, Jiang & Chuang (2021). Confident learning: estimating uncertainty in dataset labels.
    Journal of Artificial Intelligence Research 70.
    """
    found = np.zeros(y.shape, bool)
    for k in range(y.shape[1]):
        given, p = y[:, k] > 0, probabilities[:, k]
        if given.all() or not given.any():
            continue
        enough = p[given].mean() - 1e-6, (1 - p[~given]).mean() - 1e-6
        yes = (p >= enough[0]) & ((p > 0.5) | (1 - p < enough[1]))
        no = (1 - p >= enough[1]) & ((p <= 0.5) | (p < enough[0]))
        found[:, k] = np.where(given, no & (p < 0.5), yes & (p > 0.5))
    return found


def ranked(y: Labels, probabilities: Floats) -> list[Suspect]:
    """Return the suspect labels, the most doubtful first."""
    rows, columns = np.nonzero(suspect(y, probabilities))
    given, p = y[rows, columns] > 0, probabilities[rows, columns]
    doubt = np.where(given, 1 - p, p)
    return [
        Suspect(int(rows[i]), int(columns[i]), bool(given[i]), float(p[i]), float(doubt[i]))
        for i in np.argsort(-doubt, kind="stable")
    ]
