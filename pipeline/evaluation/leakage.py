"""Whether training rows tell the labels of test rows by more than what is learned of language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata

from pipeline.evaluation.metrics import wilson
from pipeline.evaluation.proper_names import NameFinder
from pipeline.evaluation.splits import TEST, Split
from pipeline.models.tokens import as_texts
from pipeline.schema import ConfigError

Labels = NDArray[np.int8]
Ints = NDArray[np.int64]
# What may be before a run fails, with 95 % confidence: the share of test rows that training repeats word
# for word; of rows that are for the most part copied from another side; what names alone may tell
# (area under the ROC curve).
LIMITS = {"boilerplate": 0.02, "copied": 0.05, "names": 0.75}
COPIES = 10
RUN, COPIED = 8, 0.5
MODES = ("error", "warn", "off")
_GAP = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")


def find_leaks(
    texts: Sequence[str],
    y: Labels,
    articles: Sequence[str],
    split: Split,
    labels: Sequence[str],
) -> dict[str, Any]:
    """Return what of the test rows the training rows give away.

    Parameters
    ----------
    texts, articles : sequences of length n_rows
    y : ndarray of shape (n_rows, n_labels)
    split : Split
        Of the same rows; articles and what is copied are looked for in each dealing of its folds.
    labels : sequence of length n_labels

    Returns
    -------
    dict
        `articles`: those on two sides, test or folds. `copied`, `copied_folds`: how many of the `test` and
        of the `train` rows have at least half of their runs of eight words from training rows of other
        folds, whichever rows these are.
        `boilerplate`: how many of the `test` rows ten training rows or more repeat, but for case, digits
        and punctuation. `names`: per label, the area under the ROC curve of a classifier that sees nothing
        but names, on the test rows that have some, with its 95 % interval. `leaks`: what is above its
        limit, in words.

    Notes
    -----
    The classifier of names adds up each name's smoothed log-odds in the training rows. It is at 0.5 by
    chance, and somewhat above in honest corpora: people and places are in the news for something. The
    interval is that of Hanley & McNeil (1982), The meaning and use of the area under a ROC curve.
    """
    names = names_only(texts, y, split)
    found: dict[str, Any] = {
        **copied(texts, split),
        "articles": sum(_straddling(articles, folds) for folds in (split.folds, *split.again)),
        "boilerplate": repeated(texts, split),
        "test": len(split.test),
        "train": len(split.train),
        "names": dict(zip(labels, names, strict=True)),
    }
    return found | {"leaks": _in_words(found)}


def check_leakage(found: dict[str, Any], mode: str) -> list[str]:
    """Return the leaks to warn of; raise ConfigError for them where the mode is "error"."""
    if mode not in MODES:
        raise ConfigError(f"split.leakage={mode}: must be one of {', '.join(MODES)}")
    leaks = found["leaks"] if mode != "off" else []
    if leaks and mode == "error":
        raise ConfigError(f"split: {'; '.join(leaks)}. To train all the same: split.leakage=warn")
    return list(leaks)


def copied(texts: Sequence[str], split: Split) -> dict[str, int]:
    """Return how many test and training rows have half of their runs of eight words from elsewhere.

    Notes
    -----
    The split pairs rows that are nearly the same as a whole. This finds what it leaves: a paragraph pasted
    together from several, a phrase that is in many articles, half a sentence with another end.
    """
    found = as_texts(texts).lower_words.longer
    key = np.zeros(len(found.ids), np.uint64)
    with np.errstate(over="ignore"):
        for step in range(RUN):
            following = found.ids[step:].astype(np.uint64) + np.uint64(1)
            key[: len(following)] = key[: len(following)] * np.uint64(0x9E3779B97F4A7C15) + following
    rows = found.rows
    place = np.arange(len(rows)) - np.repeat(np.cumsum(found.counts) - found.counts, found.counts)
    whole = place + RUN <= found.counts[rows]
    rows, run = rows[whole], np.unique(key[whole], return_inverse=True)[1]
    copies = [_copies(rows, run, folds) for folds in (split.folds, *split.again)]
    return {
        "copied": int(copies[0][split.test].sum()),
        "copied_folds": max(int(some[split.train].sum()) for some in copies),
    }


def _copies(rows: Ints, run: Ints, folds: Ints) -> NDArray[np.bool_]:
    """Return for each row whether most of its runs are in training rows of other folds."""
    fold = folds[rows]
    trains = fold >= 0
    pairs = np.unique(np.column_stack([run, fold])[trains], axis=0)
    sides = np.bincount(pairs[:, 0], minlength=run.max(initial=-1) + 1)
    elsewhere = sides[run] > trains
    n = len(folds)
    runs, shared = np.bincount(rows, minlength=n), np.bincount(rows, elsewhere, minlength=n)
    return (runs > 0) & (shared >= COPIED * runs)


def repeated(texts: Sequence[str], split: Split) -> int:
    """Return how many test rows ten or more training rows are, too, but for case, digits, punctuation."""
    plain = [_GAP.sub(" ", _DIGIT.sub("0", text.lower())).strip() for text in texts]
    copies = Counter(plain[row] for row in split.train.tolist())
    return sum(copies[plain[row]] >= COPIES for row in split.test.tolist())


def names_only(texts: Sequence[str], y: Labels, split: Split) -> list[dict[str, float] | None]:
    """Return what names alone tell of each label; None where it, or names, are too rare to say."""
    finder = NameFinder(texts)
    column: dict[str, int] = {}
    train, test = (_names_matrix(finder, texts, rows, column) for rows in (split.train, split.test))
    train.resize(train.shape[0], len(column))
    named, tested = (np.flatnonzero(np.diff(matrix.indptr)) for matrix in (train, test))
    result: list[dict[str, float] | None] = []
    for k in range(y.shape[1]):
        truth, told = y[split.train, k][named], y[split.test, k][tested] > 0
        if min(told.sum(), (~told).sum(), truth.sum()) < 10:
            result.append(None)
            continue
        carried = train[named].T @ truth
        seen = np.asarray(train[named].sum(axis=0)).ravel()
        share = truth.mean()
        odds = np.log((carried + share) / (seen - carried + 1 - share)) - np.log(share / (1 - share))
        result.append(_area(np.asarray(test[tested] @ odds), told))
    return result


def _names_matrix(finder: NameFinder, texts: Sequence[str], rows: Ints, column: dict[str, int]) -> Any:
    """Return which row has which name, a 0/1 matrix; new names get new columns."""
    found = [
        sorted({column.setdefault(n, len(column)) for n in finder.names(texts[row])}) for row in rows.tolist()
    ]
    bounds = np.cumsum([0, *map(len, found)])
    indices = np.array([c for some in found for c in some], np.int64)
    return sparse.csr_matrix((np.ones(len(indices)), indices, bounds), shape=(len(found), len(column)))


def _area(score: NDArray[np.float64], told: NDArray[np.bool_]) -> dict[str, float]:
    n, m = int(told.sum()), int((~told).sum())
    area = (rankdata(score)[told].sum() - n * (n + 1) / 2) / (n * m)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (n - 1) * (one - area**2) + (m - 1) * (two - area**2)) / (n * m)
    width = 1.96 * np.sqrt(max(variance, 0))
    return {"auc": float(area), "low": float(max(area - width, 0)), "high": float(min(area + width, 1))}


def _straddling(articles: Sequence[str], folds: Ints) -> int:
    sides = {(article, fold) for article, fold in zip(articles, folds.tolist(), strict=True) if fold >= TEST}
    return len(sides) - len({article for article, _ in sides})


def _in_words(found: dict[str, Any]) -> list[str]:
    leaks = []
    if count := found["articles"]:
        leaks.append(f"{count} articles are on two sides")
    if wilson(found["boilerplate"], found["test"])[0] > LIMITS["boilerplate"]:
        share = found["boilerplate"] / found["test"]
        leaks.append(
            f"{share:.1%} of the test sentences are in training ten times or more: boilerplate to clean away"
        )
    for part, name, kind in (("copied", "test", "test"), ("copied_folds", "train", "training")):
        if wilson(found[part], found[name])[0] > LIMITS["copied"]:
            of = "training sentences" if part == "copied" else "other folds"
            leaks.append(
                f"{found[part] / found[name]:.1%} of the {kind} sentences are for the most part copied from "
                f"{of}: boilerplate to clean away, or sentences that differ too little"
            )
    for label, one in found["names"].items():
        if one and one["low"] > LIMITS["names"]:
            leaks.append(f"names alone tell {label} (area under the curve {one['auc']:.2f}; 0.5 is chance)")
    return leaks
