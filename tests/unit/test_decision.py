"""Calibration against scikit-learn, thresholds against trying them all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import _SigmoidCalibration

from pipeline.models.decision import LEAST_REACHED, Decision, platt, prevalence
from pipeline.schema import ConfigError, PipelineError

CASES = st.lists(
    st.tuples(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.3, 0.3000001, 1.0, 4.0]), st.booleans()),
    min_size=1,
    max_size=14,
)


def columns(rows):
    scores = np.array([[score] for score, _ in rows])
    return scores, np.array([[int(truth)] for _, truth in rows], np.int8)


def f_beta(truth, given, beta):
    hit, weight = int((truth & given).sum()), beta**2
    return (1 + weight) * hit / max(weight * int(truth.sum()) + int(given.sum()), 1e-9)


def precision(truth, given):
    return int((truth & given).sum()) / max(int(given.sum()), 1)


def best(measure, probabilities, y):
    cuts = [*np.unique(probabilities), 2.0]
    return max(measure(y, (probabilities >= cut).astype(int)) for cut in cuts)


def drawn(n=400, seed=0, k=3):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, k)) * [1, 5, 0.2][:k] + [0, -3, 10][:k]
    z = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    return scores, (rng.random((n, k)) < expit(1.5 * z - 1)).astype(np.int8)


@settings(max_examples=120, deadline=None)
@given(CASES, st.sampled_from([0.5, 1.0, 2.0]))
def test_thresholds_maximise_f_beta(rows, beta):
    scores, y = columns(rows)
    decision = Decision(beta=beta).fit(scores, y)
    probabilities = decision.probabilities(scores)

    def measure(truth, given):
        return f_beta(truth, given, beta)

    given, most = decision.labels(probabilities)[:, 0], best(measure, probabilities[:, 0], y[:, 0])
    if most < LEAST_REACHED:
        assert not given.any()
    else:
        assert measure(y[:, 0], given) == pytest.approx(most)


@settings(max_examples=120, deadline=None)
@given(CASES, st.sampled_from([0.3, 0.5, 0.9, 1.0]))
def test_min_precision_gives_the_lowest_threshold_that_reaches_it(rows, least):
    scores, y = columns(rows)
    decision = Decision(min_precision=least).fit(scores, y)
    p = decision.probabilities(scores)[:, 0]
    given = decision.labels(p[:, None])[:, 0]
    if not y.any():
        assert not given.any()
        return
    reaching = [
        (p >= cut).sum() for cut in np.unique(p) if precision(y[:, 0], (p >= cut).astype(int)) >= least
    ]
    if reaching:
        assert precision(y[:, 0], given) >= least
        assert given.sum() == max(reaching)
    else:
        precise = best(precision, p, y[:, 0])
        wanted = 0.0 if precise < LEAST_REACHED else precise
        assert precision(y[:, 0], given) == pytest.approx(wanted)


def test_a_label_that_no_score_tells_is_not_given_to_every_sentence():
    """As one with a single example: the model that scored it had seen none."""
    scores, y = drawn(n=300)
    scores[7, 1], y[:, 1] = scores[:, 1].min() - 5, 0
    scores[:, 2], y[:, 2] = -20.0, 0
    y[7, 1:] = 1
    for decision in (Decision(), Decision(beta=2.0), Decision(min_precision=0.9)):
        decision.fit(scores, y)
        assert decision.labels(decision.probabilities(scores)).sum(axis=0)[1:].tolist() == [0, 0]


def test_thresholds_lie_between_probabilities():
    scores, y = drawn()
    decision = Decision().fit(scores, y)
    probabilities = decision.probabilities(scores)
    for k, threshold in enumerate(decision.thresholds_):
        assert threshold not in probabilities[:, k]
        assert probabilities[:, k].min() < threshold < probabilities[:, k].max()


@pytest.mark.parametrize("apart", [1, 2, 3])
def test_threshold_between_neighbouring_floats_keeps_the_lower_out(apart):
    """The mean of two floats with none between them is one of the two."""
    for high in (0.3, 0.7, np.nextafter(0.7, 1)):
        low = high
        for _ in range(apart):
            low = np.nextafter(low, 0)
        threshold = Decision()._threshold(
            np.array([high, high, low]), np.array([1, 1, 0], np.int8), np.ones(3)
        )
        assert low < threshold <= high


@pytest.mark.parametrize("seed", range(4))
def test_platt_equals_sklearn(seed):
    scores, y = drawn(seed=seed)
    for k in range(3):
        theirs = _SigmoidCalibration().fit(scores[:, k], y[:, k])
        slope, intercept = platt(scores[:, k], y[:, k])
        assert slope == pytest.approx(-theirs.a_, rel=1e-3)
        assert expit(slope * scores[:, k] + intercept) == pytest.approx(
            theirs.predict(scores[:, k]), abs=1e-4
        )


def test_platt_is_at_the_minimum():
    scores, y = drawn(k=1)
    n, positive = len(y), int(y.sum())
    target = np.where(y[:, 0] > 0, (positive + 1) / (positive + 2), 1 / (n - positive + 2))

    def loss(slope, intercept):
        p = expit(slope * scores[:, 0] + intercept)
        return -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))

    slope, intercept = platt(scores[:, 0], y[:, 0])
    for ds, di in ((1e-2, 0), (-1e-2, 0), (0, 1e-2), (0, -1e-2), (1e-2, -1e-2)):
        assert loss(slope, intercept) < loss(slope + ds, intercept + di)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shift", [-1e3, 0.0, 1e3])
def test_probabilities_do_not_depend_on_the_scale_of_scores(factor, shift):
    scores, y = drawn(k=1)
    plain = Decision().fit(scores, y)
    moved = Decision().fit(scores * factor + shift * factor, y)
    assert moved.probabilities(scores * factor + shift * factor) == pytest.approx(
        plain.probabilities(scores), abs=1e-4
    )


def test_probabilities_rise_with_scores():
    scores, y = drawn()
    decision = Decision().fit(scores, y)
    for k in range(3):
        ranked = decision.probabilities(scores)[np.argsort(scores[:, k]), k]
        assert (np.diff(ranked) >= 0).all()


def test_a_score_that_ranks_backwards_is_flattened_not_turned_round():
    scores, y = drawn(k=1)
    decision = Decision().fit(-scores, y)
    assert decision.slope_[0] == pytest.approx(0, abs=1e-6)
    assert decision.probabilities(-scores) == pytest.approx(y.mean(), abs=0.01)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e9])
@pytest.mark.parametrize("positives", [1, 5, 10])
def test_constant_scores_give_the_share(value, positives):
    y = (np.arange(10) < positives).astype(np.int8)[:, None]
    decision = Decision().fit(np.full((10, 1), value), y)
    probabilities = decision.probabilities(np.full((10, 1), value))
    assert probabilities == pytest.approx(y.mean(), abs=0.1)
    assert decision.labels(probabilities).all()  # all is better than none, and nothing is between


@pytest.mark.parametrize("least", [None, 0.9])
def test_a_label_never_seen_is_never_given(least):
    scores, y = drawn()
    y[:, 1] = 0
    decision = Decision(min_precision=least).fit(scores, y)
    probabilities = decision.probabilities(np.vstack([scores, [[1e9] * 3]]))
    assert np.isfinite(probabilities).all()
    assert not decision.labels(probabilities[:-1])[:, 1].any()


def test_a_label_always_seen():
    scores, y = drawn()
    y[:, 0] = 1
    decision = Decision().fit(scores, y)
    assert decision.labels(decision.probabilities(scores))[:, 0].all()


def test_one_row():
    decision = Decision().fit(np.array([[0.5, -1.0]]), np.array([[1, 0]], np.int8))
    assert decision.labels(decision.probabilities(np.array([[0.5, -1.0]]))).tolist() == [[1, 0]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_multiclass_gives_one_label_and_probabilities_that_sum_to_one(seed, k):
    rng = np.random.default_rng(seed)
    y = np.eye(k, dtype=np.int8)[rng.integers(0, k, 60)]
    scores = rng.normal(size=(60, k)) + 2 * y
    decision = Decision(task="multiclass").fit(scores, y)
    probabilities = decision.probabilities(scores)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    labels = decision.labels(probabilities)
    assert (labels.sum(axis=1) == 1).all()
    assert (labels.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_multiclass_far_from_all_classes():
    decision = Decision(task="multiclass").fit(*drawn())
    far = decision.probabilities(np.full((1, 3), -1e9))
    assert np.isfinite(far).all()
    assert decision.labels(far).sum() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0}, "decision.beta=0: must be above 0"),
        ({"beta": -1.0}, "decision.beta=-1.0"),
        ({"min_precision": 0}, r"decision.min_precision=0: must be in \(0, 1\]"),
        ({"min_precision": 90}, "decision.min_precision=90"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Decision(**options).fit(*drawn())
    assert isinstance(caught.value, PipelineError)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_state_round_trip(task):
    scores, y = drawn()
    decision = Decision(beta=2.0, min_precision=0.5, task=task).fit(scores, y)
    again = Decision.from_state(decision.state())
    assert again.get_params() == decision.get_params()
    assert (again.probabilities(scores) == decision.probabilities(scores)).all()
    assert (
        again.labels(again.probabilities(scores)) == decision.labels(decision.probabilities(scores))
    ).all()


def test_clone_is_unfitted():
    assert not hasattr(clone(Decision(beta=2.0).fit(*drawn())), "thresholds_")
    assert clone(Decision(beta=2.0)).beta == 2.0


def test_fitted_shares_are_right_on_average():
    scores, y = drawn(n=3000)
    assert Decision().fit(scores, y).probabilities(scores).mean(axis=0) == pytest.approx(
        y.mean(axis=0), abs=0.01
    )


def test_prevalence_is_found_by_expectation_maximisation():
    """Scores of two normal distributions, positives rarer where the classifier is used."""
    rng = np.random.default_rng(3)

    def sample(n, share):
        y = (rng.random((n, 2)) < share).astype(np.int8)
        return rng.normal(size=y.shape) + 2 * y, y

    scores, y = sample(6000, [0.3, 0.1])
    found = Decision().fit(scores, y)
    shifted, _ = sample(20_000, [0.05, 0.4])
    share = prevalence(found.probabilities(shifted), y.mean(axis=0))
    assert share == pytest.approx([0.05, 0.4], abs=0.02)


def test_prevalence_moves_probabilities_by_its_odds_and_thresholds_for_its_f1():
    rng = np.random.default_rng(4)
    y = (rng.random((20_000, 1)) < 0.3).astype(np.int8)
    scores = rng.normal(size=y.shape) + 2 * y
    rare = (rng.random((20_000, 1)) < 0.05).astype(np.int8)
    elsewhere = rng.normal(size=rare.shape) + 2 * rare
    plain, told = Decision().fit(scores, y), Decision(prevalence=[0.05]).fit(scores, y)
    p = told.probabilities(elsewhere)
    assert p.mean() == pytest.approx(0.05, abs=0.01)
    odds = p / (1 - p) / (plain.probabilities(elsewhere) / (1 - plain.probabilities(elsewhere)))
    assert odds == pytest.approx(0.05 / 0.95 / (y.mean() / (1 - y.mean())))

    def f1(decision):
        return f_beta(rare, decision.labels(decision.probabilities(elsewhere)), 1)

    assert f1(told) > f1(plain) + 0.02
    assert f1(told) == pytest.approx(best(lambda a, b: f_beta(a, b, 1), p, rare), abs=0.02)


def test_error_rate_holds_for_sentences_with_and_without_the_label():
    """Averaged over calibrations: within one, the rate varies about what is promised."""
    wrong = {0: [], 1: []}
    for seed in range(40):
        scores, y = drawn(900, seed, 1)
        decision = Decision(error_rate=0.1).fit(scores[:400], y[:400])
        p, truth = decision.probabilities(scores[400:])[:, 0], y[400:, 0]
        wrong[1].append((p[truth == 1] < decision.least_[0]).mean())
        wrong[0].append((p[truth == 0] > decision.most_[0]).mean())
        undecided = decision.undecided(p[:, None])[:, 0]
        assert 0 < undecided.mean() < 1
    for kind in wrong.values():
        assert 0.08 < np.mean(kind) < 0.105


def test_without_error_rate_everything_is_decided():
    scores, y = drawn()
    decision = Decision().fit(scores, y)
    assert not decision.undecided(decision.probabilities(scores)).any()


def test_too_few_sentences_leave_everything_to_a_person():
    decision = Decision(error_rate=0.1).fit(np.array([[0.0], [1.0], [2.0]]), np.array([[0], [1], [1]]))
    assert decision.undecided(np.array([[0.2], [0.9]])).all()


@pytest.mark.parametrize("settings", [{"error_rate": 0}, {"error_rate": 1}, {"prevalence": [0.1]},
                                      {"prevalence": [0.1, 0.2, 1.0]}])  # fmt: skip
def test_impossible_settings_are_named(settings):
    with pytest.raises(ConfigError, match=f"decision.{next(iter(settings))}="):
        Decision(**settings).fit(*drawn())
