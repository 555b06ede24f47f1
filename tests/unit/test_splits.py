"""No article and no near-duplicate on two sides, labels in proportion."""

import re
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from pipeline.evaluation import splits
from pipeline.evaluation.splits import (
    LEFT_OUT,
    TEST,
    Split,
    grouped_folds,
    merge_groups,
    near_duplicates,
    split_rows,
)
from pipeline.schema import ConfigError

WORDS = ["tax", "bank", "said", "the", "rose", "deal"]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), max_size=14)
OPTIONS = {"folds": 4, "test_ratio": 0.2, "near_duplicate": 0.7, "seed": 7}


def shingles(text):
    words = re.findall(r"(?u)\b\w\w+\b", text.lower())
    return (
        {tuple(words[i : i + 3]) for i in range(len(words) - 2)} if len(words) > 2 else {tuple(words)} - {()}
    )


def oracle(texts, threshold):
    sets = [shingles(text) for text in texts]
    return {
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if sets[i] & sets[j] and len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
    }


def news(seed, articles=60, duplicates=12):
    """Sentences of articles with labels; some articles repeat a sentence of another, a word changed."""
    rng = np.random.default_rng(seed)
    texts, names, y = [], [], []
    for article in range(articles):
        for _ in range(rng.integers(2, 9)):
            texts.append(" ".join(f"word{i}" for i in rng.integers(0, 400, 14)))
            names.append(f"a{article}")
            y.append(rng.random(4) < [0.3, 0.15, 0.2, 0.05])
    for _ in range(duplicates):
        source, target = rng.integers(0, len(texts), 2)
        texts[target] = f"{texts[source]} indeed" if rng.random() < 0.5 else texts[source].upper()
    return texts, np.array(y, np.int8), names


def straddling(folds, pairs):
    return [(i, j) for i, j in pairs if folds[i] != folds[j] and LEFT_OUT not in (folds[i], folds[j])]


@settings(max_examples=200, deadline=None)
@given(SENTENCES, st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_near_duplicates_are_those_of_brute_force(texts, threshold):
    assert set(map(tuple, near_duplicates(texts, threshold).tolist())) == oracle(texts, threshold)


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        ("The bank said on Monday it would cut rates", "THE BANK, SAID on Monday: it would cut rates!", True),
        (
            "one two three four five six seven eight nine ten",
            "one two three four five six seven eight nine",
            True,
        ),
        ("The bank said on Monday it would cut rates", "The bank said on Friday it would lift taxes", False),
        ("Read more", "read more.", True),
        ("Read more", "Read this", False),
        ("Read more", "Read more about the bank", False),
        ("", "", False),
        ("a b c", "x y z", False),
    ],
)
def test_pairs(first, second, near):
    assert near_duplicates([first, "an unrelated filler sentence here", second]).tolist() == [[0, 2]] * near


@pytest.mark.parametrize(("copies", "groups"), [(2, 1), (50, 1), (51, 51)])
def test_a_sentence_in_many_copies(copies, groups):
    """Above 50 it is boilerplate, which would tie all articles of an agency together."""
    texts = ["this story was first published by the agency on friday"] * copies
    merged = merge_groups(range(copies), near_duplicates(texts))
    assert len(set(merged)) == groups


def test_copies_that_begin_with_a_stock_phrase_are_found():
    """Its shingles are in too many texts to find candidates by, yet count in the overlap."""
    stock = "the ministry of the interior said in a statement on monday that"
    texts = [f"{stock} number{i} item{i} thing{i} case{i}" for i in range(80)]
    texts += [texts[5], f"{texts[6]} again"]
    assert near_duplicates(texts).tolist() == [[5, 80], [6, 81]]


