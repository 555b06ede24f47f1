"""The ground floor: records, label sets, and the errors a user sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import pyarrow as pa

Task = Literal["multilabel", "multiclass"]
Kind = Literal["headline", "body"]

FINGERPRINT = b"pipeline.inputs"  # key in a table's metadata: a digest of what it was made from

SENTENCES = pa.schema(
    [
        ("article", pa.string()),
        ("sentence", pa.int32()),
        ("kind", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
    ]
)


class PipelineError(Exception):
    """Something the user can mend; the message is one line that says what, where and how.

    Stages print it without a traceback and end with exit status 2.
    """


class InputError(PipelineError):
    """A file, row or field that cannot be used."""


class ConfigError(PipelineError):
    """A setting, or a combination of settings, that cannot be used."""


@dataclass(frozen=True, slots=True)
class Article:
    """An article as read.

    Attributes
    ----------
    id : str
        Unique within one input.
    text : str
        The page's text; sentence offsets count its characters. Where the input has a title of
        its own, the title is the first line.
    meta : dict
        Other columns of the input row (topic, source, date, ...).
    """

    id: str
    text: str
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an article.

    Attributes
    ----------
    article : str
        Id of the article.
    sentence : int
        Position among the kept sentences of the article, from 0.
    kind : {"headline", "body"}
    start, end : int
        Half-open character offsets into the article's text as read.
    text : str
        The cleaned sentence.
    """

    article: str
    sentence: int
    kind: Kind
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Names, order and meaning of the labels of a task.

    Attributes
    ----------
    names : tuple of str
        In the order used for every matrix of scores.
    definitions : dict of str to str
        One for each name; may be empty where the labels came from a table.
    task : {"multilabel", "multiclass"}
    examples : dict of str to tuple of str
        Sentences that carry the label, for annotators; may be empty.
    """

    names: tuple[str, ...]
    definitions: dict[str, str] = field(default_factory=dict)
    task: Task = "multilabel"
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ConfigError(f"labels: names must differ, got {', '.join(self.names)}")
        if odd := next((name for name in self.names if not name.isprintable()), None):
            raise ConfigError(f"labels: {odd!r} has a control character; rename it")
        for what, given in (("definition", self.definitions), ("examples", self.examples)):
            if unknown := sorted(set(given) - set(self.names)):
                raise ConfigError(f"labels: {what} of unknown label {unknown[0]!r}")

    def index(self, name: str) -> int:
        """Return the column of `name`; raises InputError naming the nearest label."""
        try:
            return self.names.index(name)
        except ValueError:
            raise InputError(f"unknown label {name!r}{nearest(name, self.names)}") from None


def nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """Return a hint such as "; did you mean 'denial'?", or the choices when nothing is near."""
    from difflib import get_close_matches

    if close := get_close_matches(word, known, n=1, cutoff=0.6):
        return f"; did you mean {close[0]!r}?"
    shown = (name if name.isprintable() else repr(name) for name in known)
    return f"; known: {', '.join(shown)}" if known else ""


def need(what: str, extra: str, *packages: str) -> None:
    """Raise ConfigError naming the extra to install where a package is missing."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise ConfigError(f"{what} needs the package {missing[0]}: make extra-{extra}")
