"""Charts of learning curves and of shares, for `pipeline.curve` and `pipeline.estimate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluation.lettering import lettering
from pipeline.evaluation.plots import COLOURS


def learning_curves(path: Path, curves: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """Write measured and extrapolated scores as PNG, a panel for each curve.

    Parameters
    ----------
    path : path
    curves : mapping of str to mapping
        As `pipeline.curve.extrapolate` gives them.
    title : str
    """
    import numpy as np
    from matplotlib.figure import Figure

    with lettering(list(curves), "curve") as names:
        figure = Figure(figsize=(0.6 + 2.7 * len(curves), 3.4), layout="constrained", dpi=110)
        panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
        for k, (name, one, axes) in enumerate(zip(names, curves.values(), panels, strict=True)):
            colour = "#333333" if k == 0 else COLOURS[(k - 1) % len(COLOURS)]
            fitted = one["fitted"]
            axes.fill_between(
                fitted["n"], fitted["low"], fitted["high"], color=colour, alpha=0.15, linewidth=0
            )
            axes.plot(fitted["n"], fitted["f1"], color=colour, linewidth=1)
            errors = [np.subtract(one["f1"], one["low"]), np.subtract(one["high"], one["f1"])]
            axes.errorbar(one["n"], one["f1"], errors, fmt="o", markersize=4, capsize=2, color=colour)
            axes.axvline(one["n"][-1], color="#999999", linewidth=0.8, linestyle=":")
            axes.set_xscale("log")
            axes.minorticks_off()
            ticks = [float(f"{n:.1g}") for n in (one["n"][0], one["n"][-1], fitted["n"][-1])]
            axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks], fontsize=8)
            axes.set_title(name, fontsize=9)
            what = "sentences" if one["counted"] == "sentences" else f"with {name}"
            axes.set_xlabel(f"training sentences{'' if what == 'sentences' else f' {what}'}", fontsize=8)
            axes.grid(alpha=0.25)
        panels[0].set_ylabel("F1; bars and bands: 95 %")
        figure.suptitle(f"{title}; right of the dotted line: extrapolated", fontsize=9)
        figure.savefig(path, format="png")


def share_chart(path: Path, shares: Sequence[Mapping[str, Any]], column: str, level: float) -> None:
    """Write the shares over the values of a column as PNG, a panel for each label.

    Parameters
    ----------
    path : path
    shares : sequence of mapping
        As `pipeline.estimate.estimate` gives them, of one column; with `truth` where it is known.
    column : str
    level : float
        Of the intervals.
    """
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(row["label"] for row in shares))
    values = list(dict.fromkeys(row["value"] for row in shares))
    with lettering(labels) as names, lettering(values, "value") as shown:
        tall = 0.9 + 1.9 * len(labels)
        figure = Figure(figsize=(max(6.0, 1.6 + 0.34 * len(values)), tall), layout="constrained", dpi=110)
        panels = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
        for k, (label, name, axes) in enumerate(zip(labels, names, panels, strict=True)):
            own = {row["value"]: row for row in shares if row["label"] == label}
            x = [n for n, value in enumerate(values) if "share" in own[value]]
            told = [own[values[n]] for n in x]
            for prefix, shift, style in (
                ("sample_", 0.14, {"color": "#999999", "label": "labelled sample alone"}),
                ("", -0.14, {"color": COLOURS[k % len(COLOURS)], "label": "estimate"}),
            ):
                share = [row[f"{prefix}share"] for row in told]
                below = [row[f"{prefix}share"] - row[f"{prefix}low"] for row in told]
                above = [row[f"{prefix}high"] - row[f"{prefix}share"] for row in told]
                at = [n + shift for n in x]
                axes.errorbar(at, share, [below, above], fmt="o", markersize=3.5, capsize=2, **style)
            counted = [own[value]["counted"] for value in values]
            axes.plot(counted, "x", color="black", markersize=5, label="counted by the classifier")
            if "truth" in shares[0]:
                truth = [own[value]["truth"] for value in values]
                axes.plot(truth, "_", color="black", markersize=9, label="true share")
            axes.set_title(name, fontsize=9, loc="left")
            axes.set_ylim(0)
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
            axes.grid(alpha=0.25)
        panels[-1].set_xticks(range(len(values)), shown, rotation=90 if len(values) > 8 else 0, fontsize=8)
        panels[-1].set_xlabel(
            f"{column}; bars: {level:.0%} intervals, none where too few sentences are labelled"
        )
        handles, kinds = panels[0].get_legend_handles_labels()
        figure.legend(handles, kinds, fontsize=8, loc="outside upper right", ncols=4)
        figure.savefig(path, format="png")
