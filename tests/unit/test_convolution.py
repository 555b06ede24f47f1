"""The convolutional network: gradients, word order, and scores that depend on nothing else."""

import numpy as np
import pytest
from sklearn.base import clone

from pipeline.models.convolution import Convolution, in_eight_bits
from pipeline.models.convolution_training import Recipe, _laid_out, _Network
from pipeline.models.explain import explain
from pipeline.models.ngrams import Tokens
from pipeline.models.portable import assemble, dismantle
from pipeline.models.windows import Layout

# The same words in both classes: only their order tells.
SAID = ["the {} was found not guilty {}", "not the {} was found guilty {}"]
GUILTY, NOT = (
    [form.format(who, when) for who in ("clerk", "bank", "pilot") for when in ("", "today")] for form in SAID
)
TEXTS = [*GUILTY, *NOT] * 8
Y = np.array(([[1, 0]] * len(GUILTY) + [[0, 1]] * len(NOT)) * 8, np.int8)
# Columns of the three widths' eight filters at each place in their windows, as the layout has them.
COLUMNS = {
    (i, place): slice(8 * n, 8 * n + 8)
    for n, (i, place) in enumerate([(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)])
}
LONG = "the clerk was found not " * 1024 + "guilty " + "today " * 9000
ODD = ["", "\n", "“", "x" * 10_000, "not guilty", "中文 字", "a b c d", "\ud800", LONG]


@pytest.fixture(scope="module")
def fitted():
    return Convolution(filters=8, dimensions=32, epochs=20).fit(TEXTS, Y)


def test_it_learns_the_order_of_words(fitted):
    given = (
        fitted.decision_function(["the waiter was found not guilty", "not the waiter was found guilty"]) > 0
    )
    assert given.tolist() == [[True, False], [False, True]]


def network(rng):
    recipe = Recipe((1, 2, 3), 4, 1, 0.01, 0.25, 0.0, 0)
    return _Network(rng.normal(size=(9, 5)).astype(np.float32), np.array([[0, 1], [1, 0]]), recipe)


