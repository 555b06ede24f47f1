"""Texts as the pieces of words that a sub-word tokenizer knows, marks of punctuation included."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import numpy as np

from pipeline.models.ngrams import Tokens
from pipeline.models.tokens import Ints, as_texts

REMEMBERED = 50_000  # words, half of which stay when there are more


class Pieces:
    """Number the pieces of texts, word by word; what a word is made of is looked up once.

    Parameters
    ----------
    tokenizer : str
        A Hugging Face tokenizer as JSON.
    """

    def __init__(self, tokenizer: str) -> None:
        self.tokenizer = tokenizer
        self._speller = speller_of(tokenizer)
        self._numbers: dict[str, int] = {}
        self._flat = np.zeros(0, np.int32)
        self._ends = np.zeros(1, np.int64)

    def find(self, texts: Sequence[str]) -> Tokens:
        """Return the pieces of all texts, numbered as the tokenizer does."""
        words = as_texts(texts).words_and_marks
        numbers = self._look_up(words.strings)[words.ids]
        begin, lengths = self._ends[numbers], np.diff(self._ends)[numbers]
        ends = np.cumsum(lengths)
        at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begin - ends + lengths, lengths)
        counts = np.bincount(words.rows, lengths, minlength=len(words.counts)).astype(np.int64)
        return Tokens(self._flat[at], counts)

    def names(self, pieces: Ints) -> list[str]:
        """Return pieces as the tokenizer writes them."""
        return [self._speller.tokenizer.id_to_token(piece) or "" for piece in pieces.tolist()]

    def _look_up(self, words: Sequence[str]) -> Ints:
        if len(self._numbers) > REMEMBERED:  # what came first is the most frequent
            kept = REMEMBERED // 2
            self._numbers = {word: i for word, i in self._numbers.items() if i < kept}
            self._ends = self._ends[: kept + 1]
            self._flat = self._flat[: self._ends[-1]]
        if new := [word for word in words if word not in self._numbers]:
            begin = len(self._numbers)
            self._numbers |= {word: begin + i for i, word in enumerate(new)}
            found = self._speller.spelt(new)
            ends = self._ends[-1] + np.cumsum(list(map(len, found)))
            flat = np.fromiter(chain.from_iterable(found), np.int32, ends[-1] - self._ends[-1])
            self._flat, self._ends = np.concatenate([self._flat, flat]), np.concatenate([self._ends, ends])
        return np.array([self._numbers[word] for word in words], np.int64)


class Speller:
    """The pieces of words.

    Parameters
    ----------
    tokenizer : str
        A Hugging Face tokenizer as JSON.

    Attributes
    ----------
    tokenizer : tokenizers.Tokenizer
        Neither pads nor cuts.
    """

    def __init__(self, tokenizer: str) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self._last: dict[str, list[int]] = {}

    def spelt(self, words: Sequence[str]) -> list[list[int]]:
        """Return the numbers of the pieces of each of several distinct words.

        Those of the last call are remembered: the parts of a classifier ask one after the other for
        what is new in the same texts.
        """
        known = self._last
        new = [word for word in words if word not in known]
        encoded = self.tokenizer.encode_batch(new, add_special_tokens=False)
        known |= {word: one.ids for word, one in zip(new, encoded, strict=True)}
        self._last = {word: known[word] for word in words}
        return list(self._last.values())


@lru_cache(maxsize=2)  # parts of a classifier have the same one, which takes long to read
def speller_of(tokenizer: str) -> Speller:
    """Return the speller of a tokenizer."""
    return Speller(tokenizer)


def compact(tokenizer: str) -> bytes:
    """Return a tokenizer's JSON without spaces, as a bundle stores it."""
    return json.dumps(json.loads(tokenizer), ensure_ascii=False, separators=(",", ":")).encode()
