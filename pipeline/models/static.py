"""Static word embeddings: what a word means without its sentence, at the speed of a lookup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from pipeline.models.ngrams import NgramIndex, Tokens
from pipeline.models.tokens import as_texts, words
from pipeline.schema import ConfigError

Floats = NDArray[np.float32]
BLOCK = 8192


class WordVectors:
    """Vectors of words, each the mean of its sub-word tokens' vectors, remembered once looked up.

    Parameters
    ----------
    table : ndarray of shape (n_tokens, n_dimensions)
    tokenizer : str
        A Hugging Face tokenizer as JSON.
    """

    def __init__(self, table: NDArray[np.float16], tokenizer: str) -> None:
        from tokenizers import Tokenizer

        self.table = table
        self.tokenizer = tokenizer
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._known = pa.array([], pa.string())
        self._vectors = np.zeros((0, table.shape[1]), np.float32)

    @classmethod
    def load(cls, source: str) -> Self:
        """Load "wordllama", which comes with its package, or a model2vec folder.

        Raises
        ------
        ConfigError
            For a folder without `model.safetensors` and `tokenizer.json`.
        """
        from safetensors.numpy import load_file

        if source == "wordllama":
            import wordllama

            folder = Path(wordllama.__file__).parent
            weights = folder / "weights" / "l2_supercat_256.safetensors"
            tokenizer = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
        else:
            weights, tokenizer = Path(source) / "model.safetensors", Path(source) / "tokenizer.json"
        if not (weights.is_file() and tokenizer.is_file()):
            raise ConfigError(
                f"source={source}: expected 'wordllama' or a model2vec folder with model.safetensors "
                "and tokenizer.json"
            )
        tables = [t for t in load_file(weights).values() if t.ndim == 2]
        return cls(tables[0].astype(np.float16), tokenizer.read_text(encoding="utf-8"))

    def look_up(self, unique: pa.StringArray) -> Floats:
        """Return the unit vectors of words, shape (n_words, n_dimensions)."""
        at = pc.index_in(unique, self._known)
        if at.null_count:
            new = unique.filter(pc.is_null(at))
            self._vectors = np.vstack([self._vectors, self._embed(new.to_pylist())])
            self._known = pa.concat_arrays([self._known, new])
            at = pc.index_in(unique, self._known)
        found = self._vectors[at.to_numpy()]
        if len(self._known) > 500_000:  # bounded, whatever is read
            self._known, self._vectors = self._known[:0], self._vectors[:0]
        return found

    def _embed(self, unique: list[str]) -> Floats:
        encoded = self._tokenizer.encode_batch(unique, add_special_tokens=False)
        lengths = np.array([len(e.ids) for e in encoded])
        ids = np.concatenate([np.array(e.ids, np.int64) for e in encoded])
        ids = np.minimum(ids, len(self.table) - 1)
        owner = np.repeat(np.arange(len(unique)), lengths)
        # A word may have no token at all, as the last ones here: the shape is not to be guessed.
        shape = (len(unique), len(ids))
        pool = sparse.csr_matrix((np.ones(len(ids), np.float32), (owner, np.arange(len(ids)))), shape=shape)
        return unit(pool @ self.table[ids].astype(np.float32))


class Static(TransformerMixin, BaseEstimator):
    """The mean of a text's word vectors, and n-grams of the frequent words nearest to its words.

    The mean says what a text is about. The n-grams keep the order of words, with every word read as
    the frequent word of nearest meaning (its anchor): what was learned of "criticised" then serves
    for "lambasted", seen in training or not.

    Parameters
    ----------
    source : str, default="wordllama"
        Word vectors: see `WordVectors.load`.
    anchors : int, default=2000
        How many of the most frequent words are anchors; 0 for the mean alone.
    ngram_range : pair of int, default=(1, 2)
        Of the anchors.
    min_df : int, default=2
        Fewest texts an n-gram of anchors occurs in.

    Attributes
    ----------
    vectors_ : WordVectors
    anchors_ : ndarray of shape (n_anchors, n_dimensions)
    index_ : NgramIndex
    idf_ : ndarray of shape (n_ngrams,)
    """

    def __init__(
        self,
        *,
        source: str = "wordllama",
        anchors: int = 2000,
        ngram_range: tuple[int, int] = (1, 2),
        min_df: int = 2,
    ) -> None:
        self.source = source
        self.anchors = anchors
        self.ngram_range = ngram_range
        self.min_df = min_df

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803
        """Load the vectors, choose the anchors, and select their n-grams."""
        self.vectors_ = WordVectors.load(self.source)
        if not self.anchors:
            self.anchors_ = np.zeros((0, self.vectors_.table.shape[1]), np.float32)
            return self
        tokens, counts = words(as_texts(X))
        encoded = tokens.dictionary_encode()
        ids = encoded.indices.to_numpy().astype(np.int64)
        vectors = self.vectors_.look_up(encoded.dictionary)
        frequent = np.argsort(-np.bincount(ids, minlength=len(vectors)), kind="stable")[: self.anchors]
        self.anchors_ = vectors[frequent]
        read_as = Tokens(self._nearest(vectors)[ids], counts)
        self.index_, df, used = NgramIndex.select(
            read_as, len(frequent), (self.ngram_range[0], self.ngram_range[1]), self.min_df
        )
        self.anchors_ = self.anchors_[used]
        self.idf_ = np.log((1 + len(counts)) / (1 + df)) + 1.0
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:  # noqa: N803
        """Return both blocks side by side, shape (n_texts, n_dimensions + n_ngrams)."""
        check_is_fitted(self)
        tokens, counts = words(as_texts(X))
        encoded = tokens.dictionary_encode()
        vectors = self.vectors_.look_up(encoded.dictionary)
        ids = encoded.indices.to_numpy().astype(np.int64)
        texts = Tokens(ids, counts)
        pool = sparse.csr_matrix(
            (np.ones(len(ids), np.float32), (texts.rows, ids)), shape=(len(counts), len(vectors))
        )
        mean = sparse.csr_matrix(unit(pool @ vectors))
        if not self.anchors:
            return mean
        read_as = Tokens(self._nearest(vectors)[ids], counts)
        return sparse.hstack([mean, self.index_.tfidf(read_as, self.idf_, sublinear=True)], format="csr")

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays, word vectors included: a bundle needs no other package's data."""
        arrays: dict[str, NDArray[Any]] = {
            "table": self.vectors_.table,
            "tokenizer": np.frombuffer(_compact(self.vectors_.tokenizer), np.uint8),
            "anchors": self.anchors_,
        }
        if self.anchors:
            arrays |= {"idf": self.idf_, **self.index_.arrays()}
        return {"parameters": self.get_params() | {"ngram_range": list(self.ngram_range)}, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted transformer."""
        arrays = dict(state["arrays"])
        self = cls(**state["parameters"])
        self.vectors_ = WordVectors(arrays.pop("table"), arrays.pop("tokenizer").tobytes().decode())
        self.anchors_ = arrays.pop("anchors")
        if self.anchors:
            self.idf_ = arrays.pop("idf")
            self.index_ = NgramIndex.from_arrays(len(self.anchors_), arrays)
        return self

    def _nearest(self, vectors: Floats) -> NDArray[np.int64]:
        """Return the number of the nearest anchor of each word: the largest cosine."""
        nearest = np.empty(len(vectors), np.int64)
        for begin in range(0, len(vectors), BLOCK):
            nearest[begin : begin + BLOCK] = (vectors[begin : begin + BLOCK] @ self.anchors_.T).argmax(axis=1)
        return nearest


def unit(rows: Floats) -> Floats:
    """Return rows scaled to length 1; rows of zeros stay."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32, copy=False)


def _compact(tokenizer: str) -> bytes:
    return json.dumps(json.loads(tokenizer), ensure_ascii=False, separators=(",", ":")).encode()
