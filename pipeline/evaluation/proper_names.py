"""Names of people, places and organisations in sentences, found without a list of them."""

from __future__ import annotations

import re
from calendar import day_abbr, day_name, month_abbr, month_name
from collections import Counter
from collections.abc import Callable, Sequence

PLACEHOLDER = "Velmora"
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_OPENING = re.compile(r"(?:^|[.!?:]\s|[\"“'‘(\[]|\s[-–—]\s)\s*$")
_TITLES = ("Mr", "Mrs", "Ms", "Miss", "Dr", "Sir", "Prof", "Gen", "Col", "Capt", "Sgt", "Rep", "Sen", "Gov")
_NONE = frozenset(("I", "Rs", *_TITLES, *month_name, *month_abbr, *day_name, *day_abbr))


class NameFinder:
    """Tells names by how words are written: with a capital inside a sentence, nearly always.

    Parameters
    ----------
    texts : sequence of str
        What is learnt from: the more, the better.

    Notes
    -----
    The idea of truecasing (Lita et al. 2003): "Court" and "Bank" are often in lower case elsewhere, and
    so are no names; "Norway" and "Aldana" never are. Titles, days and months are none either. Sentences
    with most words in capitals, such as headlines in title case, teach nothing. A word that is only
    ever the first of its sentence is not recognised.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        inner: Counter[str] = Counter()
        lower: Counter[str] = Counter()
        for text in texts:
            found = [(_stem(match.group()), match.start()) for match in _WORD.finditer(text)]
            capitals = [(word, at) for word, at in found if word[0].isupper()]
            lower.update(word for word, _ in found if word[0].islower())
            if len(capitals) <= 0.6 * len(found):
                inner.update(word for word, at in capitals if not _OPENING.search(text[max(0, at - 4) : at]))
        self.words = frozenset(
            word
            for word, count in inner.items()
            if len(word) > 1 and count >= 9 * lower[word.lower()] and word not in _NONE
        )

    def names(self, text: str) -> list[str]:
        """Return the name words of a text, without possessive endings."""
        return [word for word in map(_stem, _WORD.findall(text)) if word in self.words]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where names of one or more words begin and end."""
        found: list[tuple[int, int]] = []
        for match in _WORD.finditer(text):
            word = _stem(match.group())
            if word in self.words:
                begin, end = match.start(), match.start() + len(word)
                if found and text[found[-1][1] : begin] in (" ", ". "):
                    begin = found.pop()[0]
                found.append((begin, end))
        return found

    def replace(self, text: str, name: Callable[[str], str] = lambda _: PLACEHOLDER) -> str:
        """Return the text with `name(found)` in place of each name; default: one that nobody has."""
        pieces, last = [], 0
        for begin, end in self.spans(text):
            pieces += [text[last:begin], name(text[begin:end])]
            last = end
        return "".join([*pieces, text[last:]])


def _stem(word: str) -> str:
    return word[:-2] if word.endswith(("'s", "’s")) else word
