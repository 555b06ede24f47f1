"""Where sentences end inside one paragraph: candidates by one regex, then a few rules each.

A rule splitter, not a model: every decision can be read, offsets are characters by construction,
and text without a candidate (most news lines) costs one scan. docs/splitter.md compares it.
"""

from __future__ import annotations

import re

from pipeline.text.lexicon import (
    BEFORE_NUMBER,
    EXCLAIMED_NAMES,
    MAYBE_FINAL,
    NEVER_FINAL,
    OPENERS,
    SPEECH,
    TIME_WORDS,
)

OPENING = "\"'`“‘„«‹([{¿¡"
CLOSING = "\"'”’»›)]}"

# A run of terminators with what closes after it. The lookbehind starts each run once and the
# possessive quantifiers never give back, so a megabyte of full stops is still one pass; a character
# set comes first because the engine skips to it quickly.
_CANDIDATE = re.compile(
    r"""[.!?…。！？।؟۔](?<![.!?…。！？।؟۔]{2})[.!?…。！？।؟۔]*+["'”’»›)\]}」』）]*+(?:&(?:quot|rdquo);|â€\x9d?)?+"""
    r"""(?:\s++|(?=["“‘]?[A-Z][a-z])|(?=[\u3000-\uffef]))"""
)
# What may stand before the first word, opening quotes that a page has garbled included.
_OPENING_RUN = re.compile(rf"(?:[\s{re.escape(OPENING)}]|â€œ|&(?:quot|ldquo|#8220|#34);)*+")
_STRAY_CLOSER = re.compile(r"""(?:[”»›)\]}]|["’'](?=\s|$))\s*+""")
_LEFT_TOKEN = re.compile(r"""[^\s"'“”‘’«»()\[\]{}/–—-]*\Z""")
_RIGHT_WORD = re.compile(r"[\w’']+(?![\w-])")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]{1,2}")
_NAME = r"[A-Z][\w.’'-]*+,?"
_ATTRIBUTION = re.compile(
    rf"(?:{_NAME}\s++(?:\d\d,\s++)?(?:(?:al|bin|da|de|del|der|di|el|la|of|the|van|von)\s++){{0,2}}){{1,6}}"
    rf"(?:\w{{3,12}}ly\s++)?(?:{SPEECH})\b"
)
# Ts., Mw., Mst.: no vowel, so no word.
_CONTRACTED = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ][bcdfghjklmnpqrstvwxz]{1,3}")
_STAMP = re.compile(r"\d{1,2}(?:[:.]\d\d)?\s?[AaPp]\.?[Mm]")
_CLOCK = ("a.m", "p.m", "am", "pm", "A.M", "P.M")
_WINDOW = 24


def spans(text: str) -> list[tuple[int, int]]:
    """Split a paragraph into sentences.

    Parameters
    ----------
    text : str
        One paragraph; line breaks inside it count as spaces.

    Returns
    -------
    list of (start, end)
        Half-open character offsets, increasing, without surrounding whitespace. Together they
        cover every character of `text` that is not whitespace.
    """
    end = len(text.rstrip())
    start = end - len(text[:end].lstrip())
    found: list[tuple[int, int]] = []
    for match in _CANDIDATE.finditer(text, start, end):
        after = match.end()
        if after >= end or match.start() < start:
            continue
        after = _past_stray_closers(text, start, after, end)
        if after < end and _ends_sentence(text, start, match, after, end):
            found.append((start, after - _trailing_space(text, after)))
            start = after
    if start < end:
        found.append((start, end))
    return found


def _trailing_space(text: str, after: int) -> int:
    stop = after
    while text[stop - 1].isspace():
        stop -= 1
    return after - stop


def _past_stray_closers(text: str, start: int, after: int, end: int) -> int:
    """Step over a closing quote that a space has cut off from its sentence."""
    while after < end and (match := _STRAY_CLOSER.match(text, after, end)):
        mark = text[after]
        # A straight quote closes only what is open.
        if mark in "\"'" and text.count(mark, start, after) % 2 == 0:
            break
        after = match.end()
    return after


def _ends_sentence(text: str, start: int, match: re.Match[str], right: int, end: int) -> bool:
    first = _OPENING_RUN.match(text, right, end).end()  # type: ignore[union-attr]
    if first == end:
        return False
    mark = match.group().rstrip()
    if mark[0] in "。！？।؟۔":
        return True
    head = text[first]
    if head.islower() and not text[first + 1 : first + 2].isupper():  # but: iPhone, eBay
        return False
    if not head.isalnum() and (head not in "$£€¥₹#@•▪*" or text[right] in "(["):
        return False
    word = _word(text, first, end)
    glued = not match.group()[-1].isspace() and right == match.end()
    if glued:  # "ended.The next": only where both sides are plain words
        return text[max(start, match.start() - 3) : match.start()].islower() and word in OPENERS
    if mark.startswith(("...", "…")):
        return word in OPENERS
    if mark[0] in "!?":
        return _exclamation_ends(text, match.start(), mark, word, first, right)
    return _period_ends(text, start, match.start(), mark, first, right, word)


def _word(text: str, first: int, end: int) -> str:
    found = _RIGHT_WORD.match(text, first, min(first + _WINDOW, end))
    return found.group() if found else ""


def _left_token(text: str, start: int, dot: int) -> str:
    found = _LEFT_TOKEN.search(text[max(start, dot - _WINDOW) : dot])
    return found.group() if found else ""


def _exclamation_ends(text: str, dot: int, mark: str, word: str, first: int, right: int) -> bool:
    if text[right] in "([":
        return False
    if mark[0] == "!" and _left_token(text, 0, dot) in EXCLAIMED_NAMES:
        return word in OPENERS
    if mark[-1] in CLOSING and first == right and word not in OPENERS:
        # “Who pays for it?” Lena Brandt asked: the attribution belongs to the quotation.
        return word not in TIME_WORDS and not _ATTRIBUTION.match(text, first, first + 120)
    return True


def _period_ends(text: str, start: int, dot: int, mark: str, first: int, right: int, word: str) -> bool:
    token = _left_token(text, start, dot)
    digit = text[first].isdigit()
    if not token:
        return True
    if token.isdigit() and not text[start : dot - len(token)][:_WINDOW].strip(OPENING + " "):
        return False  # "1. Something": the number of a list item
    if word in TIME_WORDS and dot - start < _WINDOW and text[start:dot].isupper() and len(token) > 2:
        return False  # "ASTANA. May 3 (Wire) - ": a dateline
    bare = token.rstrip(".")
    title = bare if bare.islower() else bare.capitalize()
    if title in NEVER_FINAL:
        return False
    if title in BEFORE_NUMBER:
        if digit or title not in MAYBE_FINAL:
            return not digit
        return word in OPENERS
    if bare in _CLOCK:
        # "8:02 a.m. Doors open": a live blog's time stays with its sentence.
        stamp = _STAMP.fullmatch(text, start, dot) if dot - start < _WINDOW else None
        return not digit and word not in TIME_WORDS and stamp is None
    single = len(bare) == 1 and bare.isalpha() and bare.isupper()
    if single or title in MAYBE_FINAL or _DOTTED.fullmatch(bare) or _CONTRACTED.fullmatch(bare):
        return word in OPENERS and text[right] not in "(["
    return True
