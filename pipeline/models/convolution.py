"""A small convolutional network over sub-word pieces: word order, at the speed of a look-up.

It reads every window of one, two or three pieces; each of its filters answers to the one window of a
sentence that it likes best. NumPy trains it, in seconds; scoring needs neither matrix products nor torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.base import Estimator, check_fitted
from pipeline.models.linear import LinearHead
from pipeline.models.ngrams import Tokens
from pipeline.models.pieces import Pieces, compact
from pipeline.models.static import DEFAULT, WordVectors
from pipeline.models.tokens import as_texts
from pipeline.models.windows import Layout

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BLOCK = 8192  # pieces at once: what they take up stays in the processor's cache
_SPAN = 4096  # pieces of a text at once: however long it is, it takes no more memory
_STEPS = 127  # of eight bits, to either side
_STRIDE = 4  # texts begin at its multiples, a power of 2


class Convolution(Estimator):
    """Score texts by the best window of pieces of each filter.

    Parameters
    ----------
    source : str, default="minilm"
        Where the vectors of pieces start from: see `pipeline.models.static.WordVectors.load`.
    dimensions : int, default=128
        How many of their first dimensions are used.
    widths : sequence of int, default=(1, 2, 3)
        Pieces in a window.
    filters : int, default=64
        Of each width.
    epochs : int, default=5
    rate : float, default=0.008
        Adam's, at its height: it rises for a tenth of the training and then falls to nothing.
    dropout : float, default=0.3
        Share of filters left out of a training step.
    word_dropout : float, default=0.1
        Share of pieces left out of a training step.
    random_state : int, default=0

    Attributes
    ----------
    table_ : ndarray of int8 of shape (n_pieces + 1, sum(widths) * filters)
        What each piece adds to each filter, at each place in its window; the last row is that of none.
    scale_, shift_ : ndarray of shape (len(widths) * filters,)
        A filter's answer is the largest sum over its windows, times `scale_`, plus `shift_`; or 0 where
        that is negative.
    head_ : LinearHead
        What answers add to the scores, which are log-odds.

    Notes
    -----
    The vectors of pieces are trained with the rest. Afterwards they are multiplied by the filters once
    and for all and stored in eight bits, so that scores come from sums of whole numbers: those of a text
    depend on no other text, to the last bit.

    References
    ----------
    Kim, Y. (2014). Convolutional neural networks for sentence classification. EMNLP 2014.
    """

    requirements = ("tokenizers",)

    def __init__(
        self,
        *,
        source: str = DEFAULT,
        dimensions: int = 128,
        widths: Sequence[int] = (1, 2, 3),
        filters: int = 64,
        epochs: int = 5,
        rate: float = 0.008,
        dropout: float = 0.3,
        word_dropout: float = 0.1,
        random_state: int = 0,
    ) -> None:
        self.source = source
        self.dimensions = dimensions
        self.widths = widths
        self.filters = filters
        self.epochs = epochs
        self.rate = rate
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.random_state = random_state

    def fit(
        self,
        X: Sequence[str],  # noqa: N803
        y: Any,
        sample_weight: Floats | None = None,
    ) -> Self:
        """Learn from texts and labels of shape (n_texts, n_labels): 0 and 1, or how probable each is."""
        from pipeline.models.convolution_training import Recipe, train

        loaded = WordVectors.load(self.source)
        vectors = loaded.table[:, : self.dimensions].astype(np.float32)
        self.pieces_ = Pieces(loaded.tokenizer)
        recipe = Recipe(
            tuple(sorted(self.widths)),
            self.filters,
            self.epochs,
            self.rate,
            self.dropout,
            self.word_dropout,
            self.random_state,
        )
        targets = np.asarray(y, np.float32).reshape(len(y), -1)
        worth = None if sample_weight is None else np.asarray(sample_weight, np.float32)
        trained = train(vectors, self._tokens(as_texts(X), len(vectors)), targets, recipe, worth)
        self.layout_ = recipe.layout
        self.table_, self.scale_ = in_eight_bits(trained.table, self.layout_)
        self.shift_ = trained.shift
        self.head_ = LinearHead(trained.coef.astype(np.float64), trained.intercept.astype(np.float64))
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_fitted(self, "table_")
        return self.head_.decision_function(self.answers(X))

    def answers(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return what the filters answer, shape (n_texts, len(widths) * filters), none below 0."""
        tokens = self._tokens(as_texts(X), len(self.table_) - 1)
        found, texts = [np.zeros((0, self.layout_.answers), np.int16)], [np.zeros(0, np.int64)]
        for sums, begin, end, owner in self._windows(tokens):
            found.append(_largest(sums, begin, end))
            texts.append(owner)
        largest, owner = np.concatenate(found), np.concatenate(texts)
        if len(largest) > len(tokens.counts):  # some text has several spans
            largest = np.maximum.reduceat(largest, np.searchsorted(owner, np.arange(len(tokens.counts))))
        return np.maximum(largest * self.scale_ + self.shift_, 0.0)

    def best_windows(self, X: Sequence[str]) -> tuple[list[list[str]], Ints]:  # noqa: N803
        """Return the pieces of each text, and where each filter's best window begins, by text.

        Returns
        -------
        pieces : list of list of str
        places : ndarray of shape (n_texts, len(widths) * filters)
        """
        tokens = self._tokens(as_texts(X), len(self.table_) - 1)
        names = self.pieces_.names(tokens.ids)
        ends = np.cumsum(tokens.counts)
        written = [names[e - n : e] for n, e in zip(tokens.counts, ends, strict=True)]
        best = np.full((len(written), self.layout_.answers), np.iinfo(np.int16).min)
        places, before = np.zeros(best.shape, np.int64), np.zeros(len(written), np.int64)
        for sums, begin, end, owner in self._windows(tokens):
            for b, e, text in zip(begin, end, owner, strict=True):
                place = sums[b:e].argmax(axis=0)
                value = np.take_along_axis(sums[b:e], place[None], axis=0)[0]
                places[text] = np.where(value > best[text], before[text] + place, places[text])
                best[text] = np.maximum(best[text], value)
                before[text] += e - b
        return written, places

    def state(self) -> dict[str, Any]:
        """Return parameters and arrays for `from_state`."""
        check_fitted(self, "table_")
        arrays = {
            "table": self.table_,
            "scale": self.scale_,
            "shift": self.shift_,
            "coef": self.head_.coef,
            "intercept": self.head_.intercept,
            "tokenizer": np.frombuffer(compact(self.pieces_.tokenizer), np.uint8),
        }
        return {"parameters": self.get_params() | {"widths": list(self.widths)}, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted classifier."""
        self, arrays = cls(**state["parameters"]), state["arrays"]
        self.table_, self.scale_, self.shift_ = (arrays[name] for name in ("table", "scale", "shift"))
        self.layout_ = Layout(sorted(self.widths), self.filters)
        self.head_ = LinearHead(arrays["coef"], arrays["intercept"])
        self.pieces_ = Pieces(arrays["tokenizer"].tobytes().decode())
        return self

    def _tokens(self, texts: Sequence[str], size: int) -> Tokens:
        found = self.pieces_.find(texts)
        return Tokens(np.minimum(found.ids, size - 1), found.counts)

    def _windows(self, tokens: Tokens) -> Iterator[tuple[NDArray[np.int16], Ints, Ints, Ints]]:
        """Yield, block by block, sums over windows, where each span begins and ends, and whose it is.

        There is a row for each piece with which a window begins, a column for each filter. A text has a
        window for each of its pieces, and one of nothing where it has none; at its end windows go on into
        pieces that add nothing. Long texts have several spans.
        """
        none, ends = len(self.table_) - 1, np.cumsum(tokens.counts)
        spans = np.maximum(-(-tokens.counts // _SPAN), 1)
        owner = np.repeat(np.arange(len(spans)), spans)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(spans) - spans, spans)
        first = (ends - tokens.counts)[owner] + number * _SPAN
        lengths = np.clip(ends[owner] - first, 1, _SPAN)
        laid = -(-(lengths + max(self.widths) - 1) // _STRIDE) * _STRIDE
        blocks = np.flatnonzero(np.diff(np.cumsum(laid) // _BLOCK)) + 1
        for part in np.split(np.arange(len(owner)), blocks):
            begin = np.cumsum(laid[part]) - laid[part]
            at = np.arange(laid[part].sum()) + np.repeat(first[part] - begin, laid[part])
            inside = at < np.repeat(ends[owner[part]], laid[part])
            ids = np.full(len(at), none)
            ids[inside] = tokens.ids[at[inside]]
            rows = self.table_.take(ids, axis=0)
            sums = rows[:, self.layout_.columns(0)[0]].astype(np.int16)
            for place in range(1, max(self.widths)):
                columns, filters = self.layout_.columns(place)
                sums[:-place, filters] += rows[place:, columns]
            yield sums, begin, begin + lengths[part], owner[part]


def _largest(sums: NDArray[np.int16], begin: Ints, end: Ints) -> NDArray[np.int16]:
    """Return the largest sum of each span; halves of all rows are compared first, which is far quicker."""
    filled = np.zeros(len(sums) + 1, np.int8)
    filled[begin] += 1
    filled[end] -= 1
    sums[np.cumsum(filled[:-1]) == 0] = np.iinfo(sums.dtype).min
    for _ in range(_STRIDE.bit_length() - 1):
        sums = np.maximum(sums[::2], sums[1::2])
    return np.maximum.reduceat(sums, begin // _STRIDE)


def in_eight_bits(table: NDArray[np.float32], layout: Layout) -> tuple[NDArray[np.int8], Floats]:
    """Return a table of whole numbers with a row of zeros after it, and what one is worth by filter."""
    largest = np.zeros(layout.answers)
    np.maximum.at(largest, layout.owner, np.abs(table).max(axis=0))
    scale = np.maximum(largest, 1e-6) / _STEPS
    numbers = np.rint(table / scale[layout.owner]).astype(np.int8)
    return np.vstack([numbers, np.zeros((1, table.shape[1]), np.int8)]), scale
