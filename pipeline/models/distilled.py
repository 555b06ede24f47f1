"""A fast classifier that learns from a strong one what unlabelled sentences say."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.models.blend import Blend
from pipeline.models.linear import Chain
from pipeline.models.onnx_export import cache
from pipeline.models.portable import dismantle, portable
from pipeline.models.soft_logistic import SoftLogistic
from pipeline.models.tokens import as_texts
from pipeline.models.training import scores
from pipeline.schema import ConfigError

Floats = NDArray[np.float64]
LOG = logging.getLogger(__name__)


class Distilled(BaseEstimator):
    """Train a teacher on labelled sentences, and a student on those and what the teacher says of others.

    Parameters
    ----------
    teacher : estimator
        Whose scores are log-odds: `pipeline.models.finetuned.FineTuned`, or any other.
    features : transformer
        Of the student; fitted on labelled and unlabelled texts, so that it knows the words of both.
    network : pipeline.models.convolution.Convolution, optional
        Learns beside them; its scores count half.
    unlabelled : sequence of str
        Sentences like those to be classified. `pipeline.train` reads them from `distill.articles`.
    weight : float, default=1.0
        What an unlabelled sentence counts beside a labelled one.
    C : float, default=1.0
        Inverse strength of the student's penalty.

    Attributes
    ----------
    student_ : Chain or Blend
        All that scores, and all that a bundle holds.

    References
    ----------
    Hinton, Vinyals & Dean (2015). Distilling the knowledge in a neural network.
    """

    all_cores = True

    def __init__(
        self,
        *,
        teacher: Any,
        features: Any,
        network: Any = None,
        unlabelled: Sequence[str] = (),
        weight: float = 1.0,
        C: float = 1.0,  # noqa: N803
    ) -> None:
        self.teacher = teacher
        self.features = features
        self.network = network
        self.unlabelled = unlabelled
        self.weight = weight
        self.C = C

    def fit(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Train on texts and 0/1 labels of shape (n_texts, n_labels)."""
        if not len(self.unlabelled):
            raise ConfigError("model distilled: no unlabelled sentences; give distill.articles=PATH")
        if self.weight <= 0:
            raise ConfigError(f"weight={self.weight}: must be above 0")
        texts, unlabelled = as_texts(X), as_texts(self.unlabelled)
        soft = expit(teacher_scores(clone(self.teacher).fit(texts, y), unlabelled))
        features = clone(self.features)
        both = features.fit_transform([*texts, *unlabelled])
        weights = np.repeat([1.0, self.weight], [len(texts), len(unlabelled)])
        targets = np.vstack([np.asarray(y, np.float64), soft])
        head = SoftLogistic(C=self.C).fit(both, targets, weights)
        self.student_: Chain | Blend = Chain([portable(features), head.head_])
        if self.network is not None:
            network = clone(self.network).fit([*texts, *unlabelled], targets, weights)
            self.student_ = Blend.of([self.student_, network], [1.0, 0.5])
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_is_fitted(self, "student_")
        return self.student_.decision_function(as_texts(X))


def teacher_scores(teacher: Any, texts: Sequence[str]) -> Floats:
    """Return a fitted classifier's scores, shape (n_texts, n_labels); kept, for it takes long.

    They are found again by the content of classifier and texts, in the user's cache.
    """
    structure, arrays = dismantle(portable(teacher))
    key = hashlib.sha256(json.dumps([structure, list(texts)], sort_keys=True).encode())
    for name in sorted(arrays):
        key.update(name.encode() + arrays[name].tobytes())
    path = cache() / "teacher" / f"{key.hexdigest()[:32]}.npy"
    if path.is_file():
        LOG.info("teacher's scores of %d sentences from %s", len(texts), path)
        return np.load(path, allow_pickle=False)
    found = scores(teacher, texts)
    _keep(path, found)
    return found


def _keep(path: Any, array: Floats) -> None:
    from pipeline.files import atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
