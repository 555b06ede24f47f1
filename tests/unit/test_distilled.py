"""A student that learns from a teacher's scores of unlabelled sentences."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.convolution import Convolution
from pipeline.models.distilled import Distilled, teacher_scores
from pipeline.models.portable import assemble, dismantle, portable
from pipeline.models.soft_logistic import SoftLogistic
from pipeline.schema import ConfigError, InputError
from pipeline.unlabelled import unlabelled_sentences

TEXTS = ["Prices rose.", "Prices fell.", "He denied it.", "She denied that.", "Rain fell.", "Prices denied."]
Y = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 1]], np.int8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def linear(**settings):
    return make_pipeline(ArrowTfidf(), OneVsRestClassifier(LogisticRegression(**settings)))


def test_on_classes_it_is_scikit_learns_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5))
    y = (rng.random((300, 2)) < expit(x[:, :2] * 2 - 0.5)).astype(float)
    weights = rng.random(300) + 0.5
    ours = SoftLogistic(C=0.7).fit(x, y, weights)
    for k in range(2):
        theirs = LogisticRegression(C=0.7, tol=1e-8).fit(x, y[:, k], weights)
        assert ours.head_.coef[k] == pytest.approx(theirs.coef_[0], abs=2e-3)
        assert ours.head_.intercept[k] == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_a_soft_target_is_two_weighted_rows():
    rng = np.random.default_rng(1)
    x, soft = rng.normal(size=(200, 3)), rng.random((200, 1))
    ours = SoftLogistic().fit(x, soft)
    both, classes = np.vstack([x, x]), np.repeat([1, 0], 200)
    theirs = LogisticRegression(tol=1e-8).fit(both, classes, np.concatenate([soft[:, 0], 1 - soft[:, 0]]))
    assert ours.head_.coef[0] == pytest.approx(theirs.coef_[0], abs=2e-3)


class Wise:
    """A teacher who knows a word that no labelled sentence has."""

    def get_params(self, deep=True):
        return {}

    def fit(self, texts, y):
        self.coef = np.zeros(1)
        return self

    def decision_function(self, texts):
        return np.array([[-6.0, 6.0 if "refuted" in text or "denied" in text else -6.0] for text in texts])


def test_the_student_learns_words_that_no_labelled_sentence_has(monkeypatch):
    monkeypatch.setattr(
        "pipeline.models.distilled.teacher_scores", lambda teacher, texts: teacher.decision_function(texts)
    )
    unlabelled = ["Officials refuted the report.", "They refuted that.", "Snow fell.", "Boats sailed."] * 5
    student = Distilled(teacher=Wise(), features=ArrowTfidf(), unlabelled=unlabelled, C=10).fit(TEXTS, Y)
    told = student.decision_function(["Nobody refuted anything.", "Nobody sailed anything."])[:, 1]
    assert told[0] > 0 > told[1]


@pytest.mark.parametrize("network", [None, Convolution(filters=8, dimensions=16)])
def test_only_the_student_is_stored(network):
    told = {"features": ArrowTfidf(), "network": network, "unlabelled": ["Wages rose.", "He refuted it."]}
    model = Distilled(teacher=linear(), **told)
    fitted = clone(model).fit(TEXTS, Y)
    again = assemble(*dismantle(portable(fitted)))
    texts = [*TEXTS, "", "Wages refuted"]
    np.testing.assert_array_equal(again.decision_function(texts), fitted.decision_function(texts))
    assert "Wages rose." not in str(dismantle(portable(fitted))[0])


def test_teacher_scores_are_kept_by_content(tmp_path):
    teacher = linear().fit(TEXTS, Y)
    first = teacher_scores(teacher, ["Wages rose."])
    (kept,) = (tmp_path / "cache").rglob("*.npy")
    np.save(kept, first + 1, allow_pickle=False)
    np.testing.assert_array_equal(teacher_scores(teacher, ["Wages rose."]), first + 1)
    assert teacher_scores(teacher, ["Wages fell."]).shape == (1, 2)
    other = linear(C=0.1).fit(TEXTS, Y)
    assert (teacher_scores(other, ["Wages rose."]) != first + 1).any()


@pytest.mark.parametrize(
    ("settings", "words"), [({"unlabelled": ()}, "distill.articles"), ({"weight": 0}, "weight=0")]
)
def test_impossible_settings_are_named(settings, words):
    model = Distilled(**{"teacher": linear(), "features": ArrowTfidf(), "unlabelled": ["Rain."]} | settings)
    with pytest.raises(ConfigError, match=words):
        model.fit(TEXTS, Y)


def test_near_copies_of_labelled_sentences_are_left_out(tmp_path, capsys):
    (tmp_path / "a.txt").write_text(
        "Ministers meet in capital\n\nThe minister denied the report on Monday. "
        "Prices rose by ten percent in May. The minister denied the report on Monday.\n"
    )
    labelled = ["The minister denied the report on Monday!"]
    kept = unlabelled_sentences(tmp_path, labelled, 0.7)
    assert kept == ["Ministers meet in capital", "Prices rose by ten percent in May."]
    assert "2 unlabelled sentences of 1 articles, 1 left out" in capsys.readouterr().out
    with pytest.raises(InputError, match="no sentence"):
        unlabelled_sentences(tmp_path, kept + labelled, 0.7)
