"""Running behaviour tests: does a classifier do what it should when a sentence is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.behaviour_tests import BehaviourTest, Case
from pipeline.evaluation.metrics import wilson

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Score = Callable[[Sequence[str]], tuple[Floats, Labels]]
MARGIN = 0.1
EXAMPLES = 3
HELD_OUT = 200


def run_tests(
    score: Score,
    tests: Sequence[BehaviourTest],
    labels: Sequence[str],
    held_out: Sequence[str] = (),
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how often each test fails.

    Parameters
    ----------
    score : callable
        Gives probabilities and 0/1 labels of texts, both of shape (n_texts, n_labels).
    tests : sequence of BehaviourTest
        Those about labels that are not in `labels` are skipped, and listed.
    labels : sequence of length n_labels
    held_out : sequence of str
        Sentences that the classifier has not seen; for each change, up to 200 that it changes are drawn.
    seed : int
        Of the draw.

    Returns
    -------
    dict
        `name_swap_flip_rate`: of all swaps of names, the share that changes the labels, with its
        interval; for the written sentences, and under `held_out`. `tests`: name to `effect`, `cases`,
        `failures`, `rate` with `low` and `high` (95 %), `swaps` and `flipped`, up to three `examples`,
        and `held_out`, the same for those. `skipped`: names. Rate and results have, to be compared case
        by case, `failed`, a digit for each case: how many of its versions fail; and `digest` of the cases.

    Notes
    -----
    Ribeiro et al. (2020). Beyond accuracy: behavioral testing of NLP models with CheckList. A case
    fails where one of its changed versions gets other labels ("same"), where the probability of the
    label does not move by 0.1 in the direction wanted ("up", "down"), or where the labels are others
    than those wanted ("labels"). Intervals are Wilson's (1927), over cases.
    """
    known = [test for test in tests if set(test.labels) <= set(labels)]
    drawn = Random(seed).sample(list(held_out), len(held_out))
    changed = {test.name: _changed(test, drawn) for test in known if test.perturb}
    texts = dict.fromkeys(
        text
        for cases in [*(test.cases for test in known), *changed.values()]
        for case in cases
        for text in (case.before, *case.after)
    )
    probabilities, given = score(list(texts))
    at = {text: row for row, text in enumerate(texts)}
    judge = _Judge(probabilities, given, at, list(labels))
    results: dict[str, Any] = {}
    for test in known:
        results[test.name] = {"effect": test.effect, "about": test.about} | judge.result(test, test.cases)
        if changed.get(test.name):
            results[test.name]["held_out"] = judge.result(test, changed[test.name])
    named = [results[test.name] for test in known if test.names]
    rate: dict[str, Any] = _flip_rate(named)
    rate["held_out"] = _flip_rate([one["held_out"] for one in named if "held_out" in one])
    skipped = [test.name for test in tests if test not in known]
    return {"name_swap_flip_rate": rate, "tests": results, "skipped": skipped}


class _Judge:
    def __init__(self, probabilities: Floats, given: Labels, at: dict[str, int], labels: list[str]) -> None:
        self._probabilities, self._given, self._at, self._labels = probabilities, given, at, labels

    def result(self, test: BehaviourTest, cases: Sequence[Case]) -> dict[str, Any]:
        wrong = [
            (case, [text for text in case.after or (case.before,) if self._fails(test, case, text)])
            for case in cases
        ]
        failures = [(case, texts[0]) for case, texts in wrong if texts]
        low, high = wilson(len(failures), len(cases))
        found: dict[str, Any] = {
            "cases": len(cases),
            "failures": len(failures),
            "rate": len(failures) / max(len(cases), 1),
            "low": low,
            "high": high,
            "failed": "".join(str(len(texts)) for _, texts in wrong),
            "digest": _digest([(case.before, case.after) for case in cases]),
            "examples": [self._example(test, case, text) for case, text in failures[:EXAMPLES]],
        }
        if test.effect == "same":
            found |= {"swaps": sum(len(c.after) for c in cases), "flipped": sum(len(t) for _, t in wrong)}
        return found

    def _fails(self, test: BehaviourTest, case: Case, text: str) -> bool:
        before, after = self._at[case.before], self._at[text]
        if test.effect == "same":
            return bool((self._given[before] != self._given[after]).any())
        if test.effect == "labels":
            return set(self._names(text)) != set(test.labels)
        k = self._labels.index(test.labels[0])
        rise = float(self._probabilities[after, k] - self._probabilities[before, k])
        return (rise if test.effect == "up" else -rise) < MARGIN

    def _example(self, test: BehaviourTest, case: Case, text: str) -> dict[str, Any]:
        example: dict[str, Any] = {"text": text, "labels": self._names(text)}
        if test.effect == "labels":
            return example | {"wanted": list(test.labels)}
        example |= {"before": case.before, "labels_before": self._names(case.before)}
        if test.effect in ("up", "down"):
            k = self._labels.index(test.labels[0])
            both = (float(self._probabilities[self._at[one], k].round(4)) for one in (case.before, text))
            example |= dict(zip(("probability_before", "probability"), both, strict=True))
        return example

    def _names(self, text: str) -> list[str]:
        return [self._labels[k] for k in np.flatnonzero(self._given[self._at[text]])]


def _changed(test: BehaviourTest, texts: Sequence[str]) -> list[Case]:
    assert test.perturb
    pairs = ((text, test.perturb(text, Random(text))) for text in dict.fromkeys(texts))
    return [Case(text, (changed,)) for text, changed in islice((p for p in pairs if p[0] != p[1]), HELD_OUT)]


def _flip_rate(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the share of swaps that change the labels, as sure as if each sentence were swapped once."""
    swaps, flipped = (sum(one[key] for one in results) for key in ("swaps", "flipped"))
    sentences = sum(one["cases"] for one in results)
    value = flipped / max(swaps, 1)
    low, high = wilson(value * sentences, sentences)
    rate = {"value": value, "low": low, "high": high, "swaps": swaps, "sentences": sentences}
    failed, digests = ([one[key] for one in results] for key in ("failed", "digest"))
    return rate | {"failed": "".join(failed), "digest": _digest(digests)}


def _digest(what: Sequence[Any]) -> str:
    return hashlib.sha256(repr(what).encode("utf-8", "replace")).hexdigest()[:16]
