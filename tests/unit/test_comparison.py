"""Comparing predictions: the same sentences only, both directions, and no more certainty than there is."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.evaluation.behaviour_comparison import behaviour_differences
from pipeline.evaluation.comparison import changed, check_same, compare, slice_differences, verdict
from pipeline.evaluation.paired import holm, mcnemar, paired_bootstrap
from pipeline.evaluation.predictions import predictions, read_predictions, write_predictions
from pipeline.evaluation.promotion import objections
from pipeline.schema import InputError

LABELS = ("denial", "policy_action")
RNG = np.random.default_rng(0)
N = 300
TRUTH = RNG.integers(0, 2, (N, 2)).astype(np.int8)


def made(wrong, *, y=TRUTH, text="sentence", seed=1):
    """Predictions that are wrong in a share of the decisions."""
    flipped = np.random.default_rng(seed).random((len(y), 2)) < wrong
    predicted = np.where(flipped, 1 - y, y).astype(np.int8)
    table = pa.table(
        {
            "article": [f"a{n // 5}" for n in range(len(y))],
            "kind": ["headline" if n % 5 == 0 else "body" for n in range(len(y))],
            "source": ["rare" if n < 4 else "common" for n in range(len(y))],
            "start": list(range(len(y))),
            "text": [f"{text} {n}" for n in range(len(y))],
        }
    )
    return predictions(table, y, predicted, 0.2 + 0.6 * predicted, LABELS)


def test_predictions_survive_the_disk(tmp_path):
    one = made(0.2)
    write_predictions(tmp_path / "p.parquet", one)
    again = read_predictions(tmp_path / "p.parquet")
    assert again.labels == LABELS
    for name in ("y", "predicted", "scores"):
        assert (getattr(again, name) == getattr(one, name)).all()
    assert again.digest == one.digest
    assert again.table["kind"].to_pylist() == one.table["kind"].to_pylist()


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"p\.parquet: no predictions here; train"):
        read_predictions(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_bytes(b"x")
    with pytest.raises(InputError, match=r"p\.parquet: no Parquet file"):
        read_predictions(tmp_path / "p.parquet")


OTHER = TRUTH.copy()
OTHER[17, 1] = 1 - OTHER[17, 1]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (made(0.1, y=OTHER), "sentence 18 has other labels"),
        (made(0.1, y=TRUTH[:-5]), "300 and 295 sentences"),
        (made(0.1, text="another"), "sentence 1 is another"),
    ],
)
def test_other_test_data_are_refused(other, said):
    with pytest.raises(InputError, match=f"one and two were tested on other sentences .*{said}.*input=FILE"):
        check_same([made(0.1), other], ["one", "two"])
    check_same([made(0.1), made(0.4)], ["one", "two"])


def test_the_statistics_are_those_of_paired():
    first, second, third = made(0.1), made(0.15, seed=2), made(0.3, seed=3)
    found = compare([first, second, third], seed=5)
    for pair, other in zip(found, (second, third), strict=True):
        own = paired_bootstrap(first.y, first.predicted, other.predicted, first.articles, 5)
        assert {k: pair["scores"]["macro_f1"][k] for k in own["macro_f1"]} == own["macro_f1"]
    tests = [t for other in (second, third) for t in mcnemar(first.y, first.predicted, other.predicted)]
    wanted = holm([test["p"] for test in tests])
    got = [one["mcnemar"]["p_holm"] for pair in found for one in pair["labels"].values()]
    assert got == pytest.approx(wanted.tolist())
    whole = holm([pair["scores"]["macro_f1"]["p"] for pair in found])
    assert [pair["scores"]["macro_f1"]["p_holm"] for pair in found] == pytest.approx(whole.tolist())


def test_the_intervals_of_labels_are_those_of_paired():
    first, second = made(0.1), made(0.15, seed=2)
    wanted = paired_bootstrap(first.y, first.predicted, second.predicted, first.articles, times=2000)
    found = compare([first, second])[0]["labels"]
    for one, label in zip(wanted["per_label"].values(), LABELS, strict=True):
        assert {name: found[label][name] for name in one} == one


def test_the_verdict_claims_no_more_than_there_is():
    good, bad, alike = made(0.05), made(0.4, seed=2), made(0.05, seed=3)
    assert [pair["verdict"] for pair in compare([good, bad, alike])] == [
        "worse",
        "no evidence of a difference",
    ]
    assert compare([bad, good])[0]["verdict"] == "better"
    assert compare([good, good])[0]["scores"]["macro_f1"]["p"] == 1
    assert verdict(0.3, 0.05) == "no evidence of a difference"


def test_by_chance_alone_a_difference_is_rarely_claimed():
    """Two classifiers equally good: at most about one in twenty comparisons may claim otherwise."""
    rng = np.random.default_rng(1)
    claims = 0
    for n in range(60):
        y = rng.integers(0, 2, (N, 2)).astype(np.int8)
        pair = compare([made(0.2, y=y, seed=2 * n), made(0.2, y=y, seed=2 * n + 1)])[0]
        claims += pair["verdict"] != "no evidence of a difference"
    assert claims <= 8  # 3 expected; more than 8 has probability 0.003


def test_changes_go_both_ways():
    a, b = made(0.2), made(0.2, seed=2)
    rows = changed(a, b)
    assert len(rows) == int((a.predicted != b.predicted).sum())
    assert {row["change"] for row in rows} == {"fixed", "broken"}
    for row in rows[:20]:
        n, k = int(row["text"].split()[1]), LABELS.index(row["label"])
        assert (row["change"] == "fixed") == (b.predicted[n, k] == b.y[n, k])
        assert row["given"] == bool(b.predicted[n, k])
    only_b = sum(test["only_b"] for test in mcnemar(a.y, a.predicted, b.predicted))
    assert sum(row["change"] == "fixed" for row in rows) == only_b


def test_slices_have_a_score_of_their_own_and_small_ones_are_flagged():
    a, b = made(0.1), made(0.3, seed=2)
    rows = slice_differences(a, b)
    for facet in ("kind", "source", "words", "quotes", "labels"):
        assert sum(row["sentences"] for row in rows if row["slice"] == facet) == N
    named = {(row["slice"], row["value"]): row for row in rows}
    inside = np.arange(N) % 5 != 0
    parts = (part[inside] for part in (a.y, a.predicted, b.predicted))
    own = paired_bootstrap(*parts, np.array(a.articles)[inside].tolist(), 0)["macro_f1"]
    assert {key: named["kind", "body"][key] for key in own} == own
    assert not named["kind", "body"]["small"] and named["kind", "headline"]["small"]
    assert named["labels", "0"]["score"] == "subset_accuracy"


def test_p_values_are_adjusted_over_all_slices_of_all_pairs():
    """And can still be below 0.05, however many there are."""
    found = compare([made(0.02), *(made(0.6, seed=seed) for seed in range(2, 8))])
    rows = [row for pair in found for row in pair["slices"]]
    assert [row["p_holm"] for row in rows] == pytest.approx(holm([row["p"] for row in rows]).tolist())
    assert len(rows) > 50  # of 2,000 resamples, the smallest p-value is 0.001
    assert min(row["p_holm"] for row in rows) < 0.05


def promoted_over(first, second, **settings):
    """What speaks against the second of two that were not tested for behaviour."""
    (pair,) = compare([first, second])
    return objections(pair | {"behaviour": []}, **settings)


def test_the_margin_decides_what_not_worse_is():
    both = made(0.1), made(0.1, seed=2)
    low = compare(both)[0]["scores"]["macro_f1"]["low"]
    assert low < 0
    assert promoted_over(*both, margin=-low + 0.001) == []
    (said,) = promoted_over(*both, margin=-low - 0.001)
    assert said.startswith("macro-F1 may be")


def test_a_label_that_is_worse_is_an_objection_whatever_the_margin():
    found = promoted_over(made(0.02), made(0.3, seed=2), margin=1.0)
    assert sum("is worse" in said for said in found) == 2


def rare(found, invented):
    """Predictions that find some of 20 sentences with a label, and give it to some of 280 without."""
    y = np.zeros((N, 2), np.int8)
    y[::15] = 1
    predicted = np.zeros_like(y)
    predicted[np.flatnonzero(y[:, 0])[:found]] = 1
    predicted[np.flatnonzero(1 - y[:, 0])[:invented]] = 1
    return replace(made(0, y=y), predicted=predicted)


@pytest.mark.parametrize(
    ("first", "second", "worse"),
    [
        # Right more often, p < 0.001 by McNemar, for what it invents no more; F1 is lower by chance.
        (rare(12, 38), rare(4, 0), False),
        # Right as often, by McNemar, but much less is found.
        (rare(18, 10), rare(4, 0), True),
    ],
)
def test_a_label_is_worse_by_f1_not_by_how_many_sentences_are_right(first, second, worse):
    label = compare([first, second])[0]["labels"]["denial"]
    assert label["difference"] < 0
    assert (label["mcnemar"]["p_holm"] < 0.05) != worse
    assert any("is worse" in said for said in promoted_over(first, second, margin=1.0)) == worse


def behaviour(failed, held_out="0" * 200, digest="cases"):
    """Results of a test as `run_tests` gives them; how many swaps fail of each written and other sentence."""

    def block(failed, versions):
        failures, flipped = sum(one != "0" for one in failed), sum(map(int, failed))
        cases = len(failed)
        found = {"cases": cases, "failures": failures, "rate": failures / cases, "failed": failed}
        return found | {"digest": digest, "swaps": versions * cases, "flipped": flipped}

    def rate(one):
        return {**one, "value": one["flipped"] / one["swaps"], "sentences": one["cases"]}

    written, other = block(failed, 4), block(held_out, 1)
    flips = rate(written) | {"held_out": rate(other)}
    return {"name_swap_flip_rate": flips, "tests": {"people": written | {"held_out": other}}}


NEVER, HELD = "0" * 16, "0" * 200
ALIKE = [made(0.1), made(0.1)]


@pytest.mark.parametrize(
    ("champion", "challenger", "said"),
    [
        (behaviour(NEVER), behaviour(NEVER), []),
        (behaviour("1111" + "0" * 12), behaviour("0" * 12 + "1111"), []),  # others, as many
        (behaviour("4" * 10 + "0" * 6), behaviour(NEVER), []),
        (
            behaviour(NEVER),
            behaviour("1" * 5 + "0" * 11),
            ["'people' fails in 31.2%"],
        ),
        (behaviour("1" * 16), behaviour("2" * 6 + "1" * 10), ["name swap flip rate", "p 0.016"]),
        (behaviour(NEVER), behaviour(NEVER, "1" * 5 + "0" * 195), ["'people, test sentences'", "2.5%"]),
        # Other cases: a difference that needs no luck is asked for.
        (behaviour(NEVER), behaviour("1" * 4 + "0" * 12, digest="others"), []),
        (behaviour(NEVER), behaviour("1" * 8 + "0" * 8, digest="others"), ["'people' fails in 50.0%"]),
    ],
)
def test_behaviour_must_hold(champion, challenger, said):
    """Case by case where both took the same: 5 new failures of 16 are too many, with none the other way."""
    (pair,) = compare(ALIKE)
    rows = behaviour_differences(champion, challenger)
    names = ["name swap flip rate", "name swap flip rate, test sentences", "all written sentences"]
    assert [row["test"] for row in rows] == [*names, "people", "people, test sentences"]
    found = "; ".join(objections(pair | {"behaviour": rows}, margin=0.1))
    assert all(words in found for words in said) and bool(found) == bool(said), found


def test_results_that_were_not_kept_one_by_one_are_compared_all_the_same():
    old, (pair,) = behaviour(NEVER), compare(ALIKE)
    for one in (old["tests"]["people"], old["tests"]["people"]["held_out"]):
        del one["failed"], one["digest"]
    rows = behaviour_differences(old, behaviour("1" * 8 + "0" * 8))
    assert "behaviour test 'people' fails" in str(objections(pair | {"behaviour": rows}, margin=0.1))


def test_a_behaviour_test_that_the_challenger_did_not_take():
    (pair,) = compare(ALIKE)
    other = behaviour(NEVER) | {"tests": {"clubs": behaviour(NEVER)["tests"]["people"]}}
    rows = behaviour_differences(behaviour(NEVER), other)
    assert objections(pair | {"behaviour": rows}, margin=0.1) == [
        "the challenger did not take the behaviour test 'people'",
        "the challenger did not take the behaviour test 'people, test sentences'",
    ]


def test_labels_that_are_better_do_not_speak_against_promotion():
    assert promoted_over(made(0.3, seed=2), made(0.02), margin=1.0) == []


def test_labels_are_adjusted_over_all_pairs():
    pairs = compare([made(0.1), *(made(0.14, seed=seed) for seed in range(2, 6))])
    labels = [one for pair in pairs for one in pair["labels"].values()]
    assert [one["p_holm"] for one in labels] == pytest.approx(holm([one["p"] for one in labels]).tolist())


def test_one_label_of_many_can_be_told_to_be_worse():
    """Of 2,000 resamples, the smallest p-value of 60 labels would be 0.06."""
    names = [f"label{k}" for k in range(60)]
    y = np.random.default_rng(0).integers(0, 2, (100, 60)).astype(np.int8)
    worse = y.copy()
    worse[:, 0] = 1 - y[:, 0]
    table = made(0.0).table.slice(0, 100)
    (pair,) = compare([predictions(table, y, given, 0.2 + 0.6 * given, names) for given in (y, worse)])
    assert pair["labels"]["label0"]["p_holm"] < 0.05


def test_cases_that_are_not_the_same_are_not_paired():
    """Where pairing would make five more failures of sixteen significant."""
    found = behaviour_differences(
        behaviour("1" * 8 + "0" * 8), behaviour("1" * 13 + "0" * 3, digest="others")
    )
    assert not any(row["paired"] for row in found)
    assert found[3]["p"] > 0.05


def test_rates_of_all_written_cases_together():
    found = behaviour_differences(behaviour("1" * 8 + "0" * 8), behaviour("1" * 12 + "0" * 4))
    assert (found[2]["a"], found[2]["b"]) == (0.5, 0.75)
