"""Shares with intervals that account for the classifier's errors."""

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation.prevalence import distance, prevalence, wilson


def corpus(rng, n=6000, share=0.15, quality=2.0, articles=None):
    """Labels, biased scores, and articles of ten sentences that resemble each other."""
    article = np.arange(n) // 10
    mood = rng.normal(0, articles or 0.0, article.max() + 1)[article]
    y = (rng.random(n) < 1 / (1 + np.exp(-(np.log(share / (1 - share)) + mood)))).astype(np.int8)
    scores = 1 / (1 + np.exp(-(quality * (2 * y - 1) - 0.3 + rng.normal(0, 1.5, n))))
    return y, scores, article


# --- against others' results --------------------------------------------------------------------------


def test_value_and_width_are_those_of_ppi_python():
    """Figures from ppi-python 0.2.3: ppi_mean_pointestimate and ppi_mean_ci of the same arrays."""
    i, j = np.arange(400), np.arange(5000)
    y = ((i * 7) % 10 < 3).astype(float)
    scores = np.clip(0.3 + 0.25 * y + 0.3 * np.sin(i), 0, 1)
    every = np.clip(0.36 + 0.3 * np.sin(j * 0.7) + 0.1 * np.cos(j * 1.3), 0, 1)
    found = prevalence(y, scores, every)
    assert found.value == pytest.approx(0.28495975, abs=1e-8)
    assert 0 < found.power < 1
    assert found.high - found.low == pytest.approx(0.32499393 - 0.24492557, rel=0.02)


@pytest.mark.parametrize(("many", "of"), [(0, 20), (3, 40), (25, 50), (300, 300)])
def test_wilson_is_scipys(many, of):
    wanted = stats.binomtest(many, of).proportion_ci(method="wilson")
    assert wilson(many / of, of, stats.norm.ppf(0.975)) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_without_scores_it_is_the_samples_own_interval():
    y = np.array([1] * 30 + [0] * 170)
    found = prevalence(y, np.zeros(200), np.zeros(5000))
    wanted = wilson(0.15, 199, stats.t.ppf(0.975, 199))
    assert (found.value, found.power) == (0.15, 0.0)
    assert (found.low, found.high) == pytest.approx(wanted, abs=2e-4)


def test_articles_of_copies_count_once():
    """Every sentence ten times in its article: the same interval as each of them once."""
    rng = np.random.default_rng(0)
    y, nothing = corpus(rng, 300)[0], np.zeros(3000)
    once = prevalence(y, nothing[:300], nothing)
    copies = prevalence(np.repeat(y, 10), nothing, nothing, groups=np.repeat(np.arange(300), 10))
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high), abs=1e-9)


# --- what it promises ---------------------------------------------------------------------------------


def covered(draw, times=400):
    """Share of intervals that cover, and mean widths; `draw` gives (truth, estimate, alone, counted)."""
    hits, widths = np.zeros(3), np.zeros(2)
    for _ in range(times):
        truth, best, alone, counted = draw()
        hits[:2] += [best.low <= truth <= best.high, alone.low <= truth <= alone.high]
        hits[2] += counted[0] <= truth <= counted[1]
        widths += [best.high - best.low, alone.high - alone.low]
    return hits / times, widths / times


@pytest.mark.parametrize(("n", "share"), [(60, 0.15), (300, 0.15), (300, 0.03)])
def test_intervals_cover_and_are_narrower_while_counting_does_not_cover(n, share):
    rng = np.random.default_rng(n)
    y, scores, _ = corpus(rng, share=share)

    def draw():
        chosen = rng.choice(len(y), n, replace=False)
        best = prevalence(y[chosen], scores[chosen], scores)
        alone = prevalence(y[chosen], np.zeros(n), np.zeros(len(y)))
        counted = (scores >= 0.5).mean()
        return y.mean(), best, alone, wilson(counted, len(y), 1.96)

    hits, widths = covered(draw)
    assert 0.92 <= hits[0] <= 0.99
    assert 0.92 <= hits[1] <= 0.99
    assert hits[2] == 0
    assert widths[0] < 0.9 * widths[1]


def test_scores_worth_nothing_cost_nothing():
    rng = np.random.default_rng(3)
    y, scores, _ = corpus(rng)
    scores = rng.permutation(scores)

    def draw():
        chosen = rng.choice(len(y), 200, replace=False)
        alone = prevalence(y[chosen], np.zeros(200), np.zeros(len(y)))
        return y.mean(), prevalence(y[chosen], scores[chosen], scores), alone, (0, 1)

    hits, widths = covered(draw)
    assert hits[0] >= 0.92
    assert widths[0] == pytest.approx(widths[1], rel=0.03)


def test_whole_articles_need_their_groups():
    """Labelling 30 whole articles is worth less than 300 sentences from everywhere."""
    rng = np.random.default_rng(4)
    y, scores, article = corpus(rng, 12000, articles=2.0, quality=0.5)

    def draw(groups):
        def drawn():
            chosen = np.flatnonzero(np.isin(article, rng.choice(article.max() + 1, 30, replace=False)))
            mine = {"groups": article[chosen], "corpus_groups": article} if groups else {}
            best = prevalence(y[chosen], scores[chosen], scores, **mine)
            return y.mean(), best, best, (0, 1)

        return drawn

    assert covered(draw(True))[0][0] >= 0.92
    assert covered(draw(False))[0][0] < 0.85


@pytest.mark.parametrize("y", [np.zeros(50), np.ones(50)])
def test_a_label_that_all_or_none_carry(y):
    rng = np.random.default_rng(5)
    found = prevalence(y, rng.random(50), rng.random(1000))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.03


def test_distance_tells_a_random_sample_from_a_chosen_one():
    rng = np.random.default_rng(6)
    scores = corpus(rng)[1]
    assert distance(rng.choice(scores, 200), scores) < 4
    assert distance(np.sort(scores)[-200:], scores) > 10
    assert distance(np.zeros(5), np.zeros(50)) == 0
