"""Training an encoder on pairs of sentences that are alike or not; imported only where torch is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.finetuning import Floats, Ints, Recipe, Training
from pipeline.models.margins import NEVER
from pipeline.schema import ConfigError

BATCH = 64  # texts embedded at once for the head
MOST = 100_000  # pairs


@dataclass(frozen=True, slots=True)
class PairRecipe(Recipe):
    """What is done in contrastive training; see `pipeline.models.finetuned.FineTuned`."""

    pairs: int


class Contrastive(Training):
    """SetFit: the encoder learns from pairs, then a logistic regression per label from its vectors.

    Notes
    -----
    The cosine of two sentences' vectors is drawn to what `drawn_pairs` says by the squared difference.

    References
    ----------
    Tunstall, L. et al. (2022). Efficient few-shot learning without prompts. Pairs are drawn label by
    label here, so that rare labels count as much as frequent ones, and sentences without a label are a
    kind of their own.
    """

    recipe: PairRecipe
    unit = True

    def __init__(
        self, folder: Path, tokens: list[Ints], y: Floats, recipe: PairRecipe, checkpoint: Path, device: str
    ) -> None:
        super().__init__(folder, tokens, y, recipe, checkpoint, device)
        rng = np.random.default_rng(recipe.seed)
        self.first, self.second, self.alike = drawn_pairs(y > 0, recipe.pairs, rng)
        lengths = np.array([len(one) for one in tokens])
        self._each_epoch(np.maximum(lengths[self.first], lengths[self.second]).tolist())

    def _loss(self, rows: Ints) -> torch.Tensor:
        both = self._through(self.model.embed, np.concatenate([self.first[rows], self.second[rows]]))
        one, other = both.chunk(2)
        wanted = torch.from_numpy(self.alike[rows]).to(self.device)
        return torch.nn.functional.mse_loss((one * other).sum(dim=1), wanted)

    def _finish(self) -> None:
        """Fit the linear layer on the vectors of all sentences."""
        order = np.argsort([len(one) for one in self.tokens], kind="stable")
        vectors = np.empty((len(order), self.model.head.in_features), np.float32)
        with torch.no_grad():
            for begin in range(0, len(order), BATCH):
                rows = order[begin : begin + BATCH]
                vectors[rows] = self._through(self.model.embed, rows).cpu().numpy()
            for k, (coef, intercept) in enumerate(logistic_heads(vectors, self.y, self.recipe.class_weight)):
                self.model.head.weight[k] = torch.from_numpy(coef)
                self.model.head.bias[k] = intercept


def drawn_pairs(y: NDArray[np.bool_], pairs: int, rng: np.random.Generator) -> tuple[Ints, Ints, Floats]:
    """Return pairs of rows, and how alike the two are: labels in common of all labels of either.

    Parameters
    ----------
    y : ndarray of bool, shape (n_sentences, n_labels)
    pairs : int
        About so many like pairs a sentence, and as many that have no label in common; equally many of
        each label, "none" being one.
    rng : Generator

    Raises
    ------
    ConfigError
        Where no two sentences are alike, or all are, or there are too many.
    """
    if not isinstance(pairs, int) or pairs < 1:
        raise ConfigError(f"pairs={pairs}: must be 1 or more")
    if 2 * pairs * len(y) > MOST:
        raise ConfigError(
            f"objective=contrastive: {len(y)} sentences make {2 * pairs * len(y)} pairs, over {MOST}; "
            "it is for few labels: lower pairs, or use objective=labels"
        )
    kinds = np.hstack([y, ~y.any(axis=1, keepdims=True)])
    kinds = kinds[:, kinds.any(axis=0)]
    members = [np.flatnonzero(column) for column in kinds.T]
    each = -(-pairs * len(y) // len(members))
    first, second = [], []
    for k, own in enumerate(members):
        if len(own) > 1:
            place = rng.integers(0, len(own), each)
            first.append(own[place])
            second.append(own[(place + rng.integers(1, len(own), each)) % len(own)])
        others = [other for other in range(len(members)) if other != k]
        if others:
            one = rng.choice(own, each)
            chosen = rng.choice(others, each)
            other = np.array([members[c][rng.integers(len(members[c]))] for c in chosen])
            unlike = ~(kinds[one] & kinds[other]).any(axis=1)
            first.append(one[unlike])
            second.append(other[unlike])
    one, other = np.concatenate(first), np.concatenate(second)
    common, either = ((f(kinds[one], kinds[other])).sum(axis=1) for f in (np.logical_and, np.logical_or))
    alike = (common / either).astype(np.float32)
    if not alike.any() or alike.all():
        raise ConfigError(
            "objective=contrastive: needs sentences with labels in common, and some with none in common; "
            "label more, or use objective=labels"
        )
    return one, other, alike


def logistic_heads(vectors: Floats, y: Floats, class_weight: str | None) -> list[tuple[Any, float]]:
    """Return coefficients and intercept of a logistic regression for each label."""
    from sklearn.linear_model import LogisticRegression

    heads = []
    for column in (y > 0).T:
        if column.all() or not column.any():  # nothing to tell apart
            heads.append((np.zeros(vectors.shape[1], np.float32), NEVER if column.any() else -NEVER))
        else:
            fitted = LogisticRegression(class_weight=class_weight, max_iter=1000).fit(vectors, column)
            heads.append((fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0])))
    return heads
