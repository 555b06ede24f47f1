"""Several classifiers of different kinds, averaged: where they err differently, the mean errs less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.models.portable import portable
from pipeline.models.tokens import as_texts
from pipeline.models.training import scores
from pipeline.schema import ConfigError

Floats = NDArray[np.float64]


class Blend(BaseEstimator):
    """Add up the log-odds of classifiers trained on the same sentences.

    Parameters
    ----------
    estimators : list
        Each over texts; their scores should be log-odds.
    weights : sequence of float, optional
        Default: the mean.

    Attributes
    ----------
    parts : list
        The fitted classifiers, as a bundle stores them.

    References
    ----------
    Genest & Zidek (1986). Combining probability distributions: the logarithmic opinion pool.
    """

    def __init__(self, estimators: Sequence[Any] = (), *, weights: Sequence[float] | None = None) -> None:
        self.estimators = estimators
        self.weights = weights

    def fit(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Train each on texts and 0/1 labels of shape (n_texts, n_labels)."""
        if self.weights is not None and len(self.weights) != len(self.estimators):
            raise ConfigError(f"blend: {len(self.weights)} weights for {len(self.estimators)} classifiers")
        texts = as_texts(X)
        self.parts = [portable(clone(estimator).fit(texts, y)) for estimator in self.estimators]
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_is_fitted(self, "parts")
        texts = as_texts(X)
        weights = [1 / len(self.parts)] * len(self.parts) if self.weights is None else self.weights
        return np.sum([w * scores(part, texts) for w, part in zip(weights, self.parts, strict=True)], axis=0)

    def state(self) -> dict[str, Any]:
        """Return weights and parts for `from_state`."""
        weights = None if self.weights is None else list(self.weights)
        return {"parameters": {"weights": weights}, "arrays": {}, "parts": self.parts}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted blend."""
        self = cls(**state["parameters"])
        self.parts = state["parts"]
        return self
