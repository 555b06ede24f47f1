"""From scores to probabilities to labels: calibration and thresholds, both from held-out scores."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax
from sklearn.base import BaseEstimator

from pipeline.schema import ConfigError, Task

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


class Decision(BaseEstimator):
    """Calibrate scores and choose one threshold per label.

    Parameters
    ----------
    beta : float, default=1.0
        Recall counts `beta` times as much as precision in the F-score that thresholds maximise.
    min_precision : float, optional
        Choose the lowest threshold whose precision reaches this instead; where none does, the
        threshold of highest precision.
    task : {"multilabel", "multiclass"}, default="multilabel"
        For "multiclass" the most probable label is given and thresholds are not used.

    Attributes
    ----------
    slope_, intercept_ : ndarray of shape (n_labels,)
        Platt's sigmoid of each label; for "multiclass" those of one softmax, its slopes all the same.
    thresholds_ : ndarray of shape (n_labels,)
        A label is given where its probability is at least this.

    Notes
    -----
    `fit` must see scores of sentences that the scorer was not trained on (out-of-fold).

    References
    ----------
    Platt, J. (1999). Probabilistic outputs for support vector machines.
    Lin, Lin & Weng (2007). A note on Platt's probabilistic outputs: the targets used here.
    Guo, C. et al. (2017). On calibration of modern neural networks: vector scaling, for "multiclass".
    """

    def __init__(
        self, *, beta: float = 1.0, min_precision: float | None = None, task: Task = "multilabel"
    ) -> None:
        self.beta = beta
        self.min_precision = min_precision
        self.task = task

    def fit(self, scores: Floats, y: Labels) -> Self:
        """Learn from scores and 0/1 labels, both of shape (n_sentences, n_labels)."""
        if self.beta <= 0:
            raise ConfigError(f"decision.beta={self.beta}: must be above 0")
        if self.min_precision is not None and not 0 < self.min_precision <= 1:
            raise ConfigError(f"decision.min_precision={self.min_precision}: must be in (0, 1]")
        if self.task == "multiclass":
            self.slope_, self.intercept_ = vector_scaling(scores, y)
            self.thresholds_ = np.zeros(y.shape[1])
            return self
        fits = [platt(scores[:, k], y[:, k]) for k in range(y.shape[1])]
        self.slope_ = np.array([slope for slope, _ in fits])
        self.intercept_ = np.array([intercept for _, intercept in fits])
        probabilities = self.probabilities(scores)
        self.thresholds_ = np.array(
            [self._threshold(probabilities[:, k], y[:, k]) for k in range(y.shape[1])]
        )
        return self

    def probabilities(self, scores: Floats) -> Floats:
        """Return calibrated probabilities of the same shape; rows sum to 1 for "multiclass"."""
        scaled = scores * self.slope_ + self.intercept_
        return softmax(scaled, axis=1) if self.task == "multiclass" else expit(scaled)

    def labels(self, probabilities: Floats) -> Labels:
        """Return 0/1 labels of the same shape."""
        if self.task == "multiclass":
            return np.eye(probabilities.shape[1], dtype=np.int8)[probabilities.argmax(axis=1)]
        return (probabilities >= self.thresholds_).astype(np.int8)

    def reported_thresholds(self) -> list[float | None]:
        """Return the threshold of each label, None where the most probable label is given."""
        if self.task == "multiclass":
            return [None] * len(self.thresholds_)
        return [float(threshold) for threshold in self.thresholds_]

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays for `from_state`."""
        arrays = {"slope": self.slope_, "intercept": self.intercept_, "thresholds": self.thresholds_}
        return {"parameters": self.get_params(), "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted decision."""
        self = cls(**state["parameters"])
        for name, array in state["arrays"].items():
            setattr(self, f"{name}_", array)
        return self

    def _threshold(self, probability: Floats, y: Labels) -> float:
        order = np.argsort(-probability, kind="stable")
        ranked = probability[order]
        hits = np.cumsum(y[order])
        given = np.arange(1, len(y) + 1)
        # Only a place between two different probabilities can be a threshold.
        cut = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        precision = hits[cut] / given[cut]
        if self.min_precision is None:
            weight = self.beta**2
            best = int(np.argmax((1 + weight) * hits[cut] / (given[cut] + weight * max(int(y.sum()), 1))))
        else:
            enough = np.flatnonzero(precision >= self.min_precision)
            best = int(enough[-1]) if len(enough) else int(np.argmax(precision))
        last = cut[best]
        if not y.any():
            return 1.0
        if last + 1 == len(ranked):
            return float(ranked[last])
        middle = (ranked[last] + ranked[last + 1]) / 2
        # Between neighbouring floats there is no middle, and it may be rounded down to the lower.
        return float(middle if middle > ranked[last + 1] else ranked[last])


def platt(scores: Floats, y: Labels) -> tuple[float, float]:
    """Return slope and intercept of the sigmoid that best maps `scores` to P(y = 1).

    Never decreasing: a score that ranks against its label is flattened, not turned round.
    """
    positive, n = int(y.sum()), len(y)
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (n - positive + 2))
    center, scale = float(np.mean(scores)), float(np.std(scores))
    if scale < 1e-12:
        return 0.0, float(logit(np.mean(target)))
    z = (scores - center) / scale

    def loss(parameters: Floats) -> tuple[float, Floats]:
        value = parameters[0] * z + parameters[1]
        error = expit(value) - target
        nll = float(np.mean(np.logaddexp(0, value) - target * value))
        return nll, np.array([np.mean(error * z), np.mean(error)])

    start = np.array([1.0, logit(np.mean(target))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    return float(found[0] / scale), float(found[1] - found[0] * center / scale)


def vector_scaling(scores: Floats, y: Labels) -> tuple[Floats, Floats]:
    """Return slopes and intercepts, of shape (n_labels,), of the softmax that best maps scores to classes.

    One slope for all classes; intercepts are drawn to 0, the more the fewer the texts.
    """
    n, k = scores.shape
    scale = max(float(np.std(scores)), 1e-12)
    z, true = scores / scale, y.argmax(axis=1)
    rows = np.arange(n)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, bias = parameters[0], parameters[1:]
        value = slope * z + bias
        error = softmax(value, axis=1)
        nll = -np.log(np.maximum(error[rows, true], 1e-300)).mean() + (bias @ bias) / (2 * n)
        error[rows, true] -= 1
        return float(nll), np.concatenate([[(error * z).mean(axis=0).sum()], error.mean(axis=0) + bias / n])

    bounds = [(0, 100), *[(None, None)] * k]
    start = np.concatenate([[1.0], np.zeros(k)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.full(k, found[0] / scale), found[1:]
