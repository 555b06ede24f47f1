"""What the lines of an article are to each other: headline, body, or boilerplate, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.text.junk import named, reason, terminated
from pipeline.text.lexicon import SPEECH
from pipeline.text.patterns import TRIGGERS

_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_BULLETS = "-–—*•·▪►●○■◦‣"
_BULLET = re.compile(rf"[{_BULLETS}]\s+(?=\S)")
_UNFINISHED = re.compile(r"""(?:[,;:—–-]|,["'”’])\Z""")
_TOLD = re.compile(r"\b(?:said|told|was|were|had)\b")
_ASKING = ("how ", "what ", "who ", "why ", "where ", "when ")
_POINTING = re.compile(r"\b(?:he|she|it|they|this|that|these|those|his|her|their|its|so|but|then)\b", re.I)
_SPEAKER = re.compile(rf"(?:(?:[A-Z]\S*|he|she|they)\s){{1,5}}(?:{SPEECH})\b|(?:{SPEECH})\b")
_ABBREVIATED = re.compile(r"(?:\b[A-Z]|\.[A-Za-z]|\b(?:Inc|Corp|Co|Ltd|Jr|Sr)|\.\.)\.\Z", re.I)

_SENTENCE = 150  # characters, about

# Reasons believed of a line that stands before the headline; a headline may look like the others.
_BEFORE_HEADLINE = frozenset(
    (
        *("byline", "timestamp", "navigation", "credit", "readtime", "share"),
        *("form", "agency", "paywall", "punctuation", "caption"),
    )
)


@dataclass(slots=True)
class Line:
    """A line, or lines that belong together, with its offsets in the article's text."""

    start: int
    end: int
    text: str
    role: str = ""  # "headline", "body", or the reason to drop it
    bullet: bool = False
    cut: bool = False

    @property
    def words(self) -> int:
        """Number of words."""
        return self.text.count(" ") + 1


def roles(text: str, found: tuple[str, ...] = TRIGGERS) -> list[Line]:
    """Cut `text` into lines and give each its role; `found` as for `junk.reason`.

    A line is judged first by itself (`junk.reason`), then by its place: the first substantive
    line is the headline; an unfinished short line among finished paragraphs is a section heading
    or the headline of another story.
    """
    lines = _lines(text)
    prose = _is_prose(lines)
    headline: Line | None = None
    in_body = False
    for at, line in enumerate(lines):
        why = reason(line.text, found)
        if why == "fragment":
            why, line.cut = None, True  # condemns its sentence, not the paragraph
        following = lines[at + 1] if at + 1 < len(lines) else None
        if headline is None and not in_body and (why is None or why not in _BEFORE_HEADLINE):
            line.role = _opening(line, following, why)
        elif why:
            line.role = why
        elif not in_body and not line.bullet and _is_names(line.text):
            line.role = "byline"
        elif following is None and in_body and _is_slug(line.text) and not terminated(line.text):
            line.role = "agency"
        elif not prose or line.bullet or terminated(line.text):
            line.role = "body"
        elif not in_body:
            line.role = _before_body(line, following)
        else:
            line.role = _among_body(line, lines[at - 1], following)
        headline = headline or (line if line.role == "headline" else None)
        in_body = in_body or line.role == "body"
    if sum(line.role == "teaser" for line in lines) > 1:
        _drop_questions(lines)
    return lines


def _opening(line: Line, following: Line | None, why: str | None) -> str:
    """Return the role of the first line that is not plainly furniture."""
    if following is not None and not _finished(following.text) and following.words > 3:
        # What looks like the headline comes next.
        if why == "teaser":
            return why
        if line.words <= 3 and _is_names(line.text):
            return "byline"
        if _is_slug(line.text):
            return "agency"
    if line.bullet or _finished(line.text) or line.words > 40:
        return why or "body"
    return "headline"


def _finished(text: str) -> bool:
    """Whether a line ends with the full stop that headlines go without."""
    return text.rstrip("\"'”’ ").endswith(".") and not _ABBREVIATED.search(text)


def _is_names(text: str) -> bool:
    """Whether a line could be nothing but the names of its writers."""
    words = text.split()
    return len(words) <= 6 and not terminated(text) and named(words)


def _is_slug(text: str) -> bool:
    """Whether a line is mostly an agency's codes and times: `AFR POL 181441 SEP 97`, `wpa krp/sb 1655`."""
    words = text.split()
    numbers = sum(any(map(str.isdigit, word)) for word in words)
    codes = sum("/" in word or word.isupper() or any(map(str.isdigit, word)) for word in words)
    return len(words) <= 12 and 2 * codes >= len(words) and (numbers > 1 or (numbers == 1 and "/" in text))


def _before_body(line: Line, following: Line | None) -> str:
    """Return the role of an unfinished line between the headline and the first paragraph."""
    if following is None or line.words > 40 or _UNFINISHED.search(line.text):
        return "body"
    return "headline"  # the deck


def _among_body(line: Line, before: Line, following: Line | None) -> str:
    """Return the role of an unfinished line after the first paragraph."""
    text = line.text
    lower = text.lower()
    broken = following is not None and following.text[0].islower()
    if _UNFINISHED.search(text) or before.text.endswith(":") or text[0] in "\"“'‘«" or broken:
        return "body"
    if _TOLD.search(lower) and not lower.startswith(_ASKING):
        return "body"
    if line.words <= 10:
        return "heading" if following is not None else "teaser"
    return "teaser" if line.words <= 20 else "body"


def _drop_questions(lines: list[Line]) -> None:
    """Among the headlines of other stories, a lone question that points to nothing is one more."""
    for line in lines:
        if (
            line.role == "body"
            and line.text.endswith("?")
            and 6 <= line.words <= 20
            and line.text.count("?") == 1
            and not _POINTING.search(line.text)
            and any(word[0].isupper() for word in line.text.split()[1:])
            and line.text[0] not in "\"“'‘«"
        ):
            line.role = "teaser"


def _is_prose(lines: list[Line]) -> bool:
    """Whether the paragraphs of this article end like sentences, so that other lines stand out."""
    long = [line.text for line in lines if len(line.text) >= 60]
    # A paragraph of several sentences says as much as several of one.
    enough = sum(max(1, len(text) // _SENTENCE) for text in long) >= 2
    return enough and sum(map(terminated, long)) >= 0.6 * len(long)


def _lines(text: str) -> list[Line]:
    matches = [match.span() for match in _LINE.finditer(text)]
    width = _wrap_width(text, matches)
    found: list[Line] = []
    start = end = 0  # of the lines collected so far
    last = ""  # the latest of them
    for low, high in matches:
        raw = text[low:high]
        stripped = raw.strip()
        if not stripped:
            continue
        first = low if raw[0] == stripped[0] else low + len(raw) - len(raw.lstrip())
        if last and _joins(last, stripped, text[end:first], width):
            end, last = first + len(stripped), stripped
            continue
        if last:
            found.append(_line(text, start, end))
        start, end, last = first, first + len(stripped), stripped
    if last:
        found.append(_line(text, start, end))
    return found


def _line(text: str, start: int, end: int) -> Line:
    if text[start] in _BULLETS and (bullet := _BULLET.match(text, start, end)):
        return Line(bullet.end(), end, text[bullet.end() : end], bullet=True)
    return Line(start, end, text[start:end])


def _joins(last: str, line: str, between: str, width: int) -> bool:
    """Whether a line goes on with the sentence of the line before."""
    if between.count("\n") > 1:
        return False
    if width:
        # Wrapped at `width`: the break was forced only if the next word did not fit. An indented
        # line begins a paragraph.
        forced = len(last) + 1 + len(line.split(None, 1)[0]) > width
        return forced and between[-1] not in " \t" and not _BULLET.match(line)
    # A quotation cut off from its attribution: `a long week,”` / `Brandt added.`
    return last[-2:-1] == "," and last[-1] in "\"”’'" and _SPEAKER.match(line) is not None


def _wrap_width(text: str, lines: list[tuple[int, int]]) -> int:
    """Return the column a text file was wrapped at, or 0 where lines are paragraphs."""
    if len(lines) < 6 or max(end - start for start, end in lines) > 100:
        return 0
    wrapped = [line for start, end in lines if (line := text[start:end].rstrip())]
    widest = max(map(len, wrapped), default=0)
    if widest > 90 or sum(len(line) >= 50 for line in wrapped) < 0.6 * len(wrapped):
        return 0
    continued = sum(line.lstrip()[0].islower() for line in wrapped)
    return widest if continued >= 0.4 * len(wrapped) else 0
