"""The table of a leaderboard and its plot."""

import pytest

from pipeline.evaluation.charts import frontier, importance, pareto
from pipeline.evaluation.standings import ranked, standings
from pipeline.evaluation.tables import aligned


def block(value, sentences=10):
    score = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {"macro_f1": score, "sentences": sentences, "per_label": {"denial": {"f1": value / 2}}}


def entry(name, test, external=None, folds=(5, 5)):
    found = {
        "model": name,
        "cross_validation": {**block(0.5), "folds": {"scored": folds[0], "all": folds[1]}},
        "test": block(test, 2397),
        "training": {"sentences_per_second": 1234.5},
        "speed": {"sentences_per_second": 98765.0, "first_label_seconds": 1.26, "megabytes": 12.34},
    }
    if external is not None:
        found |= {"external": block(external, 489), "by": {"uniform": block(external / 2, 233)}}
    return found


SKIPPED = {"model": "finetuned", "skipped": "needs the package torch: make extra-finetune"}


def test_order_is_that_of_other_news_where_there_is_some():
    entries = [SKIPPED, entry("a", 0.9, 0.3), entry("b", 0.5, 0.6)]
    assert [one["model"] for one in ranked(entries)] == ["b", "a", "finetuned"]
    entries = [SKIPPED, entry("b", 0.5), entry("a", 0.9)]
    assert [one["model"] for one in ranked(entries)] == ["a", "b", "finetuned"]


def test_the_table_has_every_figure():
    text = standings([entry("slow", 0.7, 0.6, folds=(1, 5)), SKIPPED])
    head, _, row = text.splitlines()[:3]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("model", "cross-validation", "test (2,397)", "external (489)", "uniform (233)"),
        *("training, sentences/s", "scoring, sentences/s", "first label, s", "bundle, MB"),
    ]
    assert cells == [
        *("slow", "0.500 [0.400, 0.600] (1 of 5 folds)", "0.700 [0.600, 0.800]", "0.600 [0.500, 0.700]"),
        *("0.300 [0.200, 0.400]", "1,200", "99,000", "1.3", "12.3"),
    ]
    assert "| slow         | 0.300  |" in text, "F1 of each label, on the external file"
    assert "- finetuned skipped: needs the package torch: make extra-finetune" in text


def test_nothing_but_skipped():
    assert standings([SKIPPED]).startswith("- finetuned skipped")


def test_columns_are_aligned():
    assert aligned([["a", "bb"], ["ccc", "d"]]) == "| a   | bb |\n|-----|----|\n| ccc | d  |"


def point(name, rate, value):
    return {"name": name, "rate": rate, "value": value, "low": value - 0.01, "high": value + 0.01}


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([("a", 1, 0.9), ("b", 10, 0.5), ("c", 5, 0.4)], {"a", "b"}),
        ([("a", 1, 0.9), ("b", 1, 0.8)], {"a"}),
        ([("a", 1, 0.9), ("b", 1, 0.9)], {"a", "b"}),
        ([("a", 1, 0.9)], {"a"}),
    ],
)
def test_the_frontier(points, best):
    assert frontier([point(*one) for one in points]) == best


def test_plots_are_pictures(tmp_path):
    points = [point("a", 100, 0.9), point("b", 110, 0.9), point("c", 1e6, 0.1)]
    pareto(tmp_path / "x.tmp", points, "title")
    trials = [({"m.1.C": 0.1, "w": None, "n": 1}, 0.5), ({"m.1.C": 50.0, "w": "balanced", "n": 2}, 0.6)]
    importance(tmp_path / "y.tmp", {"m.1.C": 0.7, "w": 0.2, "n": 0.1}, trials, "title")
    for name in ("x", "y"):
        assert (tmp_path / f"{name}.tmp").read_bytes().startswith(b"\x89PNG")
