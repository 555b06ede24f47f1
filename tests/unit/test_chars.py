"""Character n-grams against scikit-learn's, and through a bundle's state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.models import chars
from pipeline.models.chars import CharTfidf

TEXTS = [
    "The ministry denied it.",
    "the  ministry\tDENIED everything, everything",
    "部长否认了这一指控。部长说没有证据。",
    "部长否认 了",
    "نفى الوزير الاتهام",
    "मंत्री ने आरोप से इनकार किया",
    "",
    " ",
    "a",
    "é e\u0301 \U0001f600\U0001f600",
]


def theirs(texts, **options):
    return TfidfVectorizer(analyzer="char_wb", sublinear_tf=True, **options).fit(texts)


def assert_same(texts, ngram_range=(2, 5), min_df=1, new=None):
    ours = CharTfidf(ngram_range=ngram_range, min_df=min_df).fit(texts)
    other = theirs(texts, ngram_range=ngram_range, min_df=min_df)
    seen = texts + (new or [])
    one, two = ours.transform(seen), other.transform(seen)
    assert one.shape == two.shape
    # Columns are in another order: what matters is that texts are as alike as they are there.
    assert (one @ one.T - two @ two.T).toarray() == pytest.approx(0, abs=1e-5)
    assert sorted(ours.idf_) == pytest.approx(sorted(other.idf_))


@pytest.mark.parametrize("ngram_range", [(2, 2), (2, 5), (3, 5), (3, 3)])
@pytest.mark.parametrize("min_df", [1, 2])
def test_as_scikit_learn(ngram_range, min_df):
    assert_same(TEXTS, ngram_range, min_df, ["The minister's denial", "否认", "unseen: ѯ"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab cé部\n ", max_size=12), min_size=1, max_size=6))
def test_as_scikit_learn_on_any_text(texts):
    assert_same(["ab", *texts])


def test_chunks_change_nothing(monkeypatch):
    whole = CharTfidf(min_df=1).fit(TEXTS)
    monkeypatch.setattr(chars, "_CHUNK", 10)
    parts = CharTfidf(min_df=1).fit(TEXTS)
    assert (whole.keys_ == parts.keys_).all()
    assert (whole.idf_ == parts.idf_).all()
    assert abs(whole.transform(TEXTS) - parts.transform(TEXTS)).max() == 0


def test_most_features_are_those_of_the_most_texts():
    few = CharTfidf(min_df=1, max_features=5).fit(TEXTS)
    every = CharTfidf(min_df=1).fit(TEXTS)
    assert len(few.keys_) == 5
    assert few.idf_.max() <= np.sort(every.idf_)[5]


def test_state_round_trip():
    fitted = CharTfidf(min_df=1).fit(TEXTS)
    again = CharTfidf.from_state(fitted.state())
    assert abs(again.transform(TEXTS) - fitted.transform(TEXTS)).max() == 0
    assert again.transform([]).shape == (0, len(fitted.keys_))


def test_case_is_kept_where_it_is_to_count():
    kept = CharTfidf(min_df=1, lowercase=False).fit(["The IT", "the it"])
    other = theirs(["The IT", "the it"], ngram_range=(2, 5), lowercase=False)
    assert (
        len(kept.keys_) == len(other.vocabulary_) > len(CharTfidf(min_df=1).fit(["The IT", "the it"]).keys_)
    )


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match="no terms remain"):
        CharTfidf().fit(["", " "])
    with pytest.raises(ValueError, match="must start at 2 or 3"):
        CharTfidf(ngram_range=(1, 3)).fit(TEXTS)


def test_lone_surrogates_are_characters_too():
    assert CharTfidf(min_df=1).fit(["\ud800 x"]).transform(["\ud800 x"]).nnz > 0
