"""Any other scikit-learn estimator, carried by skops."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import BaseEstimator

# skops trusts most of scikit-learn by itself; these are safe too, and the loader's list decides.
TRUSTED = ["sklearn.calibration.CalibratedClassifierCV", "sklearn.calibration._CalibratedClassifier"]


class SkopsPart(BaseEstimator):
    """A fitted scikit-learn transformer or classifier.

    Parameters
    ----------
    estimator : estimator
        Built of scikit-learn's own classes only.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the estimator's features."""
        return self.estimator.transform(X)

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the estimator's scores, or the logits of its probabilities."""
        if hasattr(self.estimator, "decision_function"):
            return np.asarray(self.estimator.decision_function(X))
        return logit(np.clip(self.estimator.predict_proba(X), 1e-6, 1 - 1e-6))

    def state(self) -> dict[str, Any]:
        """Return the skops file as an array of bytes."""
        import skops.io

        return {
            "parameters": {},
            "arrays": {"skops": np.frombuffer(skops.io.dumps(self.estimator), np.uint8)},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Load the estimator; skops refuses any type outside scikit-learn."""
        import skops.io

        return cls(skops.io.loads(state["arrays"]["skops"].tobytes(), trusted=TRUSTED))
