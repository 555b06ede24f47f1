"""Labelling functions: each votes for a label, against it, or abstains, sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.models.cues import Cues, compile_cues, read_cues
from pipeline.schema import ConfigError, InputError

Votes = NDArray[np.int8]
SIDES = {"for": 1, "against": -1}
_CHUNK = 8192


class LabellingFunction(Protocol):
    """What `conf/functions/*.yaml` lists: named columns of votes.

    `columns()` gives (name, label) of each; `votes(texts)` an array of shape (n_texts, n_columns) with
    1 for, -1 against and 0 where the function abstains.
    """

    def columns(self) -> list[tuple[str, str]]: ...  # noqa: D102

    def votes(self, texts: Sequence[str]) -> Votes: ...  # noqa: D102


class Patterns:
    """Cue groups as functions: one for each group, for its label where the weight is above 0.

    Parameters
    ----------
    cues : mapping or path
        As for `pipeline.models.cues.Cues`; patterns are RE2's, matched in C++.
    least : float, default=0.5
        Groups of less weight than this, either way, are hints and no rules: they have no vote.
    """

    def __init__(self, cues: Mapping[str, Any] | str | Path, *, least: float = 0.5) -> None:
        strong = read_cues(cues)
        compile_cues(strong)
        strong["labels"] = {
            label: [group for group in groups if abs(group["weight"]) >= least]
            for label, groups in strong["labels"].items()
        }
        self._cues = Cues(strong).fit()

    def columns(self) -> list[tuple[str, str]]:
        """Return name and label of each group."""
        return [(group.name, group.label) for group in self._cues.groups_]

    def votes(self, texts: Sequence[str]) -> Votes:
        """Return votes of shape (n_texts, n_groups); Arrow leaves Python free, so all cores match."""
        chunks = [texts[begin : begin + _CHUNK] for begin in range(0, len(texts), _CHUNK)]
        with ThreadPoolExecutor() as pool:
            return np.vstack([np.zeros((0, len(self.columns())), np.int8), *pool.map(self._votes, chunks)])

    def _votes(self, texts: Sequence[str]) -> Votes:
        found = self._cues.transform(texts).tocsc()
        votes = np.zeros(found.shape, np.int8)
        for j, group in enumerate(self._cues.groups_):
            votes[found.indices[found.indptr[j] : found.indptr[j + 1]], j] = np.sign(group.weight)
        return votes


class Lexicon:
    """A list of words and phrases: votes where one of them stands in the sentence.

    Parameters
    ----------
    name, label : str
    words : sequence of str or path
        Or a text file with one a line. Capitals and lower case are the same.
    vote : {"for", "against"}, default="for"
    """

    def __init__(
        self, name: str, label: str, words: Sequence[str] | str | Path, *, vote: str = "for"
    ) -> None:
        if isinstance(words, str | Path):
            try:
                words = Path(words).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"functions.{name}: words: cannot read them: {error}") from None
        phrases = [re.escape(word.strip().lower()) for word in map(str, words) if word.strip()]
        group = {"name": name, "weight": _side(name, vote), "patterns": phrases}
        self._patterns = Patterns({"labels": {label: [group]}})
        self._columns = [(name, label)]

    def columns(self) -> list[tuple[str, str]]:
        """Return name and label."""
        return self._columns

    def votes(self, texts: Sequence[str]) -> Votes:
        """Return votes of shape (n_texts, 1)."""
        return self._patterns.votes(texts)


class PythonFunction:
    """Any Python function from a sentence to 1 (for), -1 (against) or 0.

    Parameters
    ----------
    name, label : str
    function : callable
        In YAML: `{_target_: my.module.function, _partial_: true}`, with further arguments beside them, and
        PIPELINE_TRUSTED=my.module in the environment.
    """

    def __init__(self, name: str, label: str, function: Callable[[str], int]) -> None:
        self.name, self.label, self._function = name, label, function

    def columns(self) -> list[tuple[str, str]]:
        """Return name and label."""
        return [(self.name, self.label)]

    def votes(self, texts: Sequence[str]) -> Votes:
        """Return votes of shape (n_texts, 1)."""
        found = [self._function(text) for text in texts]
        for text, vote in zip(texts, found, strict=True):
            if vote not in (1, 0, -1):
                raise InputError(f"function {self.name!r}: {vote!r} for {text[:40]!r}; must be 1, 0 or -1")
        return np.array(found, np.int8).reshape(-1, 1)


class Classifier:
    """A trained classifier as functions: for a label where it is sure, against it where it is sure of not.

    Parameters
    ----------
    name : str
    bundle : Bundle
        In YAML: `{_target_: pipeline.bundle.load, folder: models/latest}`.
    sure, sure_not : float
        Votes for at this probability or more, against at this or less.
    """

    def __init__(self, name: str, bundle: Any, *, sure: float = 0.8, sure_not: float = 0.05) -> None:
        if not 0 <= sure_not < sure <= 1:
            raise ConfigError(f"functions.{name}: sure_not={sure_not} must be below sure={sure}, both in 0-1")
        self.name, self._bundle, self._sure, self._not = name, bundle, sure, sure_not

    def columns(self) -> list[tuple[str, str]]:
        """Return the name with each label of the classifier."""
        return [(self.name, label) for label in self._bundle.labels.names]

    def votes(self, texts: Sequence[str]) -> Votes:
        """Return votes of shape (n_texts, n_labels)."""
        p = self._bundle.probabilities(list(texts))
        return (p >= self._sure).astype(np.int8) - (p <= self._not).astype(np.int8)


def _side(name: str, vote: str) -> int:
    if vote not in SIDES:
        raise ConfigError(f"functions.{name}: vote={vote}: must be for or against")
    return SIDES[vote]
