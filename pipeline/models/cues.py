"""Cue groups: hand-written patterns per label, as features and as a classifier of their own.

Patterns are RE2's, matched by Arrow in C++: none can take more than linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.base import Estimator, Transformer, check_fitted
from pipeline.models.cue_screen import Screen
from pipeline.models.tokens import Ints, as_texts, plain, utf8
from pipeline.schema import ConfigError, nearest

Floats = NDArray[np.float64]

_REFERENCE = re.compile(r"<([a-z_]+)>")
_UPPER = re.compile(r"(?:^|[^\\])(?:\\\\)*[A-Z]")
_BLOCK = 4096  # texts screened at once
_WORTH_SCREENING = 500  # texts; for fewer, preparing the screen takes longer than it saves
_OFTEN = 8  # times that few texts were asked about, as by a server: then it is worth while, too
_LONGEST = 50_000  # characters of a pattern, words written out
_KEYS = {"name", "weight", "patterns"}


@dataclass(frozen=True, slots=True)
class Group:
    """A compiled cue group: patterns without references."""

    label: str
    name: str
    weight: float
    patterns: tuple[str, ...]

    @property
    def regex(self) -> str:
        """The patterns between flanks that make them match whole words only."""
        return f"(?:^|[^0-9a-z]){self.regex_here.removeprefix('^')}"

    @property
    def regex_here(self) -> str:
        """The same, for a text that they must begin."""
        return f"^(?:{'|'.join(self.patterns)})(?:[^0-9a-z]|$)"


class Cues(Transformer):
    r"""Turn texts into indicators: which cue groups match.

    Parameters
    ----------
    cues : mapping or path
        `{"words": {name: [pattern]}, "labels": {label: [{"name", "weight", "patterns"}]}}`, or a
        YAML file of it, such as conf/cues/news.yaml. In a pattern, `<name>` stands for those words.

    Attributes
    ----------
    cues_ : dict
        The mapping, whether given or read.
    groups_ : list of Group
        In column order: label by label, as written.

    Notes
    -----
    Texts are lower-cased and their quotes straightened before matching, and a pattern matches where
    neither an ASCII letter nor a digit touches it, so patterns need neither `(?i)` nor `\b`. Line
    breaks within a pattern count for nothing.
    """

    def __init__(self, cues: Mapping[str, Any] | str | Path) -> None:
        self.cues = cues

    def fit(self, X: object = None, y: object = None) -> Self:  # noqa: N803
        """Check and compile the cues; the texts are not looked at."""
        self.cues_ = read_cues(self.cues)
        self.groups_ = compile_cues(self.cues_)
        self.__dict__.pop("_screen", None)
        self._asked = 0
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:  # noqa: N803
        """Return the 0/1 matrix of shape (n_texts, n_groups)."""
        check_fitted(self, "groups_")
        texts = as_texts(X)
        self._asked += 1
        ready = "_screen" in self.__dict__ or len(texts) >= _WORTH_SCREENING or self._asked > _OFTEN
        found = self._screened(texts, self._screen) if ready else self._tried(texts)
        indptr = np.concatenate([[0], np.cumsum([len(rows) for rows in found])])
        rows = np.concatenate([*found, np.zeros(0, np.int64)])
        shape = (len(texts), len(self.groups_))
        return sparse.csc_matrix((np.ones(len(rows)), rows, indptr), shape=shape).tocsr()

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return "label/name" of each group, in column order."""
        check_fitted(self, "groups_")
        return np.array([f"{group.label}/{group.name}" for group in self.groups_], dtype=object)

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs: the cues themselves, never a path to them."""
        check_fitted(self, "cues_")
        return {"parameters": {"cues": self.cues_}, "arrays": {}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted transformer."""
        return cls(**state["parameters"]).fit()

    def _tried(self, texts: Sequence[str]) -> list[Ints]:
        """Return the texts that each group matches, by trying all on all."""
        piece = [(np.arange(len(texts)), plain(texts))]
        return [_matches(piece, group.regex) for group in self.groups_]

    def _screened(self, texts: Sequence[str], screen: Screen) -> list[Ints]:
        """Return the texts that each group matches, by trying what may match."""
        anywhere: list[list[Any]] = [[] for _ in self.groups_]
        here: list[list[Any]] = [[] for _ in self.groups_]
        for begin in range(0, len(texts), _BLOCK):
            lines = plain(texts[begin : begin + _BLOCK])
            for j, (rows, owners, ends) in enumerate(screen.places(lines)):
                if len(rows):
                    anywhere[j].append((rows + begin, lines.take(pa.array(rows))))
                if len(owners):
                    here[j].append((owners + begin, ends))
        found = []
        for j, group in enumerate(self.groups_):
            hit = np.zeros(len(texts), bool)
            hit[_matches(anywhere[j], group.regex)] = True
            hit[_matches(here[j], group.regex_here)] = True
            found.append(np.flatnonzero(hit))
        return found

    @cached_property
    def _screen(self) -> Screen:
        return _screen(tuple(group.patterns for group in self.groups_))


