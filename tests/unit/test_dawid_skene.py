"""Dawid and Skene's model, on the data and the estimates of their paper."""

import numpy as np
import pytest

from pipeline.labels.dawid_skene import dawid_skene, one_hot

# Table 1 of the paper: 45 patients; observer 1 three times, then observers 2 to 5.
PATIENTS = (
    "1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 "
    "1111111 2223212 1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 "
    "1111111 1111111 2322222 1111111 1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 "
    "2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222"
)
OBSERVER = [0, 0, 0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def fitted():
    answers = np.array([[int(c) - 1 for c in row] for row in PATIENTS.split()])
    counts = np.zeros((45, 5, 4))
    for column, observer in enumerate(OBSERVER):
        counts[np.arange(45), observer, answers[:, column]] += 1
    from scipy import sparse

    initial = counts.sum(axis=1) / counts.sum(axis=(1, 2))[:, None]
    return dawid_skene(sparse.csr_matrix(counts.reshape(45, -1)), initial, 4, smoothing=0, tolerance=1e-9)


def test_marginals_of_the_paper(fitted):
    assert fitted.prior == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)


def test_error_rates_of_the_paper(fitted):
    """Table 2, observer 1."""
    wanted = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]
    assert fitted.confusion[:, 0] == pytest.approx(np.array(wanted), abs=0.006)


def drawn(seed, n=2000, sensitivity=(0.9, 0.8, 0.7, 0.6, 0.6), specificity=(0.95, 0.9, 0.9, 0.8, 0.6)):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    yes = np.where(truth[:, None], rng.random((n, 5)) < sensitivity, rng.random((n, 5)) > specificity)
    answers = yes.astype(int)
    answers[rng.random(answers.shape) < 0.2] = -1
    return truth, answers


def start(answers):
    yes = ((answers == 1).sum(axis=1) + 0.5) / ((answers >= 0).sum(axis=1) + 1)
    return np.column_stack([1 - yes, yes])


def test_it_finds_who_errs_how_and_beats_the_majority():
    truth, answers = drawn(0)
    initial = start(answers)
    found = dawid_skene(one_hot(answers, 2), initial, 2)
    assert found.prior[1] == pytest.approx(truth.mean(), abs=0.03)
    assert found.confusion[1, :, 1] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.6], abs=0.06)
    assert found.confusion[0, :, 0] == pytest.approx([0.95, 0.9, 0.9, 0.8, 0.6], abs=0.06)
    right, majority = ((guess[:, 1] > 0.5) == truth for guess in (found.posterior, initial))
    assert right.mean() > majority.mean() + 0.02


def test_the_likelihood_never_falls():
    _, answers = drawn(1, n=300)
    x, initial = one_hot(answers, 2), start(answers)
    rises = [dawid_skene(x, initial, 2, smoothing=0, most=n).log_likelihood for n in range(1, 12)]
    assert np.diff(rises).min() > -1e-9


def test_one_hot_leaves_out_who_did_not_answer():
    assert one_hot(np.array([[1, -1], [0, 1]]), 2).toarray().tolist() == [[0, 1, 0, 0], [1, 0, 0, 1]]
