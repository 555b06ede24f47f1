"""What is gained and what is left to do where sentences may be left to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import wilson

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Flags = NDArray[np.bool_]
RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)


def abstention(
    y: Labels,
    predicted: Labels,
    undecided: Flags,
    *,
    labels: Sequence[str],
    groups: Sequence[object] | NDArray[Any] | None = None,
    exclusive: bool = False,
) -> dict[str, Any]:
    """Return how much is decided, and how much of that wrongly.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_sentences, n_labels)
        0/1 truth and prediction.
    undecided : ndarray of bool, same shape
        As `pipeline.models.decision.Decision.undecided` gives it.
    labels : sequence of str
    groups : sequence of length n_sentences, optional
        Article of each sentence, for the intervals.
    exclusive : bool
        Each sentence has one label ("multiclass"): it is decided as a whole.

    Returns
    -------
    dict
        `decided`, the share of sentences with no label left to a person, and `error`, the share of those
        that have a wrong label; `per_label` with the same of one label, and what an error rate is promised
        for: `missed`, of the sentences that have the label those decided not to, and `wrongly_given`, of
        those without it those decided to have it (not promised where labels exclude each other). Errors
        are shares with 95 % intervals, None where there is no sentence to tell them from.
    """
    if exclusive:
        undecided = np.repeat(undecided.any(axis=1, keepdims=True), y.shape[1], axis=1)
    wrong = (y != predicted) & ~undecided
    whole: Flags = ~undecided.any(axis=1)  # type: ignore[assignment]
    found: dict[str, Any] = {
        "exclusive": exclusive,
        "decided": float(whole.mean()) if len(whole) else 0.0,
        "error": share(wrong.any(axis=1), whole, groups),
        "per_label": {},
    }
    for k, label in enumerate(labels):
        decided = ~undecided[:, k]
        found["per_label"][label] = {
            "decided": float(decided.mean()) if len(decided) else 0.0,
            "error": share(wrong[:, k], decided, groups),
            "missed": share(wrong[:, k], y[:, k] > 0, groups),
            "wrongly_given": share(wrong[:, k], y[:, k] == 0, groups),
        }
    return found


def curve(
    decision: Any,
    held_out: tuple[Floats, Labels],
    y: Labels,
    probabilities: Floats,
    *,
    labels: Sequence[str],
    groups: Sequence[object] | None = None,
) -> list[dict[str, Any]]:
    """Return `abstention` at a range of promised error rates, each as `error_rate`.

    Parameters
    ----------
    decision : pipeline.models.decision.Decision
        Fitted.
    held_out : pair of ndarray
        Scores and labels that it was fitted on: bounds come from them, never from `y`.
    y, probabilities : ndarray of shape (n_sentences, n_labels)
        Of the sentences to measure on.

    References
    ----------
    El-Yaniv, R. & Wiener, Y. (2010). On the foundations of noise-free selective classification: coverage
    and risk.
    """
    predicted, points = decision.labels(probabilities), []
    exclusive = decision.task == "multiclass"
    for rate in sorted({*RATES, decision.error_rate} - {None}):
        undecided = decision.at_error_rate(rate, *held_out).undecided(probabilities)
        found = abstention(y, predicted, undecided, labels=labels, groups=groups, exclusive=exclusive)
        points.append({"error_rate": rate} | found)
    return points


def at_rate(block: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the point of a metrics file's `abstention` at the error rate of its classifier, if any."""
    return next((point for point in block["curve"] if point["error_rate"] == block["error_rate"]), None)


def abstention_line(point: Mapping[str, Any]) -> str:
    """Return in a sentence what is left to a person, and how the promise holds that is kept worst."""
    error = point["error"]
    wrong = f", {error['value']:.1%} of the others have a wrong label" if error else ""
    (label, kind), worst = max(promises(point).items(), key=lambda item: item[1]["value"])
    return (
        f"error rate: {100 * point['error_rate']:g} % promised, {worst['value']:.1%} measured at most "
        f"({label}, {kind}, 95 % interval {worst['low']:.1%} to {worst['high']:.1%}); "
        f"{1 - point['decided']:.1%} of the sentences are left to a person{wrong}"
    )


def abstention_numbers(point: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a point by name, for tracking."""
    found = {"abstention/decided": point["decided"]}
    if point["error"]:
        found["abstention/error"] = point["error"]["value"]
    for (label, kind), rate in promises(point).items():
        found[f"abstention/{label}/{kind}"] = rate["value"]
    return found


def promises(point: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, float]]:
    """Return the measured shares that the promised error rate is for, by label and kind."""
    kinds = ("missed",) if point["exclusive"] else ("missed", "wrongly_given")
    return {
        (label, kind): one[kind]
        for label, one in point["per_label"].items()
        for kind in kinds
        if one[kind] is not None
    }


def share(
    hit: Flags, among: Flags, groups: Sequence[object] | NDArray[Any] | None = None
) -> dict[str, float] | None:
    """Return the share of hits among some sentences, with its 95 % interval.

    Sentences of an article resemble each other, so the interval is Wilson's for as many independent
    sentences as are worth the same: see Franco, Little, Louis & Slud (2019), Comparative study of
    confidence intervals for proportions in complex sample surveys.
    """
    n = int(among.sum())
    if not n:
        return None
    hits = int((hit & among).sum())
    p = hits / n
    worth = float(n)
    if groups is not None and 0 < hits < n:
        _, group = np.unique(np.asarray(groups, dtype=str)[among], return_inverse=True)
        residuals = np.bincount(group, hit[among] - p)
        m = len(residuals)
        variance = m / max(m - 1, 1) * float(residuals @ residuals) / n**2
        worth = min(worth, p * (1 - p) / variance) if variance else worth
    low, high = wilson(p * worth, worth)
    return {"value": p, "low": low, "high": high, "sentences": n}
