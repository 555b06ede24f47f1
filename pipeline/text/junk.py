"""Why a line or a sentence is boilerplate of the page, judged by itself.

What can be told only from the neighbours (section headings, headlines of other stories) is
decided in `pipeline.text.layout`. Precision comes first: a line that could be a sentence of the
article, with a closing full stop and no unmistakable phrase, is kept.
"""

from __future__ import annotations

import re

from pipeline.text.patterns import (
    AGENCIES,
    ANYWHERE,
    CONNECTORS,
    DATE,
    OPENING,
    ROLES,
    SECTIONS,
    SUSPECT_OPENINGS,
    TRIGGERS,
)

_LONGEST = 300  # characters; a longer line is a paragraph, whose sentences are judged one by one
_TERMINATED = re.compile(r"""[.!?…。！？।؟۔]["'”’»›)\]*]*\Z""")
_ASIDE = re.compile(r"\s*\([^()]{1,80}\)\Z")
_BY = re.compile(
    r"(?:(?:exclusive|words?|text|story|written|report(?:ed|ing)?|posted|compiled|edited|interview|analysis"
    r"|opinion|photographs?|photos?|pictures?|illustrations?)(?: and (?:photos?|pictures?"
    r"|photographs?))?\s*[:|–-]?\s+)?"
    r"(?:by|from)\b:?\s+(\S.*)",
    re.IGNORECASE,
)
_LABELLED_NAME = re.compile(
    r"(?:words?|text|story|interview|author|writer|reporter|analysis|opinion|column)\s*[:|]\s+(\S.*)",
    re.IGNORECASE,
)
_NAME_END = re.compile(r",|\||\s[-–—/]\s|\s{2,}|\s(?:in|at|for|of|staff)\s|\(|\s\S*@", re.IGNORECASE)
_NAME = re.compile(r"(?:[dDlO]['’])?[^\W\d_a-z]\D*\Z")
_INITIAL = re.compile(r"\b[A-Z]\.\Z")
_TRUNCATED = re.compile(
    r"(?!(?:k[gm]|[cm]m|ml|kph|kmh?|mph|bn|mn|tv|pc|vs|fm|hd|dj|mrs?|ms|dr|x|st)\s)[b-df-hj-np-tv-xz]{1,3}\s[a-z]"
)
_CELL = re.compile(r"\t|\s{2,}|\s?\|\s?")


def terminated(text: str) -> bool:
    """Whether `text` ends like a sentence, an aside such as "(AFP)" after the full stop allowed."""
    if text[-1] in ".!?":
        return True
    if text[-1] == ")" and (aside := _ASIDE.search(text[-84:])) and len(aside.group()) < len(text):
        text = text[: len(text) - len(aside.group())]
    return _TERMINATED.search(text[-6:]) is not None


def phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of boilerplate that occur in `text`: none, for most articles."""
    return tuple(phrase for phrase in TRIGGERS if phrase in text)


def reason(text: str, found: tuple[str, ...] = TRIGGERS) -> str | None:
    """Return why a line is junk, or None.

    Parameters
    ----------
    text : str
        A line of a page or a sentence cut from it, not empty, without surrounding whitespace.
    found : tuple of str
        Where known, what `phrases` found in the whole article: saves most of the search.

    Returns
    -------
    str or None
        One of byline, credit, caption, agency, readtime, share, form, teaser, navigation,
        timestamp, paywall, disclaimer, table, fragment, punctuation.
    """
    if len(text) > _LONGEST:
        return None
    closed = terminated(text)
    if closed and not _suspect(text, found):
        return _stray(text)
    if not any(map(str.isalnum, text)):
        return "punctuation"
    lower = text.lower()
    for why, pattern in OPENING:
        if pattern.match(lower):
            return why
    for why, pattern in ANYWHERE:
        if pattern.search(lower):
            return why
    if DATE.fullmatch(lower):
        return "timestamp"
    if lower.strip("()[]—–-. ©") in AGENCIES:
        return "agency"
    if _is_byline(text, closed):
        return "byline"
    if not closed and _is_table(text):
        return "table"
    return _stray(text)


def _suspect(text: str, found: tuple[str, ...]) -> bool:
    if text[0].isdigit() and len(text) < 60:
        return True
    opening = text.split(None, 1)[0].lower()
    if opening.strip("(*:") in SUSPECT_OPENINGS or not any(map(str.isalpha, opening)):
        return True
    return any(phrase in text for phrase in found) if found else False


def _stray(text: str) -> str | None:
    if text[0].islower() and _TRUNCATED.match(text):
        return "fragment"  # the rest of a sentence cut inside a word: "n city, and ..."
    if len(text) < 60 and _is_section(words := text.split()):
        if not terminated(text):
            return "navigation"
        return "fragment" if len(words) > 1 else None  # "Money." may answer a question
    return None


def named(words: list[str], limit: int = 9) -> bool:
    """Whether `words` could be nothing but personal names."""
    proper = [word for word in words if word.lower() not in CONNECTORS]
    return 0 < len(proper) <= limit and all(map(_NAME.match, proper))


def _is_byline(text: str, closed: bool) -> bool:
    words = text.split()
    if len(words) > 16 or (closed and not _INITIAL.search(text)):
        return False
    if match := _BY.fullmatch(text) or _LABELLED_NAME.fullmatch(text):
        rest = match[1]
        if rest.lower().startswith(("our ", "staff", "a staff", "the ")):
            return any(role in rest.lower() for role in ROLES)
        return named(_NAME_END.split(rest, maxsplit=1)[0].split())
    if len(words) > 10 or words[-1].lower().strip("()") not in ROLES:
        return False
    head, *tail = _NAME_END.split(text, maxsplit=1)
    return bool(tail) and 1 < len(head.split()) <= 4 and named(head.split())


def _is_section(words: list[str]) -> bool:
    """Whether these are a stray section label, such as "World news" or "Foreign affairs."."""
    if len(words) > 4 or words[0].lower() == "and":
        return False
    return all(word.strip(".,:&|/>").lower() in SECTIONS for word in words)


def _is_table(text: str) -> bool:
    tokens = text.split()
    numeric = sum(any(map(str.isdigit, token)) for token in tokens)
    if len(tokens) >= 4 and numeric * 2 > len(tokens):
        return True
    cells = [cell for cell in _CELL.split(text) if cell]
    return len(cells) >= 4 and max(map(len, cells)) < 40
