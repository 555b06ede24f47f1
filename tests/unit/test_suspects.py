"""Confident learning finds what cleanlab finds, and mistakes planted in scores and in the corpus."""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate

from pipeline.labels.suspects import ranked, suspect
from pipeline.models.training import cross_validate
from pipeline.suggest import relabel


def classified(rng, n=4000, share=0.15, quality=2.2):
    y = (rng.random((n, 3)) < [share, 0.5, 0.05]).astype(np.int8)
    return y, 1 / (1 + np.exp(-(quality * (2 * y - 1) + rng.normal(0, 1.3, y.shape))))


def planted(rng, y, part=0.05):
    """Turn round 5 % of all labels given, and as many of those not given."""
    wrong = np.zeros(y.shape, bool)
    for k in range(y.shape[1]):
        for side in (0, 1):
            rows = np.flatnonzero(y[:, k] == side)
            many = max(1, round(part * int(y[:, k].sum())))
            wrong[rng.choice(rows, many, replace=False), k] = True
    return np.where(wrong, 1 - y, y).astype(np.int8), wrong


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore")
def test_the_same_labels_as_cleanlab(seed):
    from cleanlab.filter import find_label_issues

    rng = np.random.default_rng(seed)
    y, p = classified(rng, quality=1.0 + 0.4 * seed)
    y, _ = planted(rng, y)
    found = suspect(y, p)
    for k in range(y.shape[1]):
        sides = np.column_stack([1 - p[:, k], p[:, k]])
        wanted = find_label_issues(y[:, k], sides, filter_by="confident_learning", n_jobs=1)
        assert wanted.any()
        assert np.array_equal(found[:, k], wanted)


def test_planted_mistakes_are_found():
    rng = np.random.default_rng(9)
    y, p = classified(rng)
    given, wrong = planted(rng, y)
    found = suspect(given, p)
    recall = (found & wrong).sum() / wrong.sum()
    precision = (found & wrong).sum() / found.sum()
    assert recall > 0.65
    assert precision > 0.8
    assert suspect(y, p).sum() < 0.02 * y.size


def test_mistakes_planted_in_the_corpus_are_found(compose):
    """Three thousand sentences, cross-validated by articles on the labels with the mistakes in them."""
    config = compose("train", ["model=tfidf_logreg"])
    with Path(config.corpus.annotations).open(encoding="utf-8") as file:
        read = {(row["article"], row["start"]): row for row in map(json.loads, islice(file, 6000))}
    rows, names = list(read.values())[:3000], list(config.labels.names)
    right = np.array([[name in row["labels"] for name in names] for row in rows], np.int8)
    given, wrong = planted(np.random.default_rng(1), right)
    _, articles = np.unique([row["article"] for row in rows], return_inverse=True)
    crossed = cross_validate(
        instantiate(config.model.estimator, _convert_="all"),
        instantiate(config.decision, task="multilabel"),
        [row["text"] for row in rows],
        given,
        articles % 3,
    )
    listed = relabel(
        [
            {"row": n, "text": row["text"]}
            | {"labels": [name for name, has in zip(names, given[n], strict=True) if has]}
            | {"scores": dict(zip(names, crossed.probabilities[n].tolist(), strict=True))}
            for n, row in enumerate(rows)
        ]
    )
    hits = [wrong[row["row"], names.index(name)] for row in listed for name in row["wrong"] + row["missing"]]
    precision, recall, chance = np.mean(hits), np.sum(hits) / wrong.sum(), wrong.mean()
    first, any_chance = np.mean([wrong[row["row"]].any() for row in listed[:50]]), wrong.any(axis=1).mean()
    print(f"{len(hits)} suspect: {precision:.0%} wrong, at random {chance:.1%}; {recall:.0%} of them found,")
    print(f"at random {len(hits) / wrong.size:.1%}; first 50: {first:.0%}, at random {any_chance:.1%}")
    assert precision > 8 * chance
    assert recall > 8 * len(hits) / wrong.size
    assert first > 4 * any_chance


def test_the_most_doubtful_come_first_with_their_side():
    y = np.array([[1], [1], [1], [0], [0], [0]], np.int8)
    p = np.array([[0.9], [0.8], [0.02], [0.97], [0.1], [0.05]])
    first, second = ranked(y, p)
    assert (first.row, first.given, first.doubt) == (2, True, pytest.approx(0.98))
    assert (second.row, second.given, second.doubt) == (3, False, pytest.approx(0.97))


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_all_or_none_carry_is_beyond_doubt(value):
    assert not suspect(np.full((5, 1), value, np.int8), np.linspace(0, 1, 5)[:, None]).any()
