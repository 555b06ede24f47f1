"""The reasons for a score: exact, and in words."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import SVC

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.blend import Blend
from pipeline.models.chars import CharTfidf
from pipeline.models.convolution import Convolution
from pipeline.models.cues import CueRules, Cues
from pipeline.models.explain import by_words, explain, strongest
from pipeline.models.portable import portable
from pipeline.models.static import Static

TEXTS = [
    "The minister denied that he took the money",
    "The bank denied every charge on Friday",
    "Prices rose by 12 percent on Friday",
    "Prices fell and the bank took note",
    "",
] * 3
Y = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]] * 3)
CUES = {
    "labels": {
        "denial": [
            {"name": "denied", "weight": 1.0, "patterns": ["denied (?:that|every)"]},
            {"name": "grouped", "weight": 0.5, "patterns": ["(took) the"]},
        ],
        "money": [{"name": "moved", "weight": 1.0, "patterns": ["prices (?:rose|fell)"]}],
    }
}
HEAD = OneVsRestClassifier(LogisticRegression())
FEATURES = {
    "words": lambda: ArrowTfidf(ngram_range=(1, 2)),
    "scikit-learn's": lambda: CountVectorizer(),
    "vectors": lambda: Static(anchors=20, ngram_range=(1, 3), min_df=1),
    "mean only": lambda: Static(anchors=0),
    "cues": lambda: Cues(CUES),
    "characters": lambda: CharTfidf(min_df=1),
    "union": lambda: FeatureUnion(
        [
            ("words", ArrowTfidf()),
            ("vectors", Static(anchors=20, min_df=1)),
            ("cues", Cues(CUES)),
            ("counts", CountVectorizer()),
        ],
        transformer_weights={"cues": 0.5, "vectors": 2.0},
    ),
}


def fitted(features):
    return portable(make_pipeline(features(), HEAD).fit(TEXTS, Y))


@pytest.mark.parametrize("name", FEATURES)
def test_reasons_and_intercepts_sum_to_the_scores(name):
    scorer = fitted(FEATURES[name])
    texts = [*TEXTS[:5], "Nobody ever denied that prices rose, the bank denied that", "zzz"]
    reasons, intercepts = explain(scorer, texts)
    for merge in (list, by_words):
        sums = [sum((reason.weights for reason in merge(some)), np.zeros(2)) for some in reasons]
        assert np.array(sums) + intercepts == pytest.approx(scorer.decision_function(texts), abs=1e-5)


def test_reasons_of_a_blend_have_the_weights_of_its_parts():
    network = Convolution(filters=4, dimensions=8).fit(TEXTS, Y)
    blend = Blend.of([fitted(FEATURES["union"]), network, fitted(FEATURES["words"])], [1.0, 0.5, 0.1])
    reasons, intercepts = explain(blend, TEXTS[:5])
    sums = [sum((reason.weights for reason in some), np.zeros(2)) for some in reasons]
    assert np.array(sums) + intercepts == pytest.approx(blend.decision_function(TEXTS[:5]), abs=1e-5)
    svm = make_pipeline(CountVectorizer(), OneVsRestClassifier(SVC(kernel="rbf"))).fit(TEXTS, Y)
    assert explain(Blend.of([network, portable(svm)]), TEXTS[:1]) is None


def test_rules_are_linear_too():
    rules = CueRules(CUES).fit()
    ((reason,),), intercepts = explain(rules, ["Prices rose"])
    assert (reason.kind, reason.text, reason.note) == ("cue", "money: moved", "prices rose")
    assert reason.weights + intercepts == pytest.approx(rules.decision_function(["Prices rose"])[0])


def test_reasons_are_named_by_what_the_sentence_says():
    reasons, _ = explain(fitted(FEATURES["union"]), ["The bank denied that prices had soared"])
    named = {(reason.kind, reason.text): reason for reason in reasons[0]}
    assert ("words", "denied") in named
    assert named["cue", "denial: denied"].note == "denied that"
    assert ("meaning", "soared") in named
    assert named["read as", "soared"].note  # some frequent word that stands for it
    assert named["read as", "denied"].note == "", "a word that is read as itself needs no note"
    together = by_words(reasons[0])
    assert [r.text for r in together].count("denied") == 1
    (one,) = [r for r in together if r.text == "denied"]
    own = sum(named[kind, "denied"].weights for kind in ("meaning", "read as"))
    assert not np.allclose(one.weights, own), "the word itself is among it"


def test_features_without_names_are_called_what_they_are():
    reasons, _ = explain(fitted(FEATURES["characters"]), ["The bank denied it"])
    assert [(reason.kind, reason.text) for reason in reasons[0]] == [("other", "character n-grams")]


def test_a_pattern_with_groups_of_its_own_is_named_without_its_words():
    ((reason,),), _ = explain(CueRules(CUES).fit(), ["He took the money"])
    assert (reason.text, reason.note) == ("denial: grouped", "")


def test_the_strongest_come_first_and_the_rest_is_summed():
    reasons, _ = explain(fitted(FEATURES["words"]), TEXTS[:1])
    shown, rest = strongest(reasons[0], 0, 3, scale=2.0)
    sizes = [abs(weight) for _, weight in shown]
    assert sizes == sorted(sizes, reverse=True) and len(shown) == 3
    total = 2.0 * sum(reason.weights[0] for reason in reasons[0])
    assert rest + sum(weight for _, weight in shown) == pytest.approx(total)


def test_what_is_not_linear_has_no_reasons():
    model = make_pipeline(CountVectorizer(), OneVsRestClassifier(SVC(kernel="rbf"))).fit(TEXTS, Y)
    assert explain(portable(model), TEXTS[:1]) is None
