"""Query strategies of active learning: which sentences are worth a person's time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Item = TypeVar("Item")


def entropy(probabilities: Floats) -> Floats:
    """Return the entropy of each yes or no in bits, of the same shape."""
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def uncertainty(probabilities: Floats) -> Floats:
    """Return the summed entropy of a sentence's labels, shape (n_sentences,).

    Settles, B. (2009). Active learning literature survey, section 3.1, with labels as independent.
    """
    return entropy(probabilities).sum(axis=1)


def disagreement(members: Sequence[Floats]) -> Floats:
    """Return how far classifiers disagree over each sentence in bits, shape (n_sentences,).

    Parameters
    ----------
    members : sequence of ndarray of shape (n_sentences, n_labels)
        Probabilities of each classifier.

    Notes
    -----
    Query by committee with the Jensen-Shannon divergence: the entropy of the mean less the mean
    entropy, summed over labels. McCallum & Nigam (1998). Employing EM and pool-based active learning
    for text classification.
    """
    mean = entropy(np.mean(members, axis=0)) - np.mean([entropy(one) for one in members], axis=0)
    return np.maximum(mean, 0.0).sum(axis=1)


def rarity(probabilities: Floats, support: Sequence[float]) -> Floats:
    """Return the expected number of labels, those with few examples counting more.

    Parameters
    ----------
    probabilities : ndarray of shape (n_sentences, n_labels)
    support : sequence of length n_labels
        Sentences so far that carry the label; one that has half as many weighs twice as much.
    """
    return probabilities @ (1 / np.maximum(np.asarray(support, dtype=np.float64), 1.0))


def pick(scores: Floats, pairs: Ints, count: int, blocked: NDArray[np.bool_]) -> Ints:
    """Return the rows of the highest scores, none of them paired with another or blocked.

    Parameters
    ----------
    scores : ndarray of shape (n_sentences,)
    pairs : ndarray of shape (n_pairs, 2)
        Rows that nearly repeat each other.
    count : int
        At most so many.
    blocked : ndarray of bool of shape (n_sentences,)
        Rows that are not to be chosen.

    Returns
    -------
    ndarray of shape (n_chosen,)
        Best first.
    """
    neighbours: dict[int, list[int]] = {}
    for one, other in pairs.tolist():
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    taken = blocked.copy()
    chosen: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if len(chosen) == count:
            break
        if not taken[row]:
            chosen.append(row)
            taken[neighbours.get(row, [])] = True
    return np.array(chosen, dtype=np.int64)


def spread(candidates: Ints, scores: Floats, vectors: NDArray[np.float32], count: int, *, seed: int) -> Ints:
    """Return the best candidate of each of `count` clusters.

    Parameters
    ----------
    candidates : ndarray of shape (n_candidates,)
        Rows, best first. As many as `count` stay as they are; the more, the more diverse the choice.
    scores : ndarray of shape (n_candidates,)
    vectors : ndarray of shape (n_candidates, n_dimensions)
        What the candidates are about.

    Notes
    -----
    Zhdanov, F. (2019). Diverse mini-batch active learning. arXiv:1901.05954. Sentences weigh in the
    k-means clustering by their score.
    """
    from sklearn.cluster import KMeans

    if len(candidates) <= count:
        return candidates
    clusters = KMeans(count, n_init=1, max_iter=50, random_state=seed)
    of = clusters.fit_predict(vectors, sample_weight=np.maximum(scores, 1e-9))
    _, first = np.unique(of, return_index=True)
    return candidates[np.sort(first)]


def representative(candidates: Ints, vectors: NDArray[np.float32], count: int, *, seed: int) -> Ints:
    """Return the candidate nearest to the middle of each of `count` clusters, the largest cluster first.

    Clusters by k-means: Nguyen & Smeulders (2004). Active learning using pre-clustering. Parameters as
    for `spread`.
    """
    from sklearn.cluster import MiniBatchKMeans

    if len(candidates) <= count:
        return candidates
    clusters = MiniBatchKMeans(count, n_init=1, batch_size=4096, random_state=seed).fit(vectors)
    away = np.linalg.norm(vectors - clusters.cluster_centers_[clusters.labels_], axis=1)
    order = np.argsort(away, kind="stable")
    _, first, size = np.unique(clusters.labels_[order], return_index=True, return_counts=True)
    return candidates[order[first[np.argsort(-size, kind="stable")]]]


def sample(items: Iterable[Item], size: int, seed: int) -> tuple[list[Item], int]:
    """Return a simple random sample of a stream, in its order, and how many items there were.

    Vitter, J. (1985). Random sampling with a reservoir: algorithm R.
    """
    rng = np.random.default_rng(seed)
    kept: list[tuple[int, Item]] = []
    total = 0
    for total, item in enumerate(items, 1):
        if len(kept) < size:
            kept.append((total, item))
        elif (place := int(rng.integers(total))) < size:
            kept[place] = (total, item)
    return [item for _, item in sorted(kept, key=lambda one: one[0])], total
