"""N-grams as integers: counted, selected, found again and weighed without making a string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Tokens:
    """The tokens of a batch of texts, one after the other.

    Attributes
    ----------
    ids : ndarray of shape (n_tokens,)
        Number of each token; -1 where unknown.
    counts : ndarray of shape (n_texts,)
        How many tokens each text has.
    """

    ids: Ints
    counts: Ints

    @property
    def rows(self) -> Ints:
        """Text of each token."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class NgramIndex:
    """A selection of n-grams, each with a column.

    An n-gram of length n is a pair of integers, the (n-1)-gram it begins with and its last token.

    Attributes
    ----------
    size : int
        Number of tokens that occur in some n-gram of the selection.
    levels : list of (ndarray, ndarray)
        Of each length: its sorted keys `prefix * size + token`, where `prefix` is the position of
        the shorter n-gram in the level before, and the column of each key (-1: none of its own, it
        only begins longer ones).
    width : int
        Number of columns.
    """

    def __init__(self, size: int, levels: list[tuple[Ints, Ints]]) -> None:
        self.size = size
        self.levels = levels
        self.width = sum(int((columns >= 0).sum()) for _, columns in levels)
        self._tables = [_HashTable(keys) for keys, _ in levels[1:]]

    @classmethod
    def select(
        cls,
        tokens: Tokens,
        size: int,
        ngram_range: tuple[int, int],
        min_df: int | float = 1,
        max_df: int | float = 1.0,
        max_features: int | None = None,
    ) -> tuple[Self, Ints, NDArray[np.bool_]]:
        """Select the n-grams within bounds on their document frequency.

        Parameters
        ----------
        tokens : Tokens
            Of all texts, numbered from 0 to `size` - 1.
        size : int
        ngram_range : pair of int
            Shortest and longest n-gram.
        min_df, max_df : int or float
            A count, or a share of the texts.
        max_features : int, optional
            Keep no more than so many, those in the most texts; of equal ones all or none.

        Returns
        -------
        index : NgramIndex
            Its tokens are those kept, numbered anew in the old order.
        df : ndarray of shape (width,)
            Document frequency of each column.
        used : ndarray of bool of shape (size,)
            Which tokens were kept.

        Raises
        ------
        ValueError
            Where no n-gram is left.
        """
        shortest, longest = ngram_range
        if not 1 <= shortest <= longest:
            raise ValueError(f"ngram_range must be 1 <= shortest <= longest, got {shortest}, {longest}")
        n_texts = len(tokens.counts)
        levels = _all_ngrams(tokens.ids, tokens.rows, size, longest)
        low, high = (b * n_texts if isinstance(b, float) else b for b in (min_df, max_df))
        if max_features is not None:
            low = max(low, _lowest_df([v.df for n, v in enumerate(levels, 1) if n >= shortest], max_features))
        chosen = [(v.df >= low) & (v.df <= high) & (n >= shortest) for n, v in enumerate(levels, 1)]
        if not any(keep.any() for keep in chosen):
            raise ValueError("no terms remain: the texts are empty, or min_df and max_df leave nothing")
        needed, used = _needed(levels, chosen, size)
        df = np.concatenate([level.df[keep] for level, keep in zip(levels, chosen, strict=True)])
        return cls(int(used.sum()), _renumber(levels, chosen, needed, used)), df, used

    def reorder(self, rank: Ints) -> None:
        """Give column `c` the number `rank[c]`."""
        self.levels = [
            (keys, np.where(columns >= 0, rank[columns], -1).astype(np.int32))
            for keys, columns in self.levels
        ]

    def find(self, tokens: Tokens) -> tuple[Ints, Ints]:
        """Return the text and the column of every occurrence of a selected n-gram."""
        found_rows, found_columns = [], []
        rows, position = tokens.rows, tokens.ids
        for n, (_, columns) in enumerate(self.levels):
            if n:
                position = _extend(position, tokens, rows, n, self.size, self._tables[n - 1])
            at = np.flatnonzero(position >= 0)
            column = columns[position[at]]
            selected = column >= 0
            found_rows.append(rows[at[selected]])
            found_columns.append(column[selected])
        return np.concatenate(found_rows), np.concatenate(found_columns)

    def tfidf(self, tokens: Tokens, idf: Floats, *, sublinear: bool) -> sparse.csr_matrix:
        """Return the TF-IDF matrix of shape (n_texts, width), rows of unit length."""
        n_texts, width = len(tokens.counts), self.width
        rows, columns = self.find(tokens)
        bits = width.bit_length()  # row and column in one number, which sorts faster the shorter it is
        cells = rows << bits
        cells |= columns
        if n_texts << bits < 2**31:
            cells = cells.astype(np.int32)
        cells, counts = np.unique(cells, return_counts=True)
        row, column = cells >> bits, cells & ((1 << bits) - 1)
        values = idf[column]
        again = np.flatnonzero(counts > 1)
        values[again] *= 1.0 + np.log(counts[again]) if sublinear else counts[again]
        norm = np.sqrt(np.bincount(row, values * values, minlength=n_texts))
        values /= norm[row]
        indptr = np.searchsorted(row, np.arange(n_texts + 1)).astype(np.int32)
        return sparse.csr_matrix((values, column.astype(np.int32), indptr), shape=(n_texts, width))

    def arrays(self) -> dict[str, Ints]:
        """Return the levels under names for `from_arrays`."""
        named = {f"keys{n}": keys for n, (keys, _) in enumerate(self.levels)}
        return named | {f"columns{n}": columns for n, (_, columns) in enumerate(self.levels)}

    @classmethod
    def from_arrays(cls, size: int, arrays: dict[str, Ints]) -> Self:
        """Rebuild an index."""
        longest = sum(name.startswith("keys") for name in arrays)
        return cls(size, [(arrays[f"keys{n}"], arrays[f"columns{n}"]) for n in range(longest)])


