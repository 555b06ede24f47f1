"""A frozen sentence encoder: what a sentence says as a whole, word order included."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.base import Transformer, check_fitted
from pipeline.models.onnx_export import DEFAULT, onnx_file, source_folder
from pipeline.models.onnx_text import REQUIREMENTS, Bytes, OnnxText
from pipeline.models.tokens import as_texts

Floats = NDArray[np.float32]
CACHE_BYTES = 256 * 2**20


class Encoder(Transformer):
    """Embed texts with a sentence encoder in ONNX Runtime: the mean of its tokens, of unit length.

    Parameters
    ----------
    source : str, default="all-MiniLM-L6-v2"
        A sentence-transformers folder, the name of the packaged encoder, or an id on the Hugging Face
        hub: see `pipeline.models.onnx_export.source_folder`.
    max_length : int, default=128
        Tokens a text is cut at. A warning says how many texts were.
    precision : {"fp32", "int8"}, default="fp32"
        "int8" is a quarter of the size and up to twice as fast, and a little less exact.
    batch_size : int, default=32
    threads : int, optional
        Default: all cores.

    Attributes
    ----------
    model_ : OnnxText
    truncated_ : int
        Texts given to `fit` that are cut.

    Notes
    -----
    Nothing is learnt in `fit`, so an embedding is the same in every fold of a cross-validation and
    is computed once in a process: embeddings of fitted encoders are kept in memory, 256 MB at most.
    An encoder loaded from a bundle keeps none.

    References
    ----------
    Reimers, N. & Gurevych, I. (2019). Sentence-BERT: sentence embeddings using Siamese BERT-networks.
    """

    requirements = REQUIREMENTS
    all_cores = True

    def __init__(
        self,
        *,
        source: str = DEFAULT,
        max_length: int = 128,
        precision: str = "fp32",
        batch_size: int = 32,
        threads: int | None = None,
    ) -> None:
        self.source = source
        self.max_length = max_length
        self.precision = precision
        self.batch_size = batch_size
        self.threads = threads

    def fit(self, X: Sequence[str], y: object = None) -> Self:  # noqa: N803
        """Load the encoder, and count the texts that it will cut."""
        folder = source_folder(self.source)
        onnx = onnx_file(folder, self.precision)
        tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._cache: EmbeddingCache | None
        self.model_, self._cache = _shared(onnx, tokenizer, self._settings())
        self.truncated_ = self.model_.cut(as_texts(X))
        return self

    def transform(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return embeddings of shape (n_texts, n_dimensions), rows of unit length."""
        check_fitted(self, "model_")
        texts = as_texts(X)
        if self._cache is None or not texts:
            return self._embed(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._cache.rows]
        found = self._cache.exchange(texts, dict(zip(new, self._embed(new), strict=True)) if new else {})
        return np.array([found[text] for text in texts])

    def state(self) -> dict[str, Any]:
        """Return parameters, the ONNX file and the tokenizer: a bundle needs no other package's data."""
        check_fitted(self, "model_")
        arrays = {
            "onnx": self.model_.onnx,
            "tokenizer": np.frombuffer(self.model_.tokenizer.encode(), np.uint8),
        }
        # A folder's path says something about whoever trained it, and is not needed any more.
        parameters = self.get_params() | {"source": self.source.replace("\\", "/").rpartition("/")[2]}
        return {"parameters": parameters, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted transformer."""
        self = cls(**state["parameters"])
        tokenizer = state["arrays"]["tokenizer"].tobytes().decode()
        self.model_ = OnnxText(state["arrays"]["onnx"], tokenizer, **self._settings())
        self._cache = None
        self.truncated_ = 0
        return self

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("max_length", "precision", "batch_size", "threads")}

    def _embed(self, texts: list[str]) -> Floats:
        vectors = self.model_.run(texts, pool=True)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class EmbeddingCache:
    """Embeddings by text, the oldest forgotten first.

    Parameters
    ----------
    limit : int
        Most bytes of vectors and texts together.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self.rows: OrderedDict[str, Floats] = OrderedDict()

    def exchange(self, texts: Sequence[str], new: dict[str, Floats]) -> dict[str, Floats]:
        """Return the embeddings of all texts, remembering those that are new."""
        found = {text: new[text] if text in new else self.rows[text] for text in texts}
        for text, vector in new.items():
            self.rows[text] = vector.copy()  # a view would keep its whole batch
            self.size += _bytes(text, vector)
        while self.size > self.limit:
            self.size -= _bytes(*self.rows.popitem(last=False))
        return found


# One encoder at a time: a second one in the same process takes the first one's place.
_last: tuple[str, OnnxText, EmbeddingCache] | None = None


def _shared(onnx: Bytes, tokenizer: str, settings: dict[str, Any]) -> tuple[OnnxText, EmbeddingCache]:
    """Return session and cache, those of the last fitted encoder where it was the same."""
    global _last
    digest = hashlib.sha256(onnx.tobytes())
    digest.update(f"{tokenizer}{sorted(settings.items())}".encode())
    key = digest.hexdigest()
    if _last is None or _last[0] != key:
        _last = key, OnnxText(onnx, tokenizer, **settings), EmbeddingCache()
    return _last[1], _last[2]


def _bytes(text: str, vector: Floats) -> int:
    return vector.nbytes + len(text) + 200  # and what Python adds to each
