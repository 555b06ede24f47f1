"""Fitted classifiers as plain structure and arrays, and back: what a bundle stores.

A fitted scikit-learn pipeline becomes a tree of nodes, each `{"class", "parameters", "parts"}` with
its arrays under its path. Only classes named here are ever built from a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.models.linear import Chain, Concatenation, linear_head
from pipeline.schema import InputError

Arrays = dict[str, NDArray[Any]]

# Name in a bundle: module. Nothing else is ever imported for a bundle.
CLASSES = {
    "ArrowTfidf": "pipeline.models.arrow_tfidf",
    "Blend": "pipeline.models.blend",
    "CharTfidf": "pipeline.models.chars",
    "Chain": "pipeline.models.linear",
    "Concatenation": "pipeline.models.linear",
    "Convolution": "pipeline.models.convolution",
    "CueRules": "pipeline.models.cues",
    "Cues": "pipeline.models.cues",
    "Decision": "pipeline.models.decision",
    "Encoder": "pipeline.models.encoder",
    "FineTuned": "pipeline.models.finetuned",
    "LinearHead": "pipeline.models.linear",
    "NBSVM": "pipeline.models.nbsvm",
    "SkopsPart": "pipeline.models.skops_part",
    "Stack": "pipeline.models.stack",
    "Static": "pipeline.models.static",
}


def portable(estimator: Any) -> Any:
    """Return an object that scores as a fitted estimator does and has `state` and `from_state`.

    Scikit-learn pipelines, unions and one-versus-rest linear heads become parts of our own; any
    other scikit-learn estimator is carried by skops.
    """
    if type(estimator).__name__ in CLASSES:
        return estimator
    name = type(estimator).__name__
    if name == "Distilled":
        return estimator.student_
    if name in ("WithWeak", "Augmented"):  # what it was trained on is no part of what scores
        return portable(estimator.estimator_)
    if name == "Adaptive":
        return estimator.model_
    if name == "Pipeline":
        return Chain([portable(step) for _, step in estimator.steps])
    if name == "FeatureUnion":
        weights = estimator.transformer_weights or {}
        parts = [(portable(part), weights.get(key, 1.0)) for key, part in estimator.transformer_list]
        return Concatenation([part for part, _ in parts], [weight for _, weight in parts])
    if (head := linear_head(estimator)) is not None:
        return head
    from pipeline.models.skops_part import SkopsPart

    return SkopsPart(estimator)


def requirements(part: Any) -> set[str]:
    """Return the packages that a portable object and its parts need besides the usual ones."""
    own = set(getattr(part, "requirements", ()))
    return own.union(*(requirements(inner) for inner in getattr(part, "parts", ())))


def truncated(part: Any, texts: Sequence[str]) -> int | None:
    """Return how many texts the encoder in a portable object cuts, None where there is no encoder in it."""
    found = [truncated(inner, texts) for inner in getattr(part, "parts", ())]
    if cut := getattr(getattr(part, "model_", None), "cut", None):
        found.append(cut(texts))
    return max((n for n in found if n is not None), default=None)


def dismantle(part: Any, path: str = "model") -> tuple[dict[str, Any], Arrays]:
    """Return the structure (JSON-able) and the arrays of a portable object."""
    state = part.state()
    arrays = {f"{path}/{name}": np.ascontiguousarray(array) for name, array in state["arrays"].items()}
    parts = []
    for i, inner in enumerate(state.get("parts", [])):
        structure, inner_arrays = dismantle(inner, f"{path}/{i}")
        parts.append(structure)
        arrays |= inner_arrays
    return {"class": type(part).__name__, "parameters": state["parameters"], "parts": parts}, arrays


def assemble(structure: dict[str, Any], arrays: Arrays, path: str = "model") -> Any:
    """Rebuild what `dismantle` took apart.

    Raises
    ------
    InputError
        Where the structure names a class that is not on the list.
    """
    name = structure.get("class")
    if name not in CLASSES:
        raise InputError(f"class {name!r} is not one that a bundle may hold")
    parts = [assemble(inner, arrays, f"{path}/{i}") for i, inner in enumerate(structure["parts"])]
    own = {
        key.removeprefix(f"{path}/"): array for key, array in arrays.items() if key.rpartition("/")[0] == path
    }
    state = {"parameters": structure["parameters"], "arrays": own, "parts": parts}
    return getattr(import_module(CLASSES[name]), name).from_state(state)
