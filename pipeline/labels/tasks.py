"""A sentence on its way to an annotation tool, and what the tools' files have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.labels.annotations import KINDS, Annotation, annotation
from pipeline.labels.values import label_names
from pipeline.schema import Article, InputError

Row = dict[str, Any]
#: A row of a tool's file with its place, for messages.
Placed = tuple[str, Row]
PLACE = ("article", "start", "end", "kind", "text")
VOTES = "votes"


@dataclass(frozen=True, slots=True)
class Task:
    """A sentence to be labelled.

    Attributes
    ----------
    article, start, end, kind, text
        As in `schema.Sentence`.
    before, after : str
        The neighbouring sentences, to resolve a pronoun by.
    suggested : tuple of str, optional
        Labels that a classifier would give.
    votes : tuple of Annotation
        What annotators have said before; carried along, so that the way back loses nothing.
    """

    article: str
    start: int
    end: int
    kind: str
    text: str
    before: str = ""
    after: str = ""
    suggested: tuple[str, ...] | None = None
    votes: tuple[Annotation, ...] = ()

    def place(self) -> Row:
        """Return where the sentence stands, and its text."""
        return {name: getattr(self, name) for name in PLACE}

    def carried(self) -> Row:
        """Return the place and earlier votes as a row that a tool keeps as it is."""
        row = self.place()
        if self.votes:
            row[VOTES] = [{k: v for k, v in vote.row().items() if k not in row} for vote in self.votes]
        return row


def task_of(article: Article, where: str) -> Task:
    """Return a row of a table, read as an article, as the sentence it holds.

    It is an article of its own unless it has the columns `article`, `start` and `end`. Its columns
    `before` and `after` are its neighbours, its `labels` what a classifier suggests.
    """
    meta = article.meta
    place = (article.id, 0, len(article.text))
    if {"article", "start", "end"} <= meta.keys():
        try:
            place = (str(meta["article"]), int(meta["start"]), int(meta["end"]))
        except (TypeError, ValueError):
            raise InputError(f"{where}: row {article.id!r}: 'start' and 'end' must be numbers") from None
    labels = label_names(meta["labels"]) if meta.get("labels") is not None else None
    return Task(
        *place,
        meta["kind"] if meta.get("kind") in KINDS else "body",
        article.text,
        str(meta.get("before") or ""),
        str(meta.get("after") or ""),
        suggested=None if labels is None else tuple(labels),
    )


@dataclass(frozen=True, slots=True)
class Names:
    """Who annotated, where the file does not say or says it in numbers.

    Attributes
    ----------
    default : str
        For rows that name nobody.
    known : mapping of str to str
        Names for the tool's own (an e-mail address, a user's number).
    """

    default: str = ""
    known: Mapping[str, str] = field(default_factory=dict)

    def of(self, given: object) -> str:
        """Return the name to record for what the tool says; raises InputError where there is none."""
        found = "" if given is None else str(given).strip()
        if name := self.known.get(found, found) or self.default:
            return name
        raise InputError("nobody is named as the annotator; set annotator=NAME")


def vote(where: str, carried: Mapping[str, Any], given: Mapping[str, Any]) -> Annotation:
    """Return the annotation made of a task's place and what a tool says; checks both."""
    row = {name: carried[name] for name in PLACE if name in carried}
    return annotation(row | {name: value for name, value in given.items() if value is not None}, where)


def earlier(where: str, carried: Mapping[str, Any]) -> Iterator[Annotation]:
    """Yield the votes that a task carried along."""
    votes = carried.get(VOTES) or []
    if not isinstance(votes, list):
        raise InputError(f"{where}: field {VOTES!r}: expected a list")
    place = {name: carried[name] for name in PLACE if name in carried}
    for one in votes:
        yield annotation(place | one if isinstance(one, dict) else one, where)


def strings(value: object, where: str, name: str) -> list[str]:
    """Return one string or a list of them as a list."""
    if value is None or value == "":
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InputError(f"{where}: field {name!r}: expected names, got {value!r}")
    return found


def iso(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, to the second unless there is a fraction."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def merge(old: Iterable[Annotation], new: Iterable[Annotation]) -> tuple[list[Annotation], dict[str, int]]:
    """Return the annotations of both, one for each sentence and annotator, and what was new.

    A later file replaces what the same annotator said of the same sentence, unless its time says that
    it is older. The counts are of `added`, `changed` and `unchanged`.
    """
    kept = {_key(one): one for one in old}
    counts = dict.fromkeys(("added", "changed", "unchanged"), 0)
    for one in new:
        before = kept.get(_key(one))
        if before is None:
            counts["added"] += 1
        elif before.row() == one.row() or (one.time and before.time and one.time < before.time):
            counts["unchanged"] += 1
            continue
        else:
            counts["changed"] += 1
        kept[_key(one)] = one
    return list(kept.values()), counts


def _key(one: Annotation) -> tuple[str, int, int, str]:
    return one.article, one.start, one.end, one.annotator
