"""A stack weighs its parts by what they say of sentences that they did not see."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from pipeline.models import stack as module
from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.portable import assemble, dismantle, portable, requirements
from pipeline.models.stack import Stack, neighbouring_folds


class Memory(BaseEstimator):
    """Knows every label that it was shown, and nothing else."""

    def fit(self, X, y):
        self.known_ = dict(zip(X, y, strict=True))
        self.width_ = y.shape[1]
        return self

    def decision_function(self, X):
        unknown = np.zeros(self.width_)
        return np.array([2.0 * self.known_[x] - 1 if x in self.known_ else unknown for x in X])


class Reader(BaseEstimator):
    """Reads the label in the text, rightly in four of five."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def decision_function(self, X):
        return np.array([[2.0 * int(x.split()[1]) - 1] for x in X])


def noisy(n=400):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, (n, 1)).astype(np.int8)
    read = np.where(rng.random(n) < 0.8, y[:, 0], 1 - y[:, 0])
    return [f"text{i} {value}" for i, value in enumerate(read)], y


@pytest.fixture
def plain(monkeypatch):
    """Parts of the tests' own, which no bundle would hold."""
    monkeypatch.setattr(module, "portable", lambda part: part)


def test_what_a_part_remembers_is_worth_nothing(plain):
    texts, y = noisy()
    found = Stack(estimators={"memory": Memory(), "reader": Reader()}, combine=LogisticRegression()).fit(
        texts, y
    )
    memory, reader = found.coef_[0]
    assert abs(memory) < 1e-6
    assert reader > 0.5
    assert found.parts[0].known_.keys() == set(texts), "in the end all parts are fitted on all texts"


def test_scores_are_the_weighted_sum(plain):
    texts, y = noisy()
    found = Stack(estimators={"memory": Memory(), "reader": Reader()}, combine=LogisticRegression()).fit(
        texts, y
    )
    parts = [part.decision_function(texts)[:, 0] for part in found.parts]
    wanted = found.coef_[0] @ np.array(parts) + found.intercept_[0]
    assert found.decision_function(texts)[:, 0] == pytest.approx(wanted)


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_never_varies(plain, value):
    texts, y = noisy(50)
    y[:] = value
    found = Stack(estimators={"reader": Reader()}, combine=LogisticRegression()).fit(texts, y)
    assert (np.sign(found.decision_function(texts)) == (1 if value else -1)).all()


def test_neighbours_share_a_fold():
    folds = neighbouring_folds(10_000, 5)
    assert np.bincount(folds).tolist() == [2000] * 5
    assert (np.diff(folds) != 0).sum() == 99, "100 runs of neighbours"
    assert set(neighbouring_folds(7, 5)) <= set(range(5))


def test_the_way_to_a_bundle_and_back():
    texts = [f"{who} {what}" for who in ("bank", "mayor", "court") for what in ("denied", "rose", "said") * 4]
    y = np.array([[text.endswith("denied"), text.startswith("bank")] for text in texts], np.int8)

    def part(**options):
        return make_pipeline(ArrowTfidf(**options), OneVsRestClassifier(LogisticRegression()))

    fitted = Stack(estimators={"a": part(), "b": part(ngram_range=(1, 2))}, combine=LogisticRegression())
    assert portable(fitted.fit(texts, y)) is fitted
    structure, arrays = dismantle(fitted)
    again = assemble(json.loads(json.dumps(structure)), arrays)
    unseen = ["bank denied", "", "court said"]
    assert (again.decision_function(unseen) == fitted.decision_function(unseen)).all()
    assert (
        fitted.decision_function(["bank denied"])[0].min() > fitted.decision_function(["court said"])[0].max()
    )
    assert requirements(fitted) == set()
