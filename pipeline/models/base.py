"""scikit-learn's contract without its import, which takes longer than labelling an article."""

from __future__ import annotations

import inspect
import reprlib
from typing import Any, Self


class Estimator:
    """Parameters as scikit-learn's `BaseEstimator` has them: `clone`, pipelines and searches work."""

    @classmethod
    def _names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters given on construction."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters; raises ValueError for one that there is not."""
        for name, value in parameters.items():
            if name not in self._names():
                raise ValueError(f"Invalid parameter {name!r} for {self}; valid: {self._names()}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({shown})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=False, string=True),
        )


class Transformer(Estimator):
    """An estimator with `fit` and `transform`."""

    def fit_transform(self, X: Any, y: object = None) -> Any:  # noqa: N803
        """Fit, then return the features of the same texts."""
        return self.fit(X, y).transform(X)  # type: ignore[attr-defined]

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        return tags


def check_fitted(estimator: Any, attribute: str) -> None:
    """Raise scikit-learn's NotFittedError unless the estimator has what `fit` sets."""
    if not hasattr(estimator, attribute):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet: call `fit` first.")
