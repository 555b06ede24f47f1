"""Annotators compared: F1 between them by label, alpha by topic, and the sentences they disagree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.aggregation import Decided
from pipeline.labels.agreement import RESAMPLES, Votes, agreement, vote_matrix
from pipeline.labels.annotations import Annotation
from pipeline.schema import LabelSet

Floats = NDArray[np.float64]
Pair = tuple[str, str]
Tables = Mapping[str, Mapping[Pair, Floats]]
FEWEST = 20  # sentences labelled twice; below, an interval says nothing


def coders(votes: Votes, labels: LabelSet, topics: Mapping[str, str], *, seed: int = 0) -> dict[str, Any]:
    """Return how annotators compare, over the sentences that two or more of them labelled.

    Parameters
    ----------
    votes : sequence of sequences of Annotation
    labels : LabelSet
    topics : mapping of str to str
        Topic of each article, where known.
    seed : int
        Of the resampling of articles.

    Returns
    -------
    dict
        `f1`: by label, between any two annotators; `pairs`: for every two; `annotators`: for each one
        against all others, with the number of sentences, the median of the seconds spent, and
        `alpha_without`: Krippendorff's alpha by label of the others alone; `topics`: alpha and F1 by
        topic and label. Each value with its 95 % interval.

    Notes
    -----
    F1 between two annotators is 2 both / (one + other): the F1 of either taken as gold, and what kappa
    tends to where a label is rare (Hripcsak & Rothschild 2005, Agreement, the F-measure, and
    reliability in information retrieval).
    """
    shared = [same for same in votes if len(same) > 1]
    if not shared:
        return {}
    names = sorted({vote.annotator for same in shared for vote in same})
    articles = [same[0].article for same in shared]
    scores = partial(_scores, _tables(shared, labels), articles, seed)
    pairs = [pair for pair in combinations(names, 2) if any(_both(same, pair) for same in shared)]
    return {
        "f1": scores(),
        "pairs": [
            {
                "annotators": list(pair),
                "sentences": sum(_both(same, pair) for same in shared),
                "f1": scores(lambda other, pair=pair: other == pair),  # type: ignore[misc]
            }
            for pair in pairs
        ],
        "annotators": {
            name: _effort(votes, name)
            | {
                "f1": scores(lambda pair, name=name: name in pair),  # type: ignore[misc]
                "alpha_without": agreement(without(votes, name), labels, seed=seed),
            }
            for name in names
        },
        "topics": _by_topic(shared, labels, topics, seed),
    }


def without(votes: Votes, annotator: str | None) -> list[list[Annotation]]:
    """Return the votes that others cast, of the sentences that have any."""
    rest = ([vote for vote in same if vote.annotator != annotator] for same in votes)
    return [same for same in rest if same]


def disputed(votes: Votes, decided: Sequence[Decided], labels: LabelSet) -> list[dict[str, Any]]:
    """Return a record of each sentence that annotators disagree on, the most disputed first.

    Each has the place and text of the sentence, `labels` as decided, who decided (`by`), what spoke
    for each label (`support`), who said what (`votes`) and `disagreement`: the share of pairs of
    annotators who differ, summed over the labels.
    """
    rows = []
    for same, one in zip(votes, decided, strict=True):
        if len({frozenset(vote.labels) for vote in same}) < 2:
            continue
        first, pairs = same[0], len(same) * (len(same) - 1) / 2
        yes = [sum(name in vote.labels for vote in same) for name in labels.names]
        rows.append(
            {
                "article": first.article,
                "start": first.start,
                "end": first.end,
                "kind": first.kind,
                "text": first.text,
                "disagreement": round(sum(n * (len(same) - n) for n in yes) / pairs, 4),
                "labels": one.labels,
                "by": one.by,
                "support": {name: round(share, 4) for name, share in one.support.items()},
                "votes": [{k: v for k, v in vote.row().items() if k not in _PLACE} for vote in same],
            }
        )
    return sorted(rows, key=lambda row: (-row["disagreement"], row["article"], row["start"]))


_PLACE = ("article", "start", "end", "kind", "text")


def _both(same: Sequence[Annotation], pair: Pair) -> bool:
    return {vote.annotator for vote in same}.issuperset(pair)


def _scores(
    tables: Tables, articles: Sequence[str], seed: int, wanted: Callable[[Pair], bool] = lambda _: True
) -> dict[str, dict[str, float]]:
    """Return F1 by label between the annotators of wanted pairs; labels that they never gave have none."""
    found = {}
    for label, table in tables.items():
        counts = sum((part for pair, part in table.items() if wanted(pair)), np.zeros((len(articles), 2)))
        if counts[:, 1].any():
            found[label] = _f1_interval(counts, articles, seed)
    return found


def _tables(shared: Votes, labels: LabelSet) -> Tables:
    return {label: _pair_counts(shared, label) for label in labels.names}


def _pair_counts(shared: Votes, label: str) -> dict[Pair, Floats]:
    """Return for every two annotators, by sentence: both gave the label (0 or 1), times it was given."""
    names = sorted({vote.annotator for same in shared for vote in same})
    matrix = vote_matrix(shared, label)
    found = {}
    for i, j in combinations(range(len(names)), 2):
        total = np.nan_to_num(matrix[i] + matrix[j])
        found[names[i], names[j]] = np.column_stack([total == 2, total]).astype(float)
    return found


def _f1_interval(counts: Floats, articles: Sequence[str], seed: int) -> dict[str, float]:
    _, group = np.unique(articles, return_inverse=True)
    grouped = np.zeros((int(group.max()) + 1, 2))
    np.add.at(grouped, group, counts)
    n = len(grouped)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    both, given = (weights @ grouped).T
    resampled = np.divide(2 * both, given, out=np.full(RESAMPLES, np.nan), where=given > 0)
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    value = float(2 * counts[:, 0].sum() / counts[:, 1].sum())
    return {"value": value, "low": float(min(low, value)), "high": float(max(high, value))}


def _effort(votes: Votes, name: str) -> dict[str, Any]:
    mine = [vote for same in votes for vote in same if vote.annotator == name]
    seconds = [vote.seconds for vote in mine if vote.seconds is not None]
    return {"sentences": len(mine)} | ({"seconds": float(np.median(seconds))} if seconds else {})


def _by_topic(shared: Votes, labels: LabelSet, topics: Mapping[str, str], seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for topic in sorted({name for name in topics.values() if name}):
        inside = [same for same in shared if topics.get(same[0].article) == topic]
        if len(inside) < FEWEST:
            continue
        found[topic] = {
            "sentences": len(inside),
            "alpha": agreement(inside, labels, seed=seed),
            "f1": _scores(_tables(inside, labels), [same[0].article for same in inside], seed),
        }
    return found
