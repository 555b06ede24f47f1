"""NBSVM against its definition, and as a classifier of news."""

import json

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.nbsvm import NBSVM, log_count_ratio, presence
from pipeline.models.portable import assemble, dismantle, portable
from pipeline.schema import ConfigError

X = sparse.csr_matrix([[2.0, 0, 1], [3.0, 1, 0], [0, 4.0, 0], [0, 1.0, 0.5], [0.1, 0, 0]])
Y = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0]], np.int8)


def test_the_ratio_by_hand():
    """Presence, each plus one: 1 + (3, 1, 1) over 8 against 1 + (0, 2, 1) over 6."""
    wanted = np.log(np.array([4, 2, 2]) / 8) - np.log(np.array([1, 3, 2]) / 6)
    assert log_count_ratio(presence(X), Y[:, 0], alpha=1.0) == pytest.approx(wanted)


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_weights_are_those_of_the_paper(beta):
    """w' = (1 - beta) mean|w| + beta w, on features scaled by r, so that r w' weighs presence."""
    found = NBSVM(estimator=LinearSVC(random_state=0), beta=beta).fit(X, Y)
    for k in range(2):
        r = log_count_ratio(presence(X), Y[:, k], 1.0)
        svm = LinearSVC(random_state=0).fit(presence(X).toarray() * r, Y[:, k])
        w = svm.coef_[0]
        mixed = (1 - beta) * np.abs(w).sum() / len(w) + beta * w
        scores = presence(X).toarray() * r @ mixed + svm.intercept_[0]
        assert found.decision_function(X)[:, k] == pytest.approx(scores, rel=1e-4)


def test_only_presence_counts():
    found = NBSVM(estimator=LogisticRegression()).fit(X, Y)
    assert (found.decision_function(X) == found.decision_function(X * 7)).all()


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_never_varies(value):
    y = Y.copy()
    y[:, 1] = value
    scores = NBSVM(estimator=LinearSVC()).fit(X, y).decision_function(X)
    assert (np.sign(scores[:, 1]) == (1 if value else -1)).all()


@pytest.mark.parametrize(
    ("options", "said"), [({"alpha": 0}, "alpha=0: must be above 0"), ({"beta": 1.5}, "beta=1.5: must be")]
)
def test_parameters_out_of_range(options, said):
    with pytest.raises(ConfigError, match=said):
        NBSVM(estimator=LinearSVC(), **options).fit(X, Y)


def test_the_way_to_a_bundle_and_back():
    texts = ["prices rose", "it denied it", "prices rose, it denied", "rain", "prices fell"]
    fitted = portable(make_pipeline(ArrowTfidf(), NBSVM(estimator=LinearSVC())).fit(texts, Y))
    structure, arrays = dismantle(fitted)
    again = assemble(json.loads(json.dumps(structure)), arrays)
    assert (again.decision_function([*texts, ""]) == fitted.decision_function([*texts, ""])).all()
    assert "SkopsPart" not in json.dumps(structure), "no scikit-learn estimator is needed to score"
