"""Linear heads: support vector machines side by side on all cores, or centroids where labels are too many."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.svm import LinearSVC
from sklearn.utils.parallel import Parallel, delayed

from pipeline.models.linear import LinearHead
from pipeline.processes import with_this_code

NEVER = 20.0  # score of a label that no text or every text carries
CENTROID = np.float32(4.0)  # length of a centroid: scores are then of the size of margins
WORTH_PROCESSES = 20_000_000  # non-zero features times labels: some seconds' work


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
    Fan, R.-E. et al. (2008). LIBLINEAR. Large problems are shared out among processes, not threads:
    liblinear draws from one random generator per process, and threads would take turns by chance.
    Of two classes that exclude each other, one machine serves both.
    """
    features = sparse.csr_matrix(X, dtype=np.float64)
    opposite = y.shape[1] == 2 and bool((y.sum(axis=1) == 1).all())
    columns = [0] if opposite else list(range(y.shape[1]))
    coef = np.zeros((y.shape[1], features.shape[1]), np.float32)
    intercept = np.zeros(y.shape[1])
    varying = [k for k in columns if y[:, k].any() and not y[:, k].all()]
    large = features.nnz * len(varying) > WORTH_PROCESSES
    with_this_code()
    fitted = Parallel(n_jobs=len(os.sched_getaffinity(0)) if large else 1)(
        delayed(_fit)(features, y[:, k], C, seed) for k in varying
    )
    intercept[columns] = np.where(y[:, columns].all(axis=0), NEVER, -NEVER)
    for k, (weights, constant) in zip(varying, fitted, strict=True):
        coef[k], intercept[k] = weights, constant
    if opposite:
        coef[1], intercept[1] = -coef[0], -intercept[0]
    return LinearHead(coef, intercept)


def fit_centroids(X: sparse.csr_matrix, y: NDArray[np.int8]) -> LinearHead:  # noqa: N803
    """Return a head that scores by the direction in which a label's texts differ from all texts.

    Parameters
    ----------
    X : sparse matrix of shape (n_texts, n_features)
    y : ndarray of shape (n_texts, n_labels)

    Notes
    -----
    Rocchio, J. (1971). Relevance feedback in information retrieval. Two passes over the texts, however
    many the labels are.
    """
    features = sparse.csr_matrix(X, dtype=np.float32)
    given = sparse.csr_matrix(y.T, dtype=np.float32)
    support = np.maximum(y.sum(axis=0), 1)
    coef = (given @ features).toarray() / support[:, None].astype(np.float32)
    coef -= np.asarray(features.mean(axis=0), np.float32)
    coef *= CENTROID / np.maximum(np.linalg.norm(coef, axis=1, keepdims=True), 1e-9)
    there = y.any(axis=0)
    coef[~there] = 0
    return LinearHead(coef, np.where(there, 0.0, -NEVER))


def _fit(
    X: sparse.csr_matrix,  # noqa: N803
    y: NDArray[np.int8],
    C: float,  # noqa: N803
    seed: int,
) -> tuple[NDArray[np.float32], float]:
    machine: Any = LinearSVC(C=C, random_state=seed).fit(X, y)
    return machine.coef_[0].astype(np.float32), float(machine.intercept_[0])
