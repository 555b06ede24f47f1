"""The same matrix as scikit-learn's, for any text."""

import inspect
import re
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import estimator_checks

from pipeline.models.arrow_tfidf import ArrowTfidf

NEWS = [
    "The ministry denied that it had leaked the list of the ministry.",
    "“Prices rose 3 percent,” the ministry’s list said; prices rose 3 percent!",
    "",
    "Police said the list the ministry denied rose 3 percent",
    "ΟΔΟΣ Οδος οδοσ",
    "İstanbul istanbul ISTANBUL caf\u00e9 cafe\u0301",
    "snake_case under_ _x 中文 报道 中文",
    "the the the",
    "a b c . , ;",
]
LETTERS = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from("  \n_-'’“”.09aabbΣσςİ\u0301\u0307中文ß"),
    ),
    max_size=25,
)
# Few distinct words, so that document frequencies above 1 are common.
PHRASES = st.lists(
    st.sampled_from(
        ["the", "The", "bank", "of", "naïve", "ΛΟΓΟΣ", "İx", "中文", "x_1", "12", "“so”", "it’s"]
    ),
    max_size=8,
).map(" ".join)
TEXTS = st.lists(st.one_of(LETTERS, PHRASES, st.just("x" * 3000)), min_size=1, max_size=8)
OPTIONS = st.fixed_dictionaries(
    {
        "ngram_range": st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (2, 3), (3, 3)]),
        "min_df": st.sampled_from([1, 2, 3, 0.0, 0.3]),
        "max_df": st.sampled_from([1.0, 0.8, 0.5, 3, 100]),
        "sublinear_tf": st.booleans(),
        "lowercase": st.booleans(),
    }
)


def assert_equal(options, texts, unseen):
    theirs, ours = TfidfVectorizer(**options), ArrowTfidf(**options)
    try:
        wanted = theirs.fit_transform(texts)
    except ValueError:  # nothing left: then ours has nothing left either
        with pytest.raises(ValueError, match="no terms remain"):
            ours.fit(texts)
        return
    found = ours.fit_transform(texts)
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.idf_, theirs.idf_, rtol=1e-12)
    for ours_now, theirs_now in ((found, wanted), (ours.transform(unseen), theirs.transform(unseen))):
        assert ours_now.shape == theirs_now.shape
        np.testing.assert_allclose(ours_now.toarray(), theirs_now.toarray(), atol=1e-6)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, OPTIONS)
def test_equals_sklearn_on_any_text(texts, unseen, options):
    assert_equal(options, texts, unseen)


@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2), (2, 3), (4, 4)])
@pytest.mark.parametrize("min_df", [1, 2, 0.25])
@pytest.mark.parametrize("max_df", [1.0, 0.4, 3])
@pytest.mark.parametrize("sublinear_tf", [False, True])
@pytest.mark.parametrize("lowercase", [False, True])
def test_equals_sklearn_on_news(ngram_range, min_df, max_df, sublinear_tf, lowercase):
    options = {"ngram_range": ngram_range, "min_df": min_df, "max_df": max_df}
    assert_equal(
        {**options, "sublinear_tf": sublinear_tf, "lowercase": lowercase}, NEWS, [*NEWS[::-1], "unseen words"]
    )


