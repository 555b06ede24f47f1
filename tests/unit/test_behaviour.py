"""Behaviour tests fail where a classifier misbehaves, and only there; the written ones are sound."""

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml
from scipy.stats import binomtest

from pipeline.evaluation.behaviour import run_tests
from pipeline.evaluation.behaviour_report import (
    behaviour_line,
    behaviour_numbers,
    behaviour_table,
    flips_line,
)
from pipeline.evaluation.behaviour_tests import EFFECTS, read_tests
from pipeline.evaluation.metrics import wilson
from pipeline.evaluation.perturbations import SIMPLE, found_names, listed
from pipeline.schema import InputError

FOLDER = Path(__file__).resolve().parents[2] / "data" / "behaviour"
LABELS = ("accusation", "denial", "policy_action", "economic_claim")
PATTERNS = (r"accus|blam", r"den[iy]", r"\bban|law", r"\$|percent")


def reads(*patterns, labels=LABELS):
    """A classifier that gives each label where its pattern is found."""

    def score(texts):
        given = np.array([[bool(re.search(p, text)) for p in patterns] for text in texts], np.int8)
        return given * 0.9 + 0.05, given.reshape(-1, len(labels))

    return score


def files(tmp_path, text):
    (tmp_path / "one.yaml").write_text(text, encoding="utf-8")
    return tmp_path


# --- changes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("straight_quotes", "“It’s false,” he said of ‘it’.", "\"It's false,\" he said of 'it'."),
        ("capitals", "Prices rose.", "PRICES ROSE."),
        ("lower_case", "Prices ROSE.", "prices rose."),
        ("genders", "He told her that Mr Bell saw his wife.", "She told him that Mrs Bell saw her husband."),
        ("genders", "Her brother thanked him.", "His sister thanked her."),
        ("genders", "The chairman, a man of 60", "The chairwoman, a woman of 60"),
        ("genders", "The theme of the heron", "The theme of the heron"),
        ("typo", "It is so", "It is so"),
        ("numbers", "In 2009 nobody came.", "In 2009 nobody came."),
        ("dates", "It may rain; in May it did.", "It may rain; in May it did."),
    ],
)
def test_changes(change, before, after):
    assert SIMPLE[change](before, Random(0)) == after


@pytest.mark.parametrize("seed", range(20))
def test_random_changes_change_what_they_say_and_no_more(seed):
    rng = Random(seed)
    text = "On Monday 5 March 2009 it paid $1,250.75 to 14 growers"
    other = SIMPLE["numbers"](text, rng)
    assert re.sub(r"\d", "0", other) == re.sub(r"\d", "0", text)
    assert all(
        a != b
        for a, b in zip(re.findall(r"\d+", other), re.findall(r"\d+", text), strict=True)
        if b != "2009"
    )
    assert "2009" in other
    assert "0" not in re.findall(r"\b\d", other)
    day, month, year = re.fullmatch(r"On (\w+day) 5 (\w+) (\d{4}) it .*", SIMPLE["dates"](text, rng)).groups()
    assert day != "Monday" and month != "March" and year != "2009"
    typed = SIMPLE["typo"](text, rng)
    differ = [i for i, (a, b) in enumerate(zip(text, typed, strict=True)) if a != b]
    assert len(differ) == 2 and differ[1] == differ[0] + 1
    assert sorted(typed) == sorted(text)
    spaced = SIMPLE["stray_spaces"](text, rng)
    assert spaced.split() == text.split() and spaced != text


def test_listed_words_are_swapped_alike_everywhere():
    change = listed([["Norway", "Peru", "Chad"], ["Norwegian", "Peruvian"]])
    other = change("Norway told Norway's Norwegian guests from Peru, not Peruvians", Random(1))
    assert re.fullmatch(r"Chad told Chad's Peruvian guests from (Peru|Norway), not Peruvians", other)


def test_found_names_are_swapped_alike_everywhere():
    change = found_names(["He met Aldana in Fez."], ["Mary Oduya", "Kenji Mori"])
    one, other = change("Aldana said that Aldana's word stands.", Random(0)).split(" said that ")
    assert other == f"{one}'s word stands."
    assert one in ("Mary Oduya", "Kenji Mori")


# --- running ------------------------------------------------------------------------------------------

SMALL = """
slots: {who: [Bo, Cy, Di, Ed, Fay, Gus]}
tests:
  - {name: swaps, effect: same, names: true, cases: ["{who} denied it.", "They accused {who}."]}
  - {name: more swaps, effect: same, names: true, cases: ["{who} laughed."]}
  - {name: shout, effect: same, perturb: capitals, held_out: true, cases: ["He denied it.", "NOTHING."]}
  - {name: rises, effect: up, label: denial, cases: [[They did it., They denied it.], [He came., He left.]]}
  - {name: falls, effect: down, label: denial, cases: [[They denied it., They did it.], [He came., He left.]]}
  - {name: plain, effect: labels, labels: [denial], cases: [It denied it., It did it., It accused; denied.]}
  - {name: foreign, effect: labels, labels: [weather], cases: [It rained.]}
"""


