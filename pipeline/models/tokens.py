"""Splitting a batch of texts into words, fast and exactly as scikit-learn does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BLANK = 32
_WORD_BYTES = bytes(c if chr(c).isalnum() or c == ord("_") or c >= 128 else BLANK for c in range(256))
_WORD_BYTES_LOWER = _WORD_BYTES.lower()  # of ASCII alone
_MARK_BYTES = bytes(c if chr(c).isprintable() or c >= 128 else BLANK for c in range(256))
_STRAIGHT = (("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("\xa0", " "))
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
TEXT_COLUMN = "text"


@dataclass
class Words:
    """The words of a batch of texts, one after the other.

    Attributes
    ----------
    ids : ndarray of shape (n_words,)
        Each word's place in `vocabulary`.
    counts : ndarray of shape (n_texts,)
        How many words each text has.
    vocabulary : pyarrow.StringArray
        The distinct words, in order of appearance.
    """

    ids: Ints
    counts: Ints
    vocabulary: pa.StringArray

    @cached_property
    def strings(self) -> list[str]:
        """The vocabulary as strings."""
        return self.vocabulary.to_pylist()

    @property
    def rows(self) -> Ints:
        """Text of each word."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def longer(self) -> Words:
        """Only the words of two characters or more."""
        keep = pc.greater(pc.utf8_length(self.vocabulary), 1)
        kept = keep.to_numpy(zero_copy_only=False)
        inside = kept[self.ids]
        ids = (np.cumsum(kept) - 1)[self.ids[inside]]
        counts = np.bincount(self.rows[inside], minlength=len(self.counts))
        return Words(ids, counts, self.vocabulary.filter(keep))


class Texts(list[str]):
    """Texts that remember their words, which several features of a batch have in common."""

    @cached_property
    def lower_words(self) -> Words:
        """The words, lower-cased, one-letter ones included."""
        return _find_words(self, lowercase=True)

    @cached_property
    def words(self) -> Words:
        """The words as written, one-letter ones included."""
        return _find_words(self, lowercase=False)

    @cached_property
    def words_and_marks(self) -> Words:
        """The words, lower-cased, and each ASCII mark of punctuation as a word; quotes are straight."""
        lines = plain(self)
        if not len(lines):
            return _find_words(self, lowercase=True)
        data, bounds = translated(lines, _MARK_BYTES)
        _blank_symbols(data)
        marks = (data < 128) & (data != BLANK) & (np.frombuffer(_WORD_BYTES, np.uint8)[data] == BLANK)
        return runs(data, bounds, marks)[0]


def as_texts(texts: object) -> Texts:
    """Return the texts of a list, Series, Arrow array or a table with a `text` column.

    Nulls become the empty string, so that every row in gives one row out.

    Raises
    ------
    TypeError
        For a single string, or where an item is neither a string nor null.
    """
    if isinstance(texts, Texts):
        return texts
    if (columns := _columns(texts)) is not None:
        if TEXT_COLUMN not in columns:
            raise TypeError(f"expected a column named {TEXT_COLUMN!r}, got {', '.join(map(str, columns))}")
        texts = texts[TEXT_COLUMN]  # type: ignore[index]
    if isinstance(texts, str):
        raise TypeError("expected several texts, got one string; pass [text]")
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        values = texts.to_pylist()
    else:
        values = texts.tolist() if hasattr(texts, "tolist") else list(texts)  # type: ignore[call-overload]
    return Texts(v if isinstance(v, str) else _blank(v, row) for row, v in enumerate(values))


def _columns(texts: object) -> list[object] | None:
    if isinstance(texts, Mapping):
        return list(texts)
    if isinstance(texts, pa.Table | pa.RecordBatch):
        return list(texts.column_names)
    return list(texts.columns) if hasattr(texts, "columns") else None


def _blank(value: object, row: int) -> str:
    # NaN and NA are pandas' marks of a missing string; NA has no truth value and pandas may be absent.
    missing = (isinstance(value, float) and value != value) or type(value).__name__ == "NAType"
    if value is None or missing:
        return ""
    raise TypeError(f"row {row}: expected a string, got {type(value).__name__}")


def words(texts: Sequence[str], *, lowercase: bool = True) -> tuple[pa.StringArray, Ints]:
    r"""Return the words of all texts, and of each text how many.

    A word is a run of two or more alphanumeric characters or underscores: `(?u)\b\w\w+\b`, the
    default of `sklearn.feature_extraction.text.CountVectorizer`, for any Unicode text.

    Returns
    -------
    tokens : pyarrow.StringArray of shape (n_tokens,)
    counts : ndarray of shape (n_texts,)
    """
    batch = as_texts(texts)
    found = (batch.lower_words if lowercase else batch.words).longer
    return found.vocabulary.take(pa.array(found.ids)), found.counts