def test_a_phrase_in_many_sentences_does_not_make_them_duplicates():
    texts = [f"the ministry said in a statement that number{i} item{i} thing{i} case{i}" for i in range(80)]
    assert not len(near_duplicates(texts))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_merged_groups_are_connected_components(links):
    groups = [f"g{i // 2}" for i in range(10)]
    merged = merge_groups(groups, np.array(links, np.int64).reshape(-1, 2))
    wanted = [{i, i + 1} for i in range(0, 10, 2)]
    for i, j in links:
        one = next(part for part in wanted if i in part)
        other = next(part for part in wanted if j in part)
        if one is not other:
            wanted.remove(other)
            one |= other
    assert {frozenset(np.flatnonzero(merged == g).tolist()) for g in set(merged)} == set(
        map(frozenset, wanted)
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_folds", [2, 5])
def test_no_group_in_two_folds_and_no_fold_empty(seed, n_folds):
    _, y, names = news(seed)
    folds = grouped_folds(y, np.unique(names, return_inverse=True)[1], n_folds, seed=seed)
    assert sorted(set(folds)) == list(range(n_folds))
    for name in set(names):
        assert len(set(folds[np.array(names) == name])) == 1


def imbalance(y, folds, n_folds=5):
    """How far the folds are from equal shares of each label, in units of its total."""
    shares = np.array(
        [y[folds == fold].sum(axis=0) / np.maximum(y.sum(axis=0), 1) for fold in range(n_folds)]
    )
    return np.abs(shares - 1 / n_folds).mean()


def test_stratification_is_better_than_chance():
    ours, chance = [], []
    for seed in range(10):
        _, y, names = news(seed)
        groups = np.unique(names, return_inverse=True)[1]
        ours.append(imbalance(y, grouped_folds(y, groups, 5, seed=seed)))
        dealt = np.random.default_rng(seed).permutation(groups.max() + 1) % 5
        chance.append(imbalance(y, dealt[groups]))
    assert np.mean(ours) < 0.4 * np.mean(chance)
    assert all(a < b for a, b in zip(ours, chance, strict=True))


def test_stratification_of_one_label_is_as_good_as_sklearns():
    ours, theirs = [], []
    for seed in range(10):
        _, y, names = news(seed)
        y, groups = y[:, :1], np.unique(names, return_inverse=True)[1]
        ours.append(imbalance(y, grouped_folds(y, groups, 5, seed=seed)))
        dealt = np.zeros(len(y), int)
        sklearns = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(y, y[:, 0], groups)
        for fold, (_, rows) in enumerate(sklearns):
            dealt[rows] = fold
        theirs.append(imbalance(y, dealt))
    assert np.mean(ours) <= 1.05 * np.mean(theirs), (ours, theirs)


def test_a_rare_label_is_spread_over_the_folds():
    y = np.zeros((100, 2), np.int8)
    y[::20, 0] = 1  # five of them
    y[:, 1] = np.arange(100) % 2
    folds = grouped_folds(y, np.arange(100), 5, seed=0)
    assert [int(y[folds == fold, 0].sum()) for fold in range(5)] == [1] * 5


@pytest.mark.parametrize("seed", range(5))
def test_combinations_of_labels_are_spread_over_the_folds(seed):
    """Of two kinds of articles with the same labels, but not in the same sentences."""
    kinds = np.array([[[1, 1, 0, 0], [0, 0, 1, 1]], [[1, 0, 1, 0], [0, 1, 0, 1]]], np.int8)
    kind = np.arange(20) % 2
    folds = grouped_folds(kinds[kind].reshape(-1, 4), np.repeat(np.arange(20), 2), 5, seed=seed)[::2]
    assert np.bincount(folds[kind == 0]).tolist() == [2] * 5


def test_a_label_that_no_row_has_changes_nothing():
    _, y, names = news(0)
    groups = np.unique(names, return_inverse=True)[1]
    without = np.insert(y, 2, 0, axis=1)
    assert (grouped_folds(without, groups, 5, seed=0) == grouped_folds(y, groups, 5, seed=0)).all()


@pytest.mark.parametrize(
    ("rows", "classes", "most"), [(20_000, 500, 40), pytest.param(200_000, 2000, 300, marks=pytest.mark.slow)]
)
def test_many_classes_take_little_memory(rows, classes, most):
    y = np.zeros((rows, classes), np.int8)
    y[np.arange(rows), np.arange(rows) % classes] = 1
    tracemalloc.start()
    folds = grouped_folds(y, np.arange(rows), 5, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * 1e6
    assert np.bincount(folds).tolist() == [rows // 5] * 5


@pytest.mark.parametrize("grouped", [False, True])
def test_a_drawn_test_leaves_every_label_something_to_learn_from(grouped):
    """One has a single row, another four, which may be of one article."""
    y = np.zeros((105, 3), np.int8)
    y[:100, 0] = y[100, 1] = y[101:, 2] = 1
    names = [f"a{min(i, 101) if grouped else i}" for i in range(105)]
    texts = [f"alpha{i} beta{i} gamma{i}" for i in range(105)]
    for seed in range(20):
        split = split_rows(texts, y, names, np.zeros(105, bool), **OPTIONS | {"seed": seed})
        assert y[split.train].any(axis=0).all()
        assert len(split.test) >= 15


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fixed", [False, True])
def test_near_duplicates_never_straddle(seed, fixed):
    texts, y, names = news(seed, duplicates=25)
    held = np.isin(names, [f"a{i}" for i in range(12)]) if fixed else np.zeros(len(names), bool)
    split = split_rows(texts, y, names, held, **OPTIONS)
    pairs = oracle(texts, 0.7)
    assert len(pairs) >= 15
    assert straddling(split.folds, pairs) == []
    for name in set(names):
        assert len(set(split.folds[np.array(names) == name].tolist()) - {LEFT_OUT}) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_fixed_test_set_is_the_test_set_and_costs_only_what_it_repeats(seed):
    texts, y, names = news(seed, duplicates=25)
    held = np.isin(names, [f"a{i}" for i in range(12)])
    split = split_rows(texts, y, names, held, **OPTIONS)
    assert split.test.tolist() == np.flatnonzero(held).tolist()
    repeated = {
        i for pair in oracle(texts, 0.7) if held[pair[0]] != held[pair[1]] for i in pair if not held[i]
    }
    assert set(split.left_out.tolist()) == repeated
    assert repeated


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.34, 0.5])
def test_a_drawn_test_set_has_its_share_and_its_labels(ratio):
    texts, y, names = news(1, articles=200)
    split = split_rows(texts, y, names, np.zeros(len(names), bool), **OPTIONS | {"test_ratio": ratio})
    assert len(split.test) / len(texts) == pytest.approx(ratio, abs=0.04)
    assert y[split.test].mean(axis=0) == pytest.approx(y.mean(axis=0), abs=0.03)
    assert len(split.left_out) == 0


def test_every_row_is_somewhere_once():
    texts, y, names = news(2)
    split = split_rows(texts, y, names, np.array(names) == "a0", **OPTIONS)
    rows = np.concatenate([split.train, split.test, split.left_out])
    assert sorted(rows.tolist()) == list(range(len(texts)))
    assert set(split.folds[split.train]) == set(range(4))


def test_seed_decides():
    texts, y, names = news(3)
    none = np.zeros(len(names), bool)
    one, same, other = (split_rows(texts, y, names, none, **OPTIONS | {"seed": s}).folds for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_labels_of_the_test_set_do_not_move_the_folds():
    texts, y, names = news(4)
    held = np.isin(names, ["a3", "a4", "a5"])
    poisoned = np.where(held[:, None], 1 - y, y).astype(np.int8)
    before, after = (split_rows(texts, labels, names, held, **OPTIONS).folds for labels in (y, poisoned))
    assert (before == after).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "split.folds=1: must be at least 2"),
        ({"folds": 0}, "split.folds=0"),
        ({"folds": 1000}, "split.folds=1000: 1000 folds need as many articles, got"),
        ({"test_ratio": 0}, "split.test_ratio=0: must be between 0 and 1"),
        ({"test_ratio": 1.0}, "split.test_ratio=1.0"),
        ({"test_ratio": -0.2}, "split.test_ratio=-0.2"),
        ({"near_duplicate": 0}, "split.near_duplicate=0"),
        ({"near_duplicate": 70}, "split.near_duplicate=70"),
    ],
)
def test_settings_out_of_range(options, message):
    texts, y, names = news(0)
    with pytest.raises(ConfigError, match=message):
        split_rows(texts, y, names, np.zeros(len(names), bool), **OPTIONS | options)


def test_nothing_left_to_train_on():
    texts, y, names = news(0)
    with pytest.raises(ConfigError, match="no article is left to train on; mark fewer"):
        split_rows(texts, y, names, np.ones(len(names), bool), **OPTIONS)
    held = np.arange(2 * len(texts)) >= len(texts)
    with pytest.raises(ConfigError, match="no article is left to train on; the test repeats all others"):
        split_rows(texts * 2, np.tile(y, (2, 1)), names * 2, held, **OPTIONS)


def test_split_names_its_parts():
    split = Split(np.array([0, TEST, LEFT_OUT, 1]))
    assert (split.train.tolist(), split.test.tolist(), split.left_out.tolist()) == ([0, 3], [1], [2])


def test_of_two_articles_with_a_label_the_smaller_is_left_to_training():
    y = np.array([[1, 0]] * 6 + [[0, 1]] * 4, np.int8)
    articles = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 4])
    drawn = np.array([0] * 6 + [1] * 4, bool)
    assert splits._sparing(drawn, y, articles).tolist() == [False] * 6 + [True] * 3 + [False]
