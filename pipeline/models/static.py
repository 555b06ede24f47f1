"""Static word embeddings: what a word means without its sentence, at the speed of a lookup."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.base import Transformer, check_fitted
from pipeline.models.ngrams import NgramIndex, Tokens
from pipeline.models.pieces import REMEMBERED, compact, speller_of
from pipeline.models.tokens import Ints, Words, as_texts
from pipeline.schema import ConfigError

Floats = NDArray[np.float32]
BLOCK = 4096
DEFAULT = "minilm"
VECTORS = Path(__file__).parents[2] / "data" / "vectors"


class WordVectors:
    """Vectors of words, each the mean of its sub-word tokens' vectors, remembered once looked up.

    Parameters
    ----------
    table : ndarray of shape (n_tokens, n_dimensions)
    tokenizer : str
        A Hugging Face tokenizer as JSON.
    """

    def __init__(self, table: NDArray[np.float16], tokenizer: str) -> None:
        self.table = table
        self.tokenizer = tokenizer
        self._speller = speller_of(tokenizer)
        self._rows = np.empty((1024, table.shape[1]), np.float32)
        self._numbers: dict[str, int] = {}

    @property
    def vectors(self) -> Floats:
        """Unit vectors of the words remembered, shape (n_words, n_dimensions)."""
        return self._rows[: len(self._numbers)]

    @classmethod
    def load(cls, source: str) -> Self:
        """Load "minilm", which comes with this repository, or a model2vec folder or hub id.

        Raises
        ------
        ConfigError
            For a folder without `model.safetensors` and `tokenizer.json`.
        """
        from safetensors.numpy import load_file

        folder = VECTORS if source == DEFAULT else Path(source).expanduser()
        if not folder.is_dir() and source != DEFAULT:
            from pipeline.models.onnx_export import from_hub

            folder = from_hub(source, ("model.safetensors", "tokenizer.json"))
        weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
        if not (weights.is_file() and tokenizer.is_file()):
            raise ConfigError(
                f"source={source}: expected '{DEFAULT}' or a model2vec folder with model.safetensors "
                "and tokenizer.json"
            )
        tensors = load_file(weights)
        table = next(t for t in tensors.values() if t.ndim == 2).astype(np.float32)
        if "scale" in tensors:
            table *= tensors["scale"][:, None]
        return cls(table.astype(np.float16), tokenizer.read_text(encoding="utf-8"))

    def look_up(self, words: Sequence[str]) -> Ints:
        """Return the row of `vectors` of each of several distinct words."""
        if new := [word for word in words if word not in self._numbers]:
            begin = len(self._numbers)
            self._numbers |= {word: begin + i for i, word in enumerate(new)}
            if len(self._numbers) > len(self._rows):
                larger = np.empty((2 * len(self._numbers), self._rows.shape[1]), np.float32)
                larger[:begin] = self._rows[:begin]
                self._rows = larger
            self._rows[begin : len(self._numbers)] = self._embed(new)
        return np.array([self._numbers[word] for word in words], np.int64)

    def forget(self, kept: int) -> None:
        """Forget all words but the `kept` that were looked up first."""
        self._numbers = {word: i for word, i in self._numbers.items() if i < kept}

    def _embed(self, unique: list[str]) -> Floats:
        spelt = self._speller.spelt(unique)
        lengths = np.array(list(map(len, spelt)))
        ids = np.fromiter(chain.from_iterable(spelt), np.int64, lengths.sum())
        ids = np.minimum(ids, len(self.table) - 1)
        owner = np.repeat(np.arange(len(unique)), lengths)
        # A word may have no token at all, as the last ones here: the shape is not to be guessed.
        shape = (len(unique), len(ids))
        pool = sparse.csr_matrix((np.ones(len(ids), np.float32), (owner, np.arange(len(ids)))), shape=shape)
        return unit(pool @ self.table[ids].astype(np.float32))


class Static(Transformer):
    """The mean of a text's word vectors, and n-grams of the frequent words nearest to its words.

    The mean says what a text is about. The n-grams keep the order of words, with every word read as
    the frequent word of nearest meaning (its anchor): what was learned of "criticised" then serves
    for "lambasted", seen in training or not.

    Parameters
    ----------
    source : str, default="minilm"
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

    requirements = ("tokenizers",)

    def __init__(
        self,
        *,
        source: str = DEFAULT,
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
        words = as_texts(X).lower_words.longer
        numbers = self.vectors_.look_up(words.strings)
        vectors = self.vectors_.vectors[numbers]
        frequent = np.argsort(-np.bincount(words.ids, minlength=len(vectors)), kind="stable")[: self.anchors]
        self.anchors_ = vectors[frequent]
        self.index_, df, used = NgramIndex.select(
            Tokens(nearest(vectors, self.anchors_)[words.ids], words.counts),
            len(frequent),
            (self.ngram_range[0], self.ngram_range[1]),
            self.min_df,
        )
        self.anchors_ = self.anchors_[used]
        self.idf_ = np.log((1 + len(words.counts)) / (1 + df)) + 1.0
        self._read_as = np.zeros(0, np.int64)
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:  # noqa: N803
        """Return both blocks side by side, shape (n_texts, n_dimensions + n_ngrams)."""
        return sparse.hstack([sparse.csr_matrix(block) for block in self.blocks(X)], format="csr")

    def blocks(self, X: Sequence[str]) -> list[Any]:  # noqa: N803
        """Return the means, shape (n_texts, n_dimensions), and the n-grams, (n_texts, n_ngrams)."""
        check_fitted(self, "anchors_")
        words = as_texts(X).lower_words.longer
        numbers = self._look_up(words)
        ends = np.concatenate([[0], np.cumsum(words.counts)])
        vectors = self.vectors_.vectors
        pool = sparse.csr_matrix(
            (np.ones(len(words.ids), np.float32), numbers[words.ids], ends),
            shape=(len(words.counts), len(vectors)),
        )
        mean = unit(pool @ vectors)
        if not self.anchors:
            return [mean]
        read_as = Tokens(self._read_as[numbers][words.ids], words.counts)
        return [mean, self.index_.tfidf(read_as, self.idf_, sublinear=True)]

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays, word vectors included: a bundle needs no other package's data."""
        arrays: dict[str, NDArray[Any]] = {
            "table": self.vectors_.table,
            "tokenizer": np.frombuffer(compact(self.vectors_.tokenizer), np.uint8),
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
        self._read_as = np.zeros(0, np.int64)
        if self.anchors:
            self.idf_ = arrays.pop("idf")
            self.index_ = NgramIndex.from_arrays(len(self.anchors_), arrays)
        return self

    def _look_up(self, words: Words) -> Ints:
        """Return the row of `vectors_.vectors`, and of `_read_as`, of each distinct word."""
        if len(self.vectors_.vectors) > REMEMBERED:  # what came first is the most frequent
            self.vectors_.forget(REMEMBERED // 2)
            self._read_as = self._read_as[: REMEMBERED // 2]
        numbers = self.vectors_.look_up(words.strings)
        if self.anchors:
            new = self.vectors_.vectors[len(self._read_as) :]
            self._read_as = np.concatenate([self._read_as, nearest(new, self.anchors_)])
        return numbers


def nearest(vectors: Floats, anchors: Floats) -> Ints:
    """Return the number of the anchor nearest to each vector: the largest cosine, the first of equals.

    Matrix products add up in an order that depends on their shape, so that they differ in the last
    bits for the same word among other words; what is nearly equal is compared again, exactly.
    """
    found = np.empty(len(vectors), np.int64)
    for begin in range(0, len(vectors), BLOCK):
        block = vectors[begin : begin + BLOCK]
        cosine = block @ anchors.T
        found[begin : begin + BLOCK] = cosine.argmax(axis=1)
        close = cosine >= cosine.max(axis=1, keepdims=True) - 1e-5
        for row in np.flatnonzero((close.sum(axis=1) > 1) & block.any(axis=1)):
            choices = np.flatnonzero(close[row])
            exact = (anchors[choices].astype(np.float64) * block[row]).sum(axis=1)
            found[begin + row] = choices[exact.argmax()]
    return found


def unit(rows: Floats) -> Floats:
    """Return rows scaled to length 1; rows of zeros stay."""
    norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32, copy=False)
