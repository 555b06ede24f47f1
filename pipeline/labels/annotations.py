"""Annotations: read, check against the articles they point into, and settle on labels."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.schema import Article, InputError, LabelSet

FIELDS: dict[str, type] = {"article": str, "start": int, "end": int, "text": str, "labels": list}
KINDS = ("headline", "body")
_JOINER = "\u200d"
_JOINERS = {_JOINER, "\ufe0e", "\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))}  # and variants, and skin tones


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's labels for one sentence of an article.

    Attributes
    ----------
    article : str
    start, end : int
        Half-open character offsets into the raw article.
    text : str
        The article's characters between them.
    labels : tuple of str
        Empty where the annotator found that none applies.
    annotator : str
    kind : {"headline", "body"}
    where : str
        File and line, for error messages.
    time : str
        When the labels were last changed, ISO 8601; empty where unknown.
    seconds : float, optional
        Time that the annotator spent on the sentence.
    notes : str
        What the annotator wrote beside the labels.
    """

    article: str
    start: int
    end: int
    text: str
    labels: tuple[str, ...]
    annotator: str
    kind: str
    where: str
    time: str = ""
    seconds: float | None = None
    notes: str = ""

    def row(self) -> dict[str, Any]:
        """Return the JSONL row that reads back as this annotation; what is not known is left out."""
        row = {"article": self.article, "start": self.start, "end": self.end, "kind": self.kind}
        row |= {"annotator": self.annotator, "labels": list(self.labels), "text": self.text}
        more = {"time": self.time, "seconds": self.seconds, "notes": self.notes}
        return row | {name: value for name, value in more.items() if value not in ("", None)}


def read_annotations(path: str | Path) -> Iterator[Annotation]:
    """Read a JSONL file of annotations.

    Raises
    ------
    InputError
        Naming file, line and field, for whatever is not an annotation.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; set corpus.annotations to a JSONL file of annotations")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: not JSON ({error}); mend or remove the line") from None
            yield annotation(row, where)


def annotation(row: object, where: str) -> Annotation:
    """Return the annotation that a row describes; raises InputError naming place and field."""
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object with {', '.join(FIELDS)}")
    for field, kind in FIELDS.items():
        if not isinstance(row.get(field), kind) or isinstance(row[field], bool):
            found = "missing" if field not in row else f"is {type(row[field]).__name__}"
            raise InputError(f"{where}: field {field!r} {found}, expected {kind.__name__}")
    if not all(isinstance(label, str) for label in row["labels"]):
        raise InputError(f"{where}: field 'labels' must hold strings")
    for field in ("annotator", "time", "notes"):
        if not isinstance(row.get(field, ""), str):
            raise InputError(f"{where}: field {field!r} is {type(row[field]).__name__}, expected str")
    kind, seconds = row.get("kind", "body"), row.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | None):
        raise InputError(f"{where}: field 'seconds' is {type(seconds).__name__}, expected a number")
    if kind not in KINDS:
        raise InputError(f"{where}: field 'kind' is {kind!r}, expected {' or '.join(KINDS)}")
    return Annotation(
        **{field: row[field] for field in FIELDS if field != "labels"},
        labels=tuple(row["labels"]),
        annotator=row.get("annotator", ""),
        kind=kind,
        where=where,
        time=row.get("time", ""),
        seconds=seconds,
        notes=row.get("notes", ""),
    )


def check(annotation: Annotation, articles: Mapping[str, Article], labels: LabelSet) -> None:
    """Raise InputError unless the annotation fits its article and the label set."""
    article = articles.get(annotation.article)
    if article is None:
        raise InputError(
            f"{annotation.where}: field 'article': no article {annotation.article!r} in the corpus; set "
            "corpus.articles to what the sentence was taken from"
        )
    if not 0 <= annotation.start < annotation.end <= len(article.text):
        raise InputError(
            f"{annotation.where}: fields 'start', 'end': {annotation.start}-{annotation.end} is outside "
            f"article {article.id!r} of {len(article.text)} characters"
        )
    if _cuts(article.text, annotation.start) or _cuts(article.text, annotation.end):
        raise InputError(
            f"{annotation.where}: fields 'start', 'end': {annotation.start}-{annotation.end} cuts a "
            f"character of article {article.id!r} from its accent or joiner; move the offset"
        )
    found = article.text[annotation.start : annotation.end]
    if found != annotation.text:
        raise InputError(
            f"{annotation.where}: field 'text': {annotation.text[:40]!r} is not what article {article.id!r} "
            f"has at {annotation.start}-{annotation.end}: {found[:40]!r}; was the article edited?"
        )
    if labels.task == "multiclass" and len(annotation.labels) > 1:
        raise InputError(
            f"{annotation.where}: field 'labels': {', '.join(annotation.labels)}: task multiclass takes one "
            "label a sentence; keep one"
        )
    for label in annotation.labels:
        try:
            labels.index(label)
        except InputError as error:
            raise InputError(f"{annotation.where}: field 'labels': {error}") from None


def _cuts(text: str, at: int) -> bool:
    """Return whether a place is within what is seen as one character: a letter and its marks, an emoji."""
    if not 0 < at < len(text) or text[at].isascii():
        return False
    return unicodedata.combining(text[at]) > 0 or text[at] in _JOINERS or text[at - 1] == _JOINER


def by_sentence(annotations: Iterable[Annotation]) -> dict[tuple[str, int, int], list[Annotation]]:
    """Return the annotations of each sentence, keyed by article, start and end, in reading order.

    Raises
    ------
    InputError
        Where one annotator labelled a sentence twice, or sentences of an article overlap.
    """
    grouped: dict[tuple[str, int, int], list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        same = grouped[annotation.article, annotation.start, annotation.end]
        for other in same:
            if other.annotator == annotation.annotator:
                raise InputError(
                    f"{annotation.where}: annotator {annotation.annotator!r} labelled this sentence before, "
                    f"at {other.where}; keep one"
                )
        same.append(annotation)
    ordered = dict(sorted(grouped.items()))
    last: tuple[str, int, int] | None = None
    for key, same in ordered.items():
        if last and key[0] == last[0] and key[1] < last[2]:
            raise InputError(
                f"{same[0].where}: {key[1]}-{key[2]} overlaps {last[1]}-{last[2]} of the same article"
            )
        last = key
    return ordered


def majority(votes: Sequence[Annotation], labels: LabelSet) -> list[str]:
    """Return the labels that more than half of the annotators gave, in the order of the label set.

    With as many for as against, the annotator who comes first in the file decides. For "multiclass" it
    is the label that most gave; of several, the one given first in the file.
    """
    if labels.task == "multiclass":
        given = [name for vote in votes for name in vote.labels]
        return [max(dict.fromkeys(given), key=given.count)] if given else []
    chosen = []
    for name in labels.names:
        yes = [name in vote.labels for vote in votes]
        if 2 * sum(yes) > len(votes) or (2 * sum(yes) == len(votes) and yes[0]):
            chosen.append(name)
    return chosen
