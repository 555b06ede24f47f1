"""Words as scikit-learn splits them, and texts in whatever they come."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.tokens import as_texts, plain, words

WORD = re.compile(r"(?u)\b\w\w+\b")
# Surrogates apart, everything; and often what splits or joins words in news.
TEXTS = st.lists(
    st.text(
        st.one_of(
            st.characters(exclude_categories=("Cs",)),
            st.sampled_from(" \t\n\x00\x1c\x85\xa0  _-'’“”.,%$0123aeSZİıßΣσς́̇ﬁ中文字한국어०১²½"),
        ),
        max_size=40,
    ),
    max_size=6,
)


def split(texts, **options):
    tokens, counts = words(texts, **options)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    found = tokens.to_pylist()
    return [found[low:high] for low, high in pairwise(bounds)]


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.booleans())
def test_words_are_those_of_the_regular_expression(texts, lowercase):
    wanted = [WORD.findall(text.lower() if lowercase else text) for text in texts]
    assert split(texts, lowercase=lowercase) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("a b c", []),
        ("don't", ["don"]),
        ("“It’s over,” he said—twice.", ["it", "over", "he", "said", "twice"]),
        ("snake_case __ _x", ["snake_case", "__", "_x"]),
        ("3.5 percent, 1990s", ["percent", "1990s"]),
        ("İSTANBUL", ["stanbul"]),  # lower-cased, the dot is a combining mark of its own
        ("ΟΔΟΣ", ["οδος"]),
        ("cafe\u0301s", ["cafe"]),
        ("caf\u00e9s", ["cafés"]),
        ("中文 字", ["中文"]),
        ("x" * 100_000, ["x" * 100_000]),
        ("one\x00two\u2028three\u200bfour", ["one", "two", "three", "four"]),
    ],
)
def test_a_text(text, wanted):
    assert split([text]) == [wanted]


def test_no_texts():
    tokens, counts = words([])
    assert len(tokens) == len(counts) == 0


def test_lone_surrogates_separate_words_and_change_no_other_text():
    assert split(["left\ud800right and on", "caf\u00e9 bar"]) == [
        ["left", "right", "and", "on"],
        ["café", "bar"],
    ]


@pytest.mark.parametrize(
    "texts",
    [
        ["one", None, "three"],
        ("one", None, "three"),
        np.array(["one", None, "three"], dtype=object),
        pd.Series(["one", None, "three"]),
        pd.Series(["one", None, "three"], index=[7, 7, 2]),
        pd.Series(["one", float("nan"), "three"], dtype=object),
        pd.Series(["one", pd.NA, "three"], dtype="string"),
        pd.Series(["one", None, "three"], dtype=pd.ArrowDtype(pa.string())),
        pd.Series(["one", None, "three"], dtype="category"),
        pa.array(["one", None, "three"]),
        pa.chunked_array([["one"], [None, "three"]]),
        pa.array(["one", None, "three"], pa.large_string()),
        pa.array(["one", None, "three"]).dictionary_encode(),
        pd.DataFrame({"other": [1, 2, 3], "text": ["one", None, "three"]}),
        pa.table({"text": ["one", None, "three"], "other": [1, 2, 3]}),
        pa.RecordBatch.from_pydict({"text": ["one", None, "three"]}),
        {"text": ["one", None, "three"]},
        (text for text in ["one", None, "three"]),
    ],
    ids=lambda texts: f"{type(texts).__module__}.{type(texts).__name__}",
)
def test_texts_in_any_container_are_the_same(texts):
    assert as_texts(texts) == ["one", "", "three"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", r"got one string; pass \[text\]"),
        (["fine", 3], "row 1: expected a string, got int"),
        ([b"bytes"], "row 0: expected a string, got bytes"),
        ([["nested"]], "row 0: expected a string, got list"),
        (pd.DataFrame({"body": ["x"], "title": ["y"]}), "named 'text', got body, title"),
        (pa.table({"Text": ["x"]}), "named 'text', got Text"),
        ({"sentence": ["x"]}, "named 'text', got sentence"),
        (pd.Series([1.5]), "row 0: expected a string, got float"),
        (np.array(["x", 2], dtype=object), "row 1: expected a string, got int"),
    ],
    ids=repr,
)
def test_what_is_no_text_is_refused(texts, message):
    with pytest.raises(TypeError, match=message):
        as_texts(texts)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_words_and_marks_are_those_of_the_regular_expression(texts):
    found = as_texts(texts).words_and_marks
    said = iter(found.vocabulary.take(pa.array(found.ids)).to_pylist())
    for text, count in zip(texts, found.counts, strict=True):
        line = plain([text])[0].as_py()
        wanted = re.findall(r"(?u)\w+|[!-/:-@\[-^`{-~]", line)
        assert [next(said) for _ in range(count)] == wanted


def test_marks_are_words_of_their_own():
    found = as_texts(["“It’s over,” he said — at 3.5%…", ""]).words_and_marks
    wanted = ['"', "it", "'", "s", "over", ",", '"', "he", "said", "at", "3", ".", "5", "%"]
    assert found.vocabulary.take(pa.array(found.ids)).to_pylist() == wanted
    assert found.counts.tolist() == [len(wanted), 0]
