"""The parts a fitted classifier is made of when it leaves training: no scikit-learn estimator needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.base import Estimator

Floats = NDArray[np.float64]


class LinearHead(Estimator):
    """Scores that are linear in the features.

    Parameters
    ----------
    coef : ndarray of shape (n_labels, n_features)
    intercept : ndarray of shape (n_labels,)
    """

    def __init__(self, coef: Floats, intercept: Floats) -> None:
        self.coef = coef
        self.intercept = intercept

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Return scores of shape (n_rows, n_labels).

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_rows, n_features), or list of them
            A list is of blocks side by side.
        """
        scores, begin = self.intercept, 0
        for block in X if isinstance(X, list) else [X]:
            scores = scores + _product(block, self._weights[begin : begin + block.shape[1]])
            begin += block.shape[1]
        return scores

    @cached_property
    def _weights(self) -> Floats:
        return np.ascontiguousarray(self.coef.T)

    def state(self) -> dict[str, Any]:
        """Return arrays for `from_state`."""
        return {"parameters": {}, "arrays": {"coef": self.coef, "intercept": self.intercept}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the head."""
        return cls(**state["arrays"])


class Chain(Estimator):
    """Transformers one after the other, then a head.

    Parameters
    ----------
    parts : list
        All but the last transform; the last has `decision_function`, or transforms too.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the features, before the head."""
        headed = hasattr(self.parts[-1], "decision_function")
        for part in self.parts[:-1] if headed else self.parts:
            X = part.transform(X)  # noqa: N806
        return X

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Return scores of shape (n_rows, n_labels)."""
        *before, head = self.parts
        for part in before:
            last = part is before[-1] and isinstance(head, LinearHead) and isinstance(part, Concatenation)
            X = part.blocks(X) if last else part.transform(X)  # noqa: N806
        return head.decision_function(X)

    def state(self) -> dict[str, Any]:
        """Return the parts for `from_state`."""
        return {"parameters": {}, "arrays": {}, "parts": list(self.parts)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the chain."""
        return cls(state["parts"])


class Concatenation(Estimator):
    """Features side by side, each with a weight.

    Parameters
    ----------
    parts : list
        Transformers of the same texts.
    weights : sequence of float
    """

    def __init__(self, parts: Sequence[Any], weights: Sequence[float]) -> None:
        self.parts = parts
        self.weights = weights

    def transform(self, X: Any) -> sparse.csr_matrix:  # noqa: N803
        """Return all features, shape (n_rows, sum of widths)."""
        blocks = self.blocks(X)
        if all(isinstance(block, np.ndarray) for block in blocks):
            return np.hstack(blocks)
        return sparse.hstack([sparse.csr_matrix(block) for block in blocks], format="csr")

    def blocks(self, X: Any) -> list[Any]:  # noqa: N803
        """Return the features block by block: a linear head has no need to see them in one matrix."""
        found = []
        for part, weight in zip(self.parts, self.weights, strict=True):
            for block in part.blocks(X) if hasattr(part, "blocks") else [part.transform(X)]:
                found.append(block if weight == 1 else weight * block)
        return found

    def state(self) -> dict[str, Any]:
        """Return parts and weights for `from_state`."""
        return {"parameters": {"weights": list(self.weights)}, "arrays": {}, "parts": list(self.parts)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the concatenation."""
        return cls(state["parts"], state["parameters"]["weights"])


def _product(block: Any, weights: Floats) -> Floats:
    """Return the product; a row's does not depend, to the last bit, on the rows beside it."""
    if isinstance(block, np.ndarray):  # matrix products of BLAS add up in an order that depends on the shape
        return np.einsum("ij,kj->ik", block.astype(np.float64, copy=False), np.ascontiguousarray(weights.T))
    return np.asarray(block @ weights)


def linear_head(estimator: Any) -> LinearHead | None:
    """Return the linear head that scores as a fitted scikit-learn estimator does, or None.

    Knows `OneVsRestClassifier` over anything with `coef_` and `intercept_`, or over
    `DummyClassifier(strategy="prior")`, whose score is a constant.
    """
    from scipy.special import logit

    inner = getattr(estimator, "estimators_", None)
    if inner is None or type(estimator).__name__ != "OneVsRestClassifier":
        return None
    coefs = [_row(e.coef_) if hasattr(e, "coef_") else None for e in inner]
    width = next((len(c) for c in coefs if c is not None), estimator_width(estimator))
    coef, intercept = np.zeros((len(inner), width)), np.zeros(len(inner))
    for k, one in enumerate(inner):
        if (row := coefs[k]) is not None:
            coef[k], intercept[k] = row, float(np.ravel(one.intercept_)[0])
        elif hasattr(one, "class_prior_"):
            intercept[k] = logit(
                np.clip(one.class_prior_[-1] if len(one.classes_) > 1 else one.classes_[0], 1e-6, 1 - 1e-6)
            )
        elif type(one).__name__ == "_ConstantPredictor":
            intercept[k] = 20.0 if one.y_[0] else -20.0
        else:
            return None
    return LinearHead(coef, intercept)


def _row(coef: Any) -> Floats:
    """Return the coefficients of one label, which estimators keep flat, as a row, or sparse."""
    return np.ravel(coef.toarray() if sparse.issparse(coef) else coef)


def estimator_width(estimator: Any) -> int:
    """Return the number of features a fitted estimator expects; 1 where it does not care."""
    return int(getattr(estimator, "n_features_in_", 1))
