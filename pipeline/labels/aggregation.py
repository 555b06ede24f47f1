"""One set of labels for a sentence that several annotators labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.annotations import Annotation, majority
from pipeline.labels.dawid_skene import dawid_skene, one_hot
from pipeline.schema import ConfigError, LabelSet, nearest

Floats = NDArray[np.float64]
Votes = Sequence[Sequence[Annotation]]


@dataclass(frozen=True, slots=True)
class Decided:
    """The labels of a sentence, and who decided.

    Attributes
    ----------
    labels : list of str
    by : str
        "all" where annotators agree, the only annotator, the adjudicator, or the rule of aggregation.
    support : dict of str to float
        What spoke for each label: the share of votes, of weighted votes, or the probability.
    """

    labels: list[str]
    by: str
    support: dict[str, float]


def decide(
    votes: Votes, labels: LabelSet, *, by: str = "majority", adjudicator: str | None = None
) -> list[Decided]:
    """Return the labels of each sentence.

    Parameters
    ----------
    votes : sequence of sequences of Annotation
        Those of each sentence, in the order of the file.
    labels : LabelSet
    by : {"majority", "weighted", "dawid_skene"}
    adjudicator : str, optional
        The annotator whose word is final; the others' votes settle what the adjudicator did not see.

    Raises
    ------
    ConfigError
        For an unknown rule, or an adjudicator who annotated nothing.
    """
    if by not in RULES:
        raise ConfigError(f"aggregation.rule={by}: unknown{nearest(str(by), list(RULES))}")
    annotators = {vote.annotator for same in votes for vote in same}
    if adjudicator and adjudicator not in annotators:
        hint = nearest(adjudicator, sorted(annotators))
        raise ConfigError(f"aggregation.adjudicator={adjudicator}: annotated nothing{hint}")
    rest = [[vote for vote in same if vote.annotator != adjudicator] or list(same) for same in votes]
    chosen, support = RULES[by](rest, labels)
    decided = []
    for same, names, shares in zip(votes, chosen, support, strict=True):
        final = next((vote for vote in same if vote.annotator == adjudicator), None)
        if final is not None:
            names, who = [name for name in labels.names if name in final.labels], final.annotator
        elif len(same) == 1:
            names, who = [name for name in labels.names if name in same[0].labels], same[0].annotator
        else:
            who = "all" if len({frozenset(vote.labels) for vote in same}) == 1 else by
        decided.append(Decided(names, who, dict(zip(labels.names, map(float, shares), strict=True))))
    return decided


def by_majority(votes: Votes, labels: LabelSet) -> tuple[list[list[str]], Floats]:
    """Return the labels that most annotators gave, and the share who gave each; see `majority`."""
    shares = np.array(
        [[np.mean([name in v.labels for v in same]) for name in labels.names] for same in votes]
    )
    return [majority(same, labels) for same in votes], shares.reshape(len(votes), len(labels.names))


def by_weight(votes: Votes, labels: LabelSet) -> tuple[list[list[str]], Floats]:
    """Return the labels that more than half of the weight is for.

    An annotator weighs, label by label, as much as she agrees with the majority on what others saw too,
    beyond what chance gives: Cohen's kappa with it, at least 0.05. This is crowd-kit's WAWA (worker
    agreement with aggregate) with kappa for plain agreement, which a rare label makes high for anybody.
    """
    consensus, shares = by_majority(votes, labels)
    given, who, item = _flat(votes, labels)
    agreed = np.array([[name in names for name in labels.names] for names in consensus]).reshape(shares.shape)
    several = np.array([len(same) > 1 for same in votes])[item]
    weights = np.ones((who.max(initial=-1) + 1, len(labels.names)))
    for one in range(len(weights)):
        mine = several & (who == one)
        if mine.any():
            weights[one] = np.maximum(_kappa(given[mine], agreed[item[mine]]), 0.05)
    total, yes = np.zeros(shares.shape), np.zeros(shares.shape)
    np.add.at(total, item, weights[who])
    np.add.at(yes, item, weights[who] * given)
    return _chosen(yes / total, consensus, labels)


def by_dawid_skene(votes: Votes, labels: LabelSet) -> tuple[list[list[str]], Floats]:
    """Return the labels more probable than not, from annotators' estimated error rates.

    Label by label, or over the classes of a "multiclass" task; see `dawid_skene`.
    """
    consensus, shares = by_majority(votes, labels)
    given, who, item = _flat(votes, labels)
    n_annotators = int(who.max(initial=-1)) + 1
    responses = np.full((len(votes), n_annotators), -1)
    if labels.task == "multiclass":
        responses[item, who] = np.where(given.any(axis=1), given.argmax(axis=1), -1)  # no label, no response
        k = len(labels.names)
        named = shares.any(axis=1, keepdims=True)
        initial = shares / np.where(named, shares.sum(axis=1, keepdims=True), 1)
        found = dawid_skene(one_hot(responses, k), initial, k).posterior
        return _chosen(np.where(named, found, 0), consensus, labels)
    support = np.zeros(shares.shape)
    for k in range(len(labels.names)):
        responses[item, who] = given[:, k]
        initial = np.column_stack([1 - shares[:, k], shares[:, k]])
        support[:, k] = dawid_skene(one_hot(responses, 2), initial, 2).posterior[:, 1]
    return _chosen(support, consensus, labels)


Rule = Callable[[Votes, LabelSet], tuple[list[list[str]], Floats]]
RULES: dict[str, Rule] = {"majority": by_majority, "weighted": by_weight, "dawid_skene": by_dawid_skene}


def _chosen(support: Floats, consensus: list[list[str]], labels: LabelSet) -> tuple[list[list[str]], Floats]:
    """Return the labels with more than half of the support; the majority's where that is a tie.

    Of the classes of a "multiclass" task, the one with the most support; none where nobody gave one.
    """
    if labels.task == "multiclass":
        best = support.argmax(axis=1)
        return [[labels.names[k]] if names else [] for k, names in zip(best, consensus, strict=True)], support
    chosen = []
    for shares, names in zip(support, consensus, strict=True):
        tie = np.isclose(shares, 0.5)
        chosen.append([n for k, n in enumerate(labels.names) if (n in names if tie[k] else shares[k] > 0.5)])
    return chosen, support


def _flat(votes: Votes, labels: LabelSet) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each vote the labels as 0/1, the annotator's number and the sentence's number."""
    flat = [(vote, i) for i, same in enumerate(votes) for vote in same]
    number = {name: i for i, name in enumerate(sorted({vote.annotator for vote, _ in flat}))}
    given = np.array([[name in vote.labels for name in labels.names] for vote, _ in flat], np.int64)
    who = np.array([number[vote.annotator] for vote, _ in flat], np.int64)
    return given.reshape(len(flat), len(labels.names)), who, np.array([i for _, i in flat], np.int64)


def _kappa(mine: NDArray[np.int64], agreed: NDArray[np.bool_]) -> Floats:
    """Return Cohen's kappa of each column with the same column; 0 where nothing varies."""
    same = (mine == agreed).mean(axis=0)
    chance = mine.mean(axis=0) * agreed.mean(axis=0) + (1 - mine).mean(axis=0) * (1 - agreed).mean(axis=0)
    return np.divide(same - chance, 1 - chance, out=np.zeros(len(same)), where=chance < 1)
