"""A linear classifier that fits itself to the size and the kind of the texts it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.blend import Blend
from pipeline.models.chars import CharTfidf
from pipeline.models.convolution import Convolution
from pipeline.models.encoder import Encoder
from pipeline.models.linear import Chain, Concatenation, LinearHead
from pipeline.models.margins import fit_centroids, fit_margins
from pipeline.models.static import Static
from pipeline.models.tokens import as_texts

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]

WORDS, CHARS, VECTORS = "words, pairs and triples", "character n-grams", "word vectors"
SENTENCES = "sentence encoder"
# What memory and minutes allow.
WEIGHTS = 15_000_000  # of one kind, of all labels together: 60 MB
MOST_FEATURES, FEWEST_FEATURES = 300_000, 20_000  # of one kind; with fewer, pairs crowd out rare words
ANCHORS, ANCHOR_LABELS = 2000, 30  # n-grams of anchors: so many, up to so many labels
CHARACTERS = 12_000_000  # in all texts, up to where their n-grams are used
VECTOR_TEXTS = 50_000  # texts up to which word vectors, and the network, are used
NETWORK_LABELS = 300  # labels up to which the network is
MACHINES = 300_000_000  # characters times labels: with more, and so many labels, centroids, no machines
NETWORK = 0.1  # what its log-odds are multiplied by, beside margins
# What a choice is made on.
CHOICE_TEXTS, CHOICE_CHARACTERS, CHOICE_LABELS, CHOICE_FOLDS, CHOICE_LEAST = 1500, 500_000, 12, 3, 100
STRENGTHS = (0.1, 1.0)  # tried besides the usual one
FEW, MANY = 200, 3000  # texts: word vectors count twice up to the one, phrases of one text up to the other


@dataclass(frozen=True, slots=True)
class Choice:
    """What a classifier is made of.

    Attributes
    ----------
    kinds : tuple of str
        Features.
    strength : float
        C of the support vector machines.
    most : int
        Features of one kind.
    min_df, char_min_df : int
        Fewest texts a phrase, or an n-gram of characters, occurs in.
    anchors : int
        See `pipeline.models.static.Static`.
    vectors : float
        Weight of the word vectors: the fewer the texts, the more it matters what is known of words.
    network : bool
        Whether a convolutional network is added.
    centroids : bool
        Whether the head is one centroid for each label, in place of support vector machines.
    encoder : str, optional
        See `pipeline.models.encoder.Encoder`.
    """

    kinds: tuple[str, ...]
    strength: float = 0.3
    most: int = MOST_FEATURES
    min_df: int = 1
    char_min_df: int = 2
    anchors: int = ANCHORS
    vectors: float = 1.0
    network: bool = False
    centroids: bool = False
    encoder: str | None = None

    def __str__(self) -> str:
        network = "; convolutional network" if self.network else ""
        head = "centroids" if self.centroids else f"linear SVM, C={self.strength:g}"
        return f"{', '.join(self.kinds)}; {head}{network}"

    def weight(self, kind: str) -> float:
        """Return what the features of one kind are multiplied by."""
        return {WORDS: 1.4, CHARS: 1.0, VECTORS: self.vectors, SENTENCES: 2.0}[kind]

    def head(self, features: Any, y: Labels, seed: int) -> LinearHead:
        """Return the fitted head."""
        return (
            fit_centroids(features, y)
            if self.centroids
            else fit_margins(features, y, self.strength, seed=seed)
        )

    def part(self, kind: str) -> Any:
        """Return the unfitted transformer of one kind."""
        if kind == WORDS:
            own: dict[str, Any] = {"min_df": self.min_df, "max_features": self.most}
            return ArrowTfidf(ngram_range=(1, 3), sublinear_tf=True, mark_ends=True, **own)
        if kind == CHARS:
            return CharTfidf(min_df=self.char_min_df, max_features=self.most, lowercase=False)
        if kind == SENTENCES:
            return Encoder(source=str(self.encoder))
        return Static(anchors=self.anchors)


class Adaptive(BaseEstimator):
    """Words and phrases, character n-grams and word vectors in linear SVMs, and a network for word order.

    Which kinds of features are affordable follows from the number of texts, characters and labels.
    Leaving kinds out and other regularisation are tried by cross-validation on a sample of the
    training texts, and taken where they are better by more than a standard error.

    Parameters
    ----------
    choice : Choice, optional
        Made already; default: made in `fit`.
    encoder : str, optional
        A frozen sentence encoder whose vectors are features too: see `pipeline.models.encoder.Encoder`.
    random_state : int, default=0
        Of the sample and its folds, and of the solver.

    Attributes
    ----------
    choice_ : Choice
    model_ : Chain or Blend
        Scores as the classifier does, and can be stored.
    """

    def __init__(
        self, *, choice: Choice | None = None, encoder: str | None = None, random_state: int = 0
    ) -> None:
        self.choice = choice
        self.encoder = encoder
        self.random_state = random_state

    def settled(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Return an unfitted classifier with the choice made on these texts, for all fits to come.

        For cross-validation: choosing anew in every fold takes several times as long. The scores of
        the folds are then those of a choice that saw their texts; the test's are not.
        """
        texts = as_texts(X)
        labels = np.asarray(y, np.int8).reshape(len(texts), -1)
        choice = self._chosen(texts, labels)
        return type(self)(choice=choice, encoder=self.encoder, random_state=self.random_state)

    def fit(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Choose, then train on all texts and their 0/1 labels of shape (n_texts, n_labels)."""
        texts = as_texts(X)
        labels = np.asarray(y, np.int8).reshape(len(texts), -1)
        choice: Choice = self.choice or self._chosen(texts, labels)
        parts = _fitted_parts(choice, texts)
        features = Concatenation(parts, [choice.weight(kind) for kind in choice.kinds])
        head = choice.head(features.transform(texts), labels, self.random_state)
        self.choice_ = choice
        self.model_: Chain | Blend = Chain([features, head])
        if choice.network:
            network = Convolution(random_state=self.random_state).fit(texts, labels)
            self.model_ = Blend.of([self.model_, network], [1.0, NETWORK])
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_is_fitted(self, "model_")
        return self.model_.decision_function(as_texts(X))

    def _chosen(self, texts: Sequence[str], y: Labels) -> Choice:
        return choose(affordable(texts, y, self.encoder), texts, y, self.random_state)


def affordable(texts: Sequence[str], y: Labels, encoder: str | None = None) -> Choice:
    """Return the usual choice with all the kinds of features that memory and minutes allow."""
    kinds, characters = [WORDS], sum(map(len, texts))
    if characters <= CHARACTERS:
        kinds.append(CHARS)
    if len(texts) <= VECTOR_TEXTS:
        kinds.append(VECTORS)
    if encoder is not None:
        kinds.append(SENTENCES)
    most = int(np.clip(WEIGHTS // y.shape[1], FEWEST_FEATURES, MOST_FEATURES))
    few = len(texts) <= FEW
    return Choice(
        tuple(kinds),
        most=most,
        min_df=1 if len(texts) < MANY else 2,
        char_min_df=1 if few else 2,
        anchors=0 if few or y.shape[1] > ANCHOR_LABELS else ANCHORS,
        vectors=2.0 if few else 1.0,
        network=FEW < len(texts) <= VECTOR_TEXTS and y.shape[1] <= NETWORK_LABELS,
        centroids=y.shape[1] > NETWORK_LABELS and characters * y.shape[1] > MACHINES,
        encoder=encoder,
    )


def choose(usual: Choice, texts: Sequence[str], y: Labels, seed: int) -> Choice:
    """Return the usual choice, or one that does better on a sample by more than a standard error.

    Notes
    -----
    The sample has up to 1,500 texts of the 12 most frequent labels (300 with centroids), in three folds.
    A choice is compared text by text with the usual one: whether the highest score is that of a true
    label. The standard error is that of the mean difference (Breiman et al. 1984, turned round: a
    deviation has to earn its place).
    """
    rows, labels = _sample(texts, y, seed, NETWORK_LABELS if usual.centroids else CHOICE_LABELS)
    if len(rows) < CHOICE_LEAST:
        return usual
    chosen, truth = [texts[i] for i in rows], y[np.ix_(rows, labels)]
    folds = np.random.default_rng(seed).permutation(len(rows)) % CHOICE_FOLDS
    tried = [usual, *(replace(usual, strength=one) for one in STRENGTHS if not usual.centroids)]
    if len(usual.kinds) > 1:
        tried += [replace(usual, kinds=(WORDS,), strength=1.0)]
        tried += [
            replace(usual, kinds=tuple(k for k in usual.kinds if k != left)) for left in usual.kinds[1:]
        ]
    right = {choice: np.zeros(len(rows)) for choice in tried}
    for fold in range(CHOICE_FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        blocks = _blocks(usual, [chosen[i] for i in inside], [chosen[i] for i in outside])
        for choice, correct in right.items():
            train, test = (
                sparse.hstack([blocks[kind][side] for kind in choice.kinds], format="csr") for side in (0, 1)
            )
            head = choice.head(train, truth[inside], seed)
            correct[outside] = _right(head, test, truth[outside])
    return _better(usual, right)


def _better(usual: Choice, right: dict[Choice, Floats]) -> Choice:
    best, margin = usual, 0.0
    for choice, correct in right.items():
        gain = correct - right[usual]
        mean = float(gain.mean())
        if mean > margin and mean > float(gain.std()) / np.sqrt(len(gain)):
            best, margin = choice, mean
    return best


def _sample(
    texts: Sequence[str], y: Labels, seed: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and the labels, `most` of them, that a choice is made on."""
    labels = np.sort(np.argsort(-y.sum(axis=0), kind="stable")[:most])
    exclusive = bool((y.sum(axis=1) == 1).all())
    rows = np.flatnonzero(y[:, labels].any(axis=1)) if exclusive else np.arange(len(texts))
    rows = np.random.default_rng(seed).permutation(rows)[:CHOICE_TEXTS]
    lengths = np.cumsum([len(texts[i]) for i in rows.tolist()])
    return rows[: int(np.searchsorted(lengths, CHOICE_CHARACTERS)) + 1], labels


def _fitted_parts(choice: Choice, texts: Sequence[str]) -> list[Any]:
    return [choice.part(kind).fit(texts) for kind in choice.kinds]


def _blocks(choice: Choice, inside: Sequence[str], outside: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    parts = _fitted_parts(choice, inside)
    return {
        kind: tuple(choice.weight(kind) * part.transform(texts) for texts in (inside, outside))
        for kind, part in zip(choice.kinds, parts, strict=True)
    }


def _right(head: LinearHead, features: Any, y: Labels) -> NDArray[np.bool_]:
    """Return of each text whether its highest score is that of a true label, or is below 0 without one."""
    scores = head.decision_function(features)
    best = scores.argmax(axis=1)
    hit = y[np.arange(len(y)), best] == 1
    bare = ~y.any(axis=1)
    hit[bare] = scores[bare].max(axis=1) < 0
    if y.shape[1] == 1:
        hit[~bare] = scores[~bare, 0] >= 0
    return hit
