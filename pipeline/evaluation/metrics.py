"""Scores of a classifier, and their intervals by resampling articles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
RESAMPLES = 2000
# Scores of probabilities are resampled less often where sentences times labels are many: a second or two.
CELLS, FEWEST = 100_000_000, 200
PROBABILISTIC = ("average_precision", "brier", "calibration_error")
BINS = 10
Z = 1.959963984540054  # of 95 %


def evaluate(
    y: Labels,
    predicted: Labels,
    probabilities: Floats,
    *,
    labels: Sequence[str],
    thresholds: Sequence[float | None],
    groups: Sequence[object] | None = None,
    seed: int = 0,
    repeats: int = 1,
) -> dict[str, Any]:
    """Return the block of scores that every report and metrics file carries.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_sentences, n_labels)
        0/1 truth and prediction.
    probabilities : ndarray of shape (n_sentences, n_labels)
    labels, thresholds : sequences of length n_labels
    groups : sequence of length n_sentences, optional
        Article of each sentence; articles are resampled whole. Without it, sentences are.
    seed : int
        Of the resampling.
    repeats : int
        How often each sentence is there, predicted anew each time: scores are then of all repeats, and
        intervals are none the narrower for them, since an article is resampled with all of its repeats.

    Returns
    -------
    dict
        `macro_f1`, `micro_f1`, `subset_accuracy`, `macro_average_precision`, `macro_brier` and
        `macro_calibration_error` as value, low and high (95 %); `per_label` with precision, recall, f1,
        average precision, Brier score and expected calibration error, each followed by its interval
        (`f1_low`, `f1_high`), support and threshold; `sentences` and `articles`, the sizes.

    Notes
    -----
    Intervals are percentiles of the resamples. A calibration error takes noise for error. In its resamples,
    bins keep the side of the diagonal that they are on, and the noise is subtracted, taken to be what other
    resamples exceed the value by. Close to 0 that is too little: the lower end is then somewhat high.
    """
    counts = article_counts(y, predicted, groups)
    values = {name: value[0] for name, value in summarise(counts.sum(axis=0, keepdims=True)).items()}
    resampled = summarise(resample(counts, seed))
    columns = range(y.shape[1])
    values["average_precision"] = np.array([average_precision(y[:, k], probabilities[:, k]) for k in columns])
    values["brier"] = np.mean((probabilities - y) ** 2, axis=0)
    values["calibration_error"] = np.array([calibration_error(y[:, k], probabilities[:, k]) for k in columns])
    resampled |= resampled_probabilistic(y, probabilities, groups, seed)
    for name in PROBABILISTIC:
        values[f"macro_{name}"], resampled[f"macro_{name}"] = (
            of[name].mean(axis=-1) for of in (values, resampled)
        )
    block: dict[str, Any] = {
        name: interval(values[name], resampled[name])
        for name in ("macro_f1", "micro_f1", "subset_accuracy", *(f"macro_{one}" for one in PROBABILISTIC))
    }
    block["per_label"] = {
        label: {
            key: value
            for name in ("precision", "recall", "f1", *PROBABILISTIC)
            for key, value in _flat(name, interval(values[name][k], resampled[name][:, k]))
        }
        | {"support": int(y[:, k].sum()) // repeats, "threshold": thresholds[k]}
        for k, label in enumerate(labels)
    }
    return block | {"sentences": len(y) // repeats, "articles": len(counts)}


def _flat(name: str, score: dict[str, float]) -> list[tuple[str, float]]:
    return [(name, score["value"]), (f"{name}_low", score["low"]), (f"{name}_high", score["high"])]


def spread(y: Labels, predicted: Labels, repeat: NDArray[np.int64]) -> dict[str, Any]:
    """Return how many repeats there are and the macro-F1 of each: what the deal of the folds changes."""
    values = [
        summarise(article_counts(y[repeat == n], predicted[repeat == n], None).sum(axis=0)[None])
        for n in np.unique(repeat)
    ]
    return {"count": len(values), "macro_f1": [float(value["macro_f1"][0]) for value in values]}


def article_counts(y: Labels, predicted: Labels, groups: Sequence[object] | None) -> NDArray[np.int64]:
    """Return per article what all counted metrics are made of.

    Returns
    -------
    ndarray of shape (n_articles, 3 * n_labels + 2)
        True positives, false positives and false negatives of each label, rows wholly right, rows.
    """
    hit = y & predicted
    rows = np.hstack([hit, predicted - hit, y - hit, (y == predicted).all(axis=1)[:, None]]).astype(np.int64)
    rows = np.hstack([rows, np.ones((len(rows), 1), np.int64)])
    if groups is None:
        return rows
    group = _numbered(groups, len(rows))
    counts = np.zeros((group.max(initial=-1) + 1, rows.shape[1]), np.int64)
    np.add.at(counts, group, rows)
    return counts


def resample(counts: NDArray[np.int64], seed: int, times: int = RESAMPLES) -> Floats:
    """Return the totals of `times` bootstrap samples of articles, shape (times, n_counts).

    Efron, B. (1979). Bootstrap methods: another look at the jackknife. A sample of articles with
    replacement is a vector of multiplicities, so that all samples are one matrix product.
    """
    n = len(counts)
    return np.vstack(
        [weights @ counts for weights in _multiplicities(n, seed, times, 1_000_000 // max(n, 1))]
    )


def resampled_probabilistic(
    y: Labels, probabilities: Floats, groups: Sequence[object] | None, seed: int, times: int | None = None
) -> dict[str, Floats]:
    """Return average precision, Brier score and calibration error of bootstrap samples of articles.

    Returns
    -------
    dict of str to ndarray of shape (times, n_labels)
        Of the samples that `resample` draws, of which there are fewer than `RESAMPLES` where they would
        take more than `CELLS` labels of sentences. The calibration error is freed of its noise: see
        `evaluate`.
    """
    n, k = y.shape
    group = np.arange(n) if groups is None else _numbered(groups, n)
    if times is None:
        times = min(RESAMPLES, max(FEWEST, CELLS // max(n * k, 1)))
    labels = [_Weighted(y[:, j], probabilities[:, j]) for j in range(k)]
    done = []
    for weights in _multiplicities(int(group.max(initial=-1)) + 1, seed, times, 250_000 // max(n, 1)):
        counted = np.ascontiguousarray(weights.T)[group]
        done.append(np.stack([label(counted) for label in labels], axis=1))
    precision, brier, sided, error = np.concatenate(done, axis=2).transpose(0, 2, 1)
    noise = error.mean(axis=0) - [calibration_error(y[:, j], probabilities[:, j]) for j in range(k)]
    return dict(zip(PROBABILISTIC, (precision, brier, np.clip(sided - noise, 0, 1)), strict=True))


class _Weighted:
    """The scores of a label's probabilities where sentences count several times."""

    def __init__(self, y: Labels, probability: Floats) -> None:
        self._gap, self._bins = probability - y, _bins(probability)
        self._sided = self._gap.copy()
        for part in self._bins:
            self._sided[part] *= np.sign(self._gap[part].sum())
        order = np.argsort(-probability, kind="stable")
        falling, carries = -probability[order], np.flatnonzero(y[order])
        # Sentences of the same probability are found together: precision is taken after the last of them.
        _, self._first = np.unique(falling[carries], return_index=True)
        ends = np.searchsorted(falling, falling[carries[self._first]], side="right")
        self._found, self._hit = order[: ends[-1]] if len(ends) else order[:0], order[carries]
        self._begin = np.concatenate([[0], ends[:-1]]).astype(np.int64)

    def __call__(self, weights: Floats) -> Floats:
        """Return four scores of each column of weights: see `resampled_probabilistic`."""
        bins = sum(np.abs(self._gap[part] @ weights[part]) for part in self._bins)
        sums = np.stack([self._gap**2 @ weights, self._sided @ weights, bins]) / weights.sum(axis=0)
        return np.vstack([self._precision(weights), sums])

    def _precision(self, weights: Floats) -> Floats:
        if not len(self._hit):
            return np.zeros(weights.shape[1])
        found = np.add.reduceat(weights[self._found], self._begin, axis=0).cumsum(axis=0)
        hit = np.add.reduceat(weights[self._hit], self._first, axis=0)
        return _ratio((hit * _ratio(hit.cumsum(axis=0), found)).sum(axis=0), hit.sum(axis=0))


