"""Fitted scikit-learn classifiers as structure and arrays: the same scores, and only known classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import SVC, LinearSVC

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.linear import Chain, LinearHead, linear_head
from pipeline.models.portable import CLASSES, assemble, dismantle, portable
from pipeline.models.skops_part import SkopsPart
from pipeline.models.training import scores
from pipeline.schema import ConfigError, InputError

TEXTS = [
    "The bank denied the claim.",
    "Prices rose 3 percent.",
    "The bank said prices rose; the ministry denied it.",
    "",
    "The ministry ordered the bank to pay.",
    "Police ordered the road closed.",
    "Prices fell and the bank paid.",
    "The claim was denied by police.",
]
UNSEEN = ["The ministry denied that prices rose", "", "wholly foreign vocabulary", "bank " * 50]
Y = np.array(
    [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0]], np.int8
)


def words(**options):
    return ArrowTfidf(ngram_range=(1, 2), **options)


def logistic():
    return OneVsRestClassifier(LogisticRegression(C=10.0))


ESTIMATORS = {
    "logistic": lambda: Pipeline([("f", words()), ("h", logistic())]),
    "svm": lambda: make_pipeline(words(sublinear_tf=True), OneVsRestClassifier(LinearSVC())),
    "prior": lambda: make_pipeline(words(), OneVsRestClassifier(DummyClassifier(strategy="prior"))),
    "ridge": lambda: make_pipeline(words(), OneVsRestClassifier(RidgeClassifier())),
    "perceptron": lambda: make_pipeline(words(), OneVsRestClassifier(Perceptron(random_state=0))),
    "hinge": lambda: make_pipeline(words(), OneVsRestClassifier(SGDClassifier(random_state=0))),
    "union": lambda: Pipeline(
        [("u", FeatureUnion([("one", words()), ("two", ArrowTfidf(lowercase=False))])), ("h", logistic())]
    ),
    "weighted union with a part of scikit-learn": lambda: Pipeline(
        [
            (
                "u",
                FeatureUnion(
                    [("w", words()), ("c", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)))],
                    transformer_weights={"c": 0.3},
                ),
            ),
            ("h", logistic()),
        ]
    ),
    "dense union": lambda: Pipeline(
        [
            (
                "u",
                FeatureUnion(
                    [
                        ("a", make_pipeline(words(), TruncatedSVD(3, random_state=0))),
                        ("b", make_pipeline(words(), TruncatedSVD(2, random_state=1))),
                    ]
                ),
            ),
            ("h", logistic()),
        ]
    ),
    "three steps": lambda: make_pipeline(words(), MaxAbsScaler(), logistic()),
    "all of scikit-learn": lambda: make_pipeline(TfidfVectorizer(), logistic()),
    "bayes": lambda: make_pipeline(words(), OneVsRestClassifier(ComplementNB())),
    "classifier per output": lambda: make_pipeline(words(), MultiOutputClassifier(LogisticRegression())),
    "calibrated": lambda: make_pipeline(
        words(), OneVsRestClassifier(CalibratedClassifierCV(LinearSVC(), cv=2))
    ),
    "linear kernel": lambda: make_pipeline(words(), OneVsRestClassifier(SVC(kernel="linear"))),
}
# What skops does not load without being told to trust it, for it can crash or be made to.
UNSAFE = {
    "sklearn.tree._tree.Tree": RandomForestClassifier(5, random_state=0),
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer": MLPClassifier(
        (3,), max_iter=20, random_state=0
    ),
    "scipy.sparse._csr.csr_matrix": OneVsRestClassifier(SVC(kernel="rbf")),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_scores_survive_the_way_to_arrays_and_back(name):
    fitted = ESTIMATORS[name]().fit(TEXTS, Y)
    wanted = scores(fitted, UNSEEN)
    assert wanted.shape == (len(UNSEEN), 3)
    part = portable(fitted)
    assert np.asarray(part.decision_function(UNSEEN)) == pytest.approx(wanted, abs=1e-9)
    structure, arrays = dismantle(part)
    again = assemble(json.loads(json.dumps(structure)), {key: value.copy() for key, value in arrays.items()})
    assert (np.asarray(again.decision_function(UNSEEN)) == np.asarray(part.decision_function(UNSEEN))).all()
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in arrays.values())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("unsafe", UNSAFE)
def test_what_could_not_be_loaded_again_is_not_exported(unsafe):
    """Yet it can be compared: its scores are those of any other."""
    fitted = make_pipeline(words(), UNSAFE[unsafe]).fit(TEXTS, Y)
    part = portable(fitted)
    assert part.decision_function(UNSEEN) == pytest.approx(scores(fitted, UNSEEN))
    assert part.decision_function(UNSEEN).shape == (len(UNSEEN), 3)
    with pytest.raises(ConfigError, match=rf"cannot be exported, a bundle must not hold {unsafe}"):
        dismantle(part)


@pytest.mark.parametrize("name", ["logistic", "svm", "prior", "ridge", "union"])
def test_linear_classifiers_need_no_scikit_learn_estimator(name):
    structure = json.dumps(dismantle(portable(ESTIMATORS[name]().fit(TEXTS, Y)))[0])
    assert "SkopsPart" not in structure
    assert "LinearHead" in structure


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("estimator", [LogisticRegression(), LinearSVC(), DummyClassifier(strategy="prior")])
@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_never_varies(estimator, value):
    y = Y.copy()
    y[:, 1] = value
    fitted = make_pipeline(words(), OneVsRestClassifier(estimator)).fit(TEXTS, y)
    found = portable(fitted).decision_function(UNSEEN)
    assert found.shape == (len(UNSEEN), 3)
    assert (np.sign(found[:, 1]) == (1 if value else -1)).all()
    others = [0, 2]
    assert found[:, others] == pytest.approx(scores(fitted, UNSEEN)[:, others], abs=1e-9)


@pytest.mark.parametrize("head", [LogisticRegression(), ComplementNB(), DummyClassifier(strategy="prior")])
def test_a_single_label(head):
    fitted = make_pipeline(words(), OneVsRestClassifier(head)).fit(TEXTS, Y[:, :1])
    wanted = scores(fitted, UNSEEN)
    assert wanted.shape == (len(UNSEEN), 1)
    assert np.asarray(portable(fitted).decision_function(UNSEEN)) == pytest.approx(wanted)


def test_one_row_keeps_its_shape():
    fitted = portable(ESTIMATORS["logistic"]().fit(TEXTS, Y))
    assert fitted.decision_function(["one"]).shape == (1, 3)


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(2)])
def test_no_linear_head_for_what_is_not_one_per_label(estimator):
    assert linear_head(estimator.fit([[0.0], [1.0]], [0, 1])) is None


def test_what_is_portable_stays_itself():
    chain = Chain([ArrowTfidf().fit(TEXTS), LinearHead(np.zeros((1, 1)), np.zeros(1))])
    assert portable(chain) is chain


@pytest.mark.parametrize("name", ["system", "Pipeline", "os.system", "", None, "__import__", "CLASSES"])
@pytest.mark.parametrize("deep", [False, True])
def test_only_listed_classes_are_built(name, deep):
    structure = {"class": name, "parameters": {}, "parts": []}
    if deep:
        structure = {"class": "Chain", "parameters": {}, "parts": [structure]}
    with pytest.raises(InputError, match="is not one that a bundle may hold"):
        assemble(structure, {})


def test_listed_classes_exist_and_round_trip():
    for name, module in CLASSES.items():
        found = getattr(__import__(module, fromlist=[name]), name)
        assert callable(found.from_state) and callable(found.state), name


def test_arrays_of_parts_do_not_mix():
    """Part 1 and part 10 of a chain begin alike."""
    parts = [LinearHead(np.full((1, 1), float(i)), np.zeros(1)) for i in range(12)]
    again = assemble(*dismantle(Chain(parts)))
    assert [float(part.coef[0, 0]) for part in again.parts] == list(range(12))


class Evil:
    """Not scikit-learn's: runs code when unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("/tmp/evil"),))


def test_skops_refuses_classes_of_others():
    import skops.io

    data = np.frombuffer(skops.io.dumps(Evil()), np.uint8)
    with pytest.raises(InputError, match=r"Untrusted types .*Evil"):
        SkopsPart.from_state({"parameters": {}, "arrays": {"skops": data}})
