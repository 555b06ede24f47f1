"""Each protocol keeps apart what it says it keeps apart."""

import numpy as np
import pyarrow as pa
import pytest
from omegaconf import OmegaConf

from pipeline.evaluation.protocols import split_table
from pipeline.evaluation.splits import near_duplicates
from pipeline.schema import ConfigError

COMMON = {"test_ratio": 0.2, "near_duplicate": 0.7, "seed": 7}
GROUPED = {"protocol": "grouped", "folds": 5, "repeats": 1, **COMMON}
LEAVE = {"protocol": "leave_out", "column": "topic", "folds": None, **COMMON}
TIME = {"protocol": "time", "column": "date", "test_from": None, "folds": 4, "repeats": 1, **COMMON}


def news(articles=80, seed=0, **columns):
    """Labelled sentences of articles with a topic and a date; a few repeat one of another article."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(articles):
        about = {"article": f"a{n}", "topic": f"topic {n % 7}", "split": "", "source": ""}
        about["date"] = f"{1990 + n % 25}-0{1 + n % 9}-15"
        for _ in range(rng.integers(3, 9)):
            text = " ".join(f"word{i}" for i in rng.integers(0, 500, 14))
            rows.append({**about, "text": text, "y": rng.random(3) < [0.3, 0.2, 0.1]})
    for _ in range(15):
        one, other = rng.integers(0, len(rows), 2)
        rows[other]["text"] = f"{rows[one]['text']} indeed"
    y = np.array([row.pop("y") for row in rows], np.int8)
    table = pa.Table.from_pylist(rows)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values(table)))
    return table, y


def column(table, name, rows):
    return set(table[name].take(rows).to_pylist())


def nothing_repeats_across(table, folds):
    for one, other in near_duplicates(table["text"].to_pylist()).tolist():
        assert folds[one] == folds[other] or -2 in (folds[one], folds[other])


def test_repeats_keep_the_test_set_and_deal_anew():
    table, y = news()
    found = split_table(table, y, **GROUPED | {"repeats": 3})
    once = split_table(table, y, **GROUPED)
    assert found.dealt.shape == (3, len(found.train))
    assert (found.dealt[0] == once.dealt[0]).all(), "the first deal is the one without repeats"
    for folds in (found.folds, *found.again):
        assert (np.flatnonzero(folds == -1) == once.test).all()
        nothing_repeats_across(table, folds)
        articles = np.array(table["article"].to_pylist())
        assert all(len(set(folds[articles == name]) - {-2}) <= 1 for name in set(articles))
    assert found.about == {"protocol": "grouped", "repeats": 3}


def test_repeats_put_other_articles_together():
    """As independent deals would: a fifth of the companions in one are companions in another."""
    table, y = news(articles=200)
    found = split_table(table, y, **GROUPED | {"repeats": 4})
    _, first = np.unique(np.array(table["article"].to_pylist())[found.train], return_index=True)
    together = [deal[first][:, None] == deal[first][None] for deal in found.dealt]
    for i, one in enumerate(together):
        for other in together[:i]:
            off = ~np.eye(len(one), dtype=bool)
            assert (one & other)[off].sum() / one[off].sum() == pytest.approx(0.2, abs=0.06)


def test_repeats_keep_labels_in_proportion():
    table, y = news(articles=200)
    found = split_table(table, y, **GROUPED | {"repeats": 3})
    for deal in found.dealt:
        shares = [y[found.train][deal == fold].mean(axis=0) for fold in range(5)]
        assert np.ptp(shares, axis=0).max() < 0.03


def test_each_topic_is_a_fold():
    table, y = news()
    found = split_table(table, y, **LEAVE)
    topics = [column(table, "topic", np.flatnonzero(found.folds == fold)) for fold in set(found.dealt[0])]
    assert all(len(one) == 1 for one in topics)
    assert len(set.union(*topics)) == len(topics) == found.about["values"]
    assert not column(table, "topic", found.test) & column(table, "topic", found.train)
    nothing_repeats_across(table, found.folds)
    assert len(found.left_out)


def test_many_values_are_dealt_whole_into_folds():
    table, y = news(source=lambda table: [f"paper {name[1:][-1]}" for name in table["article"].to_pylist()])
    found = split_table(table, y, **LEAVE | {"column": "source", "folds": 3})
    sources = [column(table, "source", np.flatnonzero(found.folds == fold)) for fold in range(3)]
    assert sum(map(len, sources)) == len(set.union(*sources)) == found.about["values"]


def test_the_corpus_own_test_articles_stay():
    marks = lambda table: ["test" if name in ("a3", "a4") else "" for name in table["article"].to_pylist()]  # noqa: E731
    table, y = news(split=marks)
    for settings in (GROUPED, LEAVE):
        found = split_table(table, y, **settings)
        assert column(table, "article", found.test) == {"a3", "a4"}
        nothing_repeats_across(table, found.folds)


@pytest.mark.parametrize("cut", [None, "2005-06-01"])
def test_all_that_is_tested_is_newer(cut):
    table, y = news(split=lambda table: ["test"] * len(table))
    found = split_table(table, y, **TIME | {"test_from": cut})
    last, first = max(column(table, "date", found.train)), min(column(table, "date", found.test))
    assert last < found.about["test_from"] <= first
    assert (cut is None) == (len(found.test) / len(y) == pytest.approx(0.2, abs=0.05))
    assert len(set(found.dealt[0])) == 4
    nothing_repeats_across(table, found.folds)


def without_dates(table):
    return ["", *table["date"].to_pylist()[1:]]


@pytest.mark.parametrize(
    ("settings", "columns", "words"),
    [
        (GROUPED | {"protocol": "grouped_"}, {}, ["split.protocol=grouped_", "leave_out"]),
        (GROUPED | {"repeats": 0}, {}, ["split.repeats=0"]),
        (LEAVE | {"column": "topics"}, {}, ["split.column=topics", "did you mean 'topic'"]),
        (LEAVE | {"column": "source"}, {}, ["split.column=source", "is empty"]),
        (LEAVE | {"folds": 30}, {}, ["30 folds need as many"]),
        (LEAVE | {"folds": 1}, {}, ["split.folds=1"]),
        (LEAVE, {"topic": lambda table: ["one"] * len(table)}, ["has 1 values"]),
        (TIME | {"test_from": "2099-01-01"}, {}, ["nothing to test on", "1990-01-15"]),
        (TIME | {"test_from": "1900-01-01"}, {}, ["nothing to train on"]),
        (TIME | {"test_from": "spring"}, {}, ["split.test_from=spring"]),
        (TIME | {"column": "topic"}, {}, ["article 'a0' has 'topic 0', not a date"]),
        (TIME, {"date": without_dates}, ["article 'a0' has ''"]),
        (TIME, {"date": lambda table: ["2001-01-01"] * len(table)}, ["all articles are of 2001-01-01"]),
    ],
)
def test_what_cannot_be_split_is_said(settings, columns, words):
    table, y = news(**columns)
    with pytest.raises(ConfigError) as raised:
        split_table(table, y, **settings)
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize("choice", ["grouped", "repeated", "leave_topic_out", "leave_source_out", "time"])
def test_the_configured_protocols_split(compose, choice):
    names = lambda table: [f"s{name[-1]}{len(name)}" for name in table["article"].to_pylist()]  # noqa: E731
    table, y = news(articles=120, source=names)
    config = OmegaConf.to_container(compose("train", [f"split={choice}"]).split, resolve=True)
    assert config.pop("leakage") == "error"
    assert config.pop("score_folds") is None
    found = split_table(table, y, seed=3, **config)
    assert len(found.train) and len(found.test)
    nothing_repeats_across(table, found.folds)
