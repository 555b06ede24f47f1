"""Krippendorff's alpha against the package of that name."""

import json

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.labels.agreement import agreement, alpha, alpha_interval, class_agreement, vote_matrix
from pipeline.labels.annotations import Annotation
from pipeline.schema import LabelSet

LABELS = LabelSet(("accusation", "denial"))
VOTES = st.integers(2, 4).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=n, max_size=n), min_size=1, max_size=15
    )
)


def vote(sentence, annotator, *labels):
    return Annotation("a", sentence * 10, sentence * 10 + 5, "text", labels, annotator, "body", "f:1")


def drawn(seed, sentences=80, annotators=3, error=0.15, share=0.3):
    rng = np.random.default_rng(seed)
    truth = rng.random(sentences) < share
    wrong = rng.random((annotators, sentences)) < error
    matrix = np.where(wrong, ~truth, truth).astype(float)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    return matrix


@settings(max_examples=200, deadline=None)
@given(VOTES)
def test_alpha_equals_the_package(rows):
    matrix = np.array(rows).T
    paired = (~np.isnan(matrix)).sum(axis=0) > 1
    assume(len(set(matrix[:, paired][~np.isnan(matrix[:, paired])])) == 2)  # the package refuses the rest
    wanted = krippendorff.alpha(matrix, level_of_measurement="nominal", value_domain=[0.0, 1.0])
    assert alpha(matrix) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(4))
def test_alpha_equals_the_package_on_many_sentences(seed):
    matrix = drawn(seed, sentences=500)
    assert alpha(matrix) == pytest.approx(krippendorff.alpha(matrix, level_of_measurement="nominal"))


@pytest.mark.parametrize(
    ("matrix", "wanted"),
    [
        ([[1, 0, 1, 0], [1, 0, 1, 0]], 1.0),
        ([[0, 0, 0], [0, 0, 0]], np.nan),
        ([[1, np.nan], [np.nan, 0]], np.nan),  # nobody saw what another saw
    ],
)
def test_extremes(matrix, wanted):
    assert alpha(np.array(matrix, float)) == pytest.approx(wanted, nan_ok=True)


def test_disagreeing_always_is_worse_than_chance():
    assert alpha(np.array([[1, 0, 1, 0], [0, 1, 0, 1]], float)) < -0.5


def test_interval_surrounds_alpha_and_shrinks_with_more_sentences():
    few, many = (alpha_interval(drawn(1, sentences=n)) for n in (60, 2000))
    for found in (few, many):
        assert found["low"] < found["value"] < found["high"] <= 1
    assert many["high"] - many["low"] < 0.4 * (few["high"] - few["low"])


def test_interval_covers():
    large = alpha(drawn(0, sentences=100_000))
    inside = [
        (found := alpha_interval(drawn(seed, sentences=150)))["low"] <= large <= found["high"]
        for seed in range(60)
    ]
    assert 0.85 <= np.mean(inside) <= 1.0


def test_interval_repeats_with_its_seed():
    assert alpha_interval(drawn(1), seed=4) == alpha_interval(drawn(1), seed=4)
    assert alpha_interval(drawn(1), seed=4) != alpha_interval(drawn(1), seed=5)


def test_vote_matrix():
    votes = [
        [vote(0, "x", "denial"), vote(0, "y")],
        [vote(1, "y", "accusation", "denial")],
    ]
    matrix = vote_matrix(votes, "denial")
    assert matrix[0, 0] == 1 and np.isnan(matrix[0, 1])
    assert matrix[1].tolist() == [0, 1]


def test_agreement_is_of_sentences_with_two_votes():
    votes = [
        *([vote(i, "x", "denial"), vote(i, "y", "denial")] for i in range(5)),
        *([vote(i, "x"), vote(i, "y")] for i in range(5, 10)),
        *([vote(i, "x", "denial")] for i in range(10, 50)),
    ]
    assert agreement(votes, LABELS)["denial"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_classes_agree_as_the_package_says():
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (3, 60)).astype(float)
    matrix[1] = np.where(rng.random(60) < 0.7, matrix[0], matrix[1])
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    said = [("accusation",), ("denial",), ()]
    votes = [
        [vote(n, name, *said[int(x)]) for name, x in zip("xyz", column, strict=True) if x == x]
        for n, column in enumerate(matrix.T)
    ]
    found = class_agreement(votes, LabelSet(LABELS.names, task="multiclass"))
    assert found["value"] == pytest.approx(krippendorff.alpha(matrix, level_of_measurement="nominal"))
    assert found["low"] <= found["value"] <= found["high"]
    assert class_agreement(votes, LABELS) is None


def test_no_sentence_with_two_votes():
    assert agreement([[vote(0, "x", "denial")]], LABELS) == {}
    assert agreement([], LABELS) == {}


def test_a_label_nobody_gave_has_no_agreement():
    """Not nan, which is no JSON."""
    votes = [
        [vote(i, "x", *given), vote(i, "y", *given)] for i, given in enumerate([["denial"], [], ["denial"]])
    ]
    found = agreement(votes, LABELS)
    assert set(found) == {"denial"}
    json.dumps(found, allow_nan=False)
