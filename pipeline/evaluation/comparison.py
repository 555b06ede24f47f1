"""How classifiers differ on the same sentences, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import RESAMPLES
from pipeline.evaluation.paired import enough_resamples, holm, mcnemar, paired_bootstrap
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.slices import COLUMNS, SMALL_ARTICLES, SMALL_SENTENCES, facets
from pipeline.schema import InputError

SIGNIFICANT = 0.05


def check_same(made: Sequence[Predictions], names: Sequence[str]) -> None:
    """Raise InputError unless all predictions are of the same sentences with the same true labels."""
    first = made[0]
    for other, name in zip(made[1:], names[1:], strict=True):
        if other.labels != first.labels:
            what = f"have other labels ({', '.join(first.labels)}; {', '.join(other.labels)})"
        elif other.digest != first.digest:
            what = f"were tested on other sentences or labels ({_first_difference(first, other)})"
        else:
            continue
        raise InputError(
            f"runs: {names[0]} and {name} {what}; train them on the same corpus, "
            "or score both on one labelled file with input=FILE"
        )


def compare(made: Sequence[Predictions], *, seed: int = 0) -> list[dict[str, Any]]:
    """Return how each of the others differs from the first.

    Parameters
    ----------
    made : sequence of Predictions
        Of the same sentences: see `check_same`.
    seed : int
        Of the resampling.

    Returns
    -------
    list of dict
        For each but the first: `scores`, as `paired_bootstrap` gives them, with `p_holm`, adjusted for the
        number of classifiers; `labels`, with F1 of both and its `p_holm`, adjusted for classifiers and
        labels together, and McNemar's test, adjusted alike; `slices`, adjusted for classifiers and slices;
        `changed`, every decision that differs; and the `verdict`: "better", "worse" or "no evidence of a
        difference" in macro-F1.
    """
    first, *others = made
    times = enough_resamples(len(others) * len(first.labels))
    pairs = [_pair(first, other, seed, times) for other in others]
    macro = [pair["scores"]["macro_f1"] for pair in pairs]
    labels = [one for pair in pairs for one in pair["labels"].values()]
    slices = [slice_differences(first, other, seed, pairs=len(others)) for other in others]
    _adjust(macro)
    _adjust(labels)
    _adjust([one["mcnemar"] for one in labels])
    _adjust([row for rows in slices for row in rows])
    return [
        {"verdict": verdict(score["difference"], score["p_holm"]), **pair}
        | {"slices": rows, "changed": changed(first, other)}
        for other, score, pair, rows in zip(others, macro, pairs, slices, strict=True)
    ]


def _pair(a: Predictions, b: Predictions, seed: int, times: int) -> dict[str, Any]:
    scores = paired_bootstrap(a.y, a.predicted, b.predicted, a.articles, seed, labels=a.labels, times=times)
    f1 = scores.pop("per_label")
    tests = mcnemar(a.y, a.predicted, b.predicted)
    labels = {name: {**f1[name], "mcnemar": test} for name, test in zip(a.labels, tests, strict=True)}
    return {"scores": scores, "labels": labels}


def _adjust(tests: Sequence[dict[str, Any]]) -> None:
    """Give each test `p_holm`, its `p` adjusted for their number."""
    for test, p in zip(tests, holm([test["p"] for test in tests]).tolist(), strict=True):
        test["p_holm"] = p


def verdict(difference: float, p: float) -> str:
    """Return what an adjusted p-value lets one say."""
    if p >= SIGNIFICANT:
        return "no evidence of a difference"
    return "better" if difference > 0 else "worse"


def slice_differences(
    a: Predictions, b: Predictions, seed: int = 0, *, pairs: int = 1
) -> list[dict[str, Any]]:
    """Return the difference on each slice of `evaluation.slices`.

    It is of macro-F1 over the labels that occur, or, where none does, of sentences with all labels right.
    With the slices of as many `pairs`, p-values can be adjusted for the number of all.
    """
    texts = [text or "" for text in a.table["text"].to_pylist()]
    columns = {n: a.table[n].to_pylist() for n in COLUMNS if n in a.table.column_names}
    articles = np.array(a.articles)
    parts = [
        (facet, value, values == value)
        for facet, values in facets(texts, columns, a.y, articles).items()
        for value in sorted(set(values.tolist()))
    ]
    times = enough_resamples(pairs * len(parts))
    rows = []
    for facet, value, inside in parts:
        sentences = int(inside.sum())
        few = sentences < SMALL_SENTENCES or len(set(articles[inside])) < SMALL_ARTICLES
        row = {"slice": facet, "value": value, "sentences": sentences, "small": few}
        rows.append(row | _slice_difference(a, b, inside, seed, times))
    return rows


def _slice_difference(
    a: Predictions, b: Predictions, inside: NDArray[np.bool_], seed: int, times: int
) -> dict[str, Any]:
    occurs = a.y[inside].any(axis=0)
    labels = occurs if occurs.any() else ~occurs
    y, one, other = (part[inside][:, labels] for part in (a.y, a.predicted, b.predicted))
    articles = np.array(a.articles)[inside].tolist()
    score = "macro_f1" if occurs.any() else "subset_accuracy"
    found = paired_bootstrap(y, one, other, articles, seed)[score]
    if found["p"] <= 2 / RESAMPLES and times > RESAMPLES:  # the least that so few resamples can give
        found = paired_bootstrap(y, one, other, articles, seed, times=times)[score]
    return {"score": score, **found}


def changed(a: Predictions, b: Predictions) -> list[dict[str, Any]]:
    """Return every decision that differs, the largest change of probability first.

    Returns
    -------
    list of dict
        `label`, `change` ("fixed": only b is right; "broken": only a is), `given` (by b), `a` and `b`
        (probabilities), `article` and `text`.
    """
    differ = np.argwhere(a.predicted != b.predicted)
    size = np.abs(a.scores - b.scores)[differ[:, 0], differ[:, 1]]
    rows = []
    for row, k in differ[np.argsort(-size, kind="stable")].tolist():
        right = b.predicted[row, k] == b.y[row, k]
        rows.append(
            {
                "label": a.labels[k],
                "change": "fixed" if right else "broken",
                "given": bool(b.predicted[row, k]),
                "a": round(float(a.scores[row, k]), 4),
                "b": round(float(b.scores[row, k]), 4),
                "article": a.table["article"][row].as_py(),
                "text": a.table["text"][row].as_py(),
            }
        )
    return rows


def _first_difference(a: Predictions, b: Predictions) -> str:
    if len(a.y) != len(b.y):
        return f"{len(a.y)} and {len(b.y)} sentences"
    for n, (one, other) in enumerate(zip(a.table["text"], b.table["text"], strict=True)):
        if one != other:
            return f"sentence {n + 1} is another"
        if (a.y[n] != b.y[n]).any():
            return f"sentence {n + 1} has other labels"
    return "their articles have other names"
