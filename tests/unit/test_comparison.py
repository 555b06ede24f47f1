"""Comparing predictions: the same sentences only, both directions, and no more certainty than there is."""

import numpy as np
import pyarrow as pa
import pytest

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
    assert all(row["p_holm"] >= row["p"] for row in rows)


def test_the_margin_decides_what_not_worse_is():
    (pair,) = compare([made(0.1), made(0.1, seed=2)])
    low = pair["scores"]["macro_f1"]["low"]
    assert low < 0
    assert objections(pair, [], [], margin=-low + 0.001) == []
    (said,) = objections(pair, [], [], margin=-low - 0.001)
    assert said.startswith("macro-F1 may be")


def test_a_label_that_is_worse_is_an_objection_whatever_the_margin():
    (pair,) = compare([made(0.02), made(0.3, seed=2)])
    assert sum("is worse" in said for said in objections(pair, [], [], margin=1.0)) == 2


def test_behaviour_must_hold():
    (pair,) = compare([made(0.1), made(0.1)])
    usual = [{"name": "swap names", "rate": 0.02, "low": 0.01, "high": 0.04}]
    assert objections(pair, usual, usual, margin=0.1) == []
    worse = [{"name": "swap names", "rate": 0.05, "low": 0.03, "high": 0.08}]
    (said,) = objections(pair, usual, worse, margin=0.1)
    assert "'swap names' fails in 5.0 % of cases" in said
    assert objections(pair, worse, usual, margin=0.1) == []
    assert objections(pair, usual, [], margin=0.1) == [
        "the challenger did not take the behaviour test 'swap names'"
    ]
