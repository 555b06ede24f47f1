r"""Where cue groups can match a text at all, told from its words: most regular expressions need not run.

Every match of `(?:reject|dismiss)\w* (?:the )?claims?` begins with a word that begins with "reject" or
"dismiss" and holds "claim" or "claims". Looking up words costs less than one regular expression;
RE2's FilteredRE2 does the same. And an expression tried only where its first word stands has far fewer
states to be in than one that may begin anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.models.tokens import Ints, Words, runs, translated

Items = Sequence[tuple[Any, Any]]
Choice = frozenset[str]
Atoms = tuple[int, ...]

# Letters stay, every digit counts as 0, all else parts words: as the patterns' flanks do.
_WORD_BYTES = bytes(c if 97 <= c <= 122 else 48 if 48 <= c <= 57 else 32 for c in range(256))
_MOST_WORDS = 5000
_MOST_CHOICES = 3  # of one alternative; more say little that these do not
_COMMON_ENOUGH = 0.15  # by `_cost`; a second choice more common than this is not worth looking for
_REMEMBERED = 100_000
_LONG = 2000  # bytes; the ends of a longer text, from each of its words on, would be many times its length
_OPEN = "*"  # ends a beginning of words, as against a whole word
_UNTELLING = {"", _OPEN} | {letter + _OPEN for letter in "abcdefghijklmnopqrstuvwxyz"}
# fmt: off
_COMMON = frozenset([
    "the", "a", "an", "of", "to", "in", "and", "for", "on", "that", "is", "was", "it", "by", "with", "as",
    "at", "from", "be", "been", "has", "have", "had", "are", "were", "will", "would", "could", "may",
    "he", "she", "they", "his", "her", "its", "their", "said", "says", "say", "told", "not", "this",
    "which", "who", "but", "one", "up", "or", "if", "we", "i",
])
# fmt: on


class Screen:
    """Where several groups of regular expressions may match.

    Parameters
    ----------
    groups : sequence of sequence of str
        The patterns of each group, of lower-case text; each matches whole words only.
    """

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        numbers: dict[Choice, int] = {}
        self._ways: list[list[Atoms] | None] = []
        parsed = [_alternatives(patterns) for patterns in groups]
        for branches in parsed:
            ways = _needed(branches)
            listed = [tuple(numbers.setdefault(one, len(numbers)) for one in way) for way in ways or ()]
            self._ways.append(listed or None)
        heads = [_beginnings(branches) for branches in parsed]
        self._anchored = [head is not None for head in heads]
        self._atoms = _Lookup(list(numbers.items()))
        self._heads = _Lookup([(head or frozenset(), j) for j, head in enumerate(heads)])

    def places(self, lines: pa.LargeStringArray) -> Iterator[tuple[Ints, Ints, pa.LargeStringArray]]:
        """Yield, for each group, what it may match.

        Yields
        ------
        rows : ndarray
            Texts that it may match anywhere.
        owners, ends : ndarray, pyarrow.LargeStringArray
            Ends of texts that it may match at their beginning, and whose they are. A text may have several.
        """
        data, bounds = translated(lines, _WORD_BYTES)
        words, starts = runs(data, bounds)
        present = self._present(words)
        heads = self._heads.table(words.strings)
        first = np.cumsum(words.counts) - words.counts
        text = np.frombuffer(lines.buffers()[2] or b"", np.uint8)
        long = np.diff(bounds) > _LONG
        for j, ways in enumerate(self._ways):
            rows = np.arange(len(lines)) if ways is None else _fitting(present, ways)
            short = rows[~long[rows]] if self._anchored[j] else rows[:0]
            rows = rows[long[rows]] if self._anchored[j] else rows
            owners, at = _ranges(first[short], words.counts[short])
            begins = np.flatnonzero(heads[j].take(words.ids.take(at)))
            owners, at = short[owners[begins]], at[begins]
            yield rows, owners, _cut(text, starts[at], bounds[owners + 1])

    def _present(self, words: Words) -> NDArray[np.bool_]:
        """Return which choices each text holds a word of, shape (n_choices, n_texts)."""
        atoms = [self._atoms(word) for word in words.strings]
        lengths = np.array([len(some) for some in atoms], np.int64)
        flat = np.array([atom for some in atoms for atom in some], np.int64)
        telling = np.flatnonzero(lengths[words.ids])
        ids, rows = words.ids[telling], words.rows[telling]
        owners, at = _ranges((np.cumsum(lengths) - lengths)[ids], lengths[ids])
        present = np.zeros((self._atoms.size, len(words.counts)), bool)
        present[flat[at], rows[owners]] = True
        return present


class _Lookup:
    """Which of several sets of words, or of beginnings of words, a word belongs to."""

    def __init__(self, sets: Sequence[tuple[Choice, int]]) -> None:
        self.size = len(sets)
        self._whole: dict[str, Atoms] = {}
        self._begun: dict[str, Atoms] = {}
        lengths: dict[str, set[int]] = {}
        for choice, number in sets:
            for word in choice:
                head = word.rstrip(_OPEN)
                table = self._begun if word.endswith(_OPEN) else self._whole
                table[head] = (*table.get(head, ()), number)
                if table is self._begun:
                    lengths.setdefault(head[:2], set()).add(len(head))
        self._lengths = {opening: sorted(some) for opening, some in lengths.items()}
        self._known: dict[str, Atoms] = {}

    def __call__(self, word: str) -> Atoms:
        """Return the numbers of the sets."""
        known = self._known.get(word)
        if known is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            found = set(self._whole.get(word, ()))
            for opening in {word[:1], word[:2]}:
                for length in self._lengths.get(opening, ()):
                    found.update(self._begun.get(word[:length], ()))
            known = self._known[word] = tuple(found)
        return known

    def table(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Return which words each set holds, shape (n_sets, n_words)."""
        table = np.zeros((self.size, len(words)), bool)
        pairs = [(number, i) for i, word in enumerate(words) for number in self(word)]
        table[tuple(np.array(pairs, np.int64).reshape(-1, 2).T)] = True
        return table


