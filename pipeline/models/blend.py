"""Several classifiers of different kinds, averaged: where they err differently, the mean errs less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.base import Estimator, check_fitted
from pipeline.models.tokens import as_texts
from pipeline.schema import ConfigError

Floats = NDArray[np.float64]


class Blend(Estimator):
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

    def fit(
        self,
        X: Sequence[str],  # noqa: N803
        y: Any,
        sample_weight: Floats | None = None,
    ) -> Self:
        """Train each on texts and 0/1 labels of shape (n_texts, n_labels)."""
        from sklearn.base import clone

        from pipeline.models.portable import portable
        from pipeline.models.weak import fit_weighted

        if self.weights is not None and len(self.weights) != len(self.estimators):
            raise ConfigError(f"blend: {len(self.weights)} weights for {len(self.estimators)} classifiers")
        texts = as_texts(X)
        models = [clone(estimator) for estimator in self.estimators]
        if sample_weight is None:
            fitted = [model.fit(texts, y) for model in models]
        else:
            fitted = [fit_weighted(model, texts, y, sample_weight) for model in models]
        self.parts = [portable(model) for model in fitted]
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_fitted(self, "parts")
        texts = as_texts(X)
        pairs = zip(self.part_weights, self.parts, strict=True)
        return np.sum([weight * _scores(part, texts) for weight, part in pairs], axis=0)

    @property
    def part_weights(self) -> list[float]:
        """What the scores of each part are multiplied by."""
        if self.weights is None:
            return [1 / len(self.parts)] * len(self.parts)
        return list(self.weights)

    def state(self) -> dict[str, Any]:
        """Return weights and parts for `from_state`."""
        weights = None if self.weights is None else list(self.weights)
        return {"parameters": {"weights": weights}, "arrays": {}, "parts": self.parts}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted blend."""
        return cls.of(state["parts"], state["parameters"]["weights"])

    @classmethod
    def of(cls, parts: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """Return a blend of classifiers that are fitted, as a bundle stores them."""
        self = cls(weights=weights)
        self.parts = list(parts)
        return self


def _scores(part: Any, texts: Sequence[str]) -> Floats:
    if hasattr(part, "decision_function"):
        return np.asarray(part.decision_function(texts), np.float64).reshape(len(texts), -1)
    from pipeline.models.training import scores

    return scores(part, texts)
