"""The classifier that sizes itself: what it takes, when it changes its mind, and that it travels."""

import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.parallel import Parallel

from pipeline.bundle import Bundle, load, save
from pipeline.models import adaptive, margins
from pipeline.models.adaptive import CHARS, VECTORS, WORDS, Adaptive, Choice, affordable, choose
from pipeline.models.decision import Decision
from pipeline.models.margins import NEVER, fit_centroids, fit_margins
from pipeline.models.portable import portable
from pipeline.schema import LabelSet
from tests.conftest import ROOT

WORDS_OF = {
    0: ["goal", "match", "striker", "league", "referee"],
    1: ["tariff", "export", "port", "cargo", "customs"],
    2: ["nurse", "clinic", "vaccine", "surgery", "patient"],
}


def drawn(n=120, seed=0):
    rng = np.random.default_rng(seed)
    given = np.arange(n) % 3
    texts = [" ".join(rng.choice(WORDS_OF[k], 3)) + f" {rng.integers(50)} the a" for k in given]
    return texts, np.eye(3, dtype=np.int8)[given]


# --- margins ------------------------------------------------------------------------------------------


def test_margins_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = sparse.random(80, 30, 0.3, random_state=0, format="csr")
    y = (rng.random((80, 4)) < 0.3).astype(np.int8)
    ours = fit_margins(X, y, 0.5)
    theirs = OneVsRestClassifier(LinearSVC(C=0.5, random_state=0)).fit(X, y)
    assert ours.decision_function(X) == pytest.approx(theirs.decision_function(X), abs=1e-5)
    assert ours.coef.dtype == np.float32


def test_several_processes_change_nothing(monkeypatch):
    X = sparse.random(80, 30, 0.3, random_state=0, format="csr")
    y = (np.random.default_rng(0).random((80, 4)) < 0.3).astype(np.int8)
    alone = fit_margins(X, y, 0.5)
    monkeypatch.setattr(margins, "WORTH_PROCESSES", 0)
    shared = fit_margins(X, y, 0.5)
    assert (shared.coef == alone.coef).all() and (shared.intercept == alone.intercept).all()