def test_what_fails_is_counted(tmp_path):
    # Who is called Fay is believed to accuse.
    score = reads(r"accus|Fay", *PATTERNS[1:])
    found = run_tests(score, read_tests(files(tmp_path, SMALL)), LABELS, ["She denied that.", "She left."])
    tests = found["tests"]
    assert found["skipped"] == ["foreign"]
    assert list(tests) == ["swaps", "more swaps", "shout", "rises", "falls", "plain"]
    assert [(one["cases"], one["failures"]) for one in tests.values()] == [
        (2, 1),
        (1, 1),
        (1, 1),
        (2, 1),
        (2, 1),
        (3, 2),
    ]
    assert tests["rises"]["examples"] == [
        {
            "text": "He left.",
            "labels": [],
            "before": "He came.",
            "labels_before": [],
            "probability_before": 0.05,
            "probability": 0.05,
        }
    ]
    assert tests["plain"]["examples"][0] == {"text": "It did it.", "labels": [], "wanted": ["denial"]}
    shout = tests["shout"]["held_out"]
    assert {key: shout[key] for key in ("cases", "failures", "rate", "swaps", "flipped", "low", "high")} == {
        **{"cases": 2, "failures": 1, "rate": 0.5, "swaps": 2, "flipped": 1},
        **dict(zip(("low", "high"), wilson(1, 2), strict=True)),
    }


def test_results_are_kept_case_by_case(tmp_path):
    """As many digits as cases, each the number of versions that fail; one digest for the same cases."""
    tests, texts = read_tests(files(tmp_path, SMALL)), ["She denied that.", "She left.", "He denied it."]
    found = run_tests(reads(r"accus|Fay", *PATTERNS[1:]), tests, LABELS, texts)
    other = run_tests(reads(*PATTERNS), tests, LABELS, texts)
    assert found["tests"]["plain"]["failed"] == "011" and found["tests"]["rises"]["failed"] == "01"
    for one, same in zip(found["tests"].values(), other["tests"].values(), strict=True):
        assert one["digest"] == same["digest"]
        assert sum(map(bool, map(int, one["failed"]))) == one["failures"]
        if "swaps" in one:
            assert sum(map(int, one["failed"])) == one["flipped"]
    swaps = found["name_swap_flip_rate"]
    assert swaps["failed"] == found["tests"]["swaps"]["failed"] + found["tests"]["more swaps"]["failed"]
    again = run_tests(reads(*PATTERNS), tests, LABELS, texts[:2])["tests"]["shout"]
    assert again["digest"] == found["tests"]["shout"]["digest"]
    assert again["held_out"]["digest"] != found["tests"]["shout"]["held_out"]["digest"]


def test_the_flip_rate_is_of_swaps(tmp_path):
    tests = read_tests(files(tmp_path, SMALL))
    texts = [text for test in tests[:2] for case in test.cases for text in case.after]
    assert len(set(texts)) == len(texts) == 12
    blind = run_tests(reads(*PATTERNS), tests, LABELS)["name_swap_flip_rate"]
    assert (blind["value"], blind["low"], blind["sentences"]) == (0, 0, 3)
    assert blind["high"] == pytest.approx(binomtest(0, 3).proportion_ci(method="wilson").high)
    partial = run_tests(reads(r"accus|Fay", *PATTERNS[1:]), tests, LABELS)["name_swap_flip_rate"]
    cases = (tests[0].cases[0], tests[1].cases[0])
    swaps = [(case.before, text) for case in cases for text in case.after]
    flipped = [("Fay" in before) != ("Fay" in text) for before, text in swaps]
    assert partial["value"] == pytest.approx(sum(flipped) / len(texts)), "an accusation of Fay is one anyway"
    assert 0 < partial["value"] < 1


def test_the_same_tests_in_every_run(tmp_path):
    assert read_tests(files(tmp_path, SMALL)) == read_tests(tmp_path)
    first = run_tests(reads(*PATTERNS), read_tests(FOLDER), LABELS, ["He denied it."] * 3)
    assert run_tests(reads(*PATTERNS), read_tests(FOLDER), LABELS, ["He denied it."] * 3) == first


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 20), (20, 20), (81, 263)])
def test_wilson_is_scipys(k, n):
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high))


def test_wilson_as_published():
    """Newcombe (1998), Two-sided confidence intervals for the single proportion, table I."""
    assert [round(bound, 4) for bound in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(bound, 4) for bound in wilson(15, 148)] == [0.0624, 0.1605]
    assert [round(bound, 4) for bound in wilson(0, 20)] == [0.0, 0.1611]
    assert wilson(0, 0) == (0, 1)


