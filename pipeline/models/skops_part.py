"""Any other scikit-learn estimator, carried by skops."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from pipeline.models.training import scores
from pipeline.schema import ConfigError, InputError

# skops trusts most of scikit-learn by itself; these are safe too, and the loader's list decides.
TRUSTED = [
    "sklearn.calibration.CalibratedClassifierCV",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
]


def _has(*names: str) -> Any:
    return available_if(lambda self: any(hasattr(self.estimator, name) for name in names))


class SkopsPart(BaseEstimator):
    """A fitted scikit-learn transformer or classifier.

    Parameters
    ----------
    estimator : estimator
        Built of scikit-learn's own classes only, and of those that skops can load safely: no trees
        and no kernels over sparse features.
    """

    requirements = ("skops", "scikit-learn")

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @_has("transform")
    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the estimator's features."""
        return self.estimator.transform(X)

    @_has("decision_function", "predict_proba")
    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the estimator's scores, or the logits of its probabilities."""
        return scores(self.estimator, X)

    def state(self) -> dict[str, Any]:
        """Return the skops file as an array of bytes, the same for the same estimator.

        Raises
        ------
        ConfigError
            Where the file could not be loaded again.
        """
        import skops.io

        data = skops.io.dumps(self.estimator)
        if unsafe := sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED)):
            raise ConfigError(
                f"model: {type(self.estimator).__name__} cannot be exported, a bundle must not hold "
                f"{unsafe[0]}; choose a linear classifier"
            )
        return {"parameters": {}, "arrays": {"skops": np.frombuffer(_reproducible(data), np.uint8)}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Load the estimator; skops refuses any type outside scikit-learn."""
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException

        try:
            return cls(skops.io.loads(state["arrays"]["skops"].tobytes(), trusted=TRUSTED))
        except UntrustedTypesFoundException as error:
            raise InputError(str(error).split("\n")[0]) from None


def _reproducible(data: bytes) -> bytes:
    """Return a skops file without dates, its objects numbered in order instead of by memory address."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files.pop("schema.json"))
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}

    def renumber(node: Any) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            renumber(value)
        if not isinstance(node, dict):
            return
        if isinstance(number := node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(number, len(numbers) + 1)
        if isinstance(name := node.get("file"), str) and name in files:
            node["file"] = names.setdefault(name, f"{len(names)}.{name.rpartition('.')[2]}")

    renumber(schema)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for old, new in names.items():
            archive.writestr(zipfile.ZipInfo(new), files[old])
        archive.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return buffer.getvalue()
