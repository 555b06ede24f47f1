"""Masked and swapped copies: in training only, seeded, with their originals."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from pipeline.models.adaptive import Adaptive
from pipeline.models.augmented import Augmented
from pipeline.models.decision import Decision
from pipeline.models.portable import portable
from pipeline.models.training import cross_validate
from pipeline.schema import ConfigError

TEXTS = [
    "The mayor, Helen Aldana, said Norway had paid 25 million.",
    "The lawyer for Ivan Petrov said the firm Novatel had paid nothing in 2014.",
    "They met in Norway, where Helen Aldana lives, at 12 Elm Street, he said.",
    "Write to press@novatel.com, or see https://novatel.com/news, or ask @novatel, she said.",
    "Letters to info@post.no or to 7 Oak Hill Road reached Ivan Petrov, Novatel and Norway.",
    "nothing to change here",
]
Y = np.array([[1, 0], [0, 1], [0, 0], [1, 1], [0, 1], [0, 0]], np.int8)


class Seen(BaseEstimator):
    """Remembers all it was fitted on and asked."""

    def fit(self, X, y):
        Seen.fits.append((list(X), np.asarray(y)))
        return self

    def decision_function(self, X):
        Seen.asked.append(list(X))
        return np.zeros((len(X), 2))


@pytest.fixture(autouse=True)
def forgotten():
    Seen.fits, Seen.asked = [], []


def test_masks():
    texts, rows = Augmented(None).augmented(TEXTS)
    copies = dict(zip(rows[1::2], texts[1::2], strict=False))
    assert texts[::2][:5] == TEXTS[:5]
    assert copies[0] == "The mayor, Velmora, said Velmora had paid 00 million."
    assert copies[1].endswith("for Velmora said the firm Velmora had paid nothing in 0000.")
    assert copies[2] == "They met in Velmora, where Velmora lives, at 0 Velmora Street, he said."
    assert copies[3] == "Write to name@example.org, or see www.example.org, or ask @example, she said."
    assert rows == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5], "nothing changed, no copy"


def test_swaps_are_of_other_sentences_and_of_the_same_kind():
    texts, _ = Augmented(None, change="swap", original=False, random_state=3).augmented(TEXTS)
    assert len(texts) == len(TEXTS)
    for name in ("Helen Aldana", "25"):
        assert name not in texts[0]
    assert "Ivan Petrov" in texts[0] or "Velmora" in texts[0]
    assert "2014" in texts[1], "a year stays"
    assert "info@post.no" in texts[3] or "name@example.org" in texts[3]
    assert "Elm Street" not in texts[2]


@pytest.mark.parametrize("change", ["mask", "swap"])
def test_the_same_seed_gives_the_same_copies(change):
    def made(seed, texts=TEXTS):
        return Augmented(None, change=change, copies=3, random_state=seed).augmented(texts)

    assert made(1) == made(1)
    assert sorted(made(1)[0]) == sorted(made(1, TEXTS[::-1])[0])
    assert (made(1) == made(2)) == (change == "mask")
    per_text = np.bincount(made(1)[1])
    assert per_text.max() <= 4
    assert len(set(made(1)[0])) == len(made(1)[0]), "no copy twice"


@pytest.mark.parametrize(
    ("part", "stays", "goes"),
    [
        ("names", "press@novatel.com", "Aldana"),
        ("addresses", "Aldana", "press@novatel.com"),
        ("numbers", "Aldana", "2014"),
    ],
)
def test_only_the_parts_asked_for(part, stays, goes):
    texts, _ = Augmented(None, parts=[part], original=False).augmented(TEXTS)
    assert stays in " ".join(texts) and goes not in " ".join(texts)


def test_training_alone_is_changed_and_each_fold_by_itself():
    folds = np.arange(6) % 3
    cross_validate(Augmented(Seen(), change="swap"), Decision(), TEXTS, Y, folds)
    assert len(Seen.fits) == 3
    for fold, (fitted, y) in enumerate(Seen.fits):
        inside = [TEXTS[i] for i in range(6) if folds[i] != fold]
        assert [text for text in fitted if text in TEXTS] == inside
        assert len(fitted) > len(inside)
        hidden = Augmented(None).augmented([TEXTS[i] for i in range(6) if folds[i] == fold])[0]
        assert not set(fitted) & set(hidden)
        held_out = " ".join(TEXTS[i] for i in range(6) if folds[i] == fold)
        for source in ("press@novatel.com", "info@post.no"):  # names of a hidden fold are no source
            if source in held_out:
                assert source not in " ".join(fitted)
        for text, label in zip(fitted, y.tolist(), strict=True):
            if text in TEXTS:
                current = Y[TEXTS.index(text)].tolist()
            assert label == current, "a copy follows its sentence and has its labels"
    assert sorted(text for asked in Seen.asked for text in asked) == sorted(TEXTS)


def test_around_any_estimator(compose):
    from hydra.utils import instantiate

    config = compose("train", ["model=tfidf_logreg", "augmentation=mask", "seed=5"])
    model = instantiate(config.augmentation, _convert_="all")(
        instantiate(config.model.estimator, _convert_="all")
    )
    assert model.random_state == 5
    texts, y = TEXTS * 4, np.tile(Y, (4, 1))
    fitted = clone(model).fit(texts, y)
    stored = portable(fitted)
    assert type(stored).__name__ == "Chain"
    assert stored.decision_function(TEXTS) == pytest.approx(fitted.decision_function(TEXTS))
    assert not np.allclose(
        stored.decision_function(TEXTS), clone(model.estimator).fit(texts, y).decision_function(TEXTS)
    )


def test_a_choice_is_made_on_sentences_as_they_are():
    settled = Augmented(Adaptive(), copies=2).settled(TEXTS, Y)
    assert settled.copies == 2 and settled.choice == settled.estimator.choice
    assert not hasattr(Augmented(Seen()), "settled")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"change": "blank"}, "augmentation.change=blank: must be one of mask, swap"),
        ({"parts": ["people"]}, r"augmentation.parts=\['people'\]"),
        ({"parts": []}, "augmentation.parts"),
        ({"copies": 0}, "augmentation.copies=0"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        Augmented(Seen(), **settings).fit(TEXTS, Y)
