"""Changes to a sentence that should leave its labels as they are."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

from pipeline.evaluation.proper_names import NameFinder

Perturb = Callable[[str, Random], str]
_QUOTES = str.maketrans("“”„«»‘’", '"""""\'\'')
_LONG = re.compile(r"(?<![\w'’])[a-z]{5,}(?![\w'’])")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DAYS, _MONTHS = tuple(calendar.day_name), tuple(name for name in calendar.month_name if name)
_DATES = re.compile(rf"\b(?:{'|'.join((*_DAYS, *(m for m in _MONTHS if m != 'May')))}|(?:19|20)\d\d)\b")
_PAIRS = (
    *(("he", "she"), ("himself", "herself"), ("man", "woman"), ("men", "women"), ("son", "daughter")),
    *(("father", "mother"), ("brother", "sister"), ("husband", "wife"), ("boy", "girl"), ("king", "queen")),
    *(("spokesman", "spokeswoman"), ("chairman", "chairwoman"), ("businessman", "businesswoman")),
    *(
        ("actor", "actress"),
        ("uncle", "aunt"),
        ("prince", "princess"),
        ("mr", "mrs"),
        ("congressman", "congresswoman"),
    ),
)
_OTHER_GENDER = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])} | {
    "his": "her",
    "him": "her",
    "hers": "his",
    "ms": "mr",
}
_GENDERED = re.compile(rf"\b(?:{'|'.join(_OTHER_GENDER)}|her)\b", re.IGNORECASE)
_OBJECT = re.compile(
    r"\s*(?:[.,;:!?)”\"]|$|(?:to|in|on|at|for|from|of|by|with|and|or|that|as|when|while|after)\b)"
)


def straight_quotes(text: str, rng: Random) -> str:
    """Curly quotes and apostrophes become straight ones."""
    return text.translate(_QUOTES)


def stray_spaces(text: str, rng: Random) -> str:
    """Put a space too many between two words, a no-break space between two others, one at the end."""
    gaps = [i for i, character in enumerate(text) if character == " "]
    if len(gaps) < 2:
        return f"{text} "
    double, fixed = rng.sample(gaps, 2)
    changed = "".join("  " if i == double else "\u00a0" if i == fixed else c for i, c in enumerate(text))
    return f"{changed} "


def capitals(text: str, rng: Random) -> str:
    """All letters become capitals, as in some headlines."""
    return text.upper()


def lower_case(text: str, rng: Random) -> str:
    """All letters become small ones."""
    return text.lower()


def typo(text: str, rng: Random) -> str:
    """Two neighbouring letters inside one word of five letters or more change places."""
    words = list(_LONG.finditer(text))
    if not words:
        return text
    word = rng.choice(words)
    letters = text[word.start() : word.end()]
    places = [i for i in range(1, len(letters) - 2) if letters[i] != letters[i + 1]]
    if not places:
        return text
    at = word.start() + rng.choice(places)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def numbers(text: str, rng: Random) -> str:
    """Numbers become others of as many digits; years stay."""

    def other(match: re.Match[str]) -> str:
        if _YEAR.fullmatch(match.group()):
            return match.group()
        return re.sub(r"\d", lambda d: str((int(d.group()) + rng.randint(1, 8) - 1) % 9 + 1), match.group())

    return _NUMBER.sub(other, text)


def dates(text: str, rng: Random) -> str:
    """Weekdays, months and years become others."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        for names in (_DAYS, _MONTHS):
            if word in names:
                return names[(names.index(word) + rng.randint(1, 5)) % len(names)]
        return str(int(word) + rng.choice((-3, -2, -1, 1, 2, 3)))

    return _DATES.sub(other, text)


def genders(text: str, rng: Random) -> str:
    """He becomes she, her brother his sister, and the other way round."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        if word.lower() == "her":
            swapped = "him" if _OBJECT.match(text, match.end()) else "his"
        else:
            swapped = _OTHER_GENDER[word.lower()]
        return (
            swapped.upper()
            if word.isupper() and len(word) > 1
            else swapped.capitalize()
            if word[0].isupper()
            else swapped
        )

    return _GENDERED.sub(other, text)


def listed(lists: Sequence[Sequence[str]]) -> Perturb:
    """Return a change of each word of a list to another of that list, the same for all its places."""
    home = {word: list(words) for words in lists for word in words}
    longest = sorted(home, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")

    def change(text: str, rng: Random) -> str:
        chosen: dict[str, str] = {}
        present = set(pattern.findall(text))
        for word in sorted(present):
            free = [w for w in home[word] if w not in present and w not in chosen.values()]
            chosen[word] = rng.choice(free) if free else word
        return pattern.sub(lambda match: chosen[match.group()], text)

    return change


def found_names(texts: Sequence[str], names: Sequence[str]) -> Perturb:
    """Return a change of the names that a `NameFinder` finds in `texts` to some of `names`."""
    finder = NameFinder(texts)

    def change(text: str, rng: Random) -> str:
        chosen: dict[str, str] = {}
        return finder.replace(text, lambda name: chosen.setdefault(name, rng.choice(names)))

    return change


SIMPLE: Mapping[str, Perturb] = {
    change.__name__: change
    for change in (straight_quotes, stray_spaces, capitals, lower_case, typo, numbers, dates, genders)
}
