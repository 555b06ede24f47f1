"""Label sets as configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import ConfigError, InputError, LabelSet, nearest

TASKS = ("multilabel", "multiclass")
KEYS = ("names", "definitions", "examples", "task")


def label_set(config: Mapping[str, Any]) -> LabelSet:
    """Return the label set that a mapping like `conf/labels/news.yaml` describes.

    Raises
    ------
    ConfigError
        For a missing or unknown key or value.
    """
    if unknown := sorted(set(config) - set(KEYS)):
        raise ConfigError(f"labels.{unknown[0]}: unknown key{nearest(str(unknown[0]), KEYS)}")
    if not (names := config.get("names")):
        raise ConfigError("labels.names: at least one label is needed")
    task: Any = config.get("task") or "multilabel"
    if task not in TASKS:
        raise ConfigError(f"labels.task={task}: must be one of {', '.join(TASKS)}")
    examples: dict[str, tuple[str, ...]] = {}
    for name, given in (config.get("examples") or {}).items():
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ConfigError(f"labels.examples.{name}: expected a list of sentences")
        examples[name] = tuple(map(str, given))
    return LabelSet(tuple(map(str, names)), dict(config.get("definitions") or {}), task, examples)


def indicator(rows: Sequence[Sequence[str]], labels: LabelSet) -> NDArray[np.int8]:
    """Return lists of label names as 0/1, shape (n_rows, n_labels).

    Raises
    ------
    InputError
        For an unknown name, or where the task is "multiclass" and a row has not exactly one.
    """
    y = np.zeros((len(rows), len(labels.names)), np.int8)
    column = {name: k for k, name in enumerate(labels.names)}
    for row, names in enumerate(rows):
        for name in names:
            try:
                y[row, column[name] if name in column else labels.index(name)] = 1
            except InputError as error:
                raise InputError(f"row {row + 1}: {error}") from None
        if labels.task == "multiclass" and y[row].sum() != 1:
            found = ", ".join(names) or "none"
            raise InputError(f"row {row + 1}: task multiclass needs exactly one label, got {found}")
    return y
