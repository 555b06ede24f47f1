"""Who is right when annotators or rules differ, from how they differ: Dawid and Skene's model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logsumexp

Floats = NDArray[np.float64]
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """A fitted model.

    Attributes
    ----------
    posterior : ndarray of shape (n_items, n_classes)
        Probability of each true class.
    prior : ndarray of shape (n_classes,)
    confusion : ndarray of shape (n_classes, n_voters, n_responses)
        Probability that a voter gives a response, by true class.
    log_likelihood : float
    iterations : int
    """

    posterior: Floats
    prior: Floats
    confusion: Floats
    log_likelihood: float
    iterations: int


def one_hot(responses: NDArray[np.integer], n_responses: int) -> sparse.csr_matrix:
    """Return responses as indicators, shape (n_items, n_voters * n_responses); -1 is no response."""
    items, voters = np.nonzero(responses >= 0)
    columns = voters * n_responses + responses[items, voters]
    shape = (len(responses), responses.shape[1] * n_responses)
    return sparse.csr_matrix((np.ones(len(items)), (items, columns)), shape=shape)


def dawid_skene(
    responses: sparse.csr_matrix,
    initial: Floats,
    n_responses: int,
    *,
    smoothing: float = 1.0,
    most: int = 200,
    tolerance: float = 1e-6,
) -> DawidSkene:
    """Fit by expectation-maximisation.

    Parameters
    ----------
    responses : sparse matrix of shape (n_items, n_voters * n_responses)
        How often a voter gave a response to an item; see `one_hot`.
    initial : ndarray of shape (n_items, n_classes)
        First guess at the probability of each class; it decides which optimum is found.
    n_responses : int
        Need not be `n_classes`: a rule that abstains gives a response too.
    smoothing : float, default=1.0
        Added to each count of a confusion matrix, so that few votes prove little.
    most : int
        Iterations at most.
    tolerance : float
        Stop where the log-likelihood of an item rises by less.

    References
    ----------
    Dawid, A. P. & Skene, A. M. (1979). Maximum likelihood estimation of observer error-rates using the
    EM algorithm. Applied Statistics 28(1), 20-28.
    """
    posterior, before, done = initial, -np.inf, 0
    while True:
        prior = posterior.mean(axis=0)
        counts = (responses.T @ posterior).T.reshape(posterior.shape[1], -1, n_responses) + smoothing
        confusion = counts / np.maximum(counts.sum(axis=2, keepdims=True), _TINY)
        rates = np.log(np.maximum(confusion, _TINY)).reshape(len(confusion), -1)
        joint = responses @ rates.T + np.log(np.maximum(prior, _TINY))
        evidence = logsumexp(joint, axis=1)
        posterior = np.exp(joint - evidence[:, None])
        likelihood, done = float(evidence.sum()), done + 1
        if done >= most or likelihood - before < tolerance * len(posterior):
            return DawidSkene(posterior, prior, confusion, likelihood, done)
        before = likelihood
