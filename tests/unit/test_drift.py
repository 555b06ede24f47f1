"""Drift measures against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from pipeline.evaluation.drift import compare, distances, merged, profile, reference, shift, verdict
from pipeline.pages import drift_page

LABELS = ("denial", "other")
NEWS = ["The bank denied it.", "Prices rose again", "", "the bank said so, the bank said"]
PROBABILITIES = np.array([[0.95, 0.0], [0.1, 0.55], [0.0, 1.0], [0.8999, 0.2]])
GIVEN = (PROBABILITIES > 0.5).astype(int)
COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4)


def test_a_profile_by_hand():
    found = profile(NEWS, PROBABILITIES, GIVEN, ["the", "bank"])
    assert found["n"] == 4
    assert found["labels"] == [2, 2]
    assert found["scores"][0] == [1, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert found["scores"][1] == [1, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    assert found["lengths"] == [3, 1, 0, 0, 0, 0, 0, 0, 0]  # 4, 3, 0 and 7 words
    assert found["words"] == [3, 3, 8]


def test_the_vocabulary_is_the_most_frequent_words():
    assert reference(NEWS, PROBABILITIES, GIVEN)["vocabulary"][:2] == ["the", "bank"]


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_distances_are_scipys(before, now):
    found = distances(before, now)
    p, q = (np.array(counts) + 0.5 for counts in (before, now))
    p, q = p / p.sum(), q / q.sum()
    assert found["js"] == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-9)
    assert found["psi"] == pytest.approx(np.sum((q - p) * np.log(q / p)), abs=1e-12)
    assert found["ks"] == pytest.approx(max(abs(p[:k].sum() - q[:k].sum()) for k in range(5)))


def test_psi_of_a_worked_example():
    """Two bins, 0.5 and 0.5 become 0.6 and 0.4: 0.1 ln 1.2 - 0.1 ln 0.8."""
    found = distances([50_000_000, 50_000_000], [60_000_000, 40_000_000])
    assert found["psi"] == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8), abs=1e-6)
    assert found["ks"] == pytest.approx(0.1, abs=1e-6)


def test_profiles_add_up():
    words = ["the", "bank"]
    parts = [profile(NEWS[k : k + 2], PROBABILITIES[k : k + 2], GIVEN[k : k + 2], words) for k in (0, 2)]
    whole = profile(NEWS, PROBABILITIES, GIVEN, words)
    assert merged(merged(None, parts[0]), parts[1]) == whole


def test_the_same_texts_have_not_moved():
    before = reference(NEWS * 50, np.tile(PROBABILITIES, (50, 1)), np.tile(GIVEN, (50, 1)))
    found = compare(before, {key: before[key] for key in before if key != "vocabulary"}, LABELS)
    assert found["shift"] == 0 and found["verdict"] == "small"
    assert found["labels"]["denial"]["rate_now"] == 0.5


def test_other_texts_have(tmp_path):
    before = reference(NEWS * 50, np.tile(PROBABILITIES, (50, 1)), np.tile(GIVEN, (50, 1)))
    other = ["<b>wholly</b> different words " * 10] * 100
    now = profile(other, np.tile([0.05, 0.05], (100, 1)), np.zeros((100, 2)), before["vocabulary"])
    found = compare(before, now, LABELS)
    assert found["verdict"] == "large"
    assert found["vocabulary"]["rare_now"] == 1 and found["vocabulary"]["rare_before"] == 0
    drift_page(tmp_path / "drift.html", found, before, now)
    page = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert "large" in page and "denial" in page and "<script" not in page


# As of news: a few words are most of a text, most words are rare.
SHARES = 1 / np.arange(1, 1001)
REFERENCE = {
    "n": 30_000,
    "labels": [4000, 2000],
    "scores": [[21_000, 3000, 2000, 1000, 700, 500, 400, 400, 400, 600], [26_400, *[400] * 9]],
    "lengths": [500, 4700, 4200, 4500, 5200, 4900, 5000, 1000, 20],
    "words": [*(450_000 * SHARES / SHARES.sum()).astype(int).tolist(), 170_000],
}


def drawn(rng, n, words=REFERENCE["words"]):
    """Return the profile of n sentences, each count drawn as from the training sentences."""
    share = n / REFERENCE["n"]

    def some(counts, size):
        return rng.multinomial(size, np.array(counts) / np.sum(counts)).tolist()

    return {
        "n": n,
        "labels": [int(count * share) for count in REFERENCE["labels"]],
        "scores": [some(counts, n) for counts in REFERENCE["scores"]],
        "lengths": some(REFERENCE["lengths"], n),
        "words": some(words, 21 * n),
    }


@pytest.mark.parametrize("n", [100, 300, 1000, 5000])
def test_a_sample_of_the_training_sentences_has_not_moved(n):
    rng = np.random.default_rng(n)
    found = [compare(REFERENCE, drawn(rng, n), LABELS) for _ in range(10)]
    assert "large" not in {one["verdict"] for one in found}
    assert max(one["vocabulary"]["psi"] for one in found) < 0.1
    moved = REFERENCE["words"][500:] + REFERENCE["words"][:500]
    assert compare(REFERENCE, drawn(rng, n, moved), LABELS)["verdict"] == "large"


def test_what_is_too_little_to_tell_is_said():
    found = compare(REFERENCE, drawn(np.random.default_rng(0), 99), LABELS)
    assert found["verdict"] == "too few sentences"
    empty = {"n": 0, "labels": [0, 0], "scores": [[0] * 10] * 2, "lengths": [0] * 9, "words": [0] * 1001}
    assert compare(empty, empty, LABELS)["shift"] == 0


@pytest.mark.parametrize(("psi", "word"), [(0.09, "small"), (0.1, "moderate"), (0.25, "large")])
def test_verdicts(psi, word):
    assert verdict(psi, 100) == word


def test_what_chance_gives_is_taken_off_once():
    rng = np.random.default_rng(0)
    known = REFERENCE["lengths"]
    drawn_alike = [distances(known, drawn(rng, 300)["lengths"])["psi"] for _ in range(60)]
    assert shift(known, drawn(rng, 300)["lengths"])["chance"] == pytest.approx(np.mean(drawn_alike), rel=0.4)
    moved = np.array(known)[::-1]
    moved = (moved / moved.sum() * 200).astype(int)
    found = shift(known, moved)
    assert found["psi"] == pytest.approx(distances(known, moved)["psi"] - found["chance"])
