"""Why a linear classifier scores a sentence as it does: what each feature adds, exactly, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.arrow_tfidf import ArrowTfidf
from pipeline.models.blend import Blend
from pipeline.models.chars import CharTfidf
from pipeline.models.convolution import Convolution
from pipeline.models.cues import CueRules, Cues
from pipeline.models.encoder import Encoder
from pipeline.models.linear import Chain, Concatenation, LinearHead
from pipeline.models.ngrams import Tokens
from pipeline.models.static import Static, nearest
from pipeline.models.tokens import as_texts, plain

Floats = NDArray[np.float64]
LONGEST = 48  # characters of a match that are shown
_CALLED = {CharTfidf: "character n-grams", Encoder: "sentence encoder"}


@dataclass(frozen=True, slots=True)
class Reason:
    """What one feature adds to the scores of a sentence.

    Attributes
    ----------
    kind : {"words", "meaning", "read as", "phrase", "cue", "other"}
        Words of the sentence; the place of a word among word vectors; words read as the frequent words
        nearest in meaning; what filters of a convolution answer to; a cue group that matches; features
        without names.
    text : str
        The words of the sentence, or the name of the cue group or of the features.
    weights : ndarray of shape (n_labels,)
        In units of the raw score.
    note : str
        The frequent words that words are read as; the words that a cue group matches.
    """

    kind: str
    text: str
    weights: Floats
    note: str = ""


def explain(scorer: Any, texts: Sequence[str]) -> tuple[list[list[Reason]], Floats] | None:
    """Return the reasons of each text and the intercepts, or None where scores are no sum of reasons.

    Parameters
    ----------
    scorer : object
        Of a bundle: see `pipeline.models.portable`.
    texts : sequence of str

    Returns
    -------
    reasons : list of list of Reason
        Those of a text, and the intercepts, sum to its scores.
    intercepts : ndarray of shape (n_labels,)

    Notes
    -----
    The mean of a sentence's word vectors is a sum over its words, so that its contribution, too, is a sum
    over words. A convolution's score is a sum over its filters, each of which answers to one window.
    """
    texts = [text or "" for text in texts]
    if isinstance(scorer, Blend):
        return _blend(scorer, texts)
    if isinstance(scorer, Convolution):
        return _phrases(scorer, texts), np.asarray(scorer.head_.intercept, np.float64)
    if isinstance(scorer, CueRules):
        reasons = _cues(scorer.cues_, texts, scorer.weights_.T)
        return reasons, np.full(scorer.weights_.shape[1], -0.5)
    if not (isinstance(scorer, Chain) and isinstance(scorer.parts[-1], LinearHead)):
        return None
    head = scorer.parts[-1]
    first, *later = scorer.parts[:-1]
    if later:  # a transformer over features: their names are lost
        return _unnamed(scorer.transform(texts), head.coef, "all features"), np.asarray(head.intercept)
    return _features(first, texts, np.asarray(head.coef), None), np.asarray(head.intercept)


def strongest(
    reasons: Sequence[Reason], label: int, most: int, scale: float = 1.0
) -> tuple[list[tuple[Reason, float]], float]:
    """Return the `most` reasons that move a label's score furthest, and the sum of the others.

    Parameters
    ----------
    scale : float
        What a unit of score is worth: with the slope of the calibration, weights are log-odds.
    """
    weighed = sorted(
        ((reason, float(reason.weights[label]) * scale) for reason in reasons),
        key=lambda pair: -abs(pair[1]),
    )
    return weighed[:most], sum(weight for _, weight in weighed[most:])


def by_words(reasons: Sequence[Reason]) -> list[Reason]:
    """Return reasons with those of the same words in one: the words themselves, their meaning, as read."""
    merged: dict[tuple[str, str], Reason] = {}
    for reason in reasons:
        kind = "words" if reason.kind in ("words", "meaning", "read as", "phrase") else reason.kind
        key = kind, reason.text
        before = merged.get(key)
        note = reason.note or (before.note if before else "")
        weights = reason.weights + (before.weights if before else 0.0)
        merged[key] = Reason(kind, reason.text, weights, note)
    return list(merged.values())


def _blend(blend: Blend, texts: Sequence[str]) -> tuple[list[list[Reason]], Floats] | None:
    reasons: list[list[Reason]] = [[] for _ in texts]
    intercepts: Any = 0.0
    for weight, part in zip(blend.part_weights, blend.parts, strict=True):
        if (found := explain(part, texts)) is None:
            return None
        intercepts = intercepts + weight * found[1]
        for together, own in zip(reasons, found[0], strict=True):
            together += [replace(reason, weights=weight * reason.weights) for reason in own]
    return reasons, intercepts


def _phrases(part: Convolution, texts: Sequence[str]) -> list[list[Reason]]:
    """Give what each filter answers to the pieces in its best window."""
    answers, (pieces, places) = part.answers(texts), part.best_windows(texts)
    widths = np.repeat(sorted(part.widths), part.filters)
    found = []
    for answer, written, begin in zip(answers, pieces, places, strict=True):
        weights: dict[tuple[int, int], Floats] = {}
        for i in np.flatnonzero(answer):
            window = int(begin[i]), min(int(begin[i] + widths[i]), len(written))
            weights[window] = weights.get(window, 0.0) + answer[i] * part.head_.coef[:, i]
        found.append([Reason("phrase", _glued(written[b:e]), weight) for (b, e), weight in weights.items()])
    return found


def _glued(pieces: Sequence[str]) -> str:
    return " ".join(pieces).replace(" ##", "").removeprefix("##") or "(nothing)"


def _features(part: Any, texts: Sequence[str], coef: Floats, known: pa.Array | None) -> list[list[Reason]]:
    """Return the reasons that a transformer gives to coefficients of shape (n_labels, n_features)."""
    if isinstance(part, Concatenation):
        return _side_by_side(part, texts, coef)
    if isinstance(part, Cues):
        return _cues(part, texts, coef)
    if isinstance(part, Static):
        return _static(part, texts, coef, known)
    if isinstance(part, ArrowTfidf) or hasattr(part, "get_feature_names_out"):
        return _named(part.transform(texts), part.get_feature_names_out(), coef)
    return _unnamed(part.transform(texts), coef, _CALLED.get(type(part), type(part).__name__))


def _side_by_side(part: Concatenation, texts: Sequence[str], coef: Floats) -> list[list[Reason]]:
    known = next((p.vocabulary_ for p in part.parts if isinstance(p, ArrowTfidf)), None)
    all_reasons: list[list[Reason]] = [[] for _ in texts]
    begin = 0
    for inner, weight in zip(part.parts, part.weights, strict=True):
        width = inner.transform(texts[:1]).shape[1]
        found = _features(inner, texts, weight * coef[:, begin : begin + width], known)
        for reasons, more in zip(all_reasons, found, strict=True):
            reasons += more
        begin += width
    return all_reasons


def _named(X: Any, names: NDArray[np.object_], coef: Floats) -> list[list[Reason]]:  # noqa: N803
    rows = sparse.csr_matrix(X)
    return [
        [
            Reason("words", str(names[column]), value * coef[:, column])
            for column, value in zip(row.indices, row.data, strict=True)
        ]
        for row in (rows[i] for i in range(rows.shape[0]))
    ]


def _unnamed(X: Any, coef: Floats, name: str) -> list[list[Reason]]:  # noqa: N803
    return [[Reason("other", name, weights)] for weights in np.asarray(X @ coef.T)]


def _cues(part: Cues, texts: Sequence[str], coef: Floats) -> list[list[Reason]]:
    rows, lines = part.transform(texts), plain(texts)
    found: list[list[Reason]] = []
    for i in range(len(texts)):
        line = lines.slice(i, 1)
        reasons = []
        for column in rows[i].indices:
            group = part.groups_[column]
            name = f"{group.label.replace('_', ' ')}: {group.name.replace('_', ' ')}"
            match = _match(line, "|".join(group.patterns))
            reasons.append(Reason("cue", name, coef[:, column], match))
        found.append(reasons)
    return found


def _match(line: pa.LargeStringArray, pattern: str) -> str:
    """Return the words that a cue's pattern matches; nothing where Arrow cannot say."""
    try:
        hit = pc.extract_regex(line, rf"(?:^|[^0-9a-z])(?P<hit>{pattern})(?:[^0-9a-z]|$)")[0].as_py()
    except pa.ArrowInvalid:  # the pattern has groups of its own
        return ""
    text = hit["hit"] if hit else ""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _static(part: Static, texts: Sequence[str], coef: Floats, known: pa.Array | None) -> list[list[Reason]]:
    """Split the mean vector over the words, and name n-grams of anchors by the words read as them."""
    words = as_texts(texts).lower_words.longer
    said = words.strings
    width = part.vectors_.table.shape[1]
    numbers = part.vectors_.look_up(said)
    vectors = part.vectors_.vectors[numbers]
    meant = nearest(vectors, part.anchors_) if part.anchors else np.zeros(len(said), np.int64)
    names = _anchor_names(part, np.unique(meant), known) if part.anchors else {}
    found = []
    for ids in np.split(words.ids, np.cumsum(words.counts)[:-1]):
        unique, times = np.unique(ids, return_counts=True)
        total = times @ vectors[unique]
        norm = float(np.linalg.norm(total)) or 1.0
        shares = (times[:, None] * vectors[unique] / norm).astype(np.float64) @ coef[:, :width].T
        reasons = [Reason("meaning", said[i], share) for i, share in zip(unique, shares, strict=True)]
        if part.anchors:
            for column, value, at in _anchored(part, meant[ids]):
                surface = " ".join(said[i] for i in ids[at])
                anchor = " ".join(names.get(a, "") for a in meant[ids[at]].tolist()).strip()
                note = "" if anchor == surface else anchor
                reasons.append(Reason("read as", surface, value * coef[:, width + column], note))
        found.append(reasons)
    return found


