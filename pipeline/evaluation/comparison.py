"""How classifiers differ on the same sentences, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.paired import holm, mcnemar, paired_bootstrap
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
        number of classifiers; `labels`, with F1 of both, and McNemar's test with `p_holm`, adjusted
        for classifiers and labels together; `slices`; `changed`, every decision that differs; and the
        `verdict`: "better", "worse" or "no evidence of a difference" in macro-F1.
    """
    first, *others = made
    pairs: list[dict[str, Any]] = [
        {
            "scores": paired_bootstrap(
                first.y, first.predicted, other.predicted, first.articles, seed, labels=first.labels
            ),
            "mcnemar": mcnemar(first.y, first.predicted, other.predicted),
        }
        for other in others
    ]
    whole = holm([pair["scores"]["macro_f1"]["p"] for pair in pairs])
    by_label = holm([test["p"] for pair in pairs for test in pair["mcnemar"]]).reshape(len(pairs), -1)
    return [
        _described(first, other, pair, float(p), ps.tolist(), seed)
        for other, pair, p, ps in zip(others, pairs, whole, by_label, strict=True)
    ]


def _described(
    a: Predictions, b: Predictions, pair: dict[str, Any], p: float, label_ps: list[float], seed: int
) -> dict[str, Any]:
    scores = pair["scores"]
    f1 = scores.pop("per_label")
    scores["macro_f1"]["p_holm"] = p
    labels = {
        name: {**f1[name], "mcnemar": test | {"p_holm": adjusted}}
        for name, test, adjusted in zip(a.labels, pair["mcnemar"], label_ps, strict=True)
    }
    return {
        "verdict": verdict(scores["macro_f1"]["difference"], p),
        "scores": scores,
        "labels": labels,
        "slices": slice_differences(a, b, seed),
        "changed": changed(a, b),
    }


def verdict(difference: float, p: float) -> str:
    """Return what an adjusted p-value lets one say."""
    if p >= SIGNIFICANT:
        return "no evidence of a difference"
    return "better" if difference > 0 else "worse"


def slice_differences(a: Predictions, b: Predictions, seed: int = 0) -> list[dict[str, Any]]:
    """Return the difference on each slice of `evaluation.slices`, p-values adjusted for their number.

    It is of macro-F1 over the labels that occur, or, where none does, of sentences with all labels right.
    """
    texts = [text or "" for text in a.table["text"].to_pylist()]
    columns = {n: a.table[n].to_pylist() for n in COLUMNS if n in a.table.column_names}
    articles = np.array(a.articles)
    rows = []
    for facet, values in facets(texts, columns, a.y, articles).items():
        for value in sorted(set(values.tolist())):
            inside = values == value
            occurs = a.y[inside].any(axis=0)
            labels = occurs if occurs.any() else ~occurs
            y, one, other = (part[inside][:, labels] for part in (a.y, a.predicted, b.predicted))
            score = paired_bootstrap(y, one, other, articles[inside].tolist(), seed)
            sentences = int(inside.sum())
            few = sentences < SMALL_SENTENCES or len(set(articles[inside])) < SMALL_ARTICLES
            what = "macro_f1" if occurs.any() else "subset_accuracy"
            row = {"slice": facet, "value": value, "sentences": sentences, "small": few, "score": what}
            rows.append(row | score[what])
    for row, p in zip(rows, holm([row["p"] for row in rows]).tolist(), strict=True):
        row["p_holm"] = p
    return rows


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
