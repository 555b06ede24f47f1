"""Several annotators made one, and compared."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from pipeline.labels.aggregation import _kappa, decide
from pipeline.labels.annotations import Annotation
from pipeline.labels.coders import coders, disputed
from pipeline.schema import ConfigError, LabelSet

LABELS = LabelSet(("a", "b"))
CLASSES = LabelSet(("x", "y", "z"), task="multiclass")


def vote(n, annotator, *labels, seconds=None):
    return Annotation(
        f"art{n // 3}", n * 10, n * 10 + 5, "text", labels, annotator, "body", "", seconds=seconds
    )


def drawn(seed, n=600, accuracy=(0.95, 0.9, 0.6, 0.6, 0.6), share=0.3):
    """Sentences that several annotators of known accuracy read, two of them good."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    votes = []
    for i in range(n):
        said = [truth[i] if rng.random() < right else not truth[i] for right in accuracy]
        votes.append([vote(i, f"r{j}", *(["a"] if yes else [])) for j, yes in enumerate(said)])
    return truth, votes


def right(votes, truth, by):
    return np.mean(
        [("a" in one.labels) == yes for one, yes in zip(decide(votes, LABELS, by=by), truth, strict=True)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_weights_and_error_rates_beat_the_majority_where_annotators_differ(seed):
    truth, votes = drawn(seed)
    plain, weighted, modelled = (right(votes, truth, by) for by in ("majority", "weighted", "dawid_skene"))
    assert plain + 0.02 < weighted
    assert plain + 0.03 < modelled


def test_who_decided_is_recorded():
    votes = [
        [vote(0, "x", "a"), vote(0, "y", "a")],
        [vote(1, "x", "a"), vote(1, "y", "b"), vote(1, "z", "b")],
        [vote(2, "x", "b", "a")],
        [vote(3, "x", "a"), vote(3, "boss")],
    ]
    plain = decide(votes, LABELS)
    assert [one.by for one in plain] == ["all", "majority", "x", "majority"]
    assert [one.labels for one in plain] == [["a"], ["b"], ["a", "b"], ["a"]]
    assert plain[1].support == {"a": pytest.approx(1 / 3), "b": pytest.approx(2 / 3)}
    final = decide(votes, LABELS, adjudicator="boss")
    assert (final[3].labels, final[3].by) == ([], "boss")
    with pytest.raises(ConfigError, match="did you mean 'boss'"):
        decide(votes, LABELS, adjudicator="bos")
    with pytest.raises(ConfigError, match="did you mean 'weighted'"):
        decide(votes, LABELS, by="weight")


@pytest.mark.parametrize("by", ["majority", "weighted", "dawid_skene"])
def test_one_class_is_given_even_where_all_differ(by):
    votes = [[vote(n, "p", "x"), vote(n, "q", "y"), vote(n, "r", "z")] for n in range(4)]
    votes += [[vote(n, "p", "z"), vote(n, "q", "z"), vote(n, "r", "x")] for n in range(4, 12)]
    found = decide(votes, CLASSES, by=by)
    assert all(len(one.labels) == 1 for one in found)
    assert [one.labels for one in found[4:]] == [["z"]] * 8


@pytest.mark.parametrize("by", ["majority", "weighted", "dawid_skene"])
def test_no_class_where_nobody_gave_one(by):
    votes = [[vote(n, "p", one), vote(n, "q", one)] for n, one in enumerate("yyyyyyzzzz")]
    votes += [[vote(10, "p"), vote(10, "q")], [vote(11, "p"), vote(11, "q", "z")]]
    found = decide(votes, CLASSES, by=by)
    assert [one.labels for one in found[9:]] == [["z"], [], ["z"]]
    assert not any(found[10].support.values())


def test_kappa_is_cohens():
    rng = np.random.default_rng(0)
    mine = rng.integers(0, 2, (50, 1))
    other = np.where(rng.random((50, 1)) < 0.8, mine, 1 - mine)
    assert _kappa(mine, other.astype(bool))[0] == pytest.approx(cohen_kappa_score(mine[:, 0], other[:, 0]))


def test_f1_between_two_is_the_f1_of_either_against_the_other():
    _, votes = drawn(1, accuracy=(0.9, 0.8))
    votes += [[vote(1000, "r0", "a")]]  # read by one alone: no comparison
    found = coders(votes, LABELS, {})
    one, other = ([int("a" in same[k].labels) for same in votes[:-1]] for k in (0, 1))
    assert found["f1"]["a"]["value"] == pytest.approx(f1_score(one, other))
    assert found["f1"]["a"]["low"] < found["f1"]["a"]["value"] < found["f1"]["a"]["high"]
    assert "b" not in found["f1"]
    assert found["pairs"][0]["sentences"] == 600
    assert found["annotators"]["r0"]["sentences"] == 601


def test_a_poor_annotator_stands_out_and_a_hard_topic_too():
    _, easy = drawn(2, n=90, accuracy=(0.97, 0.97, 0.97))
    _, hard = drawn(3, n=90, accuracy=(0.8, 0.8, 0.55))
    moved = [
        [vote(300 + i, v.annotator, *v.labels, seconds=2.0) for v in same] for i, same in enumerate(hard)
    ]
    topics = {f"art{n}": "easy" if n < 100 else "hard" for n in range(200)}
    found = coders([*easy, *moved], LABELS, topics)
    for measure in ("alpha", "f1"):
        easy_one, hard_one = (found["topics"][name][measure]["a"] for name in ("easy", "hard"))
        assert hard_one["high"] < easy_one["low"]
    without = {name: one["alpha_without"]["a"]["value"] for name, one in found["annotators"].items()}
    assert max(without, key=without.get) == "r2"
    values = {name: one["f1"]["a"]["value"] for name, one in found["annotators"].items()}
    assert min(values, key=values.get) == "r2"
    assert found["annotators"]["r2"]["seconds"] == 2.0


def test_nobody_to_compare():
    assert coders([[vote(0, "x", "a")]], LABELS, {}) == {}


def test_the_most_disputed_come_first():
    votes = [
        [vote(0, "x", "a"), vote(0, "y", "a")],
        [vote(1, "x", "a"), vote(1, "y")],
        [vote(2, "x", "a"), vote(2, "y", "b")],
        [vote(3, "x", "a"), vote(3, "y", "a"), vote(3, "z")],
    ]
    rows = disputed(votes, decide(votes, LABELS), LABELS)
    assert [row["start"] for row in rows] == [20, 10, 30]
    assert [row["disagreement"] for row in rows] == [2.0, 1.0, pytest.approx(2 / 3, abs=1e-3)]
    assert rows[0]["votes"] == [{"annotator": "x", "labels": ["a"]}, {"annotator": "y", "labels": ["b"]}]


def test_silence_is_no_vote_for_the_first_class():
    rng = np.random.default_rng(0)

    def said(truth, silent):
        if rng.random() < silent:
            return ()
        return ("xyz"[truth if rng.random() < 0.7 else rng.integers(3)],)

    votes = [
        [vote(n, "p", *said(k, 0.5)), vote(n, "q", *said(k, 0)), vote(n, "r", *said(k, 0))]
        for n, k in enumerate(rng.integers(0, 3, 60))
    ]
    spoken = [[one for one in same if one.labels] for same in votes]
    with_silence, without = (decide(some, CLASSES, by="dawid_skene") for some in (votes, spoken))
    assert [one.support for one in with_silence] == [pytest.approx(one.support) for one in without]