def test_equals_sklearn_on_real_news(shared):
    lines = (shared / "gold" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    assert_equal({"ngram_range": (1, 2), "min_df": 2, "sublinear_tf": True}, lines[:200], lines[200:300])


def test_news_has_a_vocabulary_to_compare():
    assert len(ArrowTfidf(ngram_range=(1, 2), min_df=2).fit(NEWS).idf_) > 5


def test_columns_are_sorted_and_rows_have_unit_length():
    model = ArrowTfidf(ngram_range=(1, 2))
    matrix = model.fit_transform(NEWS)
    names = model.get_feature_names_out().tolist()
    assert names == sorted(set(names))
    assert matrix.has_canonical_format
    lengths = np.linalg.norm(matrix.toarray(), axis=1)
    assert np.allclose(lengths, [1, 1, 0, 1, 1, 1, 1, 1, 0])


@pytest.mark.parametrize(
    "texts", [[], [""], ["", ""], [None], ["zzz qqq"], ["\ud800 the \udfff list"], ["a"] * 5]
)
def test_one_row_out_per_row_in(texts):
    model = ArrowTfidf(ngram_range=(1, 2)).fit(NEWS)
    assert model.transform(texts).shape == (len(texts), len(model.idf_))


@pytest.mark.parametrize("where", ["fit", "transform"])
def test_lone_surrogates_are_no_obstacle(where):
    broken = ["the\ud83dlist of \udc00ministry"]
    mended = ["the list of ministry"]
    model = ArrowTfidf().fit(broken if where == "fit" else NEWS)
    assert model.transform(broken).toarray().any()
    assert (model.transform(broken) != model.transform(mended)).nnz == 0


@pytest.mark.parametrize(
    "wrap",
    [
        pd.Series,
        np.array,
        tuple,
        pa.array,
        lambda x: pa.chunked_array([x[:3], x[3:]]),
        lambda x: pd.DataFrame({"n": range(len(x)), "text": x}),
        lambda x: pa.table({"text": x}),
        lambda x: pd.Series([t or None for t in x]),
        lambda x: pa.array([t or None for t in x]),
        lambda x: pd.Series([t or float("nan") for t in x], dtype=object),
    ],
)
def test_containers_and_nulls_give_the_same_matrix(wrap):
    model = ArrowTfidf(ngram_range=(1, 2)).fit(NEWS)
    again = ArrowTfidf(ngram_range=(1, 2)).fit(wrap(NEWS))
    assert again.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()
    assert (again.transform(wrap(NEWS)) != model.transform(NEWS)).nnz == 0


def test_a_row_does_not_depend_on_its_batch():
    model = ArrowTfidf(ngram_range=(1, 3), sublinear_tf=True).fit(NEWS)
    together = model.transform(NEWS).toarray()
    alone = np.vstack([model.transform([text]).toarray() for text in NEWS])
    assert (together == alone).all()


@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("min_df", [1, 2])
def test_state_round_trip(ngram_range, min_df):
    model = ArrowTfidf(ngram_range=ngram_range, min_df=min_df, sublinear_tf=True, lowercase=False).fit(NEWS)
    state = model.state()
    again = ArrowTfidf.from_state(state)
    assert again.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()
    assert (again.transform([*NEWS, "new list"]) != model.transform([*NEWS, "new list"])).nnz == 0
    assert again.state()["parameters"] == state["parameters"]
    assert {k: v.tolist() for k, v in again.state()["arrays"].items()} == {
        k: v.tolist() for k, v in state["arrays"].items()
    }


@pytest.mark.parametrize(
    ("options", "texts", "message"),
    [
        ({}, [], "no terms remain"),
        ({}, ["", None, "a . b"], "no terms remain"),
        ({"min_df": 10}, NEWS, "min_df and max_df leave nothing"),
        ({"max_df": 0.0}, NEWS, "min_df and max_df leave nothing"),
        ({"ngram_range": (4, 4)}, ["one two three", "four five"], "no terms remain"),
        ({"ngram_range": (0, 1)}, NEWS, "ngram_range must be 1 <= shortest <= longest, got 0, 1"),
        ({"ngram_range": (3, 2)}, NEWS, "ngram_range must be 1 <= shortest <= longest, got 3, 2"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, texts, message):
    with pytest.raises(ValueError, match=message):
        ArrowTfidf(**options).fit(texts)


@pytest.mark.parametrize("method", ["transform", "get_feature_names_out", "state"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(ArrowTfidf(), method)(*([NEWS] if method == "transform" else []))


def test_a_list_from_yaml_serves_as_ngram_range():
    assert ArrowTfidf(ngram_range=[1, 2]).fit(NEWS).get_feature_names_out().tolist() == (
        ArrowTfidf(ngram_range=(1, 2)).fit(NEWS).get_feature_names_out().tolist()
    )


def test_fitting_again_forgets():
    model = ArrowTfidf().fit(NEWS).fit(["other words only"])
    assert model.get_feature_names_out().tolist() == ["only", "other", "words"]


def test_fitting_changes_no_parameter():
    model = ArrowTfidf(ngram_range=(1, 2), min_df=2)
    before = model.get_params()
    model.fit(NEWS)
    assert model.get_params() == before
    assert clone(model).get_params() == before


def test_parameters_are_keyword_only():
    kinds = {p.kind for p in inspect.signature(ArrowTfidf).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def without_digits(text):
    return re.sub("[0-9]", "0", text.lower())


@settings(max_examples=100, deadline=None)
@given(TEXTS, TEXTS)
def test_masked_digits_equal_sklearn_on_masked_texts(texts, unseen):
    theirs = TfidfVectorizer(ngram_range=(1, 2), preprocessor=without_digits)
    ours = ArrowTfidf(ngram_range=(1, 2), mask_digits=True)
    try:
        wanted = theirs.fit_transform(texts)
    except ValueError:
        return
    assert np.allclose(ours.fit_transform(texts).toarray(), wanted.toarray(), atol=1e-6)
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    again = ArrowTfidf.from_state(ours.state()).transform(unseen)
    assert np.allclose(again.toarray(), theirs.transform(unseen).toarray(), atol=1e-6)


def test_masked_digits():
    model = ArrowTfidf(mask_digits=True).fit(["In 1987, 3.75 percent"])
    assert model.get_feature_names_out().tolist() == ["00", "0000", "in", "percent"]
    assert model.transform(["2024"]).nnz == 1


# The subset of scikit-learn's checks that hands no matrix of numbers to the estimator: its own text
# vectorizers are exempt from the others too ("string" input tag).
@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_sklearn_contract(check):
    getattr(estimator_checks, check)("ArrowTfidf", ArrowTfidf())


def test_one_long_word_costs_no_more_than_itself():
    texts = [f"word{n} said word{n + 1}" for n in range(2000)]
    peaks = []
    for more in ("", "x" * 20_000):
        tracemalloc.start()
        ArrowTfidf(ngram_range=(1, 2)).fit([*texts, more])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2e6


def test_most_features_are_those_of_the_most_texts():
    texts = ["a1 b1 c1", "a1 b1 d1", "a1 e1 f1", "a1 b1 c1"]
    assert ArrowTfidf(max_features=3).fit(texts).get_feature_names_out().tolist() == ["a1", "b1", "c1"]
    # Of equal ones all or none: d1, e1 and f1 would make six.
    assert len(ArrowTfidf(max_features=5).fit(texts).get_feature_names_out()) == 3
    assert len(ArrowTfidf(max_features=6).fit(texts).get_feature_names_out()) == 6


def test_ends_are_marked():
    fitted = ArrowTfidf(ngram_range=(2, 2), mark_ends=True).fit(["Who was it", "It was who"])
    assert "_begins_ who" in (names := fitted.get_feature_names_out().tolist())
    assert "who _ends_" in names
    one, other = fitted.transform(["who was it", "it was who"]).toarray()
    assert (one != other).any()
    again = ArrowTfidf.from_state(fitted.state())
    assert (again.transform(["who was it"]) != fitted.transform(["who was it"])).nnz == 0
