"""Plots of a run, drawn from out-of-fold or test probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.lettering import lettering

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")  # Tol's bright


def draw(
    folder: Path, y: Labels, predicted: Labels, probabilities: Floats, labels: Sequence[str], title: str
) -> None:
    """Write `precision_recall`, `calibration`, `confusion` and `together` as PNG files into `folder`.

    Parameters
    ----------
    folder : path
        Made where missing.
    y, predicted : ndarray of shape (n_sentences, n_labels)
    probabilities : ndarray of shape (n_sentences, n_labels)
    labels : sequence of str
        The first seven are drawn: more would not be told apart.
    title : str
        Says which sentences are shown.
    """
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    with lettering(list(labels)[: len(COLOURS)]) as shown:
        for name, plot in (
            ("precision_recall", _precision_recall),
            ("calibration", _calibration),
            ("confusion", _confusion),
            ("together", _together),
        ):
            wide = name == "confusion"
            figure = Figure(
                figsize=(2.6 * len(shown), 2.9) if wide else (5.6, 4.6), layout="constrained", dpi=110
            )
            plot(figure, y, predicted, probabilities, shown)
            figure.suptitle(title, fontsize=10)
            figure.savefig(folder / f"{name}.png")


def draw_abstention(
    folder: Path, points: Sequence[Mapping[str, Any]], labels: Sequence[str], title: str
) -> None:
    """Write `abstention.png`: the share decided and the errors in it, at each promised error rate.

    Parameters
    ----------
    folder : path
    points : sequence of mapping
        As `pipeline.evaluation.abstention.curve` gives them.
    labels : sequence of str
        The first seven are drawn.
    title : str
    """
    from matplotlib.figure import Figure

    drawn = list(labels)[: len(COLOURS)]
    series = [points, *([point["per_label"][label] for point in points] for label in drawn)]
    with lettering(drawn) as names:
        figure = Figure(figsize=(5.6, 4.6), layout="constrained", dpi=110)
        axes = figure.subplots()
        for name, colour, some in zip(("all labels", *names), ("#000000", *COLOURS), series, strict=False):
            told = [one for one in some if one["error"]]
            x, y = [one["decided"] for one in told], [one["error"]["value"] for one in told]
            axes.plot(x, y, "o-", color=colour, markersize=3, label=name)
        axes.set(xlabel="share decided, the rest left to a person", xlim=(0, 1.01), ylim=(0, None))
        axes.set_ylabel("share of the decided that is wrong")
        axes.legend(fontsize=8, loc="upper left")
        axes.grid(alpha=0.25)
        figure.suptitle(title, fontsize=10)
        figure.savefig(folder / "abstention.png")


def _precision_recall(figure: Any, y: Labels, predicted: Labels, p: Floats, labels: Sequence[str]) -> None:
    from sklearn.metrics import precision_recall_curve

    axes = figure.subplots()
    for k, label in enumerate(labels):
        if y[:, k].any():
            precision, recall, _ = precision_recall_curve(y[:, k], p[:, k])
            axes.step(recall, precision, where="post", color=COLOURS[k], label=f"{label} ({y[:, k].sum()})")
        given = max(int(predicted[:, k].sum()), 1)
        hit = int((y[:, k] & predicted[:, k]).sum())
        axes.plot(hit / max(int(y[:, k].sum()), 1), hit / given, "o", color=COLOURS[k])
    axes.set(xlabel="recall", ylabel="precision (dot: at the threshold)", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.legend(fontsize=8, loc="lower left")
    axes.grid(alpha=0.25)


def _calibration(figure: Any, y: Labels, predicted: Labels, p: Floats, labels: Sequence[str]) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=":")
    for k, label in enumerate(labels):
        parts = np.array_split(np.argsort(p[:, k], kind="stable"), min(10, len(y)))
        axes.plot(
            [p[part, k].mean() for part in parts],
            [y[part, k].mean() for part in parts],
            marker="o",
            markersize=4,
            color=COLOURS[k],
            label=label,
        )
    axes.set(xlabel="mean probability, tenths of the sentences", ylabel="share that carry the label")
    axes.legend(fontsize=8, loc="upper left")
    axes.grid(alpha=0.25)


def _confusion(figure: Any, y: Labels, predicted: Labels, p: Floats, labels: Sequence[str]) -> None:
    for k, (label, axes) in enumerate(
        zip(labels, np.atleast_1d(figure.subplots(1, len(labels))), strict=True)
    ):
        table = np.array([[np.sum((y[:, k] == t) & (predicted[:, k] == g)) for g in (0, 1)] for t in (0, 1)])
        _table(axes, table, ("not given", "given"), ("is not", "is"), label)


def _together(figure: Any, y: Labels, predicted: Labels, p: Floats, labels: Sequence[str]) -> None:
    both = y[:, : len(labels)].astype(np.int64)
    _table(figure.subplots(), both.T @ both, labels, labels, "sentences that carry both labels")


def _table(
    axes: Any, table: NDArray[np.int64], columns: Sequence[str], rows: Sequence[str], title: str
) -> None:
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.2)
    for (i, j), count in np.ndenumerate(table):
        axes.text(j, i, str(count), ha="center", va="center", color="white" if share[i, j] > 0.7 else "black")
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_title(title, fontsize=9)
