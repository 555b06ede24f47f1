"""Paired tests against scipy, statsmodels' and R's answers, and what they claim, by simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import accuracy_score, f1_score

from pipeline.evaluation.paired import SCORES, holm, mcnemar, paired_bootstrap


def drawn(n=300, seed=0, articles=60, error_a=0.2, error_b=0.2):
    """Truth and two predictions, wrong independently and equally often where the errors are equal."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 3)) < [0.3, 0.5, 0.2]).astype(np.int8)
    a, b = (y ^ (rng.random((n, 3)) < error) for error in (error_a, error_b))
    return y, a.astype(np.int8), b.astype(np.int8), [f"art{i}" for i in rng.integers(0, articles, n)]


def test_scores_are_those_of_sklearn():
    y, a, b, groups = drawn(error_b=0.1)
    found = paired_bootstrap(y, a, b, groups, 1, labels=["x", "y", "z"])
    for side, predicted in (("a", a), ("b", b)):
        assert found["macro_f1"][side] == pytest.approx(f1_score(y, predicted, average="macro"))
        assert found["micro_f1"][side] == pytest.approx(f1_score(y, predicted, average="micro"))
        assert found["subset_accuracy"][side] == pytest.approx(accuracy_score(y, predicted))
        assert found["per_label"]["y"][side] == pytest.approx(f1_score(y[:, 1], predicted[:, 1]))
    for one in (*(found[s] for s in SCORES), *found["per_label"].values()):
        assert one["difference"] == pytest.approx(one["b"] - one["a"])
        assert one["low"] <= one["difference"] <= one["high"]


def test_the_interval_is_scipys():
    """Where sentences are resampled and the score is a mean, `scipy.stats.bootstrap` does the same."""
    y, a, b, _ = drawn(n=400, error_b=0.15)
    found = paired_bootstrap(y, a, b, seed=3)["subset_accuracy"]
    right_a, right_b = ((predicted == y).all(axis=1).astype(float) for predicted in (a, b))
    theirs = bootstrap(
        (right_b, right_a),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_p_and_interval_do_not_contradict():
    for seed in range(60):
        found = paired_bootstrap(*drawn(n=80, seed=seed, articles=25, error_b=0.12), seed)
        for one in (*(found[s] for s in SCORES), *found["per_label"].values()):
            outside = one["low"] > 0 or one["high"] < 0
            if outside:
                assert one["p"] < 0.055
            if one["p"] < 0.045:
                assert outside or one["low"] == 0 or one["high"] == 0


def test_the_same_predictions_do_not_differ():
    y, a, _, groups = drawn()
    for one in paired_bootstrap(y, a, a.copy(), groups)["per_label"].values():
        assert (one["difference"], one["low"], one["high"], one["p"]) == (0, 0, 0, 1)


def test_exchanging_the_two_turns_the_sign():
    y, a, b, groups = drawn(error_b=0.1)
    there, back = paired_bootstrap(y, a, b, groups, 5), paired_bootstrap(y, b, a, groups, 5)
    for name in SCORES:
        assert there[name]["difference"] == pytest.approx(-back[name]["difference"])
        assert there[name]["low"] == pytest.approx(-back[name]["high"])
        assert there[name]["p"] == pytest.approx(back[name]["p"])


def test_pairing_is_what_makes_it_sharp():
    """Both fail on the same hard articles; `b` is right on two sentences of a hundred more."""
    articles = np.repeat(np.arange(100), 10)
    y = np.ones((1000, 1), np.int8)
    a = (articles % 3 > 0).astype(np.int8)[:, None]
    b = a.copy()
    b[np.flatnonzero(a[:, 0] == 0)[::10]] = 1
    found = paired_bootstrap(y, a, b, articles)["subset_accuracy"]
    apart = paired_bootstrap(y, a, np.roll(b, 500, axis=0), articles)["subset_accuracy"]
    assert found["p"] < 0.01
    assert found["high"] - found["low"] < 0.3 * (apart["high"] - apart["low"])


@pytest.mark.slow
def test_of_equal_classifiers_one_in_twenty_differs():
    """Rejections at 5 %, and cover of the true difference, over 600 simulated comparisons."""
    rejected, covered = (dict.fromkeys(SCORES, 0) for _ in range(2))
    for seed in range(600):
        found = paired_bootstrap(*drawn(n=240, seed=seed, articles=60), seed)
        for score in SCORES:
            rejected[score] += found[score]["p"] < 0.05
            covered[score] += found[score]["low"] <= 0 <= found[score]["high"]
    # Where the rate is 5 %, 99.9 % of such simulations have between 2.3 and 8.2 %.
    assert all(0.023 < count / 600 < 0.082 for count in rejected.values()), rejected
    assert all(0.918 < count / 600 < 0.977 for count in covered.values()), covered


def test_unequal_shapes_and_nothing_are_refused():
    y, a, b, groups = drawn()
    with pytest.raises(ValueError, match="shapes differ"):
        paired_bootstrap(y, a, b[:, :2], groups)
    with pytest.raises(ValueError, match="no sentences"):
        paired_bootstrap(y[:0], a[:0], b[:0])


def table(both, only_a, only_b, neither):
    """Truth and predictions of one label with these numbers of sentences right."""
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both, only_a, only_b, neither], axis=0)
    return np.ones((len(right), 1), np.int8), *(right[:, [k]].astype(np.int8) for k in (0, 1))


@pytest.mark.parametrize(
    ("cells", "p"),
    [
        # Agresti, Categorical data analysis, table 10.1: presidential approval, 150 and 86 changed;
        # p from statsmodels 0.15.0, `mcnemar(table, exact=True)`, as for the others.
        ((794, 150, 86, 570), 3.7159361395713866e-05),
        ((101, 121, 59, 33), 4.4344492637551645e-06),
        ((10, 5, 0, 10), 0.0625),
        ((10, 0, 1, 10), 1.0),
        ((10, 0, 0, 10), 1.0),
    ],
)
def test_mcnemar(cells, p):
    found = mcnemar(*table(*cells))
    assert found == [{"only_a": cells[1], "only_b": cells[2], "p": pytest.approx(p, rel=1e-6)}]


def test_mcnemar_of_each_label():
    y, a, b, _ = drawn(error_b=0.05)
    found = mcnemar(y, a, b)
    assert len(found) == 3
    for k, one in enumerate(found):
        right_a, right_b = (y[:, k] == a[:, k]), (y[:, k] == b[:, k])
        better, worse = int((right_b & ~right_a).sum()), int((right_a & ~right_b).sum())
        assert (one["only_b"], one["only_a"]) == (better, worse)
        assert one["p"] == pytest.approx(binomtest(better, better + worse).pvalue)


@pytest.mark.parametrize(
    ("given", "adjusted"),
    [
        # statsmodels 0.15.0, multipletests(p, method="holm"); R's p.adjust gives the same.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9, 0.0001, 0.04], [1.0, 1.0, 0.0004, 0.12]),
        ([0.2, 0.2, 0.2], [0.6, 0.6, 0.6]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm(given, adjusted):
    assert holm(given).tolist() == pytest.approx(adjusted)
