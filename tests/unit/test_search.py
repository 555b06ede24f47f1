"""The search on Optuna: what it tries, and that being broken off changes nothing."""

import pytest

pytest.importorskip("optuna", reason="make extra-sweep")

from pipeline.schema import ConfigError
from pipeline.search import Search

pytestmark = pytest.mark.extra

SPACE = {
    "C": {"low": 0.01, "high": 100.0, "log": True},
    "n": {"low": 1, "high": 5},
    "weight": ["balanced", None, True],
}


def value(settings):
    """Highest at C = 1 and n = 5."""
    from math import log10

    return settings["n"] / 5 - abs(log10(settings["C"]))


def go_on(path, upto, name="a"):
    search = Search(path, name, SPACE, seed=7)
    while len(search.trials()) < upto:
        asked = search.ask()
        search.tell(asked, value(asked.params), {"seconds": 1})
    return search


def tried(search):
    return [(trial.number, trial.settings, trial.value) for trial in search.trials()]


def test_broken_off_it_tries_what_it_would_have_tried(tmp_path):
    whole = go_on(tmp_path / "whole.db", 12)
    go_on(tmp_path / "parts.db", 4)
    broken = go_on(tmp_path / "parts.db", 8).ask()  # and killed during the ninth
    parts = go_on(tmp_path / "parts.db", 12)
    assert tried(parts) == tried(whole)
    assert broken.params == parts.trials()[8].settings, "first what was being tried"
    assert len({str(trial.settings) for trial in parts.trials()}) == 12


def test_settings_are_in_their_ranges(tmp_path):
    for trial in go_on(tmp_path / "x.db", 12).trials():
        assert 0.01 <= trial.settings["C"] <= 100
        assert trial.settings["n"] in range(1, 6)
        assert trial.settings["weight"] in SPACE["weight"]


def test_best_and_what_mattered(tmp_path):
    search = go_on(tmp_path / "x.db", 15)
    assert search.best().value == max(value(trial.settings) for trial in search.trials())
    importances = search.importances()
    assert set(importances) == set(SPACE)
    assert max(importances, key=importances.get) == "C"
    assert sum(importances.values()) == pytest.approx(1)


def test_settings_that_cannot_be_used_count_as_tried(tmp_path):
    search = Search(tmp_path / "x.db", "a", SPACE, seed=7)
    search.tell(search.ask(), None, {"error": "min_df above max_df"})
    assert [(trial.value, trial.about["error"]) for trial in search.trials()] == [
        (None, "min_df above max_df")
    ]
    assert search.best() is None
    assert search.importances() == {}


def test_studies_of_one_file_are_apart(tmp_path):
    go_on(tmp_path / "x.db", 2, "a")
    assert Search(tmp_path / "x.db", "b", SPACE, seed=7).trials() == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"low": 1}, "expected a list of choices, or low, high"),
        ({"low": 1, "high": 2, "step": 1}, "expected a list of choices, or low, high"),
        ([], "expected a list"),
        (3, "expected a list"),
        ({"low": 0.0, "high": 1.0, "log": True}, "low > 0"),
        ({"low": 3, "high": 1}, "low <= high"),
        ({"low": "a", "high": "b"}, "C: "),
    ],
)
def test_a_space_that_is_none(tmp_path, wrong, said):
    with pytest.raises(ConfigError, match=f"sweep.space: C: .*{said}|{said}"):
        Search(tmp_path / "x.db", "a", {"C": wrong}, seed=7)
