"""A transformer over texts in ONNX Runtime: tokens in, arrays out, no torch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import ConfigError, need

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
PRECISIONS = ("fp32", "int8")
REQUIREMENTS = ("onnxruntime", "tokenizers")
AHEAD = 4096  # texts that are tokenised at once: memory is bounded, and there is enough to sort by length


def check_precision(precision: str) -> None:
    """Raise ConfigError for a precision that is not one."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision}: must be one of {', '.join(PRECISIONS)}")


class OnnxText:
    """An ONNX transformer with its tokenizer.

    Parameters
    ----------
    onnx : ndarray of uint8
        The model's file. Inputs `input_ids`, `attention_mask` and perhaps `token_type_ids`; the first
        output is used.
    tokenizer : str
        A Hugging Face tokenizer as JSON.
    max_length : int
        Most tokens of a text, special ones included; the rest is cut.
    precision : {"fp32", "int8"}
    batch_size : int
        Texts that go through the model together.
    threads : int, optional
        Batches worked on at a time; all cores where None.

    Notes
    -----
    Dynamic quantisation scales a layer's input by the largest value of its whole batch, so that a
    text's int8 result would depend on its neighbours. Such models get one text at a time, which
    costs a quarter of the speed; neighbours then never matter.
    """

    def __init__(
        self,
        onnx: Bytes,
        tokenizer: str,
        *,
        max_length: int,
        precision: str = "fp32",
        batch_size: int = 32,
        threads: int | None = None,
    ) -> None:
        need("a sentence encoder", "finetune", *REQUIREMENTS)
        from onnxruntime import InferenceSession, SessionOptions

        self.onnx = onnx
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.batch_size = 1 if precision == "int8" else batch_size
        self.threads = threads or cores()
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = InferenceSession(onnx.tobytes(), options, providers=["CPUExecutionProvider"])
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        self._tokens = Tokens(tokenizer, max_length)

    def run(self, texts: Sequence[str], *, pool: bool) -> Floats:
        """Return the model's output for each text; a warning says how many texts were cut.

        Parameters
        ----------
        texts : sequence of str
        pool : bool
            Average an output of one row a token over the tokens of each text.

        Returns
        -------
        ndarray of shape (n_texts, n_dimensions)
        """
        with ThreadPoolExecutor(self.threads) as workers:
            # One empty text where there is none tells the width.
            chunks = [texts[begin : begin + AHEAD] for begin in range(0, len(texts), AHEAD)] or [[""]]
            done = [self._chunk(chunk, workers, pool) for chunk in chunks]
        if cut := sum(cut for _, cut in done):
            message = f"{cut} of {len(texts)} texts were cut at {self.max_length} tokens (max_length)"
            warnings.warn(message, stacklevel=2)
        return np.concatenate([output for output, _ in done])[: len(texts)]

    def cut(self, texts: Sequence[str]) -> int:
        """Return how many texts are longer than `max_length` tokens, without running the model."""
        begins = range(0, len(texts), AHEAD)
        return sum(int(self._tokens(texts[begin : begin + AHEAD])[1].sum()) for begin in begins)

    def _chunk(self, texts: Sequence[str], workers: ThreadPoolExecutor, pool: bool) -> tuple[Floats, int]:
        tokens, cut = self._tokens(texts)
        batches = list(_batches(tokens, self.batch_size))
        found = list(workers.map(lambda batch: self._batch([tokens[i] for i in batch], pool), batches))
        output = np.empty((len(tokens), found[0].shape[1]), np.float32)
        output[np.concatenate(batches)] = np.concatenate(found)
        return output, int(cut.sum())

    def _batch(self, tokens: Sequence[Ints], pool: bool) -> Floats:
        ids, mask = padded(tokens)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: array for name, array in feed.items() if name in self._inputs}
        output: Any = self._session.run([self._output], feed)[0]
        if not pool:
            return output
        weight = mask.astype(np.float32)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1)
        return np.einsum("btd,bt->bd", output, weight)


class Tokens:
    """Texts to token ids.

    Parameters
    ----------
    tokenizer : str
        A Hugging Face tokenizer as JSON.
    max_length : int
    """

    def __init__(self, tokenizer: str, max_length: int) -> None:
        from tokenizers import Tokenizer

        if not isinstance(max_length, int) or max_length < 3:
            raise ConfigError(f"max_length={max_length}: must be a number of tokens, 3 or more")
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)

    def __call__(self, texts: Sequence[str]) -> tuple[list[Ints], NDArray[np.bool_]]:
        """Return the token ids of each text, and which texts were cut."""
        try:
            encoded = self._tokenizer.encode_batch(list(texts))
        except (TypeError, UnicodeEncodeError):  # lone surrogates, which JSON can carry
            encoded = self._tokenizer.encode_batch([t.encode("utf-8", "replace").decode() for t in texts])
        cut = np.array([bool(one.overflowing) for one in encoded], bool)
        return [np.array(one.ids, np.int64) for one in encoded], cut


def padded(tokens: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return token ids and attention mask of a batch, both of shape (n_texts, longest)."""
    lengths = np.array([len(one) for one in tokens])
    mask = (np.arange(lengths.max(initial=1)) < lengths[:, None]).astype(np.int64)
    ids = np.zeros_like(mask)
    ids[mask > 0] = np.concatenate(tokens)
    return ids, mask


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(tokens: Sequence[Ints], size: int) -> Iterator[Ints]:
    """Yield rows of similar length, the longest first: little padding, and no long last batch."""
    order = np.argsort([-len(one) for one in tokens], kind="stable")
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]
