"""Logistic regression on targets between 0 and 1, such as another classifier's probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from pipeline.models.linear import LinearHead

Floats = NDArray[np.float64]


class SoftLogistic(BaseEstimator):
    """Fit one logistic regression per label by its cross-entropy with targets in [0, 1].

    Scikit-learn's takes classes only; a probability would have to be two weighted rows.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the L2 penalty, as in scikit-learn.
    max_iter : int, default=200
        Of L-BFGS.

    Attributes
    ----------
    head_ : LinearHead
    """

    def __init__(self, *, C: float = 1.0, max_iter: int = 200) -> None:  # noqa: N803
        self.C = C
        self.max_iter = max_iter

    def fit(self, X: Any, y: Floats, sample_weight: Floats | None = None) -> Self:  # noqa: N803
        """Fit to features of shape (n_rows, n_features) and targets of shape (n_rows, n_labels)."""
        features, targets = sparse.csr_matrix(X, dtype=np.float64), np.asarray(y, np.float64)
        transposed = features.T.tocsr()
        weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        (n_features, n_labels), total = (features.shape[1], targets.shape[1]), weights.sum()
        prior = np.clip(np.average(targets, axis=0, weights=weights), 1e-6, 1 - 1e-6)

        def loss(flat: Floats) -> tuple[float, Floats]:
            parameters = flat.reshape(n_features + 1, n_labels)
            coef, intercept = parameters[:-1], parameters[-1]
            value = features @ coef + intercept
            entropy = (weights @ (np.logaddexp(0, value) - targets * value)).sum()
            error = weights[:, None] * (expit(value) - targets)
            gradient = np.vstack([transposed @ error + coef / self.C, error.sum(axis=0)])
            penalised = entropy + 0.5 / self.C * float((coef**2).sum())
            return penalised / total, gradient.ravel() / total

        start = np.zeros((n_features + 1, n_labels))
        start[-1] = np.log(prior / (1 - prior))
        options = {"maxiter": self.max_iter}
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", tol=1e-7, options=options).x
        parameters = found.reshape(n_features + 1, n_labels)
        self.head_ = LinearHead(np.ascontiguousarray(parameters[:-1].T), parameters[-1])
        return self

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Return scores of shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.head_.decision_function(X)
