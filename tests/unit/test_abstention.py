"""What is left to a person: the promise, on exchangeable data, and how it is measured."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from pipeline.evaluation.abstention import (
    RATES,
    abstention,
    abstention_line,
    abstention_numbers,
    at_rate,
    curve,
    promises,
    share,
)
from pipeline.models.decision import Decision
from pipeline.models.training import cross_validate, scores

NAMES = ("rare", "common")


def drawn(n, seed, k=2):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, k)) < np.linspace(0.1, 0.4, k)).astype(np.int8)
    return rng.normal(size=(n, k)) + 1.6 * y, y


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_promised_error_rate_holds_on_exchangeable_data(rate):
    """Averaged over calibrations, of sentences with a label and of those without, at most the promise."""
    rates = {(label, kind): [] for label in NAMES for kind in ("missed", "wrongly_given")}
    decided = []
    for seed in range(30):
        s, y = drawn(1500, seed)
        decision = Decision(error_rate=rate).fit(s[:700], y[:700])
        p = decision.probabilities(s[700:])
        found = abstention(y[700:], decision.labels(p), decision.undecided(p), labels=NAMES)
        for key, one in promises(found | {"error_rate": rate}).items():
            rates[key].append(one["value"])
        decided.append(found["decided"])
    for key, values in rates.items():
        assert np.mean(values) < rate + 3 * stats.sem(values), key
    # Where nothing else keeps the errors lower, they are about what is allowed.
    assert max(np.mean(values) for values in rates.values()) > 0.7 * rate
    assert 0.1 < np.mean(decided) < 1


def test_the_promise_holds_for_each_class_of_several():
    wrong = [[], [], []]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        kinds = rng.choice(3, 1500, p=[0.15, 0.35, 0.5])
        y = np.eye(3, dtype=np.int8)[kinds]
        s = rng.normal(size=y.shape) + 1.5 * y
        decision = Decision(error_rate=0.1, task="multiclass").fit(s[:700], y[:700])
        p, truth = decision.probabilities(s[700:]), y[700:]
        undecided = decision.undecided(p)
        assert set(undecided.sum(axis=1).tolist()) <= {0, 1, 2, 3}
        found = abstention(truth, decision.labels(p), undecided, labels="abc", exclusive=True)
        assert 0.2 < found["decided"] < 1
        for k, one in enumerate(found["per_label"].values()):
            wrong[k].append(one["missed"]["value"])
        # What is left says what it may be, the most probable class among them.
        left = undecided.any(axis=1)
        assert undecided[left, p[left].argmax(axis=1)].all()
    for values in wrong:
        assert np.mean(values) < 0.1 + 3 * stats.sem(values)


def test_the_promise_holds_through_cross_validation():
    """Bounds from out-of-fold scores, errors of the classifier that is fitted on everything."""

    class Rows(OneVsRestClassifier):
        """Texts are numbers of rows of `x`."""

        def fit(self, X, y):
            return super().fit(x[[int(text) for text in X]], y)

        def decision_function(self, X):
            return super().decision_function(x[[int(text) for text in X]])

    missed = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1400, 4))
        y = (x[:, :2] + rng.normal(size=(1400, 2)) > 0.8).astype(np.int8)
        texts = [str(row) for row in range(1400)]
        model = Rows(LogisticRegression())
        crossed = cross_validate(model, Decision(error_rate=0.1), texts[:600], y[:600], np.arange(600) % 3)
        p = crossed.decision.probabilities(scores(model.fit(texts[:600], y[:600]), texts[600:]))
        undecided = crossed.decision.undecided(p)
        found = abstention(y[600:], crossed.decision.labels(p), undecided, labels=NAMES)
        missed.append([one["value"] for one in promises(found).values()])
    assert (np.mean(missed, axis=0) < 0.1 + 3 * stats.sem(missed)).all()


def test_what_is_given_and_decided_is_beyond_its_bound():
    s, y = drawn(600, 1)
    decision = Decision(error_rate=0.1).fit(s, y)
    p = decision.probabilities(s)
    given, decided = decision.labels(p) > 0, ~decision.undecided(p)
    assert (p[given & decided] > np.broadcast_to(decision.most_, p.shape)[given & decided]).all()
    assert (p[~given & decided] < np.broadcast_to(decision.least_, p.shape)[~given & decided]).all()
    assert decided.any() and not decided.all()


def test_counts_by_hand():
    y = np.array([[1, 0], [1, 0], [0, 0], [0, 1]])
    predicted = np.array([[1, 0], [0, 0], [1, 1], [0, 0]])
    undecided = np.array([[0, 0], [0, 0], [1, 0], [0, 1]], bool)
    found = abstention(y, predicted, undecided, labels=NAMES)
    assert found["decided"] == 0.5
    assert (found["error"]["value"], found["error"]["sentences"]) == (0.5, 2)
    rare, common = found["per_label"].values()
    assert rare["decided"] == common["decided"] == 0.75
    assert (rare["missed"]["value"], rare["missed"]["sentences"]) == (0.5, 2)
    assert rare["wrongly_given"]["value"] == 0  # the wrong one is left to a person
    assert common["missed"]["value"] == 0
    assert common["wrongly_given"]["value"] == pytest.approx(1 / 3)


def test_a_share_of_nothing_is_not_made_up():
    nobody = np.zeros(4, bool)
    assert share(nobody, nobody) is None
    whole = abstention(np.ones((2, 1), int), np.zeros((2, 1), int), np.ones((2, 1), bool), labels=["a"])
    assert whole["decided"] == 0 and whole["error"] is None


def test_shares_have_wilsons_interval():
    hit = np.arange(200) < 23
    found = share(hit, np.ones(200, bool), groups=[f"a{i}" for i in range(200)])
    wanted = stats.binomtest(23, 200).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((wanted.low, wanted.high), abs=0.002)
    assert share(hit & False, np.ones(200, bool))["high"] == pytest.approx(
        stats.binomtest(0, 200).proportion_ci(method="wilson").high
    )


def test_intervals_hold_the_truth_where_sentences_of_an_article_err_together():
    held = {"articles": [], "sentences": []}
    groups = np.repeat(np.arange(60), 10)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        hit = rng.random(600) < np.repeat(rng.beta(1, 4, 60), 10)  # a fifth on average
        for name, known in (("articles", groups), ("sentences", None)):
            one = share(hit, np.ones(600, bool), known)
            held[name].append(one["low"] <= 0.2 <= one["high"])
    assert 0.92 < np.mean(held["articles"]) < 0.98
    assert np.mean(held["sentences"]) < 0.85


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_the_curve_decides_more_the_more_errors_are_allowed(task):
    s, y = drawn(2000, 5, 3)
    if task == "multiclass":
        y = np.eye(3, dtype=np.int8)[(s + 2 * np.random.default_rng(0).random(s.shape)).argmax(axis=1)]
    decision = Decision(error_rate=0.07, task=task).fit(s[:1000], y[:1000])
    p = decision.probabilities(s[1000:])
    points = curve(decision, (s[:1000], y[:1000]), y[1000:], p, labels="abc")
    assert [point["error_rate"] for point in points] == sorted([*RATES, 0.07])
    chosen = at_rate({"error_rate": 0.07, "curve": points})
    direct = abstention(
        y[1000:], decision.labels(p), decision.undecided(p), labels="abc", exclusive=task == "multiclass"
    )
    assert chosen == {"error_rate": 0.07} | direct
    if task == "multilabel":
        assert (np.diff([point["decided"] for point in points]) >= 0).all()
        assert points[0]["decided"] < 0.5 < points[-1]["decided"]
        everything = (decision.labels(p) != y[1000:]).any(axis=1).mean()
        assert points[2]["error"]["value"] < everything
    assert decision.error_rate == 0.07, "as it was"


def test_without_an_error_rate_there_is_a_curve_and_no_point_on_it():
    s, y = drawn(400, 2)
    decision = Decision().fit(s, y)
    points = curve(decision, (s, y), y, decision.probabilities(s), labels=NAMES)
    assert len(points) == len(RATES)
    assert at_rate({"error_rate": None, "curve": points}) is None


def test_what_the_console_and_the_log_say():
    s, y = drawn(400, 2)
    decision = Decision(error_rate=0.1).fit(s, y)
    p = decision.probabilities(s)
    point = curve(decision, (s, y), y, p, labels=NAMES)[3]
    said, numbers = abstention_line(point), abstention_numbers(point)
    assert said.startswith("error rate: 10 % promised, ")
    assert f"{1 - point['decided']:.1%} of the sentences are left to a person" in said
    assert numbers["abstention/decided"] == point["decided"]
    assert numbers["abstention/rare/missed"] == point["per_label"]["rare"]["missed"]["value"]
    assert len(numbers) == 6
