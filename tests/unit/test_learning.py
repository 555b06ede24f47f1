"""Learning curves: the fitted law, what it takes to gain, and its check in hindsight."""

import numpy as np
import pytest

from pipeline.evaluation.learning import fit_power_law, hindcast, more_for, resampled_scores
from pipeline.evaluation.metrics import article_counts, summarise

N = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])


def law(n, ceiling=0.85, scale=2.0, exponent=0.4):
    return ceiling - scale * np.asarray(n, dtype=float) ** -exponent


def test_a_known_law_is_found_again():
    found = fit_power_law(N, law(N)[None])
    assert found.exponent[0] == pytest.approx(0.4, rel=0.06)
    assert found.ceiling[0] == pytest.approx(0.85, abs=0.02)
    assert found.at(6400.0)[0] == pytest.approx(law(6400), abs=0.004)


def test_the_fit_is_no_worse_than_scipys():
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(1)
    weights = np.arange(1, 6) / 5
    for _ in range(20):
        scores = law(N, rng.uniform(0.7, 0.95), rng.uniform(0.5, 3), rng.uniform(0.2, 0.8))
        scores = np.minimum(scores + rng.normal(0, 0.005, 5), 1)
        wanted, _ = curve_fit(
            lambda n, a, b, c: a - b * n**-c,
            N,
            scores,
            p0=(0.9, 1, 0.4),
            sigma=weights**-0.5,
            bounds=([0, 0, 0.05], [1, 50, 2]),
        )
        own = fit_power_law(N, scores[None])

        def loss(predicted, scores=scores):
            return float(weights @ (scores - predicted) ** 2)

        mine = loss(own.ceiling[0] - own.scale[0] * N ** -own.exponent[0])
        assert mine <= loss(wanted[0] - wanted[1] * N ** -wanted[2]) * 1.02 + 1e-6


@pytest.mark.parametrize("scores", [np.full(5, 0.6), np.linspace(0.7, 0.6, 5)])
def test_a_curve_that_does_not_rise_is_flat_and_promises_nothing(scores):
    found = fit_power_law(N, scores[None])
    assert found.at(1e6)[0] == pytest.approx(found.at(100)[0])
    assert more_for(N, np.tile(scores, (20, 1)), 0.02) == {
        "more": None,
        "low": None,
        "high": None,
        "reached": 0.0,
    }


def test_no_curve_goes_above_one():
    found = fit_power_law(N, np.array([[0.2, 0.4, 0.6, 0.8, 0.99]]))
    assert found.ceiling[0] <= 1
    assert found.at(1e9)[0] <= 1


def test_what_a_gain_takes():
    """Solved by hand: 0.85 - 2 n^-0.4 = law(1600) + 0.02."""
    wanted = ((0.85 - law(1600) - 0.02) / 2.0) ** (-1 / 0.4) - 1600
    scores = np.tile(law(N), (30, 1))
    found = more_for(N, scores, 0.02)
    assert found["more"] == pytest.approx(wanted, rel=0.05)
    assert found["low"] == found["high"] == found["more"]
    assert found["reached"] == 1


def test_uncertainty_of_the_scores_is_uncertainty_of_the_need():
    rng = np.random.default_rng(2)
    wide = more_for(N, np.vstack([law(N), law(N) + rng.normal(0, 0.01, (400, 5))]), 0.02)
    narrow = more_for(N, np.vstack([law(N), law(N) + rng.normal(0, 0.001, (400, 5))]), 0.02)
    assert wide["low"] < narrow["low"] < narrow["more"] < narrow["high"]
    assert wide["high"] is None or wide["high"] > narrow["high"]


def test_hindsight_covers_a_curve_that_is_one():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        errors = rng.normal(0, 0.006, (301, 5))
        scores = law(N) + errors[0] + np.vstack([np.zeros(5), errors[1:]])
        found = hindcast(N, scores)
        hits += found["low"] <= law(1600) <= found["high"]
        assert found["measured"] == scores[0, -1]
    assert hits >= 50


def test_resampling_keeps_points_together_and_starts_with_what_was_measured():
    rng = np.random.default_rng(4)
    y = (rng.random((300, 2)) < 0.4).astype(np.int8)
    articles = np.arange(300) // 10
    counts = []
    for noise in (0.4, 0.2, 0.1):
        draws = [np.where(rng.random(y.shape) < noise, 1 - y, y).astype(np.int8) for _ in range(2)]
        counts.append([article_counts(y, given, articles) for given in draws])
    found = resampled_scores(np.array(counts), seed=0, times=50)
    assert found["macro_f1"].shape == (51, 3) and found["f1"].shape == (51, 3, 2)
    for point in range(3):
        one = [summarise(c.sum(axis=0, keepdims=True)) for c in counts[point]]
        assert found["macro_f1"][0, point] == pytest.approx(np.mean([o["macro_f1"][0] for o in one]))
        assert found["f1"][0, point] == pytest.approx(np.mean([o["f1"][0] for o in one], axis=0))
    again = resampled_scores(np.array(counts), seed=0, times=50)
    assert np.array_equal(found["f1"], again["f1"])
    same = resampled_scores(np.array([counts[0][:1]] * 3), seed=0, times=50)["macro_f1"]
    assert np.allclose(same[:, 0], same[:, 1]), "equal points stay equal: articles are drawn once for all"
