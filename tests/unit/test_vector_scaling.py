"""Calibration of classes that exclude each other."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from pipeline.models import decision
from pipeline.models.decision import FLATTEST, Decision, vector_scaling


def drawn(n=4000, slope=1.5, bias=(0.5, 0.0, -1.0), seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3))
    p = softmax(scores * slope + np.array(bias), axis=1)
    y = np.array([rng.choice(3, p=row) for row in p])
    return scores, np.eye(3, dtype=np.int8)[y], p


def test_it_finds_the_softmax_that_made_the_labels():
    scores, y, p = drawn()
    slope, intercept = vector_scaling(scores, y)
    assert slope == pytest.approx([1.5] * 3, abs=0.1)
    assert intercept - intercept.mean() == pytest.approx(np.array([0.5, 0, -1]) + 1 / 6, abs=0.12)
    decision = Decision(task="multiclass").fit(scores, y)
    assert np.abs(decision.probabilities(scores) - p).mean() < 0.02


def test_one_score_is_logistic_regression():
    """With two opposite scores it is a sigmoid of their difference, as scikit-learn fits it."""
    rng = np.random.default_rng(1)
    score = rng.normal(size=3000)
    y = (rng.random(3000) < 1 / (1 + np.exp(-2 * score - 0.7))).astype(np.int8)
    slope, intercept = vector_scaling(np.column_stack([-score, score]), np.column_stack([1 - y, y]))
    theirs = LogisticRegression(C=1e6).fit(score[:, None], y)
    assert slope[0] * 2 == pytest.approx(theirs.coef_[0, 0], rel=0.02)
    assert intercept[1] - intercept[0] == pytest.approx(theirs.intercept_[0], rel=0.03)


def test_scores_that_rank_against_their_classes_are_flattened():
    scores, y, _ = drawn()
    slope, _ = vector_scaling(-scores, y)
    assert slope * scores.std() == pytest.approx(FLATTEST)


def test_a_few_texts_that_rank_no_better_than_chance_do_not_give_all_texts_one_class():
    y = np.eye(2, dtype=np.int8)[np.arange(16) % 2]
    against = np.random.default_rng(0).normal(size=(16, 2)) - y
    decision = Decision(task="multiclass").fit(against, y)
    new = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert decision.labels(decision.probabilities(new)).tolist() == [[1, 0], [0, 1]]


def test_probabilities_stay_finite_where_classes_are_told_apart_without_error():
    y = np.eye(3, dtype=np.int8)[np.arange(30) % 3]
    found = Decision(task="multiclass").fit(y * 2.0 - 1, y).probabilities(y * 2.0 - 1)
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == y.argmax(axis=1)).all()
    assert found.max() < 1


def test_a_sample_is_enough(monkeypatch):
    scores, y, _ = drawn(8000)
    whole = vector_scaling(scores, y)
    monkeypatch.setattr(decision, "CELLS", 9000)
    sample = vector_scaling(scores, y)
    assert sample[0] == pytest.approx(whole[0], abs=0.15)
    assert sample[1] == pytest.approx(whole[1], abs=0.15)
    assert not (sample[1] == whole[1]).all()


def test_the_sample_is_of_all_rows(monkeypatch):
    """Those of one class may stand together."""
    scores, y, _ = drawn(8000)
    sort = np.argsort(y.argmax(axis=1), kind="stable")
    whole = vector_scaling(scores, y)
    monkeypatch.setattr(decision, "CELLS", 9000)
    slope, intercept = vector_scaling(scores[sort], y[sort])
    assert slope == pytest.approx(whole[0], abs=0.15)
    assert intercept == pytest.approx(whole[1], abs=0.15)
