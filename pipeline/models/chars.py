"""TF-IDF over character n-grams: parts of words, whatever the script, with or without spaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from pipeline.models.tokens import as_texts

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that nothing is lost
_SPACE = 32
_CHUNK = 1 << 20  # characters at once


class CharTfidf(TransformerMixin, BaseEstimator):
    """Turn texts into TF-IDF over the characters of each word with a space on either side.

    The n-grams are those of `sklearn.feature_extraction.text.TfidfVectorizer(analyzer="char_wb")`, kept
    as 64-bit hashes: two of a million share one with a probability of 3e-8.

    Parameters
    ----------
    ngram_range : pair of int, default=(2, 5)
        Fewest and most characters; from 2 to 3, to any number.
    min_df : int, default=2
        Fewest texts an n-gram occurs in.
    max_features : int, optional
        Keep the n-grams in the most texts.
    lowercase : bool, default=True

    Attributes
    ----------
    keys_ : ndarray of shape (n_features,)
        Hashes, sorted.
    idf_ : ndarray of shape (n_features,)
    """

    def __init__(
        self,
        *,
        ngram_range: tuple[int, int] = (2, 5),
        min_df: int = 2,
        max_features: int | None = None,
        lowercase: bool = True,
    ) -> None:
        self.ngram_range = ngram_range
        self.min_df = min_df
        self.max_features = max_features
        self.lowercase = lowercase

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803
        """Choose the n-grams and learn their inverse document frequencies."""
        if not 2 <= self.ngram_range[0] <= min(self.ngram_range[1], 3):
            raise ValueError(f"ngram_range must start at 2 or 3, got {self.ngram_range}")
        texts = as_texts(X)
        keys, df = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        for rows, hashes in self._chunks(texts):
            known, cells, _ = _counted(rows, hashes)
            keys, where = np.unique(np.concatenate([keys, known]), return_inverse=True)
            df = np.bincount(where, weights=np.concatenate([df, np.bincount(cells[1], minlength=len(known))]))
        keep = np.flatnonzero(df >= self.min_df)
        if self.max_features is not None and len(keep) > self.max_features:
            keep = np.sort(keep[np.argsort(-df[keep], kind="stable")[: self.max_features]])
        if not len(keep):
            raise ValueError("no terms remain: the texts are empty, or min_df leaves nothing")
        self.keys_ = keys[keep]
        self.idf_ = np.log((1 + len(texts)) / (1 + df[keep])) + 1.0
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:  # noqa: N803
        """Return the matrix of shape (n_texts, n_features), rows of unit length."""
        check_is_fitted(self)
        texts = as_texts(X)
        if not texts:
            return sparse.csr_matrix((0, len(self.keys_)), dtype=np.float32)
        parts = []
        for rows, hashes in self._chunks(texts):
            known, (row, number), counts = _counted(rows, hashes)
            at = np.minimum(np.searchsorted(self.keys_, known), len(self.keys_) - 1)
            column = np.where(self.keys_[at] == known, at, -1)[number]
            hit = column >= 0
            parts.append((row[hit], column[hit], counts[hit]))
        row, column, counts = (np.concatenate(p) for p in zip(*parts, strict=True))
        values = (1.0 + np.log(counts)) * self.idf_[column]
        norm = np.sqrt(np.bincount(row, values * values, minlength=len(texts)))
        shape = (len(texts), len(self.keys_))
        return sparse.csr_matrix(((values / norm[row]).astype(np.float32), (row, column)), shape=shape)

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays for `from_state`."""
        check_is_fitted(self)
        arrays = {"keys": self.keys_.view(np.int64), "idf": self.idf_}
        return {"parameters": self.get_params() | {"ngram_range": list(self.ngram_range)}, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted transformer."""
        self = cls(**state["parameters"])
        self.keys_ = state["arrays"]["keys"].view(np.uint64)
        self.idf_ = state["arrays"]["idf"]
        return self

    def _chunks(self, texts: Sequence[str]) -> Iterator[tuple[Ints, Hashes]]:
        """Yield the text and the hash of every n-gram, some texts at a time."""
        if self.lowercase:
            texts = [text.lower() for text in texts]
        begin, size = 0, 0
        for end, text in enumerate(texts, 1):
            size += len(text)
            if size >= _CHUNK or end == len(texts):
                yield _ngrams(texts[begin:end], begin, *self.ngram_range)
                begin, size = end, 0


def _ngrams(texts: Sequence[str], first: int, shortest: int, longest: int) -> tuple[Ints, Hashes]:
    """Return the text, numbered from `first`, and the hash of every n-gram within a word."""
    padded = [f" {' '.join(words)} " if (words := text.split()) else "" for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    rows = np.repeat(np.arange(first, first + len(texts)), [len(text) for text in padded])
    letters = codes.astype(np.uint64) + np.uint64(1)
    inner = codes != _SPACE
    hashes, inside = letters, np.ones(len(codes), bool)
    found_rows, found = [], []
    for n in range(2, longest + 1):
        # One character longer: the last but one must be no space, and the last of the same text.
        hashes = hashes[:-1] * _FACTOR + letters[n - 1 :]
        inside = inside[:-1] & (rows[: len(rows) - n + 1] == rows[n - 1 :])
        if n > 2:
            inside = inside & inner[n - 2 : -1]
        if n >= shortest:
            found.append(hashes[inside])
            found_rows.append(rows[: len(hashes)][inside])
    return np.concatenate(found_rows), np.concatenate(found)


def _counted(rows: Ints, hashes: Hashes) -> tuple[Hashes, tuple[Ints, Ints], Ints]:
    """Return the distinct hashes, text and number of the hash of each distinct pair, and its count."""
    encoded = pa.array(hashes).dictionary_encode()
    known = encoded.dictionary.to_numpy()
    width = max(len(known), 1)
    cells, counts = np.unique(rows * width + encoded.indices.to_numpy(), return_counts=True)
    return known, np.divmod(cells, width), counts