def _anchored(part: Static, read_as: NDArray[np.int64]) -> list[tuple[int, float, slice]]:
    """Return column, value and first place of each n-gram of anchors in one text."""
    places: dict[int, slice] = {}
    for length in range(1, part.ngram_range[1] + 1):
        for begin in range(len(read_as) - length + 1):
            window = slice(begin, begin + length)
            for column in part.index_.find(Tokens(read_as[window], np.array([length])))[1].tolist():
                places.setdefault(column, window)
    row = part.index_.tfidf(Tokens(read_as, np.array([len(read_as)])), part.idf_, sublinear=True)
    return [(int(c), float(v), places[int(c)]) for c, v in zip(row.indices, row.data, strict=True)]


def _anchor_names(part: Static, wanted: NDArray[np.int64], known: pa.Array | None) -> dict[int, str]:
    """Return the words of anchors, looked for among known words.

    A bundle keeps the anchors' vectors only. Their words are frequent, so that the vocabulary has them.
    """
    if known is None or not len(known):
        return {}
    rows = part.vectors_.look_up(known.to_pylist())
    cosines = part.vectors_.vectors[rows] @ part.anchors_[wanted].T
    best = cosines.argmax(axis=0)
    return {
        int(anchor): known[int(word)].as_py()
        for anchor, word, cosine in zip(wanted, best, cosines.max(axis=0), strict=True)
        if cosine > 0.9999
    }
