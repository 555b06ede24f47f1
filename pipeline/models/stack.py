"""A stack: classifiers of different kinds, and what each one's score is worth for each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.models.portable import portable
from pipeline.models.training import scores

Floats = NDArray[np.float64]
CHUNKS_A_FOLD = 20


class Stack(BaseEstimator):
    """Combine the scores of several classifiers of texts, for each label by weights of its own.

    Parameters
    ----------
    estimators : mapping of str to estimator
        Each takes texts and 0/1 labels of shape (n_texts, n_labels).
    combine : estimator
        A linear classifier with `coef_` and `intercept_`; one is fitted for each label, on the
        estimators' scores for that label.
    folds : int, default=5
        Inner folds. The combination learns from scores of models that did not see the sentence.

    Attributes
    ----------
    parts : list
        The estimators, fitted on all texts, as a bundle stores them.
    coef_ : ndarray of shape (n_labels, n_estimators)
    intercept_ : ndarray of shape (n_labels,)

    Notes
    -----
    A cross-validation around a stack fits it anew in each fold, inner folds and all. Inner folds are
    made of runs of neighbouring texts, so that the sentences of an article, which are neighbours, fall
    into one, save for a few articles at the borders.

    References
    ----------
    Wolpert, D. (1992). Stacked generalization.
    """

    def __init__(self, *, estimators: dict[str, Any], combine: Any, folds: int = 5) -> None:
        self.estimators = estimators
        self.combine = combine
        self.folds = folds

    def fit(self, X: Sequence[str], y: NDArray[np.int8]) -> Self:  # noqa: N803
        """Score all texts out of fold, learn the combination from that, then fit on all texts."""
        texts, models = list(X), list(self.estimators.values())
        held_out = np.zeros((len(models), *y.shape))
        folds = neighbouring_folds(len(texts), self.folds)
        for fold in range(self.folds):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            known, hidden = [texts[i] for i in inside], [texts[i] for i in outside]
            for m, model in enumerate(models):
                held_out[m, outside] = scores(clone(model).fit(known, y[inside]), hidden)
        fits = [self._fit_label(held_out[:, :, k].T, y[:, k]) for k in range(y.shape[1])]
        self.coef_ = np.array([coef for coef, _ in fits])
        self.intercept_ = np.array([intercept for _, intercept in fits])
        self.parts = [portable(clone(model).fit(texts, y)) for model in models]
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_is_fitted(self)
        scored = np.stack([part.decision_function(X) for part in self.parts], axis=2)
        return (scored * self.coef_).sum(axis=2) + self.intercept_

    def state(self) -> dict[str, Any]:
        """Return arrays and parts for `from_state`."""
        check_is_fitted(self)
        arrays = {"coef": self.coef_, "intercept": self.intercept_}
        return {"parameters": {}, "arrays": arrays, "parts": self.parts}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted stack, which scores but has nothing left to fit."""
        self = cls(estimators={}, combine=None)
        self.parts = state["parts"]
        self.coef_, self.intercept_ = state["arrays"]["coef"], state["arrays"]["intercept"]
        return self

    def _fit_label(self, scored: Floats, y: NDArray[np.int8]) -> tuple[Floats, float]:
        if y.min() == y.max():  # nothing to tell apart
            return np.zeros(scored.shape[1]), 20.0 if y[0] else -20.0
        fitted = clone(self.combine).fit(scored, y)
        return np.ravel(fitted.coef_), float(np.ravel(fitted.intercept_)[0])


def neighbouring_folds(n: int, folds: int) -> NDArray[np.int64]:
    """Return the fold of each of n texts: runs of neighbours, dealt in turn."""
    return np.arange(n) * folds * CHUNKS_A_FOLD // max(n, 1) % folds
