"""The average of several classifiers' log-odds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.blend import Blend
from pipeline.models.convolution import Convolution
from pipeline.models.portable import assemble, dismantle, portable
from pipeline.models.training import scores
from pipeline.schema import ConfigError

TEXTS = ["Prices rose.", "Prices fell.", "He denied it.", "She denied that.", "Rain fell.", "Prices denied."]
Y = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 1]], np.int8)
ONE = make_pipeline(ArrowTfidf(), OneVsRestClassifier(LogisticRegression()))
OTHER = make_pipeline(ArrowTfidf(ngram_range=(1, 2)), OneVsRestClassifier(ComplementNB()))


@pytest.mark.parametrize(("weights", "shares"), [(None, (0.5, 0.5)), ([1.0, 3.0], (1.0, 3.0))])
def test_scores_are_the_weighted_sum(weights, shares):
    blend = Blend([ONE, OTHER], weights=weights).fit(TEXTS, Y)
    parts = [scores(clone(one).fit(TEXTS, Y), TEXTS) for one in (ONE, OTHER)]
    np.testing.assert_allclose(
        blend.decision_function(TEXTS), shares[0] * parts[0] + shares[1] * parts[1], atol=1e-9
    )


def test_every_part_is_given_the_weights():
    weight = np.array([1, 3, 1, 2, 1, 0.5])
    network = Convolution(filters=4, dimensions=16, epochs=1)
    linear, other = Blend([ONE, network]).fit(TEXTS, Y, sample_weight=weight).parts
    features = ArrowTfidf().fit_transform(TEXTS)
    wanted = [LogisticRegression().fit(features, y, weight).decision_function(features) for y in Y.T]
    np.testing.assert_allclose(scores(linear, TEXTS), np.column_stack(wanted), atol=1e-6)
    wanted = clone(network).fit(TEXTS, Y, sample_weight=weight).decision_function(TEXTS)
    np.testing.assert_array_equal(other.decision_function(TEXTS), wanted)


def test_a_part_without_weights_is_named():
    blend = Blend([ONE, make_pipeline(ArrowTfidf(), OneVsRestClassifier(KNeighborsClassifier()))])
    blend.fit(TEXTS, Y)
    with pytest.raises(ConfigError, match=r"Pipeline takes no sample_weight.*model@model\.gold"):
        blend.fit(TEXTS, Y, sample_weight=np.ones(len(TEXTS)))


def test_state_round_trip():
    blend = clone(Blend([ONE, OTHER], weights=[0.2, 0.8])).fit(TEXTS, Y)
    again = assemble(*dismantle(portable(blend)))
    np.testing.assert_array_equal(
        again.decision_function(["", *TEXTS]), blend.decision_function(["", *TEXTS])
    )


def test_as_many_weights_as_classifiers():
    with pytest.raises(ConfigError, match="1 weights for 2 classifiers"):
        Blend([ONE, OTHER], weights=[1.0]).fit(TEXTS, Y)
