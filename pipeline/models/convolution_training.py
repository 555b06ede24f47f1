"""Training a small convolutional network over pieces of words, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.models.ngrams import Tokens
from pipeline.models.windows import Layout

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LONGEST = 96  # pieces of a text that are trained on
DECAY = 1e-4
WARM_UP = 0.1
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # Adam's
OUTSIDE = np.float32(-1e4)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; see `pipeline.models.convolution.Convolution`."""

    widths: tuple[int, ...]
    filters: int
    epochs: int
    rate: float
    dropout: float
    word_dropout: float
    seed: int

    @property
    def layout(self) -> Layout:
        """Which filter has which columns."""
        return Layout(self.widths, self.filters)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network; for each filter, its answer is the largest sum over windows plus `shift`."""

    table: Floats
    shift: Floats
    coef: Floats
    intercept: Floats


def train(
    vectors: Floats, tokens: Tokens, y: Floats, recipe: Recipe, sample_weight: Floats | None = None
) -> Trained:
    """Train filters, vectors and weights against the binary cross-entropy of each label.

    Parameters
    ----------
    vectors : ndarray of shape (n_pieces, n_dimensions)
        Of which those of pieces in the texts are trained.
    tokens : Tokens
        Pieces of the texts.
    y : ndarray of shape (n_texts, n_labels)
        0 and 1, or how probable a label is.
    recipe : Recipe
    sample_weight : ndarray of shape (n_texts,), optional

    Notes
    -----
    Kingma & Ba (2015), Adam, with decoupled weight decay. On one thread, since how many add up a matrix
    product changes its last bits, and with them all that follows.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        network = _Network(vectors, y, recipe)
        size = int(np.clip(len(y) // 200, 16, 128))
        steps = recipe.epochs * -(-len(y) // size)
        worth = np.ones(len(y), np.float32) if sample_weight is None else sample_weight
        rng, step = np.random.default_rng(recipe.seed), 0
        for _ in range(recipe.epochs):
            for rows in _batches(tokens.counts, size, rng):
                ids, inside = _laid_out(tokens, rows, len(vectors))
                ids = np.where((rng.random(ids.shape) < recipe.word_dropout) & inside, len(vectors), ids)
                share = min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps))
                step += 1
                kept = rng.random((len(rows), network.answers), np.float32) >= recipe.dropout
                network.learn(ids, inside, kept, (y[rows], worth[rows, None]), recipe.rate * share)
        return network.trained()


class _Network:
    """Weights, their gradients, and Adam's memory of them."""

    def __init__(self, vectors: Floats, y: Floats, recipe: Recipe) -> None:
        rng = np.random.default_rng([recipe.seed, 1])
        size, dimensions = vectors.shape
        self.recipe, self.layout, self.none, self.steps = recipe, recipe.layout, size, 0
        self.answers, owner = self.layout.answers, self.layout.owner
        start = np.vstack([vectors / (vectors.std() or 1.0), np.zeros((1, dimensions))])
        self.vectors = start.astype(np.float32)
        share = np.clip(y.mean(axis=0), 1e-4, 1 - 1e-4)
        spread = (dimensions * np.repeat(recipe.widths, recipe.filters)[owner]) ** -0.5
        self.weights = {
            "filters": rng.normal(0, spread, (dimensions, len(owner))),
            "shift": np.zeros(self.answers),
            "coef": rng.normal(0, 0.05, (self.answers, y.shape[1])),
            "intercept": np.log(share / (1 - share)),
        }
        self.weights = {name: value.astype(np.float32) for name, value in self.weights.items()}
        self.memory = {name: (np.zeros_like(v), np.zeros_like(v)) for name, v in self.weights.items()}
        self.vector_memory = np.zeros_like(self.vectors), np.zeros_like(self.vectors)

    def learn(
        self,
        ids: Ints,
        inside: NDArray[np.bool_],
        kept: NDArray[np.bool_],
        targets: tuple[Floats, Floats],
        rate: float,
    ) -> None:
        """Take one step; see `gradients`."""
        _, of_weights, used, of_vectors = self.gradients(ids, inside, kept, *targets)
        self.steps += 1
        for name, gradient in of_weights.items():
            change = _adam(self.memory[name], slice(None), gradient, self.steps)
            if name in ("filters", "coef"):
                change += DECAY * self.weights[name]
            self.weights[name] -= rate * change
        self.vectors[used] -= rate * _adam(self.vector_memory, used, of_vectors, self.steps)

    def gradients(
        self, ids: Ints, inside: NDArray[np.bool_], kept: NDArray[np.bool_], y: Floats, worth: Floats
    ) -> tuple[float, dict[str, Floats], Ints, Floats]:
        """Return the loss and how it changes with the weights and with the vectors of some pieces.

        Parameters
        ----------
        ids, inside : ndarray of shape (n_texts, longest)
            The pieces of texts, and where there is one.
        kept : ndarray of shape (n_texts, n_answers)
            Answers that are not left out.
        y : ndarray of shape (n_texts, n_labels)
        worth : ndarray of shape (n_texts, 1)
            What a text counts.

        Returns
        -------
        loss : float
            Mean over texts, sum over labels.
        of_weights : dict of ndarray
        used : ndarray of shape (n_used,)
        of_vectors : ndarray of shape (n_used, n_dimensions)
        """
        weights = self.weights
        used, at = np.unique(ids, return_inverse=True)
        at = at.reshape(ids.shape)
        rows = self.vectors[used]
        best, places = self._best(rows @ weights["filters"], at, inside)
        answers = np.maximum(best + weights["shift"], 0)
        mask = kept / np.float32(1 - self.recipe.dropout)
        seen = answers * mask
        odds = seen @ weights["coef"] + weights["intercept"]
        loss = float((worth * (np.logaddexp(0, odds) - y * odds)).sum() / len(y))
        off = worth * (expit(odds) - y) / np.float32(len(y))
        back = (off @ weights["coef"].T) * mask * (answers > 0)
        to_columns = self._spread(back, places, at, len(used))
        of_weights = {
            "filters": rows.T @ to_columns,
            "shift": back.sum(axis=0),
            "coef": seen.T @ off,
            "intercept": off.sum(axis=0),
        }
        known = used != self.none
        return loss, of_weights, used[known], (to_columns @ weights["filters"].T)[known]

    def trained(self) -> Trained:
        """Return the network, its vectors multiplied by its filters."""
        weights = self.weights
        table = self.vectors[:-1] @ weights["filters"]
        return Trained(table, weights["shift"], np.ascontiguousarray(weights["coef"].T), weights["intercept"])

    def _best(self, added: Floats, at: Ints, inside: NDArray[np.bool_]) -> tuple[Floats, Ints]:
        """Return the largest sum over windows and where that begins, both of shape (n_texts, n_answers)."""
        sums = added[:, self.layout.columns(0)[0]][at]
        for place in range(1, min(len(self.layout.places), at.shape[1])):
            columns, filters = self.layout.columns(place)
            sums[:, :-place, filters] += added[:, columns][at[:, place:]]
        sums[~inside] = OUTSIDE
        places = sums.argmax(axis=1)
        return np.take_along_axis(sums, places[:, None], axis=1)[:, 0], places

    def _spread(self, back: Floats, places: Ints, at: Ints, size: int) -> Floats:
        """Return the gradient of `added`: each filter's goes to the pieces of its best window."""
        width, text = len(self.layout.owner), np.arange(len(at))[:, None]
        cells, values = [], []
        for place in range(len(self.layout.places)):
            columns, filters = self.layout.columns(place)
            where = places[:, filters] + place
            there = (where < at.shape[1]) & (back[:, filters] != 0)
            piece = at[text, np.minimum(where, at.shape[1] - 1)]
            cells.append((piece * width + np.arange(columns.start, columns.stop))[there])
            values.append(back[:, filters][there])
        summed = np.bincount(np.concatenate(cells), np.concatenate(values), minlength=size * width)
        return summed.reshape(size, width).astype(np.float32)


def _adam(memory: tuple[Floats, Floats], rows: slice | Ints, gradient: Floats, step: int) -> Floats:
    """Return the change for a unit rate, and remember."""
    mean = memory[0][rows] * FIRST + (1 - FIRST) * gradient
    square = memory[1][rows] * SECOND + (1 - SECOND) * gradient**2
    memory[0][rows], memory[1][rows] = mean, square
    change = (mean / (1 - FIRST**step)) / (np.sqrt(square / (1 - SECOND**step)) + TINY)
    return np.asarray(change, np.float32)


def _batches(counts: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield the numbers of all texts in batches of about one length, in random order."""
    order, cut = rng.permutation(len(counts)), size * 40
    parts = [order[i : i + cut] for i in range(0, len(order), cut)]
    parts = [part[np.argsort(counts[part], kind="stable")] for part in parts]
    batches = [part[i : i + size] for part in parts for i in range(0, len(part), size)]
    for i in rng.permutation(len(batches)):
        yield batches[i]


def _laid_out(tokens: Tokens, rows: Ints, none: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the pieces of some texts side by side, and where there are some; one of none at least."""
    begin = np.cumsum(tokens.counts) - tokens.counts
    counts = np.minimum(tokens.counts[rows], LONGEST)
    across = np.arange(max(int(counts.max()), 1))
    full = across < counts[:, None]
    ids = np.full(full.shape, none)
    ids[full] = tokens.ids[(begin[rows][:, None] + across)[full]]
    full[:, 0] = True
    return ids, full