def test_what_is_shown(tmp_path):
    found = run_tests(reads(*PATTERNS), read_tests(files(tmp_path, SMALL)), LABELS, ["She denied that."])
    line = behaviour_line(found)
    swaps = "name swaps that change the labels: 0.0% [0.0%, 56.1%] in written sentences (12)"
    assert line.startswith(f"behaviour: {swaps}; 4 of 6 tests"), "no test swaps names of other sentences"
    rate = found["name_swap_flip_rate"]
    rate["held_out"] = {"value": 0.5, "low": 0.4, "high": 0.6, "swaps": 600, "sentences": 600}
    assert flips_line(rate) == f"{swaps}, 50.0% [40.0%, 60.0%] in held-out sentences (600)"
    rate["held_out"]["swaps"] = 0
    assert "plain 2 of 3" in line and "\n" not in line
    table = behaviour_table(found)
    assert re.search(r"^shout +same labels +1 of 1 +100\.0% \[20\.7%, 100\.0%\] +1 of 1", table, re.MULTILINE)
    assert "skipped, for labels that are not here: foreign" in table
    numbers = behaviour_numbers(found)
    assert numbers["behaviour/plain/failure_rate"] == pytest.approx(2 / 3)
    assert numbers["behaviour/shout/failure_rate_held_out"] == 1
    assert numbers["behaviour/name_swap_flip_rate"] == 0
    assert "behaviour/name_swap_flip_rate_held_out" not in numbers, "no test swaps names of other sentences"


# --- the files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tests: 3", ["one.yaml", "list `tests`"]),
        ("tests: [", ["one.yaml", "not YAML"]),
        ("tests: [{name: x, effect: better, cases: [a]}]", ["test 'x'", "effect 'better'", "same, up"]),
        ("tests: [{name: x, effect: same, casses: [a]}]", ["unknown key 'casses'", "'cases'"]),
        ("tests: [{name: x, effect: up, cases: [[a, b]]}]", ["needs a `label`"]),
        ("tests: [{name: x, effect: same}]", ["no `cases`"]),
        ("tests: [{name: x, effect: same, cases: [a]}]", ["'a' has no {slot}"]),
        (
            "tests: [{name: x, effect: same, perturb: typos, cases: [a]}]",
            ["unknown change 'typos'", "'typo'"],
        ),
        ('tests: [{name: x, effect: same, cases: ["{who} came"]}]', ["no slot 'who'"]),
        ("tests: [{name: x, effect: same, cases: [[a, b, c]]}]", ["before and after", "['a', 'b', 'c']"]),
        ("tests: [{effect: same, cases: [a]}]", ["with a name"]),
        (
            "tests: [{name: x, effect: labels, cases: [a]}, {name: x, effect: labels, cases: [b]}]",
            ["two tests", "'x'"],
        ),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, text, words):
    with pytest.raises(InputError) as raised:
        read_tests(files(tmp_path, text))
    assert all(word in str(raised.value) for word in words), raised.value


def test_no_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="behaviour_tests"):
        read_tests(tmp_path)


WRITTEN = read_tests(FOLDER)


@pytest.mark.parametrize("test", WRITTEN, ids=lambda test: test.name)
def test_written_tests_have_enough_to_say(test):
    assert len(test.cases) >= 15
    assert len({case.before for case in test.cases}) == len(test.cases)
    assert set(test.labels) <= set(LABELS)
    assert test.effect in EFFECTS
    for case in test.cases:
        assert all(text != case.before for text in case.after)
        assert (len(case.after) == 0) == (test.effect == "labels")
        assert not re.search(r"[{}]", "".join((case.before, *case.after)))


def test_the_effects_asked_for_are_there():
    names = {test.name for test in WRITTEN}
    assert names >= {
        *(
            "people",
            "countries",
            "genders",
            "companies",
            "numbers",
            "dates",
            "straight_quotes",
            "stray_spaces",
        ),
        *("capitals", "typos", "active_to_passive", "attribution", "insert_denial", "denial_to_confirmation"),
        "remove_authority",
    }
    assert {test.name for test in WRITTEN if test.names} == {"people", "countries", "genders", "companies"}


def test_no_written_sentence_is_in_the_corpus():
    """They would be no test of anything."""
    corpus = FOLDER.parents[1] / "data" / "annotations.jsonl"
    text = corpus.read_text(encoding="utf-8").lower()
    for path in FOLDER.glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        cases = [c for test in content["tests"] for c in test.get("cases", [])] + content.get("sentences", [])
        for one in (text for case in cases for text in ([case] if isinstance(case, str) else case)):
            assert len(one) < 30 or one.lower() not in text, one
