"""Each slice is scored as if it were all there is."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from pipeline.evaluation.proper_names import PLACEHOLDER
from pipeline.evaluation.slices import OTHERS, slice_block, slices

LABELS = ("a", "b", "c")
FORMS = [
    "The council of Ostrava met",
    "“We did it,” she said to the men who had come from Ostrava and stood there waiting",
    'The "plan" of the mill',
    " ".join(["word"] * 34),
    "Nobody's fault, it isn't",
]


def drawn(n=600, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 3)) < [0.3, 0.4, 0.1]).astype(np.int8)
    texts = [f"{FORMS[i % 5]} {i}" for i in range(n)]
    columns = {
        "kind": ["headline" if i % 6 == 0 else "body" for i in range(n)],
        "topic": ["trade" if i % 3 else f"rare {i}" for i in range(n)],
        "register": ["blog" if i % 3 == 0 else f"rare {i}" for i in range(n)],
        "source": [""] * n,
    }
    return texts, columns, y, [f"art{i // 5}" for i in range(n)]


def constant():
    """Give every text one label, and masked ones another."""

    def score(texts):
        given = np.array([[1, 0, 0] if PLACEHOLDER in text else [0, 1, 0] for text in texts], np.int8)
        return given.astype(float), given

    return score


@pytest.fixture(scope="module")
def found():
    texts, columns, y, groups = drawn()
    predicted = y ^ (np.random.default_rng(1).random(y.shape) < 0.2)
    return (
        slices(constant(), texts, columns, y, predicted.astype(np.int8), labels=LABELS, groups=groups),
        y,
        predicted,
    )


def test_every_facet_divides_the_sentences(found):
    blocks, y, _ = found
    assert list(blocks) == ["kind", "topic", "words", "quotes", "labels", "names"], (
        "no source: all are empty; no register: most are rare"
    )
    for facet, values in blocks.items():
        if facet != "names":
            assert sum(block["sentences"] for block in values.values()) == len(y)
            assert sum(block["support"]["b"] for block in values.values()) == y[:, 1].sum()


def test_values(found):
    blocks, _, _ = found
    assert list(blocks["topic"]) == ["trade", OTHERS]
    assert list(blocks["words"]) == ["1 to 9", "10 to 19", "30 or more"]
    assert list(blocks["labels"]) == ["0", "1", "2 or more"]
    assert blocks["quotes"]["quoted"]["sentences"] == 240, "an apostrophe is no quotation mark"


def test_scores_are_sklearns(found):
    blocks, y, predicted = found
    rows = np.arange(600) % 6 == 0
    block = blocks["kind"]["headline"]
    assert block["macro_f1"]["value"] == pytest.approx(f1_score(y[rows], predicted[rows], average="macro"))
    assert block["micro_f1"]["value"] == pytest.approx(f1_score(y[rows], predicted[rows], average="micro"))
    assert block["subset_accuracy"]["value"] == pytest.approx(accuracy_score(y[rows], predicted[rows]))
    assert block["f1"]["c"] == pytest.approx(f1_score(y[rows, 2], predicted[rows, 2]))
    for name in ("macro_f1", "micro_f1", "subset_accuracy"):
        assert block[name]["low"] < block[name]["value"] < block[name]["high"]


def test_a_label_that_a_slice_cannot_have_does_not_pull_it_down():
    y = np.array([[1, 0, 0], [0, 1, 0]] * 30, np.int8)
    block = slice_block(y, y, LABELS, np.arange(60) // 2, 0)
    assert block["macro_f1"] == {"value": 1, "low": 1, "high": 1}
    assert block["f1"] == {"a": 1, "b": 1, "c": None}
    nothing = slice_block(y * 0, y * 0, LABELS, np.arange(60) // 2, 0)
    assert nothing["macro_f1"] is nothing["micro_f1"] is None
    assert nothing["subset_accuracy"]["value"] == 1


@pytest.mark.parametrize(
    ("sentences", "articles", "small"), [(100, 20, False), (99, 50, True), (400, 19, True)]
)
def test_small_slices_are_marked(sentences, articles, small):
    y = np.ones((sentences, 3), np.int8)
    assert slice_block(y, y, LABELS, np.arange(sentences) % articles, 0)["small"] == small


def test_a_source_of_a_few_articles_is_not_listed():
    y, texts = np.ones((200, 3), np.int8), ["word"] * 200
    sources, groups = ["often"] * 100 + ["one long series"] * 100, [f"a{min(i, 103)}" for i in range(200)]
    found = slices(constant(), texts, {"source": sources}, y, y, labels=LABELS, groups=groups)
    assert {value: block["articles"] for value, block in found["source"].items()} == {"often": 100, OTHERS: 4}


def test_masked_names(found):
    blocks, y, predicted = found
    named = np.isin(np.arange(600) % 5, [0, 1])
    written, masked = blocks["names"]["as written"], blocks["names"]["masked"]
    assert written["sentences"] == masked["sentences"] == named.sum()
    assert written["subset_accuracy"]["value"] == pytest.approx(accuracy_score(y[named], predicted[named]))
    given = np.tile([1, 0, 0], (named.sum(), 1))
    assert masked["subset_accuracy"]["value"] == pytest.approx(accuracy_score(y[named], given))
    assert masked["flipped"] == pytest.approx((predicted[named] != given).any(axis=1).mean())


def test_without_names_or_columns():
    texts, y = ["nothing here"] * 4, np.zeros((4, 3), np.int8)
    found = slices(constant(), texts, {}, y, y, labels=LABELS)
    assert found["names"] == {}
    assert found["words"]["1 to 9"]["articles"] == 4
