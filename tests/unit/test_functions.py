"""Labelling functions, what their votes are worth, and how they are settled."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.labels.votes import Voter, analysis, label_model, majority_vote, settle
from pipeline.models.functions import Classifier, Lexicon, Patterns, PythonFunction
from pipeline.schema import ConfigError, InputError, LabelSet

TEXTS = ["He was accused of fraud.", "She DENIED it, and so did he.", "No comment.", "It rained."]
CUES = {
    "labels": {
        "accusation": [
            {"name": "accuse", "weight": 1.0, "patterns": ["accused? of"]},
            {"name": "hint", "weight": 0.2, "patterns": ["he"]},
            {"name": "denied", "weight": -0.7, "patterns": ["denied"]},
        ],
        "denial": [{"name": "deny", "weight": 1.0, "patterns": ["den(?:y|ied)"]}],
    }
}


def test_patterns_vote_by_the_sign_of_their_weight_and_hints_do_not():
    found = Patterns(CUES)
    assert found.columns() == [("accuse", "accusation"), ("denied", "accusation"), ("deny", "denial")]
    assert found.votes(TEXTS).tolist() == [[1, 0, 0], [0, -1, 1], [0, 0, 0], [0, 0, 0]]


def test_words_of_a_lexicon_stand_alone_and_mean_themselves(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("no comment\n\nU.S.\n", encoding="utf-8")
    found = Lexicon("silence", "denial", file, vote="against")
    assert found.votes(["No comment", "no commentary", "the U.S. said", "the ubst"]).ravel().tolist() == [
        -1,
        0,
        -1,
        0,
    ]
    with pytest.raises(ConfigError, match="vote=maybe"):
        Lexicon("x", "denial", ["a"], vote="maybe")


def shouted(text):
    return 1 if text.isupper() else 0


def test_python_functions_must_vote():
    assert PythonFunction("loud", "denial", shouted).votes(["NO", "no"]).tolist() == [[1], [0]]
    with pytest.raises(InputError, match=r"'bad'.*must be 1, 0 or -1"):
        PythonFunction("bad", "denial", len).votes(["three"])


def test_a_classifier_votes_where_it_is_sure():
    class Bundle:
        labels = LabelSet(("a", "b"))

        def probabilities(self, texts):
            return np.array([[0.9, 0.5], [0.01, 0.04], [0.8, 0.06]])

    votes = Classifier("old", Bundle()).votes(["x", "y", "z"])
    assert votes.tolist() == [[1, 0], [-1, -1], [1, 0]]
    with pytest.raises(ConfigError, match="must be below"):
        Classifier("old", Bundle(), sure=0.1, sure_not=0.2)


VOTERS = [Voter("f", "a"), Voter("g", "a"), Voter("h", "b")]
VOTES = np.array([[1, 1, 0], [1, -1, 1], [0, 0, 1], [-1, 0, 0], [1, 0, -1]], np.int8)


def test_the_analysis_counts_as_snorkel_does():
    gold = {"a": np.array([1, 0, 1, 0, -1], np.int8)}
    f, g, h = analysis(VOTES, VOTERS, gold)
    assert (f["for"], f["against"], f["coverage"], f["overlap"], f["conflict"]) == (3, 1, 0.8, 0.4, 0.2)
    assert (f["judged"], f["accuracy"], f["guessing"]) == (3, 2 / 3, 0.5)
    wanted = binomtest(2, 3).proportion_ci(method="exact")
    assert (f["low"], f["high"]) == pytest.approx((wanted.low, wanted.high))
    assert (g["accuracy"], h["judged"], h["accuracy"], h["guessing"]) == (1.0, 0, None, None)
    assert h["overlap"] == h["conflict"] == 0


def test_guessing_is_as_right_as_random_votes_of_the_same_sides():
    rng = np.random.default_rng(3)
    gold = {"a": (rng.random(20_000) < 0.1).astype(np.int8)}
    either = np.where(rng.random((20_000, 3)) < [1, 0, 0.25], 1, -1)
    votes = np.where(rng.random((20_000, 3)) < 0.3, either, 0).astype(np.int8)
    voters = [Voter(name, "a") for name in ("for", "against", "both")]
    rows = analysis(votes, voters, gold)
    assert [row["guessing"] for row in rows] == pytest.approx([0.1, 0.9, 0.7], abs=0.01)
    assert all(row["accuracy"] == pytest.approx(row["guessing"], abs=0.02) for row in rows)


def test_majority_vote():
    found = majority_vote(VOTES, VOTERS, ["a", "b"])
    assert found.tolist() == [[1, 0], [0.5, 1], [0, 1], [0, 0], [1, 0]]
    with pytest.raises(ConfigError, match="label_model=mean"):
        settle(VOTES, VOTERS, ["a", "b"], "mean")


def cast(truth, rng, coverage, accuracy):
    """Votes of functions that err independently, given the truth."""
    votes = (
        np.where(rng.random((len(truth), len(accuracy))) < accuracy, 1, -1) * np.where(truth, 1, -1)[:, None]
    )
    votes[rng.random(votes.shape) > coverage] = 0
    return votes.astype(np.int8)


def right(votes, truth, by):
    voters = [Voter(str(j), "a") for j in range(votes.shape[1])]
    return float(((settle(votes, voters, ["a"], by)[:, 0] > 0.5) == truth).mean())


@pytest.mark.parametrize("seed", range(3))
def test_the_generative_model_wins_where_functions_differ_in_quality(seed):
    """Two good functions among many poor ones: it learns whom to believe, a majority cannot."""
    rng = np.random.default_rng(seed)
    truth = rng.random(3000) < 0.4
    votes = cast(truth, rng, 0.7, [0.95, 0.92, 0.6, 0.58, 0.6, 0.57, 0.6])
    assert right(votes, truth, "generative") > right(votes, truth, "majority") + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_the_majority_wins_where_functions_copy_each_other(seed):
    """Three copies of one poor function: they seem to confirm each other, and the model believes them."""
    rng = np.random.default_rng(seed)
    truth = rng.random(3000) < 0.4
    good, poor = cast(truth, rng, 1.0, [0.8, 0.8, 0.8, 0.8]), cast(truth, rng, 1.0, [0.6])
    votes = np.hstack([good, poor, poor, poor])
    assert right(votes, truth, "majority") > right(votes, truth, "generative") + 0.05


def test_silence_counts_for_the_generative_model():
    """A function that nearly always speaks up where the label is: its silence tells as much."""
    rng = np.random.default_rng(0)
    truth = rng.random(3000) < 0.5
    votes = np.zeros((3000, 3), np.int8)
    votes[:, 0] = truth & (rng.random(3000) < 0.97)
    votes[:, 1:] = rng.random((3000, 2)) < np.where(truth, 0.6, 0.3)[:, None]
    voters = [Voter(name, "a") for name in "fgh"]
    lone = (votes[:, 0] == 0) & (votes[:, 1] == 1)
    assert (
        label_model(votes, voters, ["a"])[lone, 0].mean()
        < 0.5
        < majority_vote(votes, voters, ["a"])[lone, 0].min()
    )
