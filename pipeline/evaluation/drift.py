"""How far the texts a classifier is used on have moved from those it was trained on.

Counts, not texts: a profile of the training sentences travels in the bundle, the same is counted
while scoring, and both are compared by plain measures. They say how large a shift is, not whether it
is significant: over a million sentences every shift is. Few sentences differ from many by chance alone;
what that gives on average is taken off the stability index.

References
----------
Siddiqi, N. (2006). Credit Risk Scorecards: the population stability index, and the custom of calling
    it small below 0.1 and large above 0.25.
Lin, J. (1991). Divergence measures based on the Shannon entropy: the Jensen-Shannon divergence.
Smirnov, N. (1948). Table for estimating the goodness of fit: the largest difference of two
    cumulative distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.models.tokens import as_texts

Profile = dict[str, Any]
SCORE_EDGES = np.linspace(0, 1, 11)[1:-1]
LENGTH_EDGES = np.array([5, 10, 15, 20, 25, 30, 40, 60])
MOST_WORDS = 1000
SMALL, LARGE = 0.1, 0.25
FEW = 100  # sentences below which chance alone may reach "large"
_DRAWS = 20


def profile(
    texts: Sequence[str], probabilities: NDArray[np.float64], given: NDArray[Any], words: Sequence[str]
) -> Profile:
    """Count what drift is told from.

    Parameters
    ----------
    texts : sequence of str
    probabilities, given : ndarray of shape (n_texts, n_labels)
        Probabilities, and 0/1 labels.
    words : sequence of str
        The words counted one by one; all others are counted together.

    Returns
    -------
    dict
        "n" texts; "labels" given of each label; "scores", a histogram of each label's probabilities;
        "lengths", a histogram of words a text; "words", counts of `words` and of all others.
    """
    found = as_texts(texts).lower_words.longer
    number = {word: i for i, word in enumerate(words)}
    kind = np.array([number.get(word, len(words)) for word in found.strings], np.int64)
    bins = [np.searchsorted(SCORE_EDGES, column, side="right") for column in probabilities.T]
    lengths = np.searchsorted(LENGTH_EDGES, found.counts, side="right")
    return {
        "n": len(given),
        "labels": given.sum(axis=0, dtype=int).tolist(),
        "scores": [np.bincount(column, minlength=len(SCORE_EDGES) + 1).tolist() for column in bins],
        "lengths": np.bincount(lengths, minlength=len(LENGTH_EDGES) + 1).tolist(),
        "words": np.bincount(kind[found.ids], minlength=len(words) + 1).tolist(),
    }


def reference(texts: Sequence[str], probabilities: NDArray[np.float64], given: NDArray[Any]) -> Profile:
    """Return the profile of training sentences, by their held-out probabilities, with its "vocabulary"."""
    found = as_texts(texts).lower_words.longer
    often = np.argsort(-np.bincount(found.ids, minlength=len(found.strings)), kind="stable")[:MOST_WORDS]
    words = [found.strings[i] for i in often]
    return {"vocabulary": words, **profile(texts, probabilities, given, words)}


def merged(one: Profile | None, other: Profile) -> Profile:
    """Return the profile of the texts of both."""
    if one is None:
        return other
    return {key: (np.array(one[key]) + np.array(other[key])).tolist() for key in other}


def compare(before: Profile, now: Profile, labels: Sequence[str]) -> dict[str, Any]:
    """Return the report: rates, distances, and "shift", the largest index of all.

    Parameters
    ----------
    before, now : Profile
        Of the training sentences, and of the others.
    labels : sequence of str
    """
    n, m = max(before["n"], 1), max(now["n"], 1)
    by_label = {
        name: {
            "rate_before": before["labels"][k] / n,
            "rate_now": now["labels"][k] / m,
            "score": shift(before["scores"][k], now["scores"][k]),
        }
        for k, name in enumerate(labels)
    }
    other_before, other_now = (p["words"][-1] / max(sum(p["words"]), 1) for p in (before, now))
    report = {
        "sentences": {"before": before["n"], "now": now["n"]},
        "labels": by_label,
        "length": shift(before["lengths"], now["lengths"]),
        "vocabulary": {
            **shift(before["words"], now["words"]),
            "rare_before": other_before,
            "rare_now": other_now,
        },
    }
    shifts = [one["score"]["psi"] for one in by_label.values()]
    shifts += [report["length"]["psi"], report["vocabulary"]["psi"]]
    return report | {"shift": max(shifts), "verdict": verdict(max(shifts), now["n"])}


def shift(before: ArrayLike, now: ArrayLike) -> dict[str, float]:
    """Return the `distances`, "psi" without "chance": what as many drawn from `before` give on average."""
    found = distances(before, now)
    rng = np.random.default_rng(0)
    p, sizes = np.asarray(before) / max(np.sum(before), 1), (np.sum(before), np.sum(now))
    drawn = (rng.multinomial(size, p, _DRAWS) if p.any() else [before] * _DRAWS for size in sizes)
    chance = float(np.mean([distances(*pair)["psi"] for pair in zip(*drawn, strict=True)]))
    return found | {"psi": max(found["psi"] - chance, 0.0), "chance": chance}


def distances(before: ArrayLike, now: ArrayLike) -> dict[str, float]:
    """Return "psi", "js" (bits) and "ks" of two histograms over the same bins.

    Half a text is added to every bin, so that an empty one gives no infinite index.
    """
    p, q = (np.asarray(counts, float) + 0.5 for counts in (before, now))
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    js = (p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2
    ks = np.abs(np.cumsum(p) - np.cumsum(q)).max()
    return {"psi": float(((q - p) * np.log(q / p)).sum()), "js": float(js), "ks": float(ks)}


def verdict(psi: float, n: int) -> str:
    """Return what the custom calls an index of `n` sentences: "small", "moderate" or "large"."""
    if n < FEW:
        return "too few sentences"
    return "small" if psi < SMALL else "moderate" if psi < LARGE else "large"
