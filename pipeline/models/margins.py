"""Linear support vector machines, one for each label, side by side on all cores."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.svm import LinearSVC

from pipeline.models.linear import LinearHead

NEVER = 20.0  # score of a label that no text or every text carries


def fit_margins(X: sparse.csr_matrix, y: NDArray[np.int8], C: float, *, seed: int = 0) -> LinearHead:  # noqa: N803
    """Return a head of one linear support vector machine for each label, weights in single precision.

    Parameters
    ----------
    X : sparse matrix of shape (n_texts, n_features)
    y : ndarray of shape (n_texts, n_labels)
    C : float
        Inverse of the regularisation.
    seed : int, default=0
        Of the order in which liblinear visits the texts.

    Notes
    -----
    Fan, R.-E. et al. (2008). LIBLINEAR. Training releases the interpreter, so that threads share one
    copy of the features. Of two classes that exclude each other, one machine serves both.
    """
    features = sparse.csr_matrix(X, dtype=np.float64)
    opposite = y.shape[1] == 2 and bool((y.sum(axis=1) == 1).all())
    columns = [0] if opposite else list(range(y.shape[1]))
    coef = np.zeros((y.shape[1], features.shape[1]), np.float32)
    intercept = np.zeros(y.shape[1])

    def fit(label: int) -> None:
        target = y[:, label]
        if target.all() or not target.any():
            intercept[label] = NEVER if target.any() else -NEVER
            return
        machine: Any = LinearSVC(C=C, random_state=seed).fit(features, target)
        coef[label], intercept[label] = machine.coef_[0], machine.intercept_[0]

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(fit, columns))
    if opposite:
        coef[1], intercept[1] = -coef[0], -intercept[0]
    return LinearHead(coef, intercept)