def digits_as_zero(strings: pa.StringArray) -> pa.StringArray:
    """Return the strings with every digit read as 0."""
    _, offsets, buffer = strings.buffers()
    data = (buffer.to_pybytes() if buffer else b"").translate(_DIGITS_AS_ZERO)
    return pa.StringArray.from_buffers(len(strings), offsets, pa.py_buffer(data), offset=strings.offset)


def utf8(texts: Sequence[str]) -> pa.LargeStringArray:
    """Return texts as Arrow has them; lone surrogates, which JSON can carry, become "?".

    `pyarrow.array` would do, at the same speed, but imports pandas for any list.
    """
    encoded = [text.encode("utf-8", "replace") for text in texts]
    ends = np.concatenate([[0], np.cumsum([len(one) for one in encoded], dtype=np.int64)])
    buffers = pa.py_buffer(ends.astype(np.int64)), pa.py_buffer(b"".join(encoded))
    return pa.LargeStringArray.from_buffers(len(encoded), *buffers)


def plain(texts: Sequence[str]) -> pa.LargeStringArray:
    """Return texts in lower case, with straight quotes and without line breaks."""
    rows = []
    for text in texts:
        line = text.lower().replace("\n", " ")
        if not line.isascii():
            for fancy, simple in _STRAIGHT:
                line = line.replace(fancy, simple)
        rows.append(line)
    return utf8(rows)


def _find_words(texts: Sequence[str], *, lowercase: bool) -> Words:
    """Find all runs of word characters.

    Notes
    -----
    Whatever is no part of a word is overwritten by as many spaces in the UTF-8 buffer of the whole
    batch (lengths, and so offsets, stay), and the ends of words are where that changes. Python sees
    each distinct non-ASCII character once a batch instead of each character of each text.
    """
    array = utf8([text if text.isascii() else text.lower() for text in texts] if lowercase else texts)
    if not len(array):
        return Words(np.zeros(0, np.int64), np.zeros(0, np.int64), utf8([]).cast(pa.string()))
    data, bounds = translated(array, _WORD_BYTES_LOWER if lowercase else _WORD_BYTES)
    _blank_symbols(data)
    return runs(data, bounds)[0]


def translated(texts: pa.LargeStringArray, table: bytes) -> tuple[NDArray[np.uint8], Ints]:
    """Return the bytes of all texts, replaced by a table of 256, and where each text begins and ends."""
    _, offsets, buffer = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[: len(texts) + 1]
    return np.frombuffer(bytearray(buffer or b"").translate(table), np.uint8), bounds


def runs(data: NDArray[np.uint8], bounds: Ints, alone: NDArray[np.bool_] | None = None) -> tuple[Words, Ints]:
    """Return the runs of bytes that are not blank, and where each begins.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,)
        UTF-8 of all texts, one after the other.
    bounds : ndarray of shape (n_texts + 1,)
        Where texts begin and end; a run does not go on from one text to the next.
    alone : ndarray of bool of shape (n_bytes,), optional
        Bytes that are a run each.
    """
    inside = data != BLANK
    first, last = inside.copy(), inside.copy()
    joined = inside if alone is None else inside & ~alone
    first[1:] &= ~(joined[:-1] & joined[1:])
    last[:-1] &= ~(joined[1:] & joined[:-1])
    full = bounds[1:] > bounds[:-1]
    first[bounds[:-1][full]] = inside[bounds[:-1][full]]
    last[bounds[1:][full] - 1] = inside[bounds[1:][full] - 1]
    starts = np.flatnonzero(first)
    lengths = np.flatnonzero(last) - starts + 1
    ends = np.concatenate([[0], np.cumsum(lengths)])
    strings = pa.LargeStringArray.from_buffers(len(starts), pa.py_buffer(ends), pa.py_buffer(data[inside]))
    encoded = strings.dictionary_encode()
    ids = encoded.indices.to_numpy().astype(np.int64)
    counts = np.diff(np.searchsorted(starts, bounds))
    return Words(ids, counts, encoded.dictionary.cast(pa.string())), starts


def _blank_symbols(data: NDArray[np.uint8]) -> None:
    """Overwrite every non-ASCII character of UTF-8 that is not alphanumeric."""
    at = np.flatnonzero(data >= 0xC0)
    if not len(at):
        return
    lead = data[at].astype(np.int64)
    width = 2 + (lead >= 0xE0) + (lead >= 0xF0)
    code = lead & (0x7F >> width)
    for k in range(1, 4):
        more = width > k
        code[more] = code[more] << 6 | data[at[more] + k] & 0x3F
    distinct, which = np.unique(code, return_inverse=True)
    symbol = np.array([not chr(c).isalnum() for c in distinct])[which]
    for k in range(4):
        data[at[symbol & (width > k)] + k] = BLANK
