"""Fitting a classifier so that nothing it is judged by was seen in fitting."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import clone

from pipeline.models.decision import Decision
from pipeline.processes import with_this_code
from pipeline.schema import ConfigError, PipelineError

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Ints = NDArray[np.int64]

WORTH_PROCESSES = 5_000  # texts: fewer are trained on sooner than another process has started


@dataclass(slots=True)
class CrossValidated:
    """Out-of-fold results, one row per training sentence that was scored, repeat after repeat.

    Attributes
    ----------
    rows : ndarray of shape (n_sentences,)
        Which of the training sentences: all, unless only some folds were scored. With repeated folds,
        each is there once a repeat.
    scores, probabilities : ndarray of shape (n_sentences, n_labels)
    predicted : ndarray of shape (n_sentences, n_labels)
        By thresholds from the other folds' scores.
    decision : Decision
        Fitted on all out-of-fold scores: the one to serve.
    repeat : ndarray of shape (n_sentences,)
        From which dealing of the folds a row is, from 0.
    fitted : estimator or None
        Fitted on all texts, where that was asked for.
    elsewhere : float
        Processor time that other processes spent on fitting, in seconds.
    """

    rows: Ints
    scores: Floats
    probabilities: Floats
    predicted: Labels
    decision: Decision
    repeat: Ints
    fitted: Any = None
    elsewhere: float = 0.0


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
    fit_all: bool = False,
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
    folds : ndarray of shape (n_sentences,) or (n_repeats, n_sentences)
    score_folds : int, optional
        Fit and score only so many times a repeat, for a model that takes long; default: once for
        each fold.
    fit_all : bool, default=False
        Fit a clone on all texts, too.
    track : callable, optional
        Wraps the folds, to show progress.

    Notes
    -----
    The thresholds that label a fold are chosen on the other folds' out-of-fold scores, so that the
    cross-validated metrics are not flattered by thresholds that saw the labels they are judged by.
    Where a single fold is scored, its first half's thresholds label its second half, and the other
    way round; sentences of one article are neighbours, so that the halves share one at most.

    Repeats are not averaged sentence by sentence: the mean of several models' scores is steadier than
    the scores of the one model that is served, and would flatter it. Each repeat labels every sentence
    by itself; scores and metrics are of all repeats together.

    With many texts, folds are fitted side by side, each on a core of its own, unless the model has a use
    for all cores itself (`all_cores`).

    Raises
    ------
    ConfigError
        Where there are not that many folds.
    PipelineError
        Where the system ended a process.
    """
    deals = np.atleast_2d(folds)
    jobs = [(n, fold) for n, deal in enumerate(deals) for fold in _scored(deal, score_folds)]
    held_out = [np.zeros((len(deal), y.shape[1])) for deal in deals]
    masks = [deals[n] == fold for n, fold in jobs] + [np.zeros(len(texts), bool)] * fit_all
    done = fits(model, texts, y, masks)
    elsewhere, whole = 0.0, None
    for job in track(range(len(masks))):
        fitted, found, seconds = next(done)
        elsewhere += seconds
        if job < len(jobs):
            held_out[jobs[job][0]][masks[job]] = found
        else:
            whole = fitted
    rows = [np.flatnonzero(np.isin(deal, _scored(deal, score_folds))) for deal in deals]
    labelled = [
        _label(decision, found[some], y[some], deal[some])
        for deal, found, some in zip(deals, held_out, rows, strict=True)
    ]
    every, found = np.concatenate(rows), np.concatenate([h[r] for h, r in zip(held_out, rows, strict=True)])
    probabilities, predicted = (np.concatenate(parts) for parts in zip(*labelled, strict=True))
    final = clone(decision).fit(found, y[every])
    repeat = np.repeat(np.arange(len(deals)), [len(some) for some in rows])
    return CrossValidated(every, found, probabilities, predicted, final, repeat, whole, elsewhere)