@pytest.mark.parametrize("name", ["filters", "shift", "coef", "intercept", "vectors"])
def test_gradients_are_those_of_the_loss(name):
    rng = np.random.default_rng(2)
    net = network(rng)
    tokens = Tokens(rng.integers(0, 9, 14), np.array([6, 0, 1, 7]))
    ids, inside = _laid_out(tokens, np.arange(4), 9)
    kept = rng.random((4, net.answers)) < 0.75
    y = rng.integers(0, 2, (4, 2)).astype(np.float32)
    net.weights = {key: value.astype(np.float64) for key, value in net.weights.items()}
    net.weights["shift"] += rng.normal(size=net.answers)  # an empty text's answers would be on the edge
    net.vectors = net.vectors.astype(np.float64)
    worth = rng.random((4, 1)) + 0.5
    _, of_weights, used, of_vectors = net.gradients(ids, inside, kept, y, worth)
    array = net.vectors if name == "vectors" else net.weights[name]
    told = of_weights[name] if name != "vectors" else np.zeros_like(array)
    if name == "vectors":
        told[used] = of_vectors
    for at in map(tuple, np.argwhere(np.ones(array.shape))[:: max(array.size // 25, 1)]):
        before, losses = array[at], []
        for step in (1e-5, -1e-5):
            array[at] = before + step
            losses.append(net.gradients(ids, inside, kept, y, worth)[0])
        array[at] = before
        if name != "vectors" or at[0] != net.none:
            assert told[at] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-4)


def test_a_text_in_training_is_read_as_if_alone():
    rng = np.random.default_rng(5)
    net = network(rng)
    tokens = Tokens(rng.integers(0, 9, 9), np.array([2, 7]))

    def answers(rows):
        ids, inside = _laid_out(tokens, np.array(rows), 9)
        return net._best(net.vectors @ net.weights["filters"], ids, inside)[0][0]

    assert answers([0, 1]) == pytest.approx(answers([0]), abs=1e-6)


def test_scores_are_sums_over_the_best_windows(fitted):
    texts = [*TEXTS[:3], *ODD]
    tokens = fitted.pieces_.find(texts)
    ends = np.cumsum(tokens.counts)
    wanted = []
    for n, end in zip(tokens.counts, ends, strict=True):
        pieces = [*tokens.ids[end - n : end].tolist(), *[len(fitted.table_) - 1] * 3]
        answers = []
        for i, width in enumerate(fitted.widths):
            parts = [fitted.table_[:, COLUMNS[i, place]].astype(int) for place in range(width)]
            sums = [sum(part[pieces[at + k]] for k, part in enumerate(parts)) for at in range(max(n, 1))]
            answers.append(np.max(sums, axis=0))
        answers = np.maximum(np.concatenate(answers) * fitted.scale_ + fitted.shift_, 0)
        wanted.append(fitted.head_.coef @ answers + fitted.head_.intercept)
    assert fitted.decision_function(texts) == pytest.approx(np.array(wanted))


def test_a_score_depends_on_its_text_alone(fitted):
    texts = [*ODD, *TEXTS] * 12
    together = fitted.decision_function(texts)
    alone = np.vstack([fitted.decision_function([text]) for text in texts[:20]])
    assert np.array_equal(together[:20], alone)
    assert np.array_equal(fitted.decision_function(texts[::-1])[::-1], together)
    assert fitted.decision_function([]).shape == (0, 2)


def test_words_that_are_forgotten_are_looked_up_again(fitted, monkeypatch):
    wanted = fitted.decision_function(TEXTS)
    monkeypatch.setattr("pipeline.models.pieces.REMEMBERED", 4)
    again = assemble(*dismantle(fitted))
    for _ in range(3):
        again.decision_function(["unrelated words come in between, several of them"])
        assert np.array_equal(again.decision_function(TEXTS), wanted)


def test_the_same_seed_trains_the_same_network(fitted):
    again = clone(fitted).fit(TEXTS, Y)
    assert np.array_equal(again.table_, fitted.table_)
    assert np.array_equal(again.decision_function(ODD), fitted.decision_function(ODD))
    other = clone(fitted).set_params(random_state=1).fit(TEXTS, Y)
    assert not np.array_equal(other.table_, fitted.table_)


def test_state_round_trip(fitted):
    structure, arrays = dismantle(fitted)
    again = assemble(structure, arrays)
    assert np.array_equal(again.decision_function(ODD), fitted.decision_function(ODD))
    assert arrays["model/table"].dtype == np.int8


def test_eight_bits_are_enough_and_nothing_wraps_round():
    layout = Layout((1, 2, 3), 4)
    table = np.random.default_rng(0).normal(size=(50, 6 * 4)).astype(np.float32)
    numbers, scale = in_eight_bits(table, layout)
    assert np.abs(numbers[:-1] * scale[layout.owner] - table).max() <= scale.max() / 2 + 1e-6
    assert np.abs(numbers.astype(int)).max() == 127 and not numbers[-1].any()


def test_what_the_filters_answer_to_is_told(fitted):
    texts = ["the clerk was found not guilty", "", "not"]
    reasons, intercepts = explain(fitted, texts)
    sums = np.array([sum((reason.weights for reason in some), np.zeros(2)) for some in reasons])
    assert sums + intercepts == pytest.approx(fitted.decision_function(texts))
    said = {reason.text: reason.weights for reason in reasons[0]}
    assert all(phrase in texts[0] for phrase in said)
    most = max(said, key=lambda phrase: said[phrase][0])
    assert most in ("found not", "was found not", "not guilty", "found not guilty")
    assert {reason.text for reason in reasons[1]} <= {"(nothing)"}


def test_a_weight_of_nothing_teaches_nothing(fitted):
    turned = np.vstack([Y, 1 - Y]).astype(float)
    weights = np.repeat([1.0, 0.0], len(Y))
    learnt = clone(fitted).fit([*TEXTS, *TEXTS], turned, weights).decision_function(TEXTS)
    assert ((learnt > 0) == Y).all()
    soft = clone(fitted).fit(TEXTS, np.full(Y.shape, 0.3)).decision_function(TEXTS)
    assert 1 / (1 + np.exp(-soft)) == pytest.approx(np.full(Y.shape, 0.3), abs=0.05)
