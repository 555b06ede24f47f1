"""Cross-validation that fits only some of the folds."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from pipeline.models.decision import Decision
from pipeline.models.training import cross_validate
from pipeline.schema import ConfigError

FOLDS = np.repeat(np.arange(5), 40)
TEXTS = [f"{fold} {n}" for n, fold in enumerate(FOLDS)]
Y = (np.random.default_rng(0).random((200, 2)) < 0.4).astype(np.int8)
FITTED = []


class Remembers(BaseEstimator):
    """Scores the rows it is asked for by their numbers, and remembers what it was fitted on."""

    def fit(self, texts, y):
        FITTED.append({text.split()[0] for text in texts})
        return self

    def decision_function(self, texts):
        rows = np.array([int(text.split()[1]) for text in texts])
        return Y[rows] + 0.5 * np.sin(rows)[:, None]


@pytest.fixture(autouse=True)
def forget():
    FITTED.clear()


@pytest.mark.parametrize(("score_folds", "scored"), [(1, 40), (2, 80), (5, 200), (None, 200)])
def test_only_so_many_folds_are_fitted_and_scored(score_folds, scored):
    done = cross_validate(Remembers(), Decision(), TEXTS, Y, FOLDS, score_folds=score_folds)
    assert len(FITTED) == scored // 40
    assert all(len(seen) == 4 and str(k) not in seen for k, seen in enumerate(FITTED))
    assert done.rows.tolist() == list(range(scored))
    assert done.scores.shape == done.probabilities.shape == done.predicted.shape == (scored, 2)
    assert np.allclose(done.scores, Remembers().decision_function(TEXTS[:scored]))


def test_all_of_the_folds_are_the_default():
    one = cross_validate(Remembers(), Decision(), TEXTS, Y, FOLDS)
    other = cross_validate(Remembers(), Decision(), TEXTS, Y, FOLDS, score_folds=5)
    assert np.array_equal(one.predicted, other.predicted)
    assert np.array_equal(one.decision.thresholds_, other.decision.thresholds_)


def test_a_single_fold_labels_each_half_by_the_other():
    done = cross_validate(Remembers(), Decision(), TEXTS, Y, FOLDS, score_folds=1)
    first, second = slice(0, 20), slice(20, 40)
    for part, other in ((first, second), (second, first)):
        decision = Decision().fit(done.scores[other], Y[:40][other])
        wanted = decision.labels(decision.probabilities(done.scores[part]))
        assert np.array_equal(done.predicted[part], wanted)


@pytest.mark.parametrize("score_folds", [0, -1, 6, "two", 1.5])
def test_an_impossible_number_is_refused(score_folds):
    with pytest.raises(ConfigError, match=r"split\.score_folds"):
        cross_validate(Remembers(), Decision(), TEXTS, Y, FOLDS, score_folds=score_folds)
    assert not FITTED
