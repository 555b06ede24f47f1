"""Scores against scikit-learn, intervals against a slow loop and against truth."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
)

from pipeline.evaluation import metrics
from pipeline.tracking.run import METRICS

NAMES = ("a", "b", "c")
SCORES = ("precision", "recall", "f1", *metrics.PROBABILISTIC)


def drawn(n=200, seed=0, articles=30):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 3)) < [0.2, 0.5, 0.05]).astype(np.int8)
    p = np.clip(0.5 * y + 0.6 * rng.random((n, 3)), 0, 1)
    return y, (p > 0.55).astype(np.int8), p, [f"art{i}" for i in rng.integers(0, articles, n)]


def block(y, predicted, p, groups=None, seed=0):
    return metrics.evaluate(y, predicted, p, labels=NAMES, thresholds=[0.5] * 3, groups=groups, seed=seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("grouped", [False, True])
def test_values_equal_sklearn(seed, grouped):
    y, predicted, p, groups = drawn(seed=seed)
    found = block(y, predicted, p, groups if grouped else None)
    assert found["macro_f1"]["value"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert found["micro_f1"]["value"] == pytest.approx(f1_score(y, predicted, average="micro"))
    assert found["subset_accuracy"]["value"] == pytest.approx(accuracy_score(y, predicted))
    assert found["sentences"] == 200
    assert found["articles"] == (len(set(groups)) if grouped else 200)
    for k, name in enumerate(NAMES):
        one = found["per_label"][name]
        assert one["precision"] == pytest.approx(precision_score(y[:, k], predicted[:, k]))
        assert one["recall"] == pytest.approx(recall_score(y[:, k], predicted[:, k]))
        assert one["f1"] == pytest.approx(f1_score(y[:, k], predicted[:, k]))
        assert one["average_precision"] == pytest.approx(average_precision_score(y[:, k], p[:, k]))
        assert one["brier"] == pytest.approx(brier_score_loss(y[:, k], p[:, k]))
        assert one["support"] == y[:, k].sum()
        assert one["threshold"] == 0.5
    for name in metrics.PROBABILISTIC:
        mean = np.mean([one[name] for one in found["per_label"].values()])
        assert found[f"macro_{name}"]["value"] == pytest.approx(mean)


BITS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(arrays(np.int8, (n, 3), elements=st.integers(0, 1)), st.integers(0, 10_000))
)


@settings(max_examples=60, deadline=None)
@given(BITS, BITS)
@example((np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]], np.int8), 3279), (np.zeros((1, 3), np.int8), 0))
def test_degenerate_labels_give_numbers_in_order(first, second):
    y, seed = first
    predicted = np.resize(second[0], y.shape)
    p = np.random.default_rng(seed).random(y.shape)
    groups = [str(i // 2) for i in range(len(y))]
    found = block(y, predicted, p, groups)
    for name in METRICS:
        assert 0 <= found[name]["low"] <= found[name]["value"] <= found[name]["high"] <= 1
    for k, name in enumerate(NAMES):
        one = found["per_label"][name]
        for score in SCORES:
            assert 0 <= one[f"{score}_low"] <= one[score] <= one[f"{score}_high"] <= 1
        assert all(np.isfinite(value) for value in one.values())
        assert one["f1"] == pytest.approx(f1_score(y[:, k], predicted[:, k], zero_division=0))


@pytest.mark.parametrize(("truth", "given"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_constant_labels(truth, given):
    y, predicted = np.full((6, 3), truth, np.int8), np.full((6, 3), given, np.int8)
    found = block(y, predicted, np.full((6, 3), 0.5))
    value = float(truth and given)
    assert found["macro_f1"] == {"value": value, "low": value, "high": value}
    assert found["subset_accuracy"]["value"] == float(truth == given)
    assert found["per_label"]["a"]["average_precision"] == float(truth)
    assert found["per_label"]["a"]["brier"] == pytest.approx(0.25)


def test_one_article_has_no_width():
    y, predicted, p, _ = drawn()
    found = block(y, predicted, p, ["same"] * len(y))
    assert found["macro_f1"]["low"] == pytest.approx(found["macro_f1"]["high"])
    assert found["articles"] == 1


def test_counts_by_hand():
    y = np.array([[1, 0], [1, 1], [0, 0]], np.int8)
    predicted = np.array([[1, 1], [0, 1], [0, 0]], np.int8)
    # true positives, false positives, false negatives of two labels; rows right; rows
    assert metrics.article_counts(y, predicted, ["x", "y", "x"]).tolist() == [
        [1, 0, 0, 1, 0, 0, 1, 2],
        [0, 1, 0, 0, 1, 0, 0, 1],
    ]


def test_bootstrap_equals_a_slow_loop():
    """The same draws of articles, with rows gathered and scored by scikit-learn."""
    y, predicted, _, groups = drawn(n=60, articles=8)
    counts = metrics.article_counts(y, predicted, groups)
    names = np.unique(groups)
    fast = metrics.summarise(metrics.resample(counts, seed=3, times=25))
    draws = np.random.default_rng(3).integers(0, len(names), (25, len(names)))
    for i, draw in enumerate(draws):
        rows = [r for name in names[draw] for r in np.flatnonzero(np.array(groups) == name)]
        assert fast["macro_f1"][i] == pytest.approx(
            f1_score(y[rows], predicted[rows], average="macro", zero_division=0)
        )
        assert fast["micro_f1"][i] == pytest.approx(f1_score(y[rows], predicted[rows], average="micro"))
        assert fast["subset_accuracy"][i] == pytest.approx(accuracy_score(y[rows], predicted[rows]))


@pytest.mark.parametrize("digits", [1, 8])
def test_bootstrap_of_probabilities_equals_a_slow_loop(digits):
    """The same draws, with and without sentences of the same probability."""
    y, _, p, groups = drawn(n=60, articles=8)
    p = p.round(digits)
    fast = metrics.resampled_probabilistic(y, p, groups, seed=3, times=25)
    names = np.unique(groups)
    draws = np.random.default_rng(3).integers(0, len(names), (25, len(names)))
    for i, draw in enumerate(draws):
        rows = np.concatenate([np.flatnonzero(np.array(groups) == name) for name in names[draw]])
        for k in range(3):
            truth = y[rows, k]
            wanted = average_precision_score(truth, p[rows, k]) if truth.any() else 0
            assert fast["average_precision"][i, k] == pytest.approx(wanted)
            assert fast["brier"][i, k] == pytest.approx(brier_score_loss(truth, p[rows, k]))


def test_probabilities_are_resampled_less_often_where_there_are_many(monkeypatch):
    y, _, p, groups = drawn()
    monkeypatch.setattr(metrics, "CELLS", 300 * y.size)
    assert metrics.resampled_probabilistic(y, p, groups, 0)["brier"].shape == (300, 3)
    monkeypatch.setattr(metrics, "CELLS", 1)
    assert metrics.resampled_probabilistic(y, p, groups, 0)["brier"].shape == (200, 3)


def test_intervals_of_labels_are_of_two_thousand_resamples():
    y, predicted, p, groups = drawn()
    resampled = metrics.summarise(metrics.resample(metrics.article_counts(y, predicted, groups), 0, 2000))
    resampled |= metrics.resampled_probabilistic(y, p, groups, 0, 2000)
    found = block(y, predicted, p, groups)["per_label"]
    for name in SCORES:
        low, high = np.percentile(resampled[name], [2.5, 97.5], axis=0)
        assert [found[label][f"{name}_low"] for label in NAMES] == pytest.approx(low.tolist())
        assert [found[label][f"{name}_high"] for label in NAMES] == pytest.approx(high.tolist())


def test_resampling_in_parts_draws_as_many():
    """More articles than one part of the matrix product holds."""
    counts = np.ones((30_000, 8), np.int64)
    totals = metrics.resample(counts, seed=0, times=700)
    assert totals.shape == (700, 8)
    assert (totals == 30_000).all()


def test_interval_is_of_percentiles_and_holds_the_value():
    assert metrics.interval(0.5, np.arange(1001) / 1000) == pytest.approx(
        {"value": 0.5, "low": 0.025, "high": 0.975}
    )
    assert metrics.interval(0.99, np.array([0.1, 0.2]))["high"] == 0.99
    assert metrics.interval(0.0, np.array([0.1, 0.2]))["low"] == 0.0


def test_same_seed_same_interval_other_seed_another():
    y, predicted, p, groups = drawn()
    assert block(y, predicted, p, groups, seed=1) == block(y, predicted, p, groups, seed=1)
    assert (
        block(y, predicted, p, groups, seed=1)["macro_f1"]
        != block(y, predicted, p, groups, seed=2)["macro_f1"]
    )


def test_order_of_rows_does_not_matter():
    y, predicted, p, groups = drawn()
    order = np.random.default_rng(0).permutation(len(y))
    one, other = (
        block(y, predicted, p, groups),
        block(y[order], predicted[order], p[order], np.array(groups)[order]),
    )
    for name in ("macro_f1", "micro_f1", "subset_accuracy"):
        assert one[name] == pytest.approx(other[name])


def test_articles_resampled_whole_make_wider_intervals():
    """Where the sentences of an article are right or wrong together."""
    articles = np.repeat(np.arange(40), 10)
    y = np.ones((400, 1), np.int8)
    predicted = (articles % 2 == 0).astype(np.int8)[:, None]

    def width(groups):
        found = metrics.evaluate(
            y, predicted, predicted * 1.0, labels=["a"], thresholds=[None], groups=groups
        )["subset_accuracy"]
        return found["high"] - found["low"]

    assert width(articles.astype(str)) > 2.5 * width(None)


def test_intervals_cover_the_truth():
    """200 small test sets of 40 articles drawn from a large population: 95 % should cover."""
    rng = np.random.default_rng(5)
    skill = rng.beta(4, 1.5, size=4000)
    truth = skill.mean()
    covered = 0
    for run in range(200):
        chosen = rng.choice(skill, 40)
        counts = np.zeros((40, 5), np.int64)
        counts[:, 3] = rng.binomial(10, chosen)
        counts[:, 4] = 10
        found = metrics.summarise(metrics.resample(counts, seed=run, times=400))["subset_accuracy"]
        low, high = np.percentile(found, [2.5, 97.5])
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_calibration_error_by_hand():
    p = np.array([0.1, 0.1, 0.9, 0.9])
    assert metrics.calibration_error(np.array([0, 0, 1, 1], np.int8), p, bins=2) == pytest.approx(0.1)
    assert metrics.calibration_error(np.array([1, 1, 0, 0], np.int8), p, bins=2) == pytest.approx(0.9)
    assert metrics.calibration_error(np.array([1], np.int8), np.array([0.25])) == pytest.approx(0.75)


def test_calibrated_probabilities_have_little_error():
    rng = np.random.default_rng(1)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(np.int8)
    assert metrics.calibration_error(y, p) < 0.02 < metrics.calibration_error(y, p**2)


@pytest.mark.slow
def test_intervals_of_probabilities_cover():
    """Of 100 samples of 60 articles, with well and with badly calibrated probabilities."""
    rng = np.random.default_rng(2)

    def news(articles):
        shift = np.repeat(rng.normal(0, 0.5, articles), 8)[:, None]
        told = 1 / (1 + np.exp(1 - 2 * rng.normal(size=(8 * articles, 3)) - shift))
        return (rng.random(told.shape) < told).astype(np.int8), told ** [1, 1.5, 3]

    y, p = news(100_000)
    truth = {
        "average_precision": [average_precision_score(y[:, k], p[:, k]) for k in range(3)],
        "brier": ((p - y) ** 2).mean(axis=0),
        "calibration_error": [metrics.calibration_error(y[:, k], p[:, k]) for k in range(3)],
    }
    covered = dict.fromkeys(truth, np.zeros(3))
    for seed in range(100):
        y, p = news(60)
        found = metrics.evaluate(
            y, y, p, labels=NAMES, thresholds=[0.5] * 3, groups=np.repeat(np.arange(60), 8), seed=seed
        )["per_label"].values()
        for name, value in truth.items():
            low, high = ([one[f"{name}_{bound}"] for one in found] for bound in ("low", "high"))
            covered[name] = covered[name] + ((low <= np.array(value)) & (value <= np.array(high)))
    assert all((covered[name] > 86).all() for name in ("average_precision", "brier")), covered
    # Percentiles of the plain resamples hold the error of good probabilities in none of the samples.
    assert (covered["calibration_error"] > [60, 70, 86]).all(), covered


@pytest.mark.slow
def test_intervals_cover():
    """Of 400 samples of 60 articles, whose sentences are right or wrong together, 95 % hold the truth."""
    rng = np.random.default_rng(0)

    def news(articles):
        hard = np.repeat(rng.beta(1, 4, articles), 8)[:, None]
        y = (rng.random((8 * articles, 3)) < [0.3, 0.4, 0.2]).astype(np.int8)
        return y, y ^ (rng.random(y.shape) < hard), np.repeat(np.arange(articles), 8)

    y, predicted, _ = news(100_000)
    truth = {
        "macro_f1": f1_score(y, predicted, average="macro"),
        "micro_f1": f1_score(y, predicted, average="micro"),
        "subset_accuracy": accuracy_score(y, predicted),
    }
    covered = dict.fromkeys(truth, 0)
    for seed in range(400):
        y, predicted, groups = news(60)
        found = block(y, predicted.astype(np.int8), y * 1.0, groups, seed)
        for name, value in truth.items():
            covered[name] += found[name]["low"] <= value <= found[name]["high"]
    # Percentile intervals of 60 articles are a little narrow; one that ignored articles covers 75 %.
    assert all(0.905 < count / 400 < 0.98 for count in covered.values()), covered


def test_repeats_add_no_certainty():
    y, predicted, p, groups = drawn()
    once = block(y, predicted, p, groups)
    thrice = metrics.evaluate(
        *(np.tile(part, (3, 1)) for part in (y, predicted, p)),
        labels=NAMES,
        thresholds=[0.5] * 3,
        groups=groups * 3,
        repeats=3,
    )
    assert thrice == {
        key: pytest.approx(value)
        if key != "per_label"
        else {k: pytest.approx(v, abs=2e-3) for k, v in value.items()}
        for key, value in once.items()
    }


def test_spread_is_the_score_of_each_repeat():
    y, predicted, _, _ = drawn()
    repeat = np.arange(200) // 100
    found = metrics.spread(y, predicted, repeat)
    assert found["count"] == 2
    for n, value in enumerate(found["macro_f1"]):
        part = repeat == n
        assert value == pytest.approx(f1_score(y[part], predicted[part], average="macro"))
