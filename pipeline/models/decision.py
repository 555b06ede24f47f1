"""From scores to probabilities to labels: calibration and thresholds, both from held-out scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.base import Estimator
from pipeline.schema import ConfigError, Task

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]

LEAST_REACHED = 0.1  # of F, or precision, by a threshold that means something
CELLS = 4_000_000  # scores that a softmax is fitted on
FLATTEST = 0.1  # slope of a softmax, by standard deviations of scores; without any, all texts get one class


class Decision(Estimator):
    """Calibrate scores and choose one threshold per label.

    Parameters
    ----------
    beta : float, default=1.0
        Recall counts `beta` times as much as precision in the F-score that thresholds maximise.
    min_precision : float, optional
        Choose the lowest threshold whose precision reaches this instead; where none does, the
        threshold of highest precision.
    error_rate : float, optional
        Leave a sentence to a person where a label cannot be decided at this rate of error: at most so
        many of the sentences that have a label, and at most so many of those without it, are decided
        wrongly. For "multiclass": at most so many of the texts of each class.
    prevalence : sequence of float, optional
        Share of sentences that carry each label where the classifier will be used; by default as in
        training. Probabilities and thresholds are those for that share.
    task : {"multilabel", "multiclass"}, default="multilabel"
        For "multiclass" the most probable label is given and thresholds are not used.

    Attributes
    ----------
    slope_, intercept_ : ndarray of shape (n_labels,)
        Platt's sigmoid of each label; for "multiclass" those of one softmax, its slopes all the same.
    thresholds_ : ndarray of shape (n_labels,)
        A label is given where its probability is at least this.
    least_, most_ : ndarray of shape (n_labels,)
        With `error_rate`: a label is only decided to be absent below `least_`, and only decided to be
        there above `most_`. "multiclass" has no use for `most_`.

    Notes
    -----
    `fit` must see scores of sentences that the scorer was not trained on (out-of-fold).

    A label whose best threshold reaches less than 0.1, as one with a single example that another fold's
    model never saw, is given only above all scores seen: of nearly equal thresholds the best may be to
    give it to every sentence (Yang 2001: SCutFBR).

    References
    ----------
    Platt, J. (1999). Probabilistic outputs for support vector machines.
    Lin, Lin & Weng (2007). A note on Platt's probabilistic outputs: the targets used here.
    Saerens, Latinne & Decaestecker (2002). Adjusting the outputs of a classifier to new a priori
    probabilities: what `prevalence` does to them.
    Vovk, Gammerman & Shafer (2005). Algorithmic learning in a random world: conformal prediction by
    label, for `error_rate`.
    Guo, C. et al. (2017). On calibration of modern neural networks: vector scaling, for "multiclass".
    Yang, Y. (2001). A study of thresholding strategies for text categorization.
    """

    def __init__(
        self,
        *,
        beta: float = 1.0,
        min_precision: float | None = None,
        error_rate: float | None = None,
        prevalence: Sequence[float] | None = None,
        task: Task = "multilabel",
    ) -> None:
        self.beta = beta
        self.min_precision = min_precision
        self.error_rate = error_rate
        self.prevalence = prevalence
        self.task = task

    def fit(self, scores: Floats, y: Labels) -> Self:
        """Learn from scores and 0/1 labels, both of shape (n_sentences, n_labels)."""
        if self.beta <= 0:
            raise ConfigError(f"decision.beta={self.beta}: must be above 0")
        if self.min_precision is not None and not 0 < self.min_precision <= 1:
            raise ConfigError(f"decision.min_precision={self.min_precision}: must be in (0, 1]")
        if self.error_rate is not None and not 0 < self.error_rate < 1:
            raise ConfigError(f"decision.error_rate={self.error_rate}: must be between 0 and 1")
        if self.task == "multiclass":
            self.slope_, self.intercept_ = vector_scaling(scores, y)
            self.thresholds_ = np.zeros(y.shape[1])
            self.least_, self.most_ = self._bounds(self.probabilities(scores), y)
            return self
        fits = [platt(scores[:, k], y[:, k]) for k in range(y.shape[1])]
        self.slope_ = np.array([slope for slope, _ in fits])
        self.intercept_ = np.array([intercept for _, intercept in fits])
        weights = self._shift(y)
        probabilities = self.probabilities(scores)
        columns = range(y.shape[1])
        self.thresholds_ = np.array(
            [self._threshold(probabilities[:, k], y[:, k], weights[:, k]) for k in columns]
        )
        self.least_, self.most_ = self._bounds(probabilities, y)
        return self

    def probabilities(self, scores: Floats) -> Floats:
        """Return calibrated probabilities of the same shape; rows sum to 1 for "multiclass"."""
        scaled = scores * self.slope_ + self.intercept_
        if self.task == "multiclass":
            odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return odds / odds.sum(axis=1, keepdims=True)
        return np.exp(-np.logaddexp(0, -scaled))

    def labels(self, probabilities: Floats) -> Labels:
        """Return 0/1 labels of the same shape."""
        if self.task == "multiclass":
            return np.eye(probabilities.shape[1], dtype=np.int8)[probabilities.argmax(axis=1)]
        return (probabilities >= self.thresholds_).astype(np.int8)

    def undecided(self, probabilities: Floats) -> NDArray[np.bool_]:
        """Return which labels are to be left to a person, same shape; none without `error_rate`.

        For "multiclass": none where a single class is possible and it is the most probable one, else
        all that are possible, and the most probable.
        """
        if self.error_rate is None:
            return np.zeros(probabilities.shape, bool)
        given, possible = self.labels(probabilities) > 0, probabilities >= self.least_
        if self.task == "multiclass":
            return (given | possible) & (given != possible).any(axis=1, keepdims=True)
        return np.where(given, probabilities <= self.most_, possible)

    def at_error_rate(self, error_rate: float, scores: Floats, y: Labels) -> Self:
        """Return this decision with the bounds of another rate of error, from scores as `fit` saw."""
        other = type(self).from_state(self.state())
        other.error_rate = error_rate
        other.least_, other.most_ = other._bounds(other.probabilities(scores), y)
        return other

    def reported_thresholds(self) -> list[float | None]:
        """Return the threshold of each label, None where the most probable label is given."""
        if self.task == "multiclass":
            return [None] * len(self.thresholds_)
        return [float(threshold) for threshold in self.thresholds_]

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays for `from_state`."""
        arrays = {
            name: getattr(self, f"{name}_") for name in ("slope", "intercept", "thresholds", "least", "most")
        }
        return {"parameters": self.get_params(), "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted decision."""
        self = cls(**state["parameters"])
        for name, array in state["arrays"].items():
            setattr(self, f"{name}_", array)
        return self

    def _bounds(self, probabilities: Floats, y: Labels) -> tuple[Floats, Floats]:
        """Return `least_` and `most_`."""
        if self.error_rate is None:
            return np.zeros(y.shape[1]), np.ones(y.shape[1])
        pairs = [conformal(probabilities[:, k], y[:, k], self.error_rate) for k in range(y.shape[1])]
        least, most = np.array(pairs).T
        return least, most

    def _shift(self, y: Labels) -> Floats:
        """Move the intercepts to `prevalence`; return what each row then counts, of the shape of `y`."""
        if self.prevalence is None:
            return np.ones(y.shape)
        from scipy.special import logit

        wanted, known = np.asarray(self.prevalence, float), y.mean(axis=0)
        if wanted.shape != known.shape or not ((wanted > 0) & (wanted < 1)).all():
            raise ConfigError(
                f"decision.prevalence={self.prevalence}: must be a share between 0 and 1 a label"
            )
        known = np.clip(known, 0.5 / len(y), 1 - 0.5 / len(y))
        self.intercept_ = self.intercept_ + (self.slope_ > 0) * (logit(wanted) - logit(known))
        return np.where(y > 0, wanted / known, (1 - wanted) / (1 - known))

    def _threshold(self, probability: Floats, y: Labels, weights: Floats) -> float:
        order = np.argsort(-probability, kind="stable")
        ranked = probability[order]
        hits = np.cumsum((weights * y)[order])
        given = np.cumsum(weights[order])
        # Only a place between two different probabilities can be a threshold.
        cut = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        precision = hits[cut] / given[cut]
        if self.min_precision is None:
            weight, there = self.beta**2, hits[-1] or 1.0
            reached = (1 + weight) * hits[cut] / (given[cut] + weight * there)
            best = int(np.argmax(reached))
        else:
            reached = precision
            enough = np.flatnonzero(precision >= self.min_precision)
            best = int(enough[-1]) if len(enough) else int(np.argmax(precision))
        last = cut[best]
        if not y.any():
            return 1.0
        if reached[best] < LEAST_REACHED:
            return float(np.nextafter(ranked[0], 2.0))
        if last + 1 == len(ranked):
            return float(ranked[last])
        middle = (ranked[last] + ranked[last + 1]) / 2
        # Between neighbouring floats there is no middle, and it may be rounded down to the lower.
        return float(middle if middle > ranked[last + 1] else ranked[last])


def conformal(probability: Floats, y: Labels, error_rate: float) -> tuple[float, float]:
    """Return the least probability of sentences with a label, and the most of those without it.

    Each bound is passed by at most `error_rate` of new sentences of its kind, if they are drawn like
    these: the rank of a new one among n + 1 is uniform. Too few sentences give bounds that none passes.
    """
    with_label, without = np.sort(probability[y > 0]), np.sort(probability[y == 0])[::-1]
    least, most = 0.0, 1.0
    if rank := int(error_rate * (len(with_label) + 1)):
        least = float(with_label[rank - 1])
    if rank := int(error_rate * (len(without) + 1)):
        most = float(without[rank - 1])
    return least, most


def prevalence(probabilities: Floats, known: Floats, *, tolerance: float = 1e-6) -> Floats:
    """Return the share of each label among unlabelled sentences, by expectation maximisation.

    Parameters
    ----------
    probabilities : ndarray of shape (n_sentences, n_labels)
        Calibrated where the labels have the shares `known`.
    known : ndarray of shape (n_labels,)

    References
    ----------
    Saerens, Latinne & Decaestecker (2002). Adjusting the outputs of a classifier to new a priori
    probabilities: a simple procedure.
    """
    from scipy.special import expit, logit

    share = known = np.clip(known, 1e-6, 1 - 1e-6)
    odds = logit(np.clip(probabilities, 1e-9, 1 - 1e-9)) - logit(known)
    for _ in range(10_000):
        following = np.clip(expit(odds + logit(share)).mean(axis=0), 1e-6, 1 - 1e-6)
        if np.abs(following - share).max() < tolerance:
            break
        share = following
    return following


def platt(scores: Floats, y: Labels) -> tuple[float, float]:
    """Return slope and intercept of the sigmoid that best maps `scores` to P(y = 1).

    Never decreasing: a score that ranks against its label is flattened, not turned round.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, logit

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

    One slope for all classes, never so small that scores stop counting: of a few texts they may rank
    no better than chance. Intercepts are drawn to 0, the more the fewer the texts. Of more than four
    million scores (2,000 classes of 2,000 texts) as many are drawn.
    """
    from scipy.optimize import minimize
    from scipy.special import softmax

    if len(scores) * scores.shape[1] > CELLS:
        chosen = np.random.default_rng(0).permutation(len(scores))[: max(CELLS // scores.shape[1], 1)]
        scores, y = scores[np.sort(chosen)], y[np.sort(chosen)]
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

    bounds = [(FLATTEST, 100), *[(None, None)] * k]
    start = np.concatenate([[1.0], np.zeros(k)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.full(k, found[0] / scale), found[1:]
