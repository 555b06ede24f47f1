"""Fitting a classifier so that nothing it is judged by was seen in fitting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import clone

from pipeline.models.decision import Decision

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class CrossValidated:
    """Out-of-fold results, one row per training sentence.

    Attributes
    ----------
    scores, probabilities : ndarray of shape (n_sentences, n_labels)
    predicted : ndarray of shape (n_sentences, n_labels)
        By thresholds from the other folds' scores.
    decision : Decision
        Fitted on all out-of-fold scores: the one to serve.
    """

    scores: Floats
    probabilities: Floats
    predicted: Labels
    decision: Decision


def scores(model: Any, texts: Any) -> Floats:
    """Return a fitted classifier's scores, shape (n_texts, n_labels); logits where it has no others."""
    if hasattr(model, "decision_function"):
        found = np.asarray(model.decision_function(texts), dtype=np.float64)
        return found.reshape(len(found), -1)
    found = model.predict_proba(texts)
    if isinstance(found, list):  # one array per label, of one column where the label never varied
        pairs = zip(found, model.classes_, strict=True)
        found = np.column_stack([p[:, 1] if p.shape[1] > 1 else p[:, 0] * known[0] for p, known in pairs])
    head = model.steps[-1][1] if hasattr(model, "steps") else model
    if not getattr(head, "multilabel_", True):  # a single label: both its sides
        found = found[:, 1:]
    return logit(np.clip(np.asarray(found, dtype=np.float64), 1e-6, 1 - 1e-6))


def cross_validate(
    model: Any,
    decision: Decision,
    texts: Sequence[str],
    y: Labels,
    folds: Ints,
    *,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> CrossValidated:
    """Fit on all folds but one, score that one, for each; then choose thresholds.

    Parameters
    ----------
    model : estimator
        Unfitted; a clone is fitted for each fold.
    decision : Decision
        Unfitted.
    texts : sequence of str
    y : ndarray of shape (n_sentences, n_labels)
    folds : ndarray of shape (n_sentences,)
    track : callable, optional
        Wraps the folds, to show progress.

    Notes
    -----
    The thresholds that label a fold are chosen on the other folds' out-of-fold scores, so that the
    cross-validated metrics are not flattered by thresholds that saw the labels they are judged by.
    """
    held_out = np.zeros(y.shape)
    names = np.unique(folds)
    for fold in track(list(names)):
        inside = np.flatnonzero(folds != fold)
        outside = np.flatnonzero(folds == fold)
        fitted = clone(model).fit([texts[i] for i in inside], y[inside])
        held_out[outside] = scores(fitted, [texts[i] for i in outside])
    probabilities = np.zeros(y.shape)
    predicted = np.zeros(y.shape, np.int8)
    for fold in names:
        outside = folds == fold
        other = clone(decision).fit(held_out[~outside], y[~outside])
        probabilities[outside] = other.probabilities(held_out[outside])
        predicted[outside] = other.labels(probabilities[outside])
    return CrossValidated(held_out, probabilities, predicted, clone(decision).fit(held_out, y))