class CueRules(Estimator):
    """Score each label by the weights of its cue groups; nothing is learnt.

    Parameters
    ----------
    cues : mapping or path
        As for `Cues`; each label's groups carry the weights.
    labels : sequence of str, optional
        The labels to score, in order; by default those of the cues, as written.

    Attributes
    ----------
    cues_ : Cues
        Fitted.
    weights_ : ndarray of shape (n_groups, n_labels)
    """

    def __init__(self, cues: Mapping[str, Any] | str | Path, *, labels: Sequence[str] | None = None) -> None:
        self.cues = cues
        self.labels = labels

    def fit(self, X: object = None, y: Any = None) -> Self:  # noqa: N803
        """Check that the cues compile and fit the labels; the texts are not looked at."""
        cues = Cues(self.cues).fit()
        known = list(cues.cues_["labels"])
        names = known if self.labels is None else list(self.labels)
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(f"cues: no groups for label {unknown[0]!r}{nearest(unknown[0], known)}")
        if y is not None and np.shape(y)[1:] != (len(names),):
            raise ConfigError(f"cues: {len(names)} labels have groups, but the targets are {np.shape(y)}")
        self.weights_ = np.array([[g.weight * (g.label == name) for name in names] for g in cues.groups_])
        self.cues_ = cues
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels): summed weights less 0.5."""
        check_fitted(self, "cues_")
        return np.asarray(self.cues_.transform(X) @ self.weights_) - 0.5

    def predict(self, X: Sequence[str]) -> NDArray[np.int8]:  # noqa: N803
        """Return 0/1 labels of shape (n_texts, n_labels): scores above 0."""
        return (self.decision_function(X) > 0).astype(np.int8)

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs: the cues themselves, never a path to them."""
        check_fitted(self, "cues_")
        labels = None if self.labels is None else list(self.labels)
        return {"parameters": {"cues": self.cues_.cues_, "labels": labels}, "arrays": {}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted classifier."""
        return cls(**state["parameters"]).fit()


@lru_cache(maxsize=2)  # a cross-validation has the same in each fold
def _screen(patterns: tuple[tuple[str, ...], ...]) -> Screen:
    return Screen(patterns)


def _matches(pieces: list[tuple[Ints, pa.LargeStringArray]], regex: str) -> Ints:
    """Return the owners of the texts that match; one call, as each compiles the expression anew."""
    if not pieces:
        return np.zeros(0, np.int64)
    owners = np.concatenate([rows for rows, _ in pieces])
    texts = pa.chunked_array([texts for _, texts in pieces])
    return owners[pc.match_substring_regex(texts, regex).to_numpy()]


def read_cues(cues: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """Return the mapping of cues, read from YAML where a path is given."""
    if not isinstance(cues, Mapping):
        import yaml

        try:
            cues = yaml.safe_load(Path(cues).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"cues: cannot read them: {error}") from None
    if not isinstance(cues, Mapping) or not isinstance(cues.get("labels"), Mapping) or not cues["labels"]:
        raise ConfigError("cues: expected a mapping with `labels`, each a list of groups, and maybe `words`")
    return dict(cues)


def compile_cues(cues: Mapping[str, Any]) -> list[Group]:
    """Return the groups of a mapping of cues.

    Raises
    ------
    ConfigError
        Naming label, group and pattern.
    """
    words: dict[str, str] = {}
    for name, patterns in (cues.get("words") or {}).items():
        words[name] = "(?:" + "|".join(_expanded(f"words/{name}", patterns, words)) + ")"
    groups = [group for label, listed in cues["labels"].items() for group in _groups(label, listed, words)]
    seen: set[tuple[str, str]] = set()
    for group in groups:
        if (group.label, group.name) in seen:
            raise ConfigError(f"cues: {group.label}/{group.name}: two groups of this name; rename one")
        seen.add((group.label, group.name))
    return groups


def _groups(label: str, listed: Any, words: Mapping[str, str]) -> Iterator[Group]:
    for i, group in enumerate(listed if isinstance(listed, Sequence) else [listed]):
        if not isinstance(group, Mapping) or set(group) != _KEYS or not isinstance(group["name"], str):
            raise ConfigError(f"cues: {label}: group {i + 1}: expected name, weight and patterns")
        where = f"{label}/{group['name']}"
        if isinstance(group["weight"], bool) or not isinstance(group["weight"], int | float):
            raise ConfigError(f"cues: {where}: weight {group['weight']!r} is not a number")
        patterns = _expanded(where, group["patterns"], words)
        compiled = Group(label, group["name"], float(group["weight"]), tuple(patterns))
        if problem := _problem(compiled):
            for pattern, written in zip(patterns, group["patterns"], strict=True):
                if reason := _problem(Group(label, group["name"], 0.0, (pattern,))):
                    raise ConfigError(f"cues: {where}: pattern {written!r}: {reason}")
            raise ConfigError(f"cues: {where}: each pattern is sound but not all in one, split it: {problem}")
        yield compiled


def _expanded(where: str, patterns: Any, words: Mapping[str, str]) -> list[str]:
    """Return patterns with `<word>` written out."""
    if not isinstance(patterns, Sequence) or isinstance(patterns, str) or not patterns:
        raise ConfigError(f"cues: {where}: expected a list of patterns")
    expanded = []
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ConfigError(f"cues: {where}: pattern {pattern!r} is not text; put it in quotes")
        if _UPPER.search(pattern):
            problem = "texts are lower-cased, so a capital never matches"
            raise ConfigError(f"cues: {where}: pattern {pattern!r}: {problem}")
        if unknown := [name for name in _REFERENCE.findall(pattern) if name not in words]:
            hint = nearest(unknown[0], list(words))
            raise ConfigError(f"cues: {where}: pattern {pattern!r}: unknown <{unknown[0]}>{hint}")
        long = len(pattern) + sum(len(words[name]) for name in _REFERENCE.findall(pattern))
        if long > _LONGEST:
            raise ConfigError(
                f"cues: {where}: pattern {pattern!r}: {long:,} characters with its words written out, at "
                f"most {_LONGEST:,}; name fewer words, or words of words"
            )
        expanded.append(_REFERENCE.sub(lambda match: words[match[1]], pattern.replace("\n", "")))
    return expanded


def _problem(group: Group) -> str | None:
    """Return what is wrong with a group's regular expression."""
    try:
        hit = pc.match_substring_regex(utf8([""]), group.regex)
    except (pa.ArrowInvalid, UnicodeEncodeError) as error:
        return str(error)
    return "matches the empty text, so every sentence; look for a stray |" if hit[0].as_py() else None
