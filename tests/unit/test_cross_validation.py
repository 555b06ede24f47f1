"""Nothing that a fold is judged by has seen its labels."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from pipeline.models.decision import Decision
from pipeline.models.training import cross_validate

RNG = np.random.default_rng(3)
N = 240
FOLDS = np.arange(N) % 4
TEXTS = [str(value) for value in RNG.normal(size=N)]
Y = (np.array(TEXTS, float)[:, None] + RNG.normal(size=(N, 2)) > [0.3, 1.0]).astype(np.int8)


class Reads(BaseEstimator):
    """Scores a text by the number it is: learns nothing, so only thresholds can leak."""

    def fit(self, texts, y):
        return self

    def decision_function(self, texts):
        return np.repeat(np.array(texts, float)[:, None], 2, axis=1)


class Recalls(BaseEstimator):
    """Scores a text it was fitted on by its labels, and any other by 0."""

    def fit(self, texts, y):
        self.known_ = dict(zip(texts, y, strict=True))
        return self

    def decision_function(self, texts):
        return np.array([self.known_.get(text, np.zeros(2)) for text in texts], float)


@pytest.mark.parametrize("fold", range(4))
def test_thresholds_of_a_fold_come_from_the_other_folds(fold):
    y = Y.copy()
    y[fold == FOLDS] = 1 - y[fold == FOLDS]
    plain, turned = (cross_validate(Reads(), Decision(), TEXTS, labels, FOLDS) for labels in (Y, y))
    inside = fold == FOLDS
    assert (plain.predicted[inside] == turned.predicted[inside]).all()
    assert (plain.probabilities[inside] == turned.probabilities[inside]).all()
    assert (plain.predicted[~inside] != turned.predicted[~inside]).any()


def test_no_fold_is_scored_by_a_model_that_was_fitted_on_it():
    repeated = np.stack([FOLDS, (np.arange(N) // 3) % 5])
    for folds in (FOLDS, repeated):
        assert not cross_validate(Recalls(), Decision(), TEXTS, Y, folds).scores.any()


def test_the_decision_to_serve_is_fitted_on_all_out_of_fold_scores():
    found = cross_validate(Reads(), Decision(), TEXTS, Y, FOLDS)
    wanted = Decision().fit(np.repeat(np.array(TEXTS, float)[:, None], 2, axis=1), Y)
    assert found.decision.thresholds_.tolist() == wanted.thresholds_.tolist()
    assert found.decision.slope_.tolist() == wanted.slope_.tolist()


def test_results_are_in_the_order_of_the_rows():
    found = cross_validate(Reads(), Decision(), TEXTS, Y, FOLDS)
    assert found.scores[:, 0].tolist() == [float(text) for text in TEXTS]


def test_the_model_given_stays_unfitted():
    model = Recalls()
    cross_validate(model, Decision(), TEXTS, Y, FOLDS)
    assert not hasattr(model, "known_")


def test_progress_is_told():
    told = []

    def track(folds):
        for fold in folds:
            told.append(fold)
            yield fold

    cross_validate(Reads(), Decision(), TEXTS, Y, FOLDS, track=track)
    assert told == [0, 1, 2, 3]


def test_a_repeat_is_labelled_as_if_alone():
    other = (np.arange(N) // 3) % 5
    both = cross_validate(Reads(), Decision(), TEXTS, Y, np.stack([FOLDS, other]))
    assert np.bincount(both.repeat).tolist() == [N, N]
    for n, folds in enumerate((FOLDS, other)):
        alone = cross_validate(Reads(), Decision(), TEXTS, Y, folds)
        part = both.repeat == n
        assert (both.rows[part] == alone.rows).all()
        assert (both.predicted[part] == alone.predicted).all()
        assert (both.probabilities[part] == alone.probabilities).all()