def _fitting(present: NDArray[np.bool_], ways: list[Atoms]) -> Ints:
    each = (reduce(np.logical_and, [present[atom] for atom in way]) for way in ways)
    return np.flatnonzero(reduce(np.logical_or, each))


def _ranges(begins: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Return all numbers of several ranges, and the range of each."""
    owners = np.repeat(np.arange(len(begins)), lengths)
    return owners, np.arange(len(owners)) + (begins - np.cumsum(lengths) + lengths)[owners]


def _cut(data: NDArray[np.uint8], begins: Ints, ends: Ints) -> pa.LargeStringArray:
    lengths = ends - begins
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    small = np.int32 if max(len(data), offsets[-1]) < 2**31 else np.int64  # half the memory to walk through
    at = np.repeat((begins - offsets[:-1]).astype(small), lengths)
    at += np.arange(offsets[-1], dtype=small)
    return pa.LargeStringArray.from_buffers(len(begins), pa.py_buffer(offsets), pa.py_buffer(data.take(at)))


def needed(patterns: Sequence[str]) -> list[list[Choice]] | None:
    """Return what a text that matches one of the patterns must hold, or None where that may be anything.

    The text must fit one of the returned lists: hold a word of every set in it. A word that ends in "*"
    stands for all words that begin so.
    """
    return _needed(_alternatives(patterns))


def _needed(branches: Sequence[Items]) -> list[list[Choice]] | None:
    ways = []
    for branch in branches:
        choices = sorted(dict.fromkeys(_choices(branch, whole=True)), key=_cost)[:_MOST_CHOICES]
        if not choices:
            return None
        ways.append(choices[:1] + [choice for choice in choices[1:] if _cost(choice) < _COMMON_ENOUGH])
    return ways or None


def beginnings(patterns: Sequence[str]) -> Choice | None:
    """Return words, one of which is the first of every match of the patterns, or None where any may be.

    None too where a pattern looks at what stands before it: it could not be tried on the end of a text.
    """
    return _beginnings(_alternatives(patterns))


def _beginnings(branches: Sequence[Items]) -> Choice | None:
    firsts = [None if _looks_back(one) else _first_words(one, whole=True) for one in branches]
    return None if None in firsts or not firsts else frozenset().union(*firsts)  # type: ignore[arg-type]


def _alternatives(patterns: Sequence[str]) -> list[Items]:
    """Return the branches of all patterns, parsed; none where one of them is not to be understood."""
    found: list[Items] = []
    for pattern in patterns:
        try:
            tree = _joined(_parser.parse(pattern))
        except re.error:  # RE2 knows things that `re` does not
            return []
        found += tree[0][1] if len(tree) == 1 and tree[0][0] is op.BRANCH else [tree]
    return found


def _joined(items: Any) -> Items:
    """Return a parsed pattern with letters that stand together in one item, groups as branches."""
    joined: list[tuple[Any, Any]] = []
    for code, value in items:
        if code is op.LITERAL:
            value = _letter(value)
            if value != " " and joined and joined[-1][0] is code and joined[-1][1] != " ":
                value = joined.pop()[1] + value
        elif code in (op.BRANCH, op.SUBPATTERN):
            branches = value[1] if code is op.BRANCH else [value[3]]
            code, value = op.BRANCH, [_joined(branch) for branch in branches]
        elif code is op.MAX_REPEAT:
            value = (*value[:2], _joined(value[2]))
        joined.append((code, value))
    return joined


def _looks_back(items: Any) -> bool:
    if isinstance(items, tuple) and items and items[0] is op.AT:
        return True
    nested = isinstance(items, list | tuple | _parser.SubPattern)
    return nested and any(map(_looks_back, items))


def _choices(items: Items, whole: bool) -> list[Choice]:
    """Return sets of words, of each of which a sequence cannot do without one.

    `items` begin where a word begins; `whole` says that a word also ends where they end.
    """
    found: list[Choice] = []
    start = True
    for i, (code, value) in enumerate(items):
        last = whole and i == len(items) - 1
        if start:
            if first := _first_words(items[i:], whole):
                found.append(first)
            if code is op.BRANCH:
                inner = [_choices(branch, last) for branch in value]
                if len(inner) == 1:
                    found += inner[0]
                elif all(inner):
                    found.append(frozenset().union(*(min(one, key=_cost) for one in inner)))
        start = _starts_word(code, value, start)
    return found


def _first_words(items: Items, whole: bool) -> Choice | None:
    unfinished, words = _spell({""}, items)
    words |= unfinished if whole else {word + _OPEN for word in unfinished}
    if len(words) > _MOST_WORDS or words & _UNTELLING:
        return None
    return frozenset(words)


def _spell(begun: set[str], items: Items) -> tuple[set[str], set[str]]:
    """Return the words that are still being spelt after `items`, and those that ended."""
    ended: set[str] = set()
    for code, value in items:
        if not begun or len(begun) + len(ended) > _MOST_WORDS:
            break
        begun, more = _spell_item(begun, code, value)
        ended |= more
    return begun, ended


def _spell_item(begun: set[str], code: Any, value: Any) -> tuple[set[str], set[str]]:
    if code is op.AT:
        return begun, set()
    if code is op.LITERAL:
        return (set(), begun) if value == " " else ({word + value for word in begun}, set())
    if code is op.IN and (letters := _letters(value)) is not None:
        ended = begun if " " in letters else set()
        return {word + letter for word in begun for letter in letters - {" "}}, ended
    if code is op.BRANCH:
        spelt = [_spell(begun, branch) for branch in value]
        return set().union(*(b for b, _ in spelt)), set().union(*(e for _, e in spelt))
    if code is op.MAX_REPEAT:
        least, most, body = value
        after, ended = _spell(begun, body)
        if most != 1:
            ended, after = ended | {word + _OPEN for word in after}, set()
        return (begun | after if least == 0 else after), ended
    return set(), {word + _OPEN for word in begun}


def _letters(value: Any) -> set[str] | None:
    """Return the word characters a small class stands for, " " for all others; None if many."""
    letters: set[str] = set()
    for kind, what in value:
        if kind is op.LITERAL:
            letters.add(_letter(what))
        elif kind is op.RANGE and what[1] - what[0] < 10:
            letters |= {_letter(c) for c in range(what[0], what[1] + 1)}
        elif kind is op.CATEGORY and what is op.CATEGORY_DIGIT:
            letters.add("0")
        else:
            return None
    return letters


def _letter(code: int) -> str:
    return chr(_WORD_BYTES[code]) if code < 256 else " "


def _starts_word(code: Any, value: Any, before: bool) -> bool:
    """Return whether a word certainly begins after an item, given whether one did before it."""
    if code is op.LITERAL:
        return bool(value == " ")
    if code is op.IN:
        return _letters(value) == {" "}
    if code is op.AT:
        return before
    if code is op.BRANCH:
        return all(_sequence_starts_word(branch, before) for branch in value)
    if code is op.MAX_REPEAT:
        least, _, body = value
        return (before or least > 0) and _sequence_starts_word(body, before)
    return False


def _sequence_starts_word(items: Items, before: bool) -> bool:
    for code, value in items:
        before = _starts_word(code, value, before)
    return before


def _cost(words: Iterable[str]) -> float:
    """Return a guess at how many texts hold one of the words: short words are common."""
    heads = [word.rstrip(_OPEN) for word in words]
    return sum(0.2 if head in _COMMON else 4.0 ** -len(head) for head in heads)
