"""Splitting a batch of texts into words, fast and exactly as scikit-learn does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")
_ASCII_BLANKS = bytes(c if chr(c).isalnum() or c == ord("_") or c >= 128 else 32 for c in range(256))
_DIGITS_AS_ZERO = _ASCII_BLANKS.translate(bytes.maketrans(b"123456789", b"0" * 9))
TEXT_COLUMN = "text"


def as_texts(texts: object) -> list[str]:
    """Return the texts of a list, Series, Arrow array or a table with a `text` column.

    Nulls become the empty string, so that every row in gives one row out.

    Raises
    ------
    TypeError
        For a single string, or where an item is neither a string nor null.
    """
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
    return [value if isinstance(value, str) else _blank(value, row) for row, value in enumerate(values)]


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


def words(
    texts: Sequence[str], *, lowercase: bool = True, mask_digits: bool = False
) -> tuple[pa.Array, NDArray[np.int64]]:
    r"""Return the words of all texts, and of each text how many.

    A word is a run of two or more alphanumeric characters or underscores: `(?u)\b\w\w+\b`, the
    default of `sklearn.feature_extraction.text.CountVectorizer`, for any Unicode text.

    With `mask_digits`, the digits 1 to 9 are read as 0.

    Returns
    -------
    tokens : pyarrow.StringArray of shape (n_tokens,)
    counts : ndarray of shape (n_texts,)

    Notes
    -----
    Whatever is no part of a word is overwritten by as many spaces in the UTF-8 buffer of the whole
    batch (lengths, and so offsets, stay), then split on spaces in C++. Python sees each distinct
    non-ASCII character once a batch instead of each character of each text.
    """
    rows = [text.lower() for text in texts] if lowercase else list(texts)
    try:
        array = pa.array(rows, pa.large_string())
    except UnicodeEncodeError:  # lone surrogates, which JSON can carry
        array = pa.array([row.encode("utf-8", "replace").decode() for row in rows], pa.large_string())
    if not len(array):
        return pa.array([], pa.string()), np.zeros(0, np.int64)
    _, offsets, buffer = array.buffers()
    table = _DIGITS_AS_ZERO if mask_digits else _ASCII_BLANKS
    data = (buffer.to_pybytes() if buffer else b"").translate(table)
    for character in set(_MULTIBYTE.findall(data)):
        if not character.decode().isalnum():
            data = data.replace(character, b" " * len(character))
    blanked = pa.LargeStringArray.from_buffers(len(array), offsets, pa.py_buffer(data))
    split = pc.ascii_split_whitespace(blanked)
    tokens, bounds = split.values, split.offsets.to_numpy()
    keep = pc.greater(pc.utf8_length(tokens), 1)
    kept = np.concatenate([[0], np.cumsum(keep.to_numpy(zero_copy_only=False))])
    return tokens.filter(keep).cast(pa.string()), np.diff(kept[bounds])
