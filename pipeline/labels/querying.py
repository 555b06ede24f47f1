"""Query strategies of active learning: which sentences are worth a person's time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
    return _without_repeats(np.argsort(-scores, kind="stable"), pairs, count, blocked)


def spread(
    scores: Floats,
    vectors: NDArray[np.float32],
    pairs: Ints,
    count: int,
    blocked: NDArray[np.bool_],
    *,
    among: int,
    seed: int,
) -> Ints:
    """Return the best row of each of `count` clusters of the `among * count` highest scores.

    Parameters
    ----------
    vectors : ndarray of shape (n_sentences, n_dimensions)
        What the sentences are about.
    among : int
        With 1, the highest scores whatever they are about; the more, the more diverse.

    Notes
    -----
    Zhdanov, F. (2019). Diverse mini-batch active learning. arXiv:1901.05954. Sentences weigh in the
    k-means clustering by their score. Other parameters: see `pick`.
    """
    from sklearn.cluster import KMeans

    best = pick(scores, pairs, among * count, blocked)
    if len(best) <= count:
        return best
    clusters = KMeans(count, n_init=1, max_iter=50, random_state=seed)
    of = clusters.fit_predict(vectors[best], sample_weight=np.maximum(scores[best], 1e-9))
    _, first = np.unique(of, return_index=True)  # rows are in order of their scores
    return best[np.sort(first)]


def representative(
    vectors: NDArray[np.float32], pairs: Ints, count: int, blocked: NDArray[np.bool_], *, seed: int
) -> Ints:
    """Return the row nearest to the middle of each of `count` clusters, the largest cluster first.

    Clusters by k-means. Nguyen & Smeulders (2004). Active learning using pre-clustering. Parameters:
    see `spread`.
    """
    from sklearn.cluster import MiniBatchKMeans

    free = _without_repeats(np.arange(len(vectors)), pairs, len(vectors), blocked)
    if len(free) <= count:
        return free
    clusters = MiniBatchKMeans(count, n_init=1, batch_size=4096, random_state=seed).fit(vectors[free])
    of = clusters.labels_
    away = np.linalg.norm(vectors[free] - clusters.cluster_centers_[of], axis=1)
    order = np.argsort(away, kind="stable")
    _, first, size = np.unique(of[order], return_index=True, return_counts=True)
    return free[order[first[np.argsort(-size, kind="stable")]]]


def _without_repeats(order: Ints, pairs: Ints, count: int, blocked: NDArray[np.bool_]) -> Ints:
    neighbours: dict[int, list[int]] = {}
    for one, other in pairs.tolist():
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    taken = blocked.copy()
    chosen: list[int] = []
    for row in order.tolist():
        if len(chosen) == count:
            break
        if not taken[row]:
            chosen.append(row)
            taken[neighbours.get(row, [])] = True
    return np.array(chosen, dtype=np.int64)
