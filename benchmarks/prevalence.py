"""Do the intervals of pipeline.estimate cover? Samples drawn from a corpus whose labels are all known.

    python benchmarks/prevalence.py REPORT [--samples 400] [--sizes 100 300 1000]
        [--plot docs/figures/estimate.png]

The corpus is the training sentences with their out-of-fold probabilities, which python -m pipeline.train
writes into its REPORT; its true shares are counted. A sample's labels stand for what people would label.
Counting means counting what the classifier labels, with the interval of as many independent sentences.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq


class Known:
    """A corpus with its labels."""

    def __init__(self, folder: Path) -> None:
        import json

        table = pq.read_table(folder / "out_of_fold.parquet")
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        self.model, self.labels = metrics["model"], metrics["labels"]
        scores, given = table["scores"].to_pylist(), table["labels"].to_pylist()
        self.p = np.array([[row[name] for name in self.labels] for row in scores])
        self.y = np.array([[name in row for name in self.labels] for row in given], np.int8)
        cut = [one["threshold"] for one in metrics["cross_validation"]["per_label"].values()]
        self.counted = self.p >= np.array(cut)
        self.years = np.array([date[:4] for date in table["date"].to_pylist()])
        self.articles = np.unique(np.array(table["article"].to_pylist()), return_inverse=True)[1]


def coverage(known: Known, sizes: list[int], samples: int) -> list[list[str]]:
    """Return a row of figures for each label and size of sample."""
    from rich.progress import track

    from pipeline.evaluation.prevalence import prevalence, wilson

    rng = np.random.default_rng(0)
    n, nothing = len(known.y), np.zeros(len(known.y))
    rows = []
    jobs = [(k, size) for size in sizes for k in range(len(known.labels))]
    for k, size in track(jobs, description="samples", transient=True, disable=not sys.stderr.isatty()):
        y, p, truth = known.y[:, k], known.p[:, k], known.y[:, k].mean()
        counted = known.counted[:, k].mean()
        low, high = wilson(counted, n, 1.96)
        hits, widths = np.zeros(2), np.zeros(2)
        for _ in range(samples):
            at = rng.choice(n, size, replace=False)
            mine = known.articles[at]
            best = prevalence(y[at], p[at], p, groups=mine, corpus_groups=known.articles)
            alone = prevalence(y[at], nothing[at], nothing, groups=mine)
            hits += [best.low <= truth <= best.high, alone.low <= truth <= alone.high]
            widths += [best.high - best.low, alone.high - alone.low]
        ratio = widths[0] / widths[1]
        rows.append(
            [known.labels[k], f"{size:,}", f"{truth:.1%}"]
            + [
                f"{hit / samples:.1%}, ±{width / samples / 2:.1%}"
                for hit, width in zip(hits, widths, strict=True)
            ]
            + [
                f"{ratio:.2f}",
                f"{ratio**-2:.1f}",
                f"{counted:.1%}, {'yes' if low <= truth <= high else 'no'}",
            ]
        )
    return rows


def over_time(known: Known, size: int, path: Path) -> tuple[int, int]:
    """Draw one sample's estimates by year beside the true shares; return how many intervals cover, of all."""
    from pipeline.evaluation.curve_charts import share_chart
    from pipeline.evaluation.prevalence import prevalence

    at = np.random.default_rng(1).choice(len(known.y), size, replace=False)
    nothing = np.zeros(len(known.y))
    rows: list[dict[str, Any]] = []
    for year in sorted(set(known.years.tolist())):
        inside, mine = known.years == year, at[known.years[at] == year]
        if len(mine) < 20:
            continue
        groups = known.articles[mine]
        for k, label in enumerate(known.labels):
            y, p = known.y[mine, k], known.p[:, k]
            best = prevalence(y, p[mine], p[inside], groups=groups, corpus_groups=known.articles[inside])
            alone = prevalence(y, nothing[mine], nothing[inside], groups=groups)
            row: dict[str, Any] = {"value": year, "label": label}
            row |= {"counted": known.counted[inside, k].mean(), "truth": known.y[inside, k].mean()}
            row |= {"share": best.value, "low": best.low, "high": best.high}
            row |= {"sample_share": alone.value, "sample_low": alone.low, "sample_high": alone.high}
            rows.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    share_chart(path, rows, "year", 0.95)
    return sum(row["low"] <= row["truth"] <= row["high"] for row in rows), len(rows)


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="folder that training wrote")
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--plot", type=Path, help="PNG file: one sample of 2,000 by year")
    given = parser.parse_args()
    known = Known(given.report)
    head = ["label", "sample", "true share", "estimate: covers, half-width", "sample alone", "width ratio"]
    head += ["worth so many times the labels", "counted, covers"]
    print(f"{known.model}, {len(known.y):,} sentences, {given.samples:,} samples each\n")
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in coverage(known, given.sizes, given.samples):
        print(f"| {' | '.join(row)} |")
    if given.plot:
        hits, told = over_time(known, 2000, given.plot)
        print(f"\nby year: {hits} of {told} intervals cover")


if __name__ == "__main__":
    main()