class _Level:
    """All n-grams of one length in the training texts."""

    def __init__(self, occurrences: Ints, rows: Ints) -> None:
        self.keys, self.position = np.unique(occurrences, return_inverse=True)
        texts = np.unique(rows * np.int64(max(len(self.keys), 1)) + self.position)
        self.df = np.bincount(texts % max(len(self.keys), 1), minlength=len(self.keys))


def _all_ngrams(ids: Ints, rows: Ints, size: int, longest: int) -> list[_Level]:
    levels = [_Level(ids, rows)]
    # Level 1 has a key for every token, also for those that do not occur here.
    levels[0].df = _spread(levels[0].df, levels[0].keys, size)
    levels[0].keys, prefix = np.arange(size), ids
    at = np.arange(len(ids))
    for n in range(1, longest):
        inside = np.zeros(len(ids), bool)
        inside[: max(len(ids) - n, 0)] = rows[n:] == rows[: max(len(rows) - n, 0)]
        full = np.full(len(ids), -1)
        full[at] = prefix
        at = np.flatnonzero(inside)
        levels.append(_Level(full[at] * size + ids[at + n], rows[at]))
        prefix = levels[-1].position
    return levels


def _lowest_df(frequencies: list[Ints], most: int) -> int:
    """Return the least document frequency that no more than `most` n-grams reach."""
    df = np.concatenate(frequencies)
    if len(df) <= most:
        return 1
    floor = int(np.partition(df, len(df) - most)[len(df) - most])
    return floor if int((df >= floor).sum()) <= most else floor + 1


def _spread(values: Ints, at: Ints, size: int) -> Ints:
    spread = np.zeros(size, np.int64)
    spread[at] = values
    return spread


def _needed(
    levels: list[_Level], chosen: list[NDArray[np.bool_]], size: int
) -> tuple[list[NDArray[np.bool_]], NDArray[np.bool_]]:
    """Return which keys lead to a chosen n-gram, and which tokens occur in one."""
    needed = [keep.copy() for keep in chosen]
    used = np.zeros(size, bool)
    for n in range(len(levels) - 1, 0, -1):
        prefix, token = np.divmod(levels[n].keys[needed[n]], size)
        needed[n - 1][prefix] = True
        used[token] = True
    used |= needed[0]
    needed[0] = used
    return needed, used


def _renumber(
    levels: list[_Level],
    chosen: list[NDArray[np.bool_]],
    needed: list[NDArray[np.bool_]],
    used: NDArray[np.bool_],
) -> list[tuple[Ints, Ints]]:
    """Renumber the kept tokens and prefixes densely, and the columns in order of length and key."""
    token_number, size = np.cumsum(used) - 1, int(used.sum())
    renumbered: list[tuple[Ints, Ints]] = []
    prefix_number, next_column = token_number, 0
    for n, (level, keep, need) in enumerate(zip(levels, chosen, needed, strict=True)):
        prefix, token = np.divmod(level.keys[need], len(used))
        keys = token_number[token] if n == 0 else prefix_number[prefix] * size + token_number[token]
        kept = keep[need]
        renumbered.append((keys, np.where(kept, next_column + np.cumsum(kept) - 1, -1)))
        next_column += int(kept.sum())
        prefix_number = np.cumsum(need) - 1
    return renumbered


class _HashTable:
    """Finds integers in a set: open addressing with linear probing, all look-ups a step at a time.

    Multiplicative hashing, at most a quarter full (Knuth, TAOCP 3, 6.4). On n-grams of news it takes
    a fifth of the time of a binary search.
    """

    def __init__(self, keys: Ints) -> None:
        self.keys = keys
        bits = max(4 * len(keys), 1).bit_length()
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        self._slots = np.full(1 << bits, -1, np.int32)
        waiting, place = np.arange(len(keys), dtype=np.int32), self._place(keys)
        while len(waiting):
            free = self._slots[place] < 0
            self._slots[place[free]] = waiting[free]
            pushed = self._slots[place] != waiting
            waiting, place = waiting[pushed], (place[pushed] + 1) & self._mask

    def find(self, wanted: Ints) -> tuple[Ints, Ints]:
        """Return which of `wanted` are keys, and the positions of those keys."""
        at, place = np.arange(len(wanted)), self._place(wanted)
        found_at, found = [], []
        while len(at):
            key = self._slots[place]
            used = key >= 0
            at, place, key = at[used], place[used], key[used]
            hit = self.keys[key] == wanted[at]
            found_at.append(at[hit])
            found.append(key[hit])
            at, place = at[~hit], (place[~hit] + 1) & self._mask
        return np.concatenate([at, *found_at]), np.concatenate([at, *found])

    def _place(self, keys: Ints) -> Ints:
        hashed = (keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> self._shift
        return hashed.view(np.int64)


def _extend(position: Ints, tokens: Tokens, rows: Ints, n: int, size: int, table: _HashTable) -> Ints:
    """Return, for every token, the number of the (n+1)-gram that begins there, or -1."""
    ids = tokens.ids
    extended = np.full(len(ids), -1, np.int64)
    if len(ids) > n:
        at = np.flatnonzero((position[:-n] >= 0) & (ids[n:] >= 0) & (rows[n:] == rows[:-n]))
        hit, key = table.find(position[at] * size + ids[at + n])
        extended[at[hit]] = key
    return extended
