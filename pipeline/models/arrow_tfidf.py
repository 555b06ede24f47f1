"""TF-IDF over words and word n-grams: scikit-learn's numbers, several times its speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.base import Transformer, check_fitted
from pipeline.models.ngrams import NgramIndex, Tokens
from pipeline.models.tokens import Texts, Words, as_texts, digits_as_zero, utf8

BEGINNING, END = "_begins_", "_ends_"


class ArrowTfidf(Transformer):
    """Turn texts into a TF-IDF matrix, equal to `sklearn.feature_extraction.text.TfidfVectorizer`.

    Parameters
    ----------
    ngram_range : pair of int, default=(1, 1)
        Shortest and longest n-gram of words.
    min_df, max_df : int or float, default=1 and 1.0
        Bounds on document frequency: a count, or a share of the documents.
    max_features : int, optional
        Keep no more than so many n-grams, those in the most documents; of equal ones all or none.
    sublinear_tf : bool, default=False
        Replace a count by 1 + log(count).
    lowercase : bool, default=True
    mask_digits : bool, default=False
        Read every digit as 0: "$24.5 billion" and "$31.2 billion" then share their n-grams.
    mark_ends : bool, default=False
        Put a word of its own before and after each text: n-grams then tell how texts begin and end.

    Attributes
    ----------
    vocabulary_ : pyarrow.StringArray
        Words that occur in some n-gram of the selection.
    index_ : NgramIndex
        The n-grams, as integers.
    idf_ : ndarray of shape (n_features,)
    """

    def __init__(
        self,
        *,
        ngram_range: tuple[int, int] = (1, 1),
        min_df: int | float = 1,
        max_df: int | float = 1.0,
        max_features: int | None = None,
        sublinear_tf: bool = False,
        lowercase: bool = True,
        mask_digits: bool = False,
        mark_ends: bool = False,
    ) -> None:
        self.ngram_range = ngram_range
        self.min_df = min_df
        self.max_df = max_df
        self.max_features = max_features
        self.sublinear_tf = sublinear_tf
        self.lowercase = lowercase
        self.mask_digits = mask_digits
        self.mark_ends = mark_ends

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803
        """Learn vocabulary and inverse document frequencies from texts."""
        words = self._words(X)
        encoded = self._read(words).dictionary_encode()
        self.index_, df, used = NgramIndex.select(
            Tokens(encoded.indices.to_numpy().astype(np.int64)[words.ids], words.counts),
            len(encoded.dictionary),
            (self.ngram_range[0], self.ngram_range[1]),
            self.min_df,
            self.max_df,
            self.max_features,
        )
        self.vocabulary_ = encoded.dictionary.filter(pa.array(used))
        # Columns in alphabetical order, as scikit-learn has them.
        order = np.argsort(self.get_feature_names_out(), kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        self.index_.reorder(rank)
        self.idf_ = (np.log((1 + len(words.counts)) / (1 + df)) + 1.0)[order]
        self.__dict__.pop("_numbers", None)
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:  # noqa: N803
        """Return the matrix of shape (n_texts, n_features), rows of unit length."""
        check_fitted(self, "index_")
        words = self._words(X)
        number = self._numbers.get
        strings = words.strings
        if self.mask_digits:
            strings = self._read(words).to_pylist()
        ids = np.array([number(word, -1) for word in strings], np.int64)
        return self.index_.tfidf(Tokens(ids[words.ids], words.counts), self.idf_, sublinear=self.sublinear_tf)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the n-grams, in column order."""
        check_fitted(self, "index_")
        names = np.empty(self.index_.width, dtype=object)
        single = np.array(self.vocabulary_.to_pylist(), dtype=object)
        shorter = single
        for n, (keys, columns) in enumerate(self.index_.levels):
            if n:
                prefix, token = np.divmod(keys, max(self.index_.size, 1))
                shorter = shorter[prefix] + " " + single[token] if len(keys) else shorter[:0]
            names[columns[columns >= 0]] = shorter[columns >= 0]
        return names

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs: parameters and arrays."""
        check_fitted(self, "index_")
        joined = "\n".join(self.vocabulary_.to_pylist()).encode()
        arrays = {"idf": self.idf_, "vocabulary": np.frombuffer(joined, np.uint8), **self.index_.arrays()}
        return {"parameters": self.get_params() | {"ngram_range": list(self.ngram_range)}, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted transformer."""
        arrays = dict(state["arrays"])
        self = cls(**state["parameters"])
        joined = arrays.pop("vocabulary").tobytes().decode()
        self.idf_ = arrays.pop("idf")
        self.vocabulary_ = utf8(joined.split("\n") if joined else []).cast(pa.string())
        self.index_ = NgramIndex.from_arrays(len(self.vocabulary_), arrays)
        return self

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.vocabulary_.to_pylist())}

    def _words(self, texts: Sequence[str]) -> Words:
        batch = as_texts(texts)
        if self.mark_ends:
            batch = Texts(f"{BEGINNING} {text} {END}" for text in batch)
        return (batch.lower_words if self.lowercase else batch.words).longer

    def _read(self, words: Words) -> pa.StringArray:
        """Return the distinct words as they are looked up."""
        return digits_as_zero(words.vocabulary) if self.mask_digits else words.vocabulary
