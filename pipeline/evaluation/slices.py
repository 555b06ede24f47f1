"""Scores of parts of the test sentences: where a classifier is good, and where it is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import article_counts, interval, resample, summarise
from pipeline.evaluation.proper_names import NameFinder

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Score = Callable[[Sequence[str]], tuple[Floats, Labels]]
SCORES = ("macro_f1", "micro_f1", "subset_accuracy")
COLUMNS = ("kind", "topic", "register", "source")
OTHERS = "(others)"
# A topic or source of less is not listed: one article's scores have no interval.
LISTED_SENTENCES, LISTED_ARTICLES = 20, 5
# A column where more than this is of such says nothing, and is left out.
MOST_OTHERS = 0.5
# What has less is marked small.
SMALL_SENTENCES, SMALL_ARTICLES = 100, 20
_MARK = re.compile('["“”„«»]')
# An apostrophe opens a quotation where another closes it.
_OPENS, _CLOSES = re.compile(r"(?<!\w)['‘](?=\w)"), re.compile(r"['’](?!\w)")


def _quotes(text: str) -> bool:
    if _MARK.search(text):
        return True
    opened = _OPENS.search(text)
    return opened is not None and _CLOSES.search(text, opened.end()) is not None


def slices(
    score: Score,
    texts: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    y: Labels,
    predicted: Labels,
    *,
    labels: Sequence[str],
    groups: Sequence[object] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Return the scores of each part of the sentences, by what they are and where they are from.

    Parameters
    ----------
    score : callable
        Gives probabilities and 0/1 labels of texts, both of shape (n_texts, n_labels).
    texts : sequence of length n_sentences
    columns : mapping of str to sequence of length n_sentences
        Those of `kind`, `topic`, `register` and `source` that are known.
    y, predicted : ndarray of shape (n_sentences, n_labels)
    labels : sequence of length n_labels
    groups : sequence of length n_sentences, optional
        Article of each sentence, resampled whole.
    seed : int
        Of the resampling.

    Returns
    -------
    dict
        Facet (`kind`, `quotes`, `words`, `labels`, `topic`, `register`, `source`, `names`) to value to
        `sentences`, `articles`, `small`; `macro_f1` (over the labels that occur), `micro_f1` (both None
        where none does) and `subset_accuracy` with intervals; `f1` and `support` of each label. In
        `names`, "masked" are the sentences of "as written" with another name in place of each, and
        `flipped` is the share of them that then get other labels. `small` marks what has too few
        sentences or articles to read much into.
    """
    articles = np.arange(len(y)) if groups is None else np.asarray(groups, dtype=str)
    result: dict[str, dict[str, Any]] = {}
    for facet, values in facets(texts, columns, y, articles).items():
        result[facet] = {
            value: slice_block(y[rows], predicted[rows], labels, articles[rows], seed)
            for value in dict.fromkeys(sorted(set(values.tolist()), key=_order))
            for rows in [np.flatnonzero(values == value)]
        }
    result["names"] = _masked(score, texts, y, predicted, labels, articles, seed)
    return result


def slice_block(
    y: Labels, predicted: Labels, labels: Sequence[str], groups: Any, seed: int
) -> dict[str, Any]:
    """Return the scores of some sentences; see `slices`."""
    counts = article_counts(y, predicted, groups)
    support = y.sum(axis=0)
    occurs = np.flatnonzero(support)
    k = y.shape[1]
    # Micro-F1 and the rest are of all labels; macro-F1 is of those that occur, or it would be of no use
    # where the slice, by what it is, has no sentence of a label.
    value, resampled = summarise(counts.sum(axis=0)[None]), summarise(resample(counts, seed))
    scores: dict[str, Any] = {name: interval(value[name][0], resampled[name]) for name in SCORES}
    f1 = value["f1"][0]
    scores["macro_f1"] = (
        interval(f1[occurs].mean(), resampled["f1"][:, occurs].mean(axis=1)) if len(occurs) else None
    )
    if not len(occurs):
        scores["micro_f1"] = None
    return {
        "sentences": len(y),
        "articles": len(counts),
        "small": len(y) < SMALL_SENTENCES or len(counts) < SMALL_ARTICLES,
        **scores,
        "f1": {labels[i]: float(f1[i]) if support[i] else None for i in range(k)},
        "support": {labels[i]: int(support[i]) for i in range(k)},
    }


def facets(
    texts: Sequence[str], columns: Mapping[str, Sequence[Any]], y: Labels, articles: NDArray[Any]
) -> dict[str, NDArray[np.str_]]:
    """Return facet to the value of each sentence; see `slices`."""
    listed = {name: _listed(columns[name], articles) for name in COLUMNS if any(columns.get(name) or ())}
    facets = {name: values for name, values in listed.items() if np.mean(values == OTHERS) <= MOST_OTHERS}
    lengths = np.array([len(text.split()) for text in texts])
    bands = np.array(["1 to 9", "10 to 19", "20 to 29", "30 or more"])
    facets["words"] = bands[np.searchsorted([10, 20, 30], lengths, side="right")]
    facets["quotes"] = np.array(["quoted" if _quotes(text) else "unquoted" for text in texts])
    facets["labels"] = np.array(["0", "1", "2 or more"])[np.minimum(y.sum(axis=1), 2)]
    return facets


def _listed(values: Sequence[Any], articles: Any) -> NDArray[np.str_]:
    given = [str(value or "(none)") for value in values]
    sentences = Counter(given)
    spread = Counter(value for value, _ in set(zip(given, articles.tolist(), strict=True)))
    often = {v for v in sentences if sentences[v] >= LISTED_SENTENCES and spread[v] >= LISTED_ARTICLES}
    return np.array([value if value in often else OTHERS for value in given])


def _order(value: str) -> tuple[bool, int, str]:
    return value == OTHERS, int(value.split()[0]) if value.split()[0].isdigit() else 0, value


def _masked(
    score: Score,
    texts: Sequence[str],
    y: Labels,
    predicted: Labels,
    labels: Sequence[str],
    groups: Any,
    seed: int,
) -> dict[str, Any]:
    finder = NameFinder(texts)
    masked = [finder.replace(text) for text in texts]
    named = np.flatnonzero([one != other for one, other in zip(texts, masked, strict=True)])
    if not len(named):
        return {}
    _, other = score([masked[row] for row in named.tolist()])
    block = slice_block(y[named], other, labels, groups[named], seed)
    flipped = float((other != predicted[named]).any(axis=1).mean())
    return {
        "as written": slice_block(y[named], predicted[named], labels, groups[named], seed),
        "masked": block | {"flipped": flipped},
    }
