"""Training on gold labels together with the weighted labels that rules gave to more sentences."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.models.training import scores
from pipeline.schema import ConfigError

Floats = NDArray[np.float64]


class WithWeak(ClassifierMixin, BaseEstimator):
    """A classifier fitted on gold sentences and on weakly labelled ones, which count for less.

    Parameters
    ----------
    estimator : estimator
        Takes `sample_weight`, itself or in its last step, as those of scikit-learn mostly do.
    weak : path
        What `pipeline.weak` wrote: Parquet with `text`, `labels` and `weight`.
    labels : sequence of str
        In column order.
    ratio : float, default=0.3
        Weight of all weak sentences together, as a multiple of that of all gold sentences.

    Attributes
    ----------
    estimator_ : estimator
        Fitted: all that is kept in a bundle.

    Notes
    -----
    Weak sentences are added wherever the classifier is fitted, so that cross-validation judges it by gold
    sentences alone. Those that nearly repeat a gold one were left out by `pipeline.weak`.
    """

    def __init__(
        self, estimator: Any, weak: str | Path, labels: Sequence[str], *, ratio: float = 0.3
    ) -> None:
        self.estimator = estimator
        self.weak = weak
        self.labels = labels
        self.ratio = ratio

    def fit(self, X: Sequence[str], y: NDArray[np.int8]) -> Self:  # noqa: N803
        """Fit on texts and 0/1 labels of shape (n_texts, n_labels), and on the weak ones."""
        if not self.ratio > 0:
            raise ConfigError(
                f"ratio={self.ratio}: must be above 0; without weak labels use the model itself"
            )
        texts, given, weight = self._read()
        weight = weight * (self.ratio * len(y) / weight.sum())
        everything = [*X, *texts]
        self.estimator_ = fit_weighted(
            clone(self.estimator), everything, np.vstack([y, given]), np.r_[np.ones(len(y)), weight]
        )
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_is_fitted(self)
        return scores(self.estimator_, X)

    def _read(self) -> tuple[list[str], NDArray[np.int8], Floats]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(self.weak)
        if not path.is_file():
            raise ConfigError(
                f"weak={path}: no such file; write it with python -m pipeline.weak input=ARTICLES"
            )
        try:
            table = pq.read_table(path, columns=["text", "labels", "weight"])
        except (pa.ArrowException, KeyError) as error:
            raise ConfigError(f"weak={path}: {str(error).splitlines()[0]}; write it anew") from None
        rows = table["labels"].to_pylist()
        given = np.array([[name in row for name in self.labels] for row in rows], np.int8)
        weight = table["weight"].to_numpy().astype(np.float64)
        if not weight.sum() > 0:
            raise ConfigError(f"weak={path}: no sentence has a weight above 0")
        return table["text"].to_pylist(), given, weight


def fit_weighted(estimator: Any, texts: Sequence[str], y: NDArray[np.int8], weight: Floats) -> Any:
    """Fit an estimator, and whatever within it takes `sample_weight`, with weights.

    Raises
    ------
    ConfigError
        Where nothing in it takes weights.
    """
    parts = [estimator, *(part for part in estimator.get_params().values() if hasattr(part, "fit"))]
    with sklearn.config_context(enable_metadata_routing=True):
        weighed = _takes_weights(estimator)
        for part in parts:
            if _takes_weights(part) and hasattr(part, "set_fit_request"):
                part.set_fit_request(sample_weight=True)
                weighed = True
        if not weighed:
            raise ConfigError(
                f"{type(estimator).__name__} takes no sample_weight, so no weak labels; choose another "
                "classifier: model@model.gold=NAME"
            )
        return estimator.fit(texts, y, sample_weight=weight)


def _takes_weights(estimator: Any) -> bool:
    return "sample_weight" in signature(estimator.fit).parameters
