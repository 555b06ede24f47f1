"""From an article to its sentences, and to what was dropped and why."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.schema import Article, Kind, Sentence
from pipeline.text.boundaries import spans
from pipeline.text.cleaning import clean
from pipeline.text.junk import phrases, reason
from pipeline.text.layout import roles

__all__ = ["Dropped", "spans", "split_article"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A part of an article that is not one of its sentences.

    Attributes
    ----------
    article : str
        Id of the article.
    start, end : int
        Half-open character offsets into the article's text as read.
    text : str
        The part as published.
    reason : str
        See `pipeline.text.junk.reason`; also "heading".
    """

    article: str
    start: int
    end: int
    text: str
    reason: str


def split_article(article: Article) -> tuple[list[Sentence], list[Dropped]]:
    """Split an article into cleaned sentences, in order, and the boilerplate dropped from it.

    Every character of the article that is not whitespace or the mark of a list item is in one of
    the two lists.
    """
    name, text = article.id, article.text
    found = phrases(text)
    kept: list[Sentence] = []
    dropped: list[Dropped] = []
    for line in roles(text, found):
        if line.role not in ("headline", "body"):
            dropped.append(Dropped(name, line.start, line.end, text[line.start : line.end], line.role))
            continue
        kind: Kind = "headline" if line.role == "headline" else "body"
        # A headline is one unit: capitals after "U.S." or "Inc." mean nothing in it.
        parts = [(0, len(line.text))] if kind == "headline" else spans(line.text)
        for low, high in parts:
            raw = line.text[low:high]
            start, end = line.start + low, line.start + high
            why = reason(raw, found) if kind == "body" and (line.cut or len(parts) > 1) else None
            cleaned = "" if why else clean(raw)
            if cleaned:
                kept.append(Sentence(name, len(kept), kind, start, end, cleaned))
            else:
                dropped.append(Dropped(name, start, end, raw, why or "punctuation"))
    return kept, dropped
