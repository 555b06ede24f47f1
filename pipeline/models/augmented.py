"""Training on changed copies of sentences too: what a label must not depend on is masked or swapped."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from pipeline.evaluation.perturbations import numbers
from pipeline.evaluation.proper_names import PLACEHOLDER, NameFinder
from pipeline.models.tokens import as_texts
from pipeline.models.training import scores
from pipeline.schema import ConfigError

Floats = NDArray[np.float64]
CHANGES, PARTS = ("mask", "swap"), ("names", "addresses", "numbers")
_STREETS = "Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Boulevard|Blvd|Square|Way|Terrace|Court"
# Kind of address: how it is written, and one that is nobody's.
ADDRESSES = {
    "mail": (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), "name@example.org"),
    "web": (re.compile(r"\b(?:https?://|www\.)[^\s<>\"”)]+[^\s<>\"”).,;:!?]"), "www.example.org"),
    "handle": (re.compile(r"(?<![\w.])@\w{2,}(?!\.\w)"), "@example"),
    "street": (
        re.compile(rf"\b\d{{1,5}}[A-Za-z]? (?:[A-Z][\w'’-]+ ){{1,3}}(?:{_STREETS})\b"),
        f"0 {PLACEHOLDER} Street",
    ),
}


class Augmented(BaseEstimator):
    """A classifier fitted on sentences and on copies with masked or swapped names, addresses and numbers.

    Parameters
    ----------
    estimator : estimator
        Any; takes texts and 0/1 labels.
    change : {"mask", "swap"}, default="mask"
        "mask" puts the same name, address or digit 0 in place of each; "swap" the names (of as many words)
        and addresses of other sentences, and numbers of as many digits.
    parts : sequence of {"names", "addresses", "numbers"}
    copies : int, default=1
        Changed copies of each sentence. One in which there is nothing to change gets none.
    original : bool, default=True
        Whether the sentence as it is stays.
    random_state : int, default=0
        The copies of a sentence depend on it, the sentence, and the names and addresses of all.

    Attributes
    ----------
    estimator_ : estimator
        Fitted: all that is kept in a bundle. Sentences to be labelled are never changed.

    Notes
    -----
    Copies are made wherever the classifier is fitted, of the sentences it is fitted on and from their
    names: sentences of a fold that is held out are neither changed nor sources. A copy follows its
    sentence, so that inner folds of neighbours keep them together. Names are those that
    `pipeline.evaluation.proper_names` finds, of people, places and organisations alike.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        change: str = "mask",
        parts: Sequence[str] = PARTS,
        copies: int = 1,
        original: bool = True,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.change = change
        self.parts = parts
        self.copies = copies
        self.original = original
        self.random_state = random_state

    def fit(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Fit on texts and 0/1 labels of shape (n_texts, n_labels), and on copies.

        Raises
        ------
        ConfigError
            For settings that are none.
        """
        texts, rows = self.augmented(as_texts(X))
        self.estimator_ = clone(self.estimator).fit(texts, np.asarray(y)[rows])
        return self

    def decision_function(self, X: Sequence[str]) -> Floats:  # noqa: N803
        """Return scores of shape (n_texts, n_labels)."""
        check_is_fitted(self)
        return scores(self.estimator_, X)

    @available_if(lambda self: hasattr(self.estimator, "settled"))
    def settled(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Return this with an estimator that has made its choice; see `pipeline.models.adaptive`."""
        return clone(self).set_params(estimator=self.estimator.settled(X, y))

    @property
    def choice(self) -> Any:
        """What the estimator has chosen."""
        return self.estimator.choice

    def augmented(self, texts: Sequence[str]) -> tuple[list[str], list[int]]:
        """Return texts with their copies, and of each the place of its original."""
        self._check()
        change = _changes(texts, self.change, self.parts)
        made: list[str] = []
        rows: list[int] = []
        for row, text in enumerate(texts):
            copies = [change(text, Random(f"{self.random_state} {n} {text}")) for n in range(self.copies)]
            new = list(dict.fromkeys(copy for copy in copies if copy != text))
            kept = [text, *new] if self.original or not new else new
            made += kept
            rows += [row] * len(kept)
        return made, rows

    def _check(self) -> None:
        if self.change not in CHANGES:
            raise ConfigError(f"augmentation.change={self.change}: must be one of {', '.join(CHANGES)}")
        if not self.parts or set(self.parts) - set(PARTS):
            raise ConfigError(f"augmentation.parts={list(self.parts)}: must be some of {', '.join(PARTS)}")
        if not isinstance(self.copies, int) or self.copies < 1:
            raise ConfigError(f"augmentation.copies={self.copies}: must be 1 or more")


def _changes(texts: Sequence[str], change: str, parts: Sequence[str]) -> Callable[[str, Random], str]:
    """Return what changes a text; names and addresses to swap are those of `texts`."""
    steps: list[Callable[[str, Random], str]] = []
    if "addresses" in parts:
        steps += [
            _addresses(pattern, mask, texts if change == "swap" else ())
            for pattern, mask in ADDRESSES.values()
        ]
    if "names" in parts:
        finder = NameFinder([_without_addresses(text) for text in texts])  # names are in small letters there
        steps.append(_names(finder, texts if change == "swap" else ()))
    if "numbers" in parts:
        steps.append(numbers if change == "swap" else lambda text, rng: re.sub(r"\d", "0", text))

    def changed(text: str, rng: Random) -> str:
        for step in steps:
            text = step(text, rng)
        return text

    return changed


def _without_addresses(text: str) -> str:
    for pattern, _ in ADDRESSES.values():
        text = pattern.sub("", text)
    return text


def _addresses(pattern: re.Pattern[str], mask: str, texts: Sequence[str]) -> Callable[[str, Random], str]:
    known = sorted({found for text in texts for found in pattern.findall(text)})

    def change(text: str, rng: Random) -> str:
        chosen: dict[str, str] = {}
        return pattern.sub(lambda match: _other(match.group(), known, mask, chosen, rng), text)

    return change


def _names(finder: NameFinder, texts: Sequence[str]) -> Callable[[str, Random], str]:
    known: dict[int, set[str]] = defaultdict(set)
    for text in texts:
        for begin, end in finder.spans(text):
            known[len(text[begin:end].split())].add(text[begin:end])
    pools = {words: sorted(names) for words, names in known.items()}

    def change(text: str, rng: Random) -> str:
        chosen: dict[str, str] = {}

        def name(found: str) -> str:
            return _other(found, pools.get(len(found.split()), ()), PLACEHOLDER, chosen, rng)

        return finder.replace(text, name)

    return change


def _other(found: str, known: Sequence[str], mask: str, chosen: dict[str, str], rng: Random) -> str:
    """Return another of those known, the mask where there is none; the same for all places in a text."""
    if found not in chosen:
        other = rng.choice(known) if known else mask
        chosen[found] = mask if other == found else other
    return chosen[found]