def _multiplicities(n: int, seed: int, times: int, step: int) -> Iterator[Floats]:
    """Yield how often each of n is drawn, `step` samples at a time; it should all fit a cache."""
    rng, step = np.random.default_rng(seed), max(1, step)
    for begin in range(0, times, step):
        size = min(step, times - begin)
        # Counting drawn numbers takes a quarter of the time that drawing multinomial counts does.
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _numbered(groups: Sequence[object], n: int) -> NDArray[np.int64]:
    return np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].reshape(n)


def summarise(totals: Floats | NDArray[np.int64]) -> dict[str, Floats]:
    """Return the metrics of each row of totals; a ratio of nothing to nothing is 0."""
    k = (totals.shape[1] - 2) // 3
    hit, false, missed = totals[:, :k], totals[:, k : 2 * k], totals[:, 2 * k : 3 * k]
    f1 = _ratio(2 * hit, 2 * hit + false + missed)
    summed = hit.sum(axis=1), false.sum(axis=1), missed.sum(axis=1)
    return {
        "precision": _ratio(hit, hit + false),
        "recall": _ratio(hit, hit + missed),
        "f1": f1,
        "macro_f1": f1.mean(axis=1),
        "micro_f1": _ratio(2 * summed[0], 2 * summed[0] + summed[1] + summed[2]),
        "subset_accuracy": _ratio(totals[:, -2], totals[:, -1]),
    }


def interval(value: float, resampled: Floats) -> dict[str, float]:
    """Return value with the 2.5th and 97.5th percentiles of its resamples."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"value": float(value), "low": float(min(low, value)), "high": float(max(high, value))}


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of n.

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    """
    if not n:
        return 0.0, 1.0
    share = successes / n
    center = share + Z**2 / (2 * n)
    width = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = (center - width) / (1 + Z**2 / n), (center + width) / (1 + Z**2 / n)
    return float(max(low, 0) if successes else 0.0), float(min(high, 1) if successes < n else 1.0)


def average_precision(y: Labels, probability: Floats) -> float:
    """Return the area under the precision-recall steps; 0 where the label never occurs."""
    return float(average_precision_score(y, probability)) if y.any() else 0.0


def calibration_error(y: Labels, probability: Floats, bins: int = BINS) -> float:
    """Return the expected calibration error over equally filled bins.

    Nixon et al. (2019). Measuring calibration in deep learning: adaptive calibration error.
    """
    gaps = [abs(probability[p].mean() - y[p].mean()) * len(p) for p in _bins(probability, bins) if len(p)]
    return float(sum(gaps) / max(len(y), 1))


def _bins(probability: Floats, bins: int = BINS) -> list[NDArray[np.int64]]:
    return np.array_split(np.argsort(probability, kind="stable"), min(bins, max(len(probability), 1)))


def _ratio(part: Any, whole: Any) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)