def fits(
    model: Any, texts: Sequence[str], y: Labels, masks: Sequence[NDArray[np.bool_]]
) -> Iterator[tuple[Any, Floats, float]]:
    """Fit a clone without the texts of each mask, and score these.

    Parameters
    ----------
    model : estimator
    texts : sequence of str
    y : ndarray of shape (n_texts, n_labels)
    masks : sequence of ndarray of bool of shape (n_texts,)

    Yields
    ------
    fitted : estimator or None
        Where the mask is empty.
    scores : ndarray of shape (n_masked, n_labels)
    seconds : float
        Of processor time in another process.

    Raises
    ------
    PipelineError
        Where the system ended a process.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from joblib.parallel import get_active_backend

    cores = min(len(os.sched_getaffinity(0)), len(masks))
    nested = get_active_backend()[0].nesting_level > 0
    if cores < 2 or nested or len(texts) < WORTH_PROCESSES or takes_all_cores(model):
        yield from (_fit(model, texts, y, mask) for mask in masks)
        return
    with_this_code()
    try:
        with Parallel(cores, backend="loky", return_as="generator") as parallel:
            yield from parallel(delayed(_fit_elsewhere)(model, texts, y, mask) for mask in masks)
    except TerminatedWorkerError:
        raise PipelineError(
            "training: the system ended a process, perhaps for want of memory; one core needs half as "
            "much: taskset -c 0 python -m pipeline.train …"
        ) from None
    finally:  # idle, they would hold their memory, and a process that waits for its children, for minutes
        get_reusable_executor().shutdown(wait=True)


def takes_all_cores(model: Any) -> bool:
    """Return whether a model, or a part of it, says that it has a use for all cores itself."""
    if getattr(model, "all_cores", False):
        return True
    if isinstance(model, Mapping):
        return any(map(takes_all_cores, model.values()))
    if isinstance(model, list | tuple):
        return any(map(takes_all_cores, model))
    return hasattr(model, "get_params") and takes_all_cores(model.get_params(deep=False))


def _fit(model: Any, texts: Sequence[str], y: Labels, mask: NDArray[np.bool_]) -> tuple[Any, Floats, float]:
    inside, outside = np.flatnonzero(~mask), np.flatnonzero(mask).tolist()
    fitted = clone(model).fit([texts[i] for i in inside.tolist()], y[inside])
    if not outside:
        return fitted, np.zeros((0, y.shape[1])), 0.0
    return None, scores(fitted, [texts[i] for i in outside]), 0.0


def _fit_elsewhere(
    model: Any, texts: Sequence[str], y: Labels, mask: NDArray[np.bool_]
) -> tuple[Any, Floats, float]:
    from joblib import parallel_config

    gc.freeze()  # what imports made is not looked through again and again
    began = time.process_time()
    with parallel_config("sequential"):  # threads would share liblinear's random generator
        fitted, found, _ = _fit(model, texts, y, mask)
    return fitted, found, time.process_time() - began


def _scored(deal: Ints, score_folds: int | None) -> Ints:
    names = np.unique(deal)
    if score_folds is not None and score_folds not in range(1, len(names) + 1):
        raise ConfigError(f"split.score_folds={score_folds}: must be null, or from 1 to {len(names)}")
    return names[:score_folds]


def _label(decision: Decision, held_out: Floats, truth: Labels, folds: Ints) -> tuple[Floats, Labels]:
    """Label each fold by what the others' scores say."""
    parts = folds if len(np.unique(folds)) > 1 else np.arange(len(folds)) * 2 // len(folds)
    probabilities = np.zeros(truth.shape)
    predicted = np.zeros(truth.shape, np.int8)
    for part in np.unique(parts):
        outside = parts == part
        other = clone(decision).fit(held_out[~outside], truth[~outside])
        probabilities[outside] = other.probabilities(held_out[outside])
        predicted[outside] = other.labels(probabilities[outside])
    return probabilities, predicted