def test_processes_import_this_code_not_that_of_a_loaded_model(monkeypatch, tmp_path):
    """MLflow puts a model's own code first on the path, which processes are given as they start."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    given = []

    def parallel(**options):
        given.extend(sys.path)
        return Parallel(**options)

    monkeypatch.setattr(margins, "Parallel", parallel)
    fit_margins(sparse.eye(4, format="csr"), np.eye(4, dtype=np.int8), 1.0)
    assert given.index(str(ROOT)) < given.index(str(tmp_path))


def test_two_classes_mirror_each_other():
    texts = sparse.random(60, 20, 0.4, random_state=1, format="csr")
    y = np.eye(2, dtype=np.int8)[np.arange(60) % 2]
    head = fit_margins(texts, y, 1.0)
    scores = head.decision_function(texts)
    assert (scores[:, 0] == -scores[:, 1]).all()
    single = LinearSVC(C=1.0, random_state=0).fit(texts, y[:, 0])
    assert scores[:, 0] == pytest.approx(single.decision_function(texts), abs=1e-5)


def test_labels_of_no_text_and_of_every_text():
    X = sparse.random(20, 5, 0.5, random_state=2, format="csr")
    y = np.column_stack([np.zeros(20), np.ones(20), np.arange(20) % 2]).astype(np.int8)
    scores = fit_margins(X, y, 1.0).decision_function(X)
    assert (scores[:, 0] == -NEVER).all() and (scores[:, 1] == NEVER).all()


def test_centroids_tell_texts_apart_and_never_give_a_label_without_text():
    texts, given = drawn()
    y = np.insert(given, 1, 0, axis=1)
    features = Choice((WORDS,)).part(WORDS).fit(texts)
    head = fit_centroids(features.transform(texts), y)
    scores = head.decision_function(features.transform(drawn(60, seed=1)[0]))
    assert (np.delete(scores, 1, axis=1).argmax(axis=1) == np.arange(60) % 3).all()
    assert (scores[:, 1] == -NEVER).all()
    assert head.coef.dtype == np.float32


# --- what is affordable -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "labels", "kinds"),
    [
        (["short text"] * 300, 3, (WORDS, CHARS, VECTORS)),
        (["x" * 60_000] * 300, 3, (WORDS, VECTORS)),
        (["short text"] * 60_000, 3, (WORDS, CHARS)),
        (["x" * 300] * 60_000, 3, (WORDS,)),
    ],
)
def test_kinds_by_size(texts, labels, kinds):
    assert affordable(texts, np.zeros((len(texts), labels), np.int8)).kinds == kinds


def test_fewer_features_for_more_labels():
    most = [affordable(["a"], np.zeros((1, k), np.int8)).most for k in (2, 300, 5000)]
    assert most == [300_000, 50_000, 20_000]


@pytest.mark.parametrize(
    ("labels", "length", "head"),
    [(2000, 300, "centroids"), (2000, 30, "linear SVM"), (20, 300, "linear SVM")],
)
def test_centroids_where_a_machine_for_each_label_takes_hours(labels, length, head):
    choice = affordable(["x" * length] * 1000, np.zeros((1000, labels), np.int8))
    assert str(choice).startswith(f"{WORDS}, {CHARS}, {VECTORS}; {head}")


def test_word_vectors_count_more_where_texts_are_few():
    few, many = (affordable(["a"] * n, np.zeros((n, 2), np.int8)) for n in (40, 400))
    assert (few.weight(VECTORS), many.weight(VECTORS)) == (2.0, 1.0)


# --- the choice ---------------------------------------------------------------------------------------


def test_another_choice_has_to_earn_its_place():
    usual, other = Choice((WORDS, CHARS)), Choice((WORDS,), strength=1.0)
    same = np.tile([1.0, 1.0, 0.0, 1.0], 50)
    slightly, clearly, worse = same.copy(), same.copy(), same.copy()
    slightly[[2, 0]] = [1, 0]
    slightly[6] = 1
    clearly[2:80:4] = 1
    worse[:20] = 0
    better = adaptive._better
    assert better(usual, {usual: same, other: slightly}) == usual
    assert better(usual, {usual: same, other: clearly}) == other
    assert better(usual, {usual: same, other: worse}) == usual


def test_noise_is_no_reason_to_change_and_too_few_texts_are_none(monkeypatch):
    texts, y = drawn(90)
    usual = affordable(texts, y)
    monkeypatch.setattr(adaptive, "_blocks", lambda *_: pytest.fail("too few to choose on"))
    assert choose(usual, texts, y, 0) == usual


def test_what_is_useless_is_left_out(monkeypatch):
    """Word vectors that say something else of every text drown the words; without them all is well."""
    texts, y = drawn(180)

    class Noise:
        def fit(self, texts):
            return self

        def transform(self, texts):
            return sparse.csr_matrix(np.random.default_rng(len(texts)).normal(size=(len(texts), 200)) * 30)

    part = Choice.part
    monkeypatch.setattr(Choice, "part", lambda self, kind: Noise() if kind == VECTORS else part(self, kind))
    monkeypatch.setattr(adaptive, "CHOICE_FOLDS", 2)
    assert VECTORS not in choose(affordable(texts, y), texts, y, 0).kinds


@pytest.mark.parametrize(("centroids", "strengths"), [(False, [0.3, 0.1, 1.0]), (True, [0.3])])
def test_other_strengths_are_tried_of_machines_only(centroids, strengths, monkeypatch):
    monkeypatch.setattr(adaptive, "_better", lambda usual, right: list(right))
    tried = choose(Choice((WORDS,), centroids=centroids), *drawn(), 0)
    assert [one.strength for one in tried] == strengths


@pytest.mark.parametrize(("centroids", "labels"), [(False, 12), (True, 300)])
def test_centroids_are_chosen_on_more_labels(centroids, labels, monkeypatch):
    texts, y = [f"word{i % 310}" for i in range(3100)], np.tile(np.eye(310, dtype=np.int8), (10, 1))
    sizes = []
    monkeypatch.setattr(adaptive, "_right", lambda head, test, y: sizes.append(y.shape[1]) or 0.0)
    monkeypatch.setattr(adaptive, "_better", lambda usual, right: usual)
    choose(Choice((WORDS,), centroids=centroids), texts, y, 0)
    assert set(sizes) == {labels}


def test_settled_is_what_fit_would_choose():
    texts, y = drawn()
    settled = Adaptive(random_state=3).settled(texts, y)
    assert settled.choice == Adaptive(random_state=3).fit(texts, y).choice_
    assert clone(settled).fit(texts[:50], y[:50]).choice_ == settled.choice
    assert "linear SVM, C=" in str(settled.choice)


# --- the classifier -----------------------------------------------------------------------------------


def test_it_learns_and_is_the_same_again():
    texts, y = drawn()
    new, truth = drawn(60, seed=1)
    one, two = (Adaptive().fit(texts, y) for _ in range(2))
    scores = one.decision_function(new)
    assert (scores.argmax(axis=1) == truth.argmax(axis=1)).mean() > 0.95
    assert (scores == two.decision_function(new)).all()


def test_it_travels_in_a_bundle(tmp_path):
    texts, y = drawn()
    fitted = Adaptive().fit(texts, y)
    decision = Decision(task="multiclass").fit(fitted.decision_function(texts), y)
    labels = LabelSet(("sport", "trade", "health"), {}, "multiclass")
    save(Bundle(portable(fitted), decision, labels), tmp_path / "bundle")
    bundle = load(tmp_path / "bundle")
    assert (bundle.scorer.decision_function(texts) == fitted.decision_function(texts)).all()
    assert bundle.label(["a goal in the match", "surgery for the patient"]) == [["sport"], ["health"]]


def test_two_texts_are_enough():
    fitted = Adaptive().fit(["rain", "goal"], np.eye(2, dtype=np.int8))
    assert fitted.decision_function(["rain", "goal", "", "好"]).argmax(axis=1)[:2].tolist() == [0, 1]


def test_several_labels_and_none():
    texts, y = drawn()
    texts, y = texts + [f"{a} {b}" for a, b in zip(texts[0::3], texts[1::3], strict=False)], y
    both = np.tile([[1, 1, 0]], (40, 1)).astype(np.int8)
    plain = [f"nothing of note here {i}" for i in range(40)]
    y = np.vstack([y, both, np.zeros((40, 3), np.int8)])
    scores = Adaptive().fit(texts + plain, y).decision_function(["goal tariff match export", "nothing here"])
    assert ((scores > 0) == [[True, True, False], [False, False, False]]).all()


def test_centroids_are_unit_differences_of_means():
    texts = np.array([[1.0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]])
    y = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.int8)
    away = np.array([texts[y[:, k] == 1].mean(axis=0) - texts.mean(axis=0) for k in (0, 1)])
    wanted = 4 * away / np.linalg.norm(away, axis=1, keepdims=True)
    head = Choice((WORDS,), centroids=True).head(sparse.csr_matrix(texts), y, 0)
    assert head.coef == pytest.approx(wanted, abs=1e-5)
    machines = Choice((WORDS,)).head(sparse.csr_matrix(texts), y, 0)
    assert (machines.coef != head.coef).any()
