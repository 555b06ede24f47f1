"""NBSVM: a linear classifier over words weighted by how much they speak for a label."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.schema import ConfigError

Floats = NDArray[np.float64]


class NBSVM(BaseEstimator):
    """Scale each word by its naive Bayes log-count ratio, then fit a linear classifier, per label.

    Parameters
    ----------
    estimator : estimator
        A linear classifier with `coef_` and `intercept_`, such as `sklearn.svm.LinearSVC`.
    alpha : float, default=1.0
        Added to every word's count in both classes.
    beta : float, default=0.25
        Share of the classifier's own weights; the rest is naive Bayes, with weights that are all as
        large as the classifier's are on average. 1 for the classifier alone.

    Attributes
    ----------
    coef_ : ndarray of shape (n_labels, n_features)
        Of presence: the scaling is multiplied in.
    intercept_ : ndarray of shape (n_labels,)

    References
    ----------
    Wang, S. & Manning, C. D. (2012). Baselines and bigrams: simple, good sentiment and topic
    classification. ACL 2012: sections 2.1 to 2.3, with presence instead of counts as found best there.
    """

    def __init__(self, *, estimator: Any = None, alpha: float = 1.0, beta: float = 0.25) -> None:
        self.estimator = estimator
        self.alpha = alpha
        self.beta = beta

    def fit(self, X: sparse.csr_matrix, y: NDArray[np.int8]) -> Self:  # noqa: N803
        """Learn from nonnegative features (n_rows, n_features) and 0/1 labels (n_rows, n_labels).

        Raises
        ------
        ConfigError
            For parameters out of range.
        """
        if self.alpha <= 0:
            raise ConfigError(f"alpha={self.alpha}: must be above 0")
        if not 0 <= self.beta <= 1:
            raise ConfigError(f"beta={self.beta}: must be from 0 to 1")
        present = presence(X)
        fits = [self._fit_label(present, y[:, k]) for k in range(y.shape[1])]
        self.coef_ = np.array([coef for coef, _ in fits])
        self.intercept_ = np.array([intercept for _, intercept in fits])
        return self

    def decision_function(self, X: sparse.csr_matrix) -> Floats:  # noqa: N803
        """Return scores of shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return np.asarray(presence(X) @ self.coef_.T) + self.intercept_

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays for `from_state`; scoring does not need the inner estimator."""
        check_is_fitted(self)
        arrays = {"coef": self.coef_, "intercept": self.intercept_}
        return {"parameters": {"alpha": self.alpha, "beta": self.beta}, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted classifier."""
        self = cls(**state["parameters"])
        for name, array in state["arrays"].items():
            setattr(self, f"{name}_", array)
        return self

    def _fit_label(self, present: sparse.csr_matrix, y: NDArray[np.int8]) -> tuple[Floats, float]:
        if y.min() == y.max():  # nothing to tell apart
            return np.zeros(present.shape[1]), 20.0 if y[0] else -20.0
        ratio = log_count_ratio(present, y, self.alpha)
        fitted = clone(self.estimator).fit(present.multiply(ratio).tocsr(), y)
        weight = np.ravel(fitted.coef_)
        mixed = (1 - self.beta) * np.abs(weight).mean() + self.beta * weight
        return mixed * ratio, float(np.ravel(fitted.intercept_)[0])


def log_count_ratio(present: sparse.csr_matrix, y: NDArray[np.int8], alpha: float) -> Floats:
    """Return r of shape (n_features,): log of a feature's share among rows with y = 1 over y = 0."""
    share = []
    for value in (1, 0):
        counts = alpha + np.asarray(present[np.flatnonzero(y == value)].sum(axis=0), dtype=np.float64).ravel()
        share.append(np.log(counts / counts.sum()))
    return share[0] - share[1]


def presence(X: sparse.csr_matrix) -> sparse.csr_matrix:  # noqa: N803
    """Return 1 where a feature is nonzero, of the same shape."""
    X = sparse.csr_matrix(X)  # noqa: N806
    return sparse.csr_matrix(((X.data != 0).astype(np.float64), X.indices, X.indptr), shape=X.shape)
