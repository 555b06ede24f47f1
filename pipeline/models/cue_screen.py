r"""Which cue groups can match a text at all, told from its words: most regular expressions need not run.

Every match of `(?:reject|dismiss)\w* (?:the )?claims?` holds a word that begins with "reject" or
"dismiss". Looking up words costs less than one regular expression; RE2's FilteredRE2 does the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

Items = Sequence[tuple[Any, Any]]
Words = frozenset[str]

# Letters stay, every digit counts as 0, all else parts words: as the patterns' flanks do.
_WORD_BYTES = bytes(c if 97 <= c <= 122 else 48 if 48 <= c <= 57 else 32 for c in range(256))
_MOST_WORDS = 5000
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
    """Candidates of several regular expressions over the same texts.

    Parameters
    ----------
    patterns : sequence of str
        Of lower-case text; each matches whole words only.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.needs = [needed(pattern) for pattern in patterns]
        kinds = sorted({_kind(word) for words in self.needs for word in words or ()})
        self._tables = {kind: _table(self.needs, kind) for kind in kinds}

    def candidates(self, lines: pa.LargeStringArray) -> sparse.csc_matrix:
        """Return a matrix of shape (n_texts, n_patterns), nonzero where a pattern may match.

        The column of a pattern without any word it needs is empty, and means nothing.
        """
        _, offsets, buffer = lines.buffers()
        data = (buffer.to_pybytes() if buffer else b"").translate(_WORD_BYTES)
        blanked = pa.LargeStringArray.from_buffers(len(lines), offsets, pa.py_buffer(data))
        split = pc.ascii_split_whitespace(blanked)
        encoded = split.values.dictionary_encode()
        indptr = split.offsets.to_numpy()
        ids = encoded.indices.to_numpy(zero_copy_only=False)
        shape = (len(lines), len(encoded.dictionary))
        tokens = sparse.csr_matrix((np.ones(len(ids), np.int32), ids, indptr), shape=shape)
        return (tokens @ self._patterns_of(encoded.dictionary)).tocsc()

    def _patterns_of(self, vocabulary: pa.Array) -> sparse.csr_matrix:
        """Return which patterns each word of the vocabulary speaks for."""
        total = sparse.csr_matrix((len(vocabulary), len(self.needs)), dtype=np.int32)
        for length, (keys, patterns) in self._tables.items():
            heads = pc.utf8_slice_codeunits(vocabulary, 0, length) if length else vocabulary
            found = pc.index_in(heads, keys)
            rows = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
            place = (np.ones(len(rows), np.int32), (rows, found.drop_null().to_numpy()))
            total = total + sparse.csr_matrix(place, shape=(len(vocabulary), len(keys))) @ patterns
        return total


def needed(pattern: str) -> Words | None:
    """Return words (or beginnings, marked by a final "*") one of which every match must hold, or None."""
    try:
        tree = _parser.parse(pattern)
    except re.error:  # RE2 knows things that `re` does not
        return None
    return _best(list(tree), whole=True)


def _best(items: Items, whole: bool) -> Words | None:
    """Return the rarest set of words that a sequence cannot do without.

    `items` begin where a word begins; `whole` says that a word also ends where they end.
    """
    best: Words | None = None
    start = True
    for i, (code, value) in enumerate(items):
        last = whole and i == len(items) - 1
        if start:
            choices = [_first_words(items[i:], whole)]
            if code in (op.BRANCH, op.SUBPATTERN):
                found = [_best(branch, last) for branch in _branches(code, value)]
                choices.append(None if None in found else frozenset().union(*found))  # type: ignore[arg-type]
            best = min((c for c in [best, *choices] if c), key=_cost, default=None)
        start = _starts_word(code, value, start)
    return best


def _first_words(items: Items, whole: bool) -> Words | None:
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
    if code in (op.LITERAL, op.IN) and (letters := _letters(code, value)) is not None:
        ended = begun if " " in letters else set()
        return {word + letter for word in begun for letter in letters - {" "}}, ended
    if code in (op.BRANCH, op.SUBPATTERN):
        spelt = [_spell(begun, branch) for branch in _branches(code, value)]
        return set().union(*(b for b, _ in spelt)), set().union(*(e for _, e in spelt))
    if code is op.MAX_REPEAT:
        least, most, body = value
        after, ended = _spell(begun, body)
        if most != 1:
            ended, after = ended | {word + _OPEN for word in after}, set()
        return (begun | after if least == 0 else after), ended
    return set(), {word + _OPEN for word in begun}


def _letters(code: Any, value: Any) -> set[str] | None:
    """Return the word characters a literal or small class stands for, " " for all others; None if many."""
    letters: set[str] = set()
    for kind, what in [(code, value)] if code is op.LITERAL else value:
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


def _branches(code: Any, value: Any) -> list[Items]:
    return [list(branch) for branch in value[1]] if code is op.BRANCH else [list(value[3])]


def _starts_word(code: Any, value: Any, before: bool) -> bool:
    """Return whether a word certainly begins after an item, given whether one did before it."""
    if code in (op.LITERAL, op.IN):
        return _letters(code, value) == {" "}
    if code is op.AT:
        return before
    if code in (op.BRANCH, op.SUBPATTERN):
        return all(_sequence_starts_word(branch, before) for branch in _branches(code, value))
    if code is op.MAX_REPEAT:
        least, _, body = value
        return (before or least > 0) and _sequence_starts_word(list(body), before)
    return False


def _sequence_starts_word(items: Items, before: bool) -> bool:
    for code, value in items:
        before = _starts_word(code, value, before)
    return before


def _cost(words: Iterable[str]) -> float:
    """Return a guess at how many texts hold one of the words: short words are common."""
    heads = [word.rstrip(_OPEN) for word in words]
    return sum(0.2 if head in _COMMON else 4.0 ** -len(head) for head in heads)


def _kind(word: str) -> int:
    """Return the length of a beginning, or 0 for a whole word."""
    return len(word) - 1 if word.endswith(_OPEN) else 0


def _table(needs: Sequence[Words | None], length: int) -> tuple[pa.Array, sparse.csr_matrix]:
    """Return the words of one kind, and a matrix (n_words, n_patterns) of who needs them."""
    pairs = [(w.rstrip(_OPEN), j) for j, words in enumerate(needs) for w in words or () if _kind(w) == length]
    keys = {word: i for i, word in enumerate(dict.fromkeys(word for word, _ in pairs))}
    place = (np.ones(len(pairs), np.int32), ([keys[word] for word, _ in pairs], [j for _, j in pairs]))
    return pa.array(list(keys), pa.large_string()), sparse.csr_matrix(place, shape=(len(keys), len(needs)))
