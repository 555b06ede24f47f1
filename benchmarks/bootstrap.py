"""Seconds for intervals by resampling: this package, `scipy.stats.bootstrap`, scikit-learn in a loop.

    python benchmarks/bootstrap.py [sentences=5000] [resamples=2000]

Each gives 95 % intervals of macro-F1, of every label's F1 and of subset accuracy for four labels. Ours is
timed with sentences resampled one by one and with articles of twelve resampled whole; so are intervals of
average precision, Brier score and calibration error, for themselves. The loop scores 50
samples, and its time is multiplied; SciPy is handed a vectorised macro-F1 alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, f1_score

from pipeline.evaluation import metrics

LOOPS = 50


def seconds(work: Callable[[], object]) -> float:
    """Return the least of three times of the processor: others on the machine do not count."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Time all on the same predictions, and print seconds and ratios."""
    given = dict(argument.split("=") for argument in sys.argv[1:])
    n, resamples = int(given.get("sentences", 5000)), int(given.get("resamples", 2000))
    rng = np.random.default_rng(0)
    y = (rng.random((n, 4)) < [0.15, 0.1, 0.2, 0.2]).astype(np.int8)
    probabilities = np.clip(0.4 * y + 0.6 * rng.random(y.shape), 0, 1)
    predicted = (y ^ (rng.random(y.shape) < 0.1)).astype(np.int8)

    def ours(groups: object) -> None:
        counts = metrics.article_counts(y, predicted, groups)  # type: ignore[arg-type]
        resampled = metrics.summarise(metrics.resample(counts, 0, resamples))
        np.percentile(resampled["macro_f1"], [2.5, 97.5])
        np.percentile(resampled["f1"], [2.5, 97.5], axis=0)

    def probabilistic(groups: object) -> None:
        found = metrics.resampled_probabilistic(y, probabilities, groups, 0, resamples)  # type: ignore[arg-type]
        for one in found.values():
            np.percentile(one, [2.5, 97.5], axis=0)

    def loop() -> None:
        for _ in range(LOOPS):
            rows = rng.integers(0, n, n)
            f1_score(y[rows], predicted[rows], average=None)
            accuracy_score(y[rows], predicted[rows])

    def macro_f1(rows: np.ndarray, axis: int = -1) -> np.ndarray:
        truth, said = y[rows], predicted[rows]
        hit = (truth & said).sum(axis=-2)
        return (2 * hit / (truth.sum(axis=-2) + said.sum(axis=-2))).mean(axis=-1)

    def scipys() -> None:
        rows = (np.arange(n),)
        bootstrap(rows, macro_f1, n_resamples=resamples, method="percentile", vectorized=True, batch=50)

    times = {
        "pipeline, sentences": seconds(lambda: ours(None)),
        "pipeline, articles": seconds(lambda: ours(np.arange(n) // 12)),
        "probabilities, sentences": seconds(lambda: probabilistic(None)),
        "probabilities, articles": seconds(lambda: probabilistic(np.arange(n) // 12)),
        "scipy.stats.bootstrap": seconds(scipys),
        "scikit-learn in a loop": seconds(loop) * resamples / LOOPS,
    }
    print(f"{resamples} resamples of {n} sentences, 4 labels")
    for name, value in times.items():
        print(f"{name:<26}{value:8.2f} s  {value / times['pipeline, sentences']:7.1f}")


if __name__ == "__main__":
    main()
