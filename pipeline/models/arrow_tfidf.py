"""TF-IDF over words and word n-grams: scikit-learn's numbers, several times its speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from pipeline.models.tokens import as_texts, words


class ArrowTfidf(TransformerMixin, BaseEstimator):
    """Turn texts into a TF-IDF matrix, equal to `sklearn.feature_extraction.text.TfidfVectorizer`.

    Parameters
    ----------
    ngram_range : pair of int, default=(1, 1)
        Shortest and longest n-gram of words.
    min_df, max_df : int or float, default=1 and 1.0
        Bounds on document frequency: a count, or a share of the documents.
    sublinear_tf : bool, default=False
        Replace a count by 1 + log(count).
    lowercase : bool, default=True

    Attributes
    ----------
    tokens_ : pyarrow.StringArray
        Words that occur in some n-gram of the vocabulary.
    levels_ : list of (ndarray, ndarray)
        Of each n-gram length: its sorted keys `prefix * len(tokens_) + token`, where `prefix` is
        the position of the shorter n-gram in the level before, and the feature each key stands for
        (-1: only the beginning of a longer one).
    idf_ : ndarray of shape (n_features,)

    Notes
    -----
    An n-gram is a pair of integers, (n-1)-gram and word, and never a string: counting is integer
    arithmetic in numpy, and text is touched once, in `words`.
    """

    def __init__(
        self,
        *,
        ngram_range: tuple[int, int] = (1, 1),
        min_df: int | float = 1,
        max_df: int | float = 1.0,
        sublinear_tf: bool = False,
        lowercase: bool = True,
    ) -> None:
        self.ngram_range = ngram_range
        self.min_df = min_df
        self.max_df = max_df
        self.sublinear_tf = sublinear_tf
        self.lowercase = lowercase

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803
        """Learn vocabulary and inverse document frequencies from texts."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Sequence[str], y: object = None) -> sparse.csr_matrix:  # noqa: N803
        """Learn from texts and return their matrix of shape (n_texts, n_features)."""
        texts = as_texts(X)
        self._check()
        tokens, counts = words(texts, lowercase=self.lowercase)
        encoded = tokens.dictionary_encode()
        rows = np.repeat(np.arange(len(texts)), counts)
        ids = encoded.indices.to_numpy().astype(np.int64)
        levels = _all_ngrams(ids, rows, len(encoded.dictionary), self.ngram_range[1])
        self._select(levels, encoded.dictionary, len(texts))
        return self.transform(texts)

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:  # noqa: N803
        """Return the matrix of shape (n_texts, n_features), rows of unit length."""
        check_is_fitted(self)
        texts = as_texts(X)
        tokens, counts = words(texts, lowercase=self.lowercase)
        ids = pc.index_in(tokens, self.tokens_).fill_null(-1).to_numpy().astype(np.int64)
        rows = np.repeat(np.arange(len(texts)), counts)
        found = list(self._find(ids, rows))
        return self._weigh(
            np.concatenate([r for r, _ in found]), np.concatenate([f for _, f in found]), len(texts)
        )

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the n-grams, in column order."""
        check_is_fitted(self)
        names = np.empty(len(self.idf_), dtype=object)
        token_names = np.array(self.tokens_.to_pylist(), dtype=object)
        previous = token_names[:0]
        for n, (keys, features) in enumerate(self.levels_):
            current = token_names[keys] if n == 0 else _join(previous, token_names, keys)
            names[features[features >= 0]] = current[features >= 0]
            previous = current
        return names

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs: parameters and arrays."""
        check_is_fitted(self)
        joined = "\n".join(self.tokens_.to_pylist()).encode()
        arrays = {"idf": self.idf_, "tokens": np.frombuffer(joined, np.uint8)}
        for n, (keys, features) in enumerate(self.levels_):
            arrays[f"keys{n}"], arrays[f"features{n}"] = keys, features
        parameters = self.get_params() | {"ngram_range": list(self.ngram_range)}
        return {"parameters": parameters, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted transformer."""
        parameters, arrays = state["parameters"], state["arrays"]
        self = cls(**parameters | {"ngram_range": tuple(parameters["ngram_range"])})
        joined = arrays["tokens"].tobytes().decode()
        self.tokens_ = pa.array(joined.split("\n") if joined else [], pa.string())
        self.levels_ = [(arrays[f"keys{n}"], arrays[f"features{n}"]) for n in range(self.ngram_range[1])]
        self.idf_ = arrays["idf"]
        return self

    def _check(self) -> None:
        low, high = self.ngram_range
        if not 1 <= low <= high:
            raise ValueError(f"ngram_range must be 1 <= shortest <= longest, got {low}, {high}")

    def _select(self, levels: list[_Level], dictionary: pa.StringArray, n_texts: int) -> None:
        """Keep n-grams within the document frequencies, and the prefixes that lead to them."""
        low = _bound(self.min_df, n_texts)
        high = _bound(self.max_df, n_texts)
        shortest = self.ngram_range[0]
        chosen = [
            (level.df >= low) & (level.df <= high) & (n + 1 >= shortest) for n, level in enumerate(levels)
        ]
        if not any(keep.any() for keep in chosen):
            raise ValueError("no terms remain: the texts are empty, or min_df and max_df leave nothing")
        needed = [keep.copy() for keep in chosen]
        token_used = np.zeros(len(dictionary), bool)
        for n in range(len(levels) - 1, 0, -1):
            used = levels[n].keys[needed[n]]
            needed[n - 1][used // len(dictionary)] = True
            token_used[used % len(dictionary)] = True
        token_used |= needed[0]
        self.tokens_ = dictionary.filter(pa.array(token_used))
        self._number(levels, chosen, needed, token_used)
        df = np.concatenate([level.df[keep] for level, keep in zip(levels, chosen, strict=True)])
        self._sort_features(df, n_texts)

    def _number(
        self,
        levels: list[_Level],
        chosen: list[NDArray[np.bool_]],
        needed: list[NDArray[np.bool_]],
        token_used: NDArray[np.bool_],
    ) -> None:
        """Renumber tokens and prefixes densely; give features provisional numbers."""
        new_token = np.cumsum(token_used) - 1
        size, new_prefix, feature = int(token_used.sum()), new_token, 0
        self.levels_ = []
        for n, (level, keep, need) in enumerate(zip(levels, chosen, needed, strict=True)):
            need = token_used if n == 0 else need
            prefix, token = np.divmod(level.keys[need], len(token_used))
            keys = new_token[token] if n == 0 else new_prefix[prefix] * size + new_token[token]
            features = np.where(keep[need], feature + np.cumsum(keep[need]) - 1, -1)
            feature += int(keep.sum())
            self.levels_.append((keys, features))
            new_prefix = np.cumsum(need) - 1

    def _sort_features(self, df: NDArray[np.int64], n_texts: int) -> None:
        """Order columns by n-gram, as scikit-learn does, and set the smoothed idf."""
        self.idf_ = np.log((1 + n_texts) / (1 + df)) + 1.0
        order = np.argsort(self.get_feature_names_out().astype(str), kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        self.levels_ = [
            (keys, np.where(features >= 0, rank[features], -1).astype(np.int32))
            for keys, features in self.levels_
        ]
        self.idf_ = self.idf_[order]

    def _find(
        self, ids: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return rows and features of every occurrence, one pair of arrays for each n-gram length."""
        found = []
        position = ids
        for n, (keys, features) in enumerate(self.levels_):
            if n:
                position = _extend(position, ids, rows, n, keys, len(self.tokens_))
            at = np.flatnonzero(position >= 0)
            feature = features[position[at]]
            at, feature = at[feature >= 0], feature[feature >= 0]
            found.append((rows[at], feature))
        return found

    def _weigh(self, rows: NDArray[np.int64], features: NDArray[np.int64], n_texts: int) -> sparse.csr_matrix:
        width = len(self.idf_)
        cells, counts = np.unique(rows * width + features, return_counts=True)
        row, column = np.divmod(cells, max(width, 1))
        values = 1.0 + np.log(counts) if self.sublinear_tf else counts.astype(np.float64)
        values *= self.idf_[column]
        norm = np.sqrt(np.bincount(row, values * values, minlength=n_texts))
        values /= norm[row]
        indptr = np.searchsorted(row, np.arange(n_texts + 1)).astype(np.int32)
        return sparse.csr_matrix((values, column.astype(np.int32), indptr), shape=(n_texts, width))


class _Level:
    """All n-grams of one length in the training texts."""

    def __init__(self, occurrences: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self.keys, self.position = np.unique(occurrences, return_inverse=True)
        pairs = np.unique(rows * np.int64(len(self.keys)) + self.position)
        self.df = np.bincount(pairs % max(len(self.keys), 1), minlength=len(self.keys))


def _all_ngrams(ids: NDArray[np.int64], rows: NDArray[np.int64], size: int, longest: int) -> list[_Level]:
    levels = [_Level(ids, rows)]
    prefix = levels[0].position
    for n in range(1, longest):
        inside = rows[n:] == rows[: len(rows) - n]
        # prefix holds a value for every place where the shorter n-gram fits; it begins at `starts`.
        starts = np.flatnonzero(inside)
        full = np.full(len(ids), -1)
        full[_starts(rows, n - 1)] = prefix
        level = _Level(full[starts] * size + ids[starts + n], rows[starts])
        levels.append(level)
        prefix = level.position
    return levels


def _starts(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    return np.flatnonzero(rows[n:] == rows[: len(rows) - n]) if n else np.arange(len(rows))


def _extend(
    position: NDArray[np.int64],
    ids: NDArray[np.int64],
    rows: NDArray[np.int64],
    n: int,
    keys: NDArray[np.int64],
    size: int,
) -> NDArray[np.int64]:
    """Return, for every token, the number of the (n+1)-gram that begins there, or -1."""
    extended = np.full(len(ids), -1, np.int64)
    if not len(keys) or len(ids) <= n:
        return extended
    at = np.flatnonzero((position[:-n] >= 0) & (ids[n:] >= 0) & (rows[n:] == rows[:-n]))
    wanted = position[at] * size + ids[at + n]
    where = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    hit = keys[where] == wanted
    extended[at[hit]] = where[hit]
    return extended


def _join(
    prefixes: NDArray[np.object_], tokens: NDArray[np.object_], keys: NDArray[np.int64]
) -> NDArray[np.object_]:
    prefix, token = np.divmod(keys, max(len(tokens), 1))
    return prefixes[prefix] + " " + tokens[token] if len(keys) else prefixes[:0]


def _bound(limit: int | float, n_texts: int) -> float:
    return limit * n_texts if isinstance(limit, float) else limit
