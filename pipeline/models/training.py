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
from pipeline.schema import ConfigError

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class CrossValidated:
    """Out-of-fold results, one row per training sentence that was scored.

    Attributes
    ----------
    rows : ndarray of shape (n_sentences,)
        Which of the training sentences: all, unless only some folds were scored.
    scores, probabilities : ndarray of shape (n_sentences, n_labels)
    predicted : ndarray of shape (n_sentences, n_labels)
        By thresholds from the other folds' scores.
    decision : Decision
        Fitted on all out-of-fold scores: the one to serve.
    """

    rows: Ints
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
    score_folds: int | None = None,
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
    score_folds : int, optional
        Fit and score only so many times, for a model that takes long; default: once for each fold.
    track : callable, optional
        Wraps the folds, to show progress.

    Notes
    -----
    The thresholds that label a fold are chosen on the other folds' out-of-fold scores, so that the
    cross-validated metrics are not flattered by thresholds that saw the labels they are judged by.
    Where a single fold is scored, its first half's thresholds label its second half, and the other
    way round; sentences of one article are neighbours, so that the halves share one at most.

    Raises
    ------
    ConfigError
        Where there are not that many folds.
    """
    names = np.unique(folds)
    if score_folds is not None and score_folds not in range(1, len(names) + 1):
        raise ConfigError(f"split.score_folds={score_folds}: must be null, or from 1 to {len(names)}")
    names = names[:score_folds]
    rows = np.flatnonzero(np.isin(folds, names))
    held_out = np.zeros((len(folds), y.shape[1]))
    for fold in track(list(names)):
        inside = np.flatnonzero(folds != fold).tolist()
        outside = np.flatnonzero(folds == fold).tolist()
        fitted = clone(model).fit([texts[i] for i in inside], y[inside])
        held_out[outside] = scores(fitted, [texts[i] for i in outside])
    held_out, truth = held_out[rows], y[rows]
    parts = folds[rows] if len(names) > 1 else np.arange(len(rows)) * 2 // len(rows)
    probabilities = np.zeros(truth.shape)
    predicted = np.zeros(truth.shape, np.int8)
    for part in np.unique(parts):
        outside = parts == part
        other = clone(decision).fit(held_out[~outside], truth[~outside])
        probabilities[outside] = other.probabilities(held_out[outside])
        predicted[outside] = other.labels(probabilities[outside])
    return CrossValidated(rows, held_out, probabilities, predicted, clone(decision).fit(held_out, truth))
