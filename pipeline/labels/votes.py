"""What labelling functions say: their votes counted, compared with gold, and settled on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pipeline.labels.dawid_skene import dawid_skene, one_hot
from pipeline.schema import ConfigError, nearest

Floats = NDArray[np.float64]
Votes = NDArray[np.int8]
FOR, ABSTAIN, AGAINST = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Voter:
    """A column of votes: what one function says of one label."""

    function: str
    label: str


def analysis(
    votes: Votes, voters: Sequence[Voter], gold: dict[str, NDArray[np.int8]]
) -> list[dict[str, Any]]:
    """Return a row for each voter, as Snorkel's analysis table has them.

    Parameters
    ----------
    votes : ndarray of shape (n_sentences, n_voters)
        1 for, -1 against, 0 abstains.
    voters : sequence of Voter of length n_voters
    gold : dict of str to ndarray of shape (n_sentences,)
        By label: 1, 0, or -1 where nobody knows.

    Returns
    -------
    list of dict
        `for` and `against`: numbers of votes; `coverage`: the share of sentences it votes on;
        `overlap`: where another votes on the same label too; `conflict`: where another says the
        opposite; `judged`: votes on sentences with gold; `accuracy` of those with `low` and `high`,
        and `guessing`: the accuracy of as many votes either way on sentences drawn at random, what an
        accuracy is to be compared with. It is the label's prevalence for functions that vote for it, and
        one minus that for those that vote against it.

    Notes
    -----
    Ratner et al. (2017). Snorkel: rapid training data creation with weak supervision. Intervals are
    Clopper and Pearson's (1934), 95 %.
    """
    rows = []
    for label in dict.fromkeys(voter.label for voter in voters):
        columns = [j for j, voter in enumerate(voters) if voter.label == label]
        part = votes[:, columns]
        yes, no = (part == FOR).sum(axis=1), (part == AGAINST).sum(axis=1)
        known = gold.get(label, np.full(len(votes), -1, np.int8))
        share = float(known[known >= 0].mean()) if (known >= 0).any() else 0.0
        for j in columns:
            mine = votes[:, j]
            cast = mine != ABSTAIN
            other = np.where(mine == FOR, no, yes)
            judged = cast & (known >= 0)
            right = int(((mine == FOR) == (known == 1))[judged].sum())
            n, yeses = int(judged.sum()), int((mine == FOR)[judged].sum())
            row: dict[str, Any] = {"function": voters[j].function, "label": label}
            row |= {"for": int((mine == FOR).sum()), "against": int((mine == AGAINST).sum())}
            row |= {
                "coverage": _share(cast.sum(), len(votes)),
                "overlap": _share((cast & (yes + no > 1)).sum(), len(votes)),
                "conflict": _share((cast & (other > 0)).sum(), len(votes)),
                "judged": n,
                **_accuracy(right, n),
                "guessing": (yeses * share + (n - yeses) * (1 - share)) / n if n else None,
            }
            rows.append(row)
    return rows


def majority_vote(votes: Votes, voters: Sequence[Voter], labels: Sequence[str]) -> Floats:
    """Return for each label the share of the votes cast that are for it; 0 where all abstain.

    A label that no function finds in a sentence is taken to be absent: functions are mostly written
    to find, and few say what is not there.

    Returns
    -------
    ndarray of shape (n_sentences, n_labels)
    """
    shares = np.zeros((len(votes), len(labels)))
    for k, label in enumerate(labels):
        part = votes[:, [j for j, voter in enumerate(voters) if voter.label == label]]
        yes, cast = (part == FOR).sum(axis=1), (part != ABSTAIN).sum(axis=1)
        shares[:, k] = np.divide(yes, cast, out=np.zeros(len(votes)), where=cast > 0)
    return shares


def label_model(votes: Votes, voters: Sequence[Voter], labels: Sequence[str]) -> Floats:
    """Return for each label its probability by each voter's estimated error rates.

    A generative model of the votes: `dawid_skene` with "abstains" as a third response, so that silence
    counts too, started from the majority vote. Functions are taken to err independently given the
    truth; where copies of one another are among them, it believes them too much.

    Returns
    -------
    ndarray of shape (n_sentences, n_labels)
    """
    start = np.clip(majority_vote(votes, voters, labels), 0.01, 0.99)
    found = start.copy()
    for k, label in enumerate(labels):
        columns = [j for j, voter in enumerate(voters) if voter.label == label]
        if columns:
            initial = np.column_stack([1 - start[:, k], start[:, k]])
            found[:, k] = dawid_skene(one_hot(votes[:, columns] + 1, 3), initial, 3).posterior[:, 1]
    return found


LABEL_MODELS = {"majority": majority_vote, "generative": label_model}


def settle(votes: Votes, voters: Sequence[Voter], labels: Sequence[str], by: str) -> Floats:
    """Return the probability of each label by the named label model."""
    if by not in LABEL_MODELS:
        raise ConfigError(f"label_model={by}: unknown{nearest(by, list(LABEL_MODELS))}")
    return LABEL_MODELS[by](votes, voters, labels)


def _accuracy(right: int, n: int) -> dict[str, float | None]:
    if not n:
        return {"accuracy": None, "low": None, "high": None}
    low = beta.ppf(0.025, right, n - right + 1) if right else 0.0
    high = beta.ppf(0.975, right + 1, n - right) if right < n else 1.0
    return {"accuracy": right / n, "low": float(low), "high": float(high)}


def _share(part: int, whole: int) -> float:
    return float(part) / max(whole, 1)
