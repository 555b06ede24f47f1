"""Integer n-grams against n-grams of tuples, counted slowly."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.ngrams import NgramIndex, Tokens

DOCUMENTS = st.lists(st.lists(st.integers(0, 5), max_size=9), min_size=1, max_size=7)
RANGES = st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (3, 3), (2, 4)])


def tokens(documents):
    ids = np.array([i for document in documents for i in document], np.int64)
    return Tokens(ids, np.array([len(document) for document in documents], np.int64))


def ngrams(document, ngram_range):
    low, high = ngram_range
    return [tuple(document[i : i + n]) for n in range(low, high + 1) for i in range(len(document) - n + 1)]


def decode(index, used):
    """Return the n-gram of each column, in old token numbers."""
    old = np.flatnonzero(used)
    grams, names = {}, [None] * index.width
    for n, (keys, columns) in enumerate(index.levels):
        now = {}
        for i, (key, column) in enumerate(zip(keys.tolist(), columns.tolist(), strict=True)):
            prefix, token = divmod(key, index.size)
            now[i] = (*(grams[prefix] if n else ()), int(old[token]))
            if column >= 0:
                names[column] = now[i]
        grams = now
    return names


def renumbered(documents, used):
    number = {old: new for new, old in enumerate(np.flatnonzero(used).tolist())}
    return tokens([[number.get(i, -1) for i in document] for document in documents])


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, DOCUMENTS, RANGES, st.sampled_from([1, 2, 0.4]), st.sampled_from([1.0, 0.7, 2]))
def test_selects_and_finds_what_tuples_would(documents, unseen, ngram_range, min_df, max_df):
    df = Counter(gram for document in documents for gram in set(ngrams(document, ngram_range)))
    low, high = (b * len(documents) if isinstance(b, float) else b for b in (min_df, max_df))
    wanted = {gram: n for gram, n in df.items() if low <= n <= high}
    if not wanted:
        with pytest.raises(ValueError, match="no terms remain"):
            NgramIndex.select(tokens(documents), 6, ngram_range, min_df, max_df)
        return
    index, found_df, used = NgramIndex.select(tokens(documents), 6, ngram_range, min_df, max_df)
    names = decode(index, used)
    assert dict(zip(names, found_df.tolist(), strict=True)) == wanted
    assert used.tolist() == [any(i in gram for gram in wanted) for i in range(6)]
    rows, columns = index.find(renumbered(unseen, used))
    found = Counter((int(row), names[column]) for row, column in zip(rows, columns, strict=True))
    assert found == Counter(
        (row, gram)
        for row, document in enumerate(unseen)
        for gram in ngrams(document, ngram_range)
        if gram in wanted
    )


def test_no_ngram_crosses_texts_or_unknown_tokens():
    index, _, used = NgramIndex.select(tokens([[0, 1, 2], [0, 1, 2]]), 3, (2, 2))
    assert used.all()
    assert len(index.find(tokens([[0], [1, 2]]))[0]) == 1
    assert len(index.find(Tokens(np.array([0, -1, 1]), np.array([3])))[0]) == 0


def test_reorder_and_arrays_round_trip():
    index, _, _ = NgramIndex.select(tokens([[0, 1, 0, 2], [1, 2]]), 3, (1, 2))
    before = index.find(tokens([[0, 1, 2]]))[1]
    rank = np.arange(index.width)[::-1].copy()
    index.reorder(rank)
    after = index.find(tokens([[0, 1, 2]]))[1]
    assert after.tolist() == rank[before].tolist()
    again = NgramIndex.from_arrays(index.size, index.arrays())
    assert again.width == index.width
    assert again.find(tokens([[0, 1, 2]]))[1].tolist() == after.tolist()


@pytest.mark.parametrize("sublinear", [False, True])
def test_weights_by_hand(sublinear):
    index, _, _ = NgramIndex.select(tokens([[0, 0, 1]]), 2, (1, 1))
    idf = np.array([1.0, 3.0])
    found = index.tfidf(tokens([[0, 0, 1], [], [1]]), idf, sublinear=sublinear).toarray()
    first = np.array([1 + np.log(2) if sublinear else 2.0, 3.0])
    assert np.allclose(found, [first / np.linalg.norm(first), [0, 0], [0, 1]])


def test_rows_of_tokens():
    assert tokens([[1, 2], [], [3]]).rows.tolist() == [0, 0, 2]


def test_key_numbers_stay_exact_for_many_tokens():
    size = 300_000
    chain = [size - 3, size - 2, size - 1]
    index, _, used = NgramIndex.select(tokens([chain, list(range(0, size, 2))]), size, (3, 3))
    assert (0, 2, 4) in (names := decode(index, used))
    assert tuple(chain) in names
