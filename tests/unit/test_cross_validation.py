"""Nothing that a fold is judged by has seen its labels."""

import os
import signal
import sys

import numpy as np
import psutil
import pytest
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from pipeline.models import training
from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.blend import Blend
from pipeline.models.decision import Decision
from pipeline.models.training import cross_validate, takes_all_cores
from pipeline.schema import PipelineError

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


LINEAR = make_pipeline(ArrowTfidf(), OneVsRestClassifier(LogisticRegression()))
SENTENCES = [f"{'bank' if a else 'court'} {'said' if b else 'denied'} {i % 7}0" for i, (a, b) in enumerate(Y)]


class AllCores(BaseEstimator):
    all_cores = True


class Dies(Reads):
    """Ends its process, as the system does where memory runs out."""

    def fit(self, texts, y):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def many(monkeypatch):
    """Have a few texts count as many, on a machine of two cores."""
    monkeypatch.setattr(training, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(training.os, "sched_getaffinity", lambda _: {0, 1})


@pytest.mark.parametrize("fit_all", [False, True])
def test_side_by_side_is_as_one_after_the_other(fit_all, monkeypatch, many):
    beside = cross_validate(LINEAR, Decision(), SENTENCES, Y, FOLDS, fit_all=fit_all)
    workers = [one for one in psutil.Process().children() if "popen_loky" in " ".join(one.cmdline())]
    monkeypatch.setattr(training.os, "sched_getaffinity", lambda _: {0})
    alone = cross_validate(LINEAR, Decision(), SENTENCES, Y, FOLDS, fit_all=fit_all)
    assert np.array_equal(beside.scores, alone.scores)
    assert not workers, "idle, they would hold their memory and their parent's end"
    assert beside.elsewhere > 0 == alone.elsewhere
    if not fit_all:
        assert beside.fitted is alone.fitted is None
    else:
        assert np.array_equal(*(one.fitted.decision_function(SENTENCES) for one in (beside, alone)))


class Nests(Reads):
    """Remembers where something run side by side within its fit would run."""

    def fit(self, texts, y):
        self.backend_ = type(get_active_backend()[0]).__name__
        return self


def test_nothing_is_side_by_side_within_a_process_of_a_fold(many):
    found = cross_validate(Nests(), Decision(), TEXTS, Y, FOLDS, fit_all=True)
    assert found.fitted.backend_ == "SequentialBackend", "threads would share liblinear's random generator"


def test_all_texts_are_fitted_on_for_the_model_to_serve():
    found = cross_validate(Recalls(), Decision(), TEXTS, Y, FOLDS, fit_all=True)
    assert len(found.fitted.known_) == N and not found.scores.any()


def test_a_process_that_was_ended_is_one_line(many):
    with pytest.raises(PipelineError, match="the system ended a process"):
        cross_validate(Dies(), Decision(), TEXTS, Y, FOLDS)


def test_processes_run_this_code_not_that_of_a_loaded_model(many, tmp_path, monkeypatch):
    """MLflow puts a model's own code first on the path."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise RuntimeError('code of a bundle')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    beside = cross_validate(LINEAR, Decision(), SENTENCES, Y, FOLDS)
    assert beside.elsewhere > 0


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (LINEAR, False),
        (make_pipeline(ArrowTfidf(), AllCores()), True),
        (Blend([LINEAR, AllCores()]), True),
        (Blend([LINEAR, LINEAR]), False),
    ],
    ids=["linear", "in a pipeline", "in a blend", "linear blend"],
)
def test_what_has_a_use_for_all_cores_is_trained_alone(model, wanted):
    assert takes_all_cores(model) is wanted
