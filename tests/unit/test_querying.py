"""Query strategies: what each prefers, and batches that do not repeat themselves."""

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from pipeline.labels.querying import disagreement, pick, rarity, representative, spread, uncertainty

NONE = np.zeros((0, 2), np.int64)


def test_uncertainty_is_the_summed_entropy():
    p = np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0], [0.3, 0.02]])
    wanted = [sum(scipy_entropy([v, 1 - v], base=2) for v in row) for row in p]
    assert uncertainty(p) == pytest.approx(wanted, abs=1e-9)


def test_disagreement_is_the_jensen_shannon_divergence():
    from scipy.spatial.distance import jensenshannon

    one, other = np.array([[0.9, 0.2], [0.5, 0.5]]), np.array([[0.1, 0.2], [0.5, 0.5]])
    wanted = jensenshannon([0.9, 0.1], [0.1, 0.9], base=2) ** 2
    assert disagreement([one, other]) == pytest.approx([wanted, 0], abs=1e-9)


def test_rare_labels_count_more():
    p = np.array([[0.5, 0.0], [0.0, 0.5], [0.1, 0.1]])
    assert np.argsort(-rarity(p, [1000, 10])).tolist() == [1, 2, 0]
    assert np.isfinite(rarity(p, [0, 0])).all()


def test_no_two_of_a_batch_nearly_repeat_each_other_or_what_is_blocked():
    scores = np.array([9.0, 8, 7, 6, 5, 4])
    pairs = np.array([[0, 1], [1, 2], [3, 4]])
    blocked = np.array([False, False, False, True, False, False])
    assert pick(scores, pairs, 3, blocked).tolist() == [0, 2, 4]
    assert pick(scores, pairs, 10, blocked).tolist() == [0, 2, 4, 5]
    assert pick(scores, NONE, 2, np.zeros(6, bool)).tolist() == [0, 1]


def test_a_spread_batch_takes_the_best_of_each_topic():
    rng = np.random.default_rng(0)
    topic = np.arange(30) % 3
    vectors = (np.eye(3)[topic] + rng.normal(0, 0.01, (30, 3))).astype(np.float32)
    scores = np.linspace(1, 0.5, 30)
    candidates = np.arange(100, 130)
    assert sorted(spread(candidates, scores, vectors, 3, seed=1).tolist()) == [100, 101, 102]
    assert spread(candidates, scores, vectors, 40, seed=1).tolist() == candidates.tolist()


def test_representatives_are_the_middles_of_topics_the_largest_first():
    rng = np.random.default_rng(0)
    topic = np.repeat([0, 1, 2], [10, 30, 20])
    vectors = (5 * np.eye(3)[topic] + rng.normal(0, 0.3, (60, 3))).astype(np.float32)
    for k, middle in enumerate((0, 10, 40)):  # one row of each topic is its mean
        vectors[middle] = vectors[topic == k].mean(axis=0)
    found = representative(np.arange(60), vectors, 3, seed=1).tolist()
    assert [topic[row] for row in found] == [1, 2, 0]
    assert all(
        np.linalg.norm(vectors[row] - vectors[topic == topic[row]].mean(axis=0)) < 0.3 for row in found
    )
