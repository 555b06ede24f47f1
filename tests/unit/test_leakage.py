"""What gives labels away is found, and what does not is let through."""

import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.evaluation.leakage import _area, check_leakage, copied, find_leaks, names_only
from pipeline.evaluation.splits import LEFT_OUT, TEST, Split, near_duplicates
from pipeline.schema import ConfigError

LABELS = ("accusation", "denial")
PEOPLE = [f"{a}{b}" for a in ("Mar", "Tol", "Ves", "Kir", "Ban") for b in ("dan", "vik", "essa", "olo")]


def news(n=1200, seed=0, told_by_names=False):
    """Sentences in which a person does something to a word; labels by chance, or by who it is."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, len(PEOPLE), n)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"w{one}{other}" for one in letters for other in letters]
    texts = [f"On that day the {' '.join(rng.choice(words, 9))} of {PEOPLE[i]} was seen" for i in who]
    y = (rng.random((n, 2)) < 0.2).astype(np.int8)
    if told_by_names:
        y[:, 0] = (who < 5) & (rng.random(n) < 0.9)
    articles = [f"a{i // 6}" for i in range(n)]
    folds = np.where(np.arange(n) < n // 4, TEST, np.arange(n) // 6 % 4)
    return texts, y, articles, Split(folds)


def leaks(texts, y, articles, split):
    return find_leaks(texts, y, articles, split, LABELS)


def test_honest_data_have_no_leak():
    found = leaks(*news())
    assert found["leaks"] == []
    assert [found[name] for name in ("copied", "copied_folds", "articles", "boilerplate")] == [0, 0, 0, 0]
    for one in found["names"].values():
        assert one["auc"] == pytest.approx(0.5, abs=0.1)
    assert check_leakage(found, "error") == []


def test_names_that_tell_a_label_are_found():
    found = leaks(*news(told_by_names=True))
    assert found["names"]["accusation"]["auc"] > 0.9
    assert found["names"]["denial"]["auc"] < 0.6
    assert len(found["leaks"]) == 1
    assert "names alone tell accusation" in found["leaks"][0]


def test_copies_on_two_sides_are_found():
    texts, y, articles, split = news()
    texts[400] = f"{texts[3]} again"  # test and training
    texts[500] = texts[507]  # two folds
    found = leaks(texts, y, articles, split)
    assert (found["copied"], found["copied_folds"]) == (1, 2)
    split.folds[400] = split.folds[500] = LEFT_OUT
    found = leaks(texts, y, articles, split)
    assert (found["copied"], found["copied_folds"]) == (0, 0)


@pytest.mark.parametrize("planted", [range(0, 300, 10), range(300, 1200, 20)])
def test_what_is_copied_in_part_is_found(planted):
    """Less alike than near-duplicates, and from several sentences at once."""
    texts, y, articles, split = news()
    for row in planted:
        half = texts[(row + 307) % 900 + 300].split()[2:15]  # of a training row, in another fold
        texts[row] = " ".join(["Later", "people", "said", *half, "and", f"x{row}", f"y{row}"])
    assert not len(near_duplicates(texts))
    found = leaks(texts, y, articles, split)
    assert (found["copied"], found["copied_folds"]) == ((30, 0) if planted[0] == 0 else (0, 90))
    (said,) = found["leaks"]
    assert re.match(r"10\.0% of the (test|training) sentences are for the most part copied", said)


@pytest.mark.parametrize(("shared", "found"), [(7, 0), (8, 1)])
def test_a_run_that_is_copied_has_eight_words(shared, found):
    run = [f"word{i}" for i in range(8)]
    texts = [" ".join(run), " ".join(["Later", *run[:shared], "instead"])]
    assert copied(texts, Split(np.array([TEST, 0])))["copied"] == found


def test_phrases_in_common_are_no_copies():
    texts, y, articles, split = news()
    texts = [f"{text}, said the ministry of trade" for text in texts]
    assert leaks(texts, y, articles, split)["leaks"] == []


def test_articles_on_two_sides_are_found():
    texts, y, articles, split = news()
    articles[0] = articles[700] = "both"
    assert leaks(texts, y, articles, split)["articles"] == 1


def test_every_repeat_is_looked_at():
    texts, y, articles, split = news()
    again = split.folds.copy()
    again[again >= 0] = np.arange((again >= 0).sum()) % 4
    assert leaks(texts, y, articles, Split(split.folds, (again,)))["articles"] > 100


def test_boilerplate_is_found_though_no_near_duplicate():
    """Where more than 50 sentences share it, `near_duplicates` leaves it alone."""
    texts, y, articles, split = news()
    for row in range(0, 1200, 12):
        texts[row] = f"Reporting by our own desk, {100 + row % 800} March."
    found = leaks(texts, y, articles, split)
    assert not len(near_duplicates(texts))
    assert (found["boilerplate"], found["test"]) == (25, 300)
    assert "8.3% of the test sentences are in training ten times" in found["leaks"][0]


def test_a_formula_used_a_few_times_is_no_boilerplate():
    texts, y, articles, split = news()
    for row in (*range(20), *range(600, 1140, 60)):
        texts[row] = f"Sales rose {100 + row % 800} percent."
    assert leaks(texts, y, articles, split)["boilerplate"] == 0
    texts[1199] = "Sales rose 999 percent."
    assert leaks(texts, y, articles, split)["boilerplate"] == 20


def test_what_is_too_rare_is_not_judged():
    texts, y, _, split = news()
    y[:, 1] = 0
    assert names_only(texts, y, split)[1] is None


def test_area_is_that_of_sklearn():
    rng = np.random.default_rng(0)
    score, told = rng.integers(0, 9, 80).astype(float), rng.random(80) < 0.4
    found = _area(score, told)
    assert found["auc"] == pytest.approx(roc_auc_score(told, score))


def test_area_interval_covers():
    """Of 400 simulated samples with an area of 0.76 (two normals, a standard deviation apart)."""
    rng, hits = np.random.default_rng(0), 0
    told = np.arange(150) < 60
    for _ in range(400):
        found = _area(rng.normal(size=150) + told, told)
        hits += found["low"] <= 0.7602 <= found["high"]
    assert 0.91 < hits / 400 < 0.985


@pytest.mark.parametrize("mode", ["error", "warn", "off"])
def test_modes(mode):
    found = {"leaks": ["three articles are on two sides"]}
    if mode == "error":
        with pytest.raises(ConfigError, match=r"three articles .* split\.leakage=warn"):
            check_leakage(found, mode)
    else:
        assert check_leakage(found, mode) == found["leaks"] * (mode == "warn")


def test_another_mode_is_refused():
    with pytest.raises(ConfigError, match=r"split\.leakage=no: must be one of error, warn, off"):
        check_leakage({"leaks": []}, "no")


def test_copies_of_another_dealing_are_found():
    texts, _, _, split = news()
    texts[500] = texts[507]
    together = np.array(split.folds)
    together[500] = together[507]
    assert copied(texts, Split(together, ()))["copied_folds"] == 0
    assert copied(texts, Split(together, (np.array(split.folds),)))["copied_folds"] == 2
