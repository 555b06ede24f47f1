"""Charts that compare classifiers or settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluation.plots import COLOURS

GREY = "#888888"


def pareto(path: Path, points: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draw quality against speed; a line joins the points that no other is both better and faster than.

    Parameters
    ----------
    path : path
        PNG file.
    points : sequence of mapping
        `name`, `rate` (sentences per second), and macro-F1 as `value`, `low`, `high`.
    title : str
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained", dpi=110)
    axes = figure.subplots()
    best = frontier(points)
    ordered = sorted(points, key=lambda point: point["rate"])
    axes.plot(
        [p["rate"] for p in ordered if p["name"] in best],
        [p["value"] for p in ordered if p["name"] in best],
        color=COLOURS[0],
        linewidth=1,
    )
    for point in points:
        colour = COLOURS[0] if point["name"] in best else GREY
        errors = [[point["value"] - point["low"]], [point["high"] - point["value"]]]
        axes.errorbar(point["rate"], point["value"], errors, fmt="o", color=colour, capsize=2, elinewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.15)
    axes.set(xlabel="sentences scored per second, one core", ylabel="macro-F1, 95 % interval", title=title)
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25)
    figure.draw_without_rendering()  # places the axes
    _name(axes, points)
    figure.savefig(path, format="png")


def frontier(points: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the points that no other equals or beats in both, and beats in one."""
    return {
        p["name"]
        for p in points
        if not any(
            q["rate"] >= p["rate"]
            and q["value"] >= p["value"]
            and (q["rate"], q["value"]) != (p["rate"], p["value"])
            for q in points
        )
    }


def _name(axes: Any, points: Sequence[Mapping[str, Any]]) -> None:
    """Write each point's name beside it, where no other name or mark is."""
    scale = 72 / axes.figure.dpi
    at = [axes.transData.transform((p["rate"], p["value"])) * scale for p in points]
    taken = [(x - 4, x + 4, y - 4, y + 4) for x, y in at]
    for point, (x, y) in zip(points, at, strict=True):
        width, boxes = 4.6 * len(point["name"]), []
        for dx, dy in ((7, 0), (-7, 0), (6, 9), (6, -9), (-6, 9), (-6, -9), (6, 18), (6, -18)):
            left = x + dx if dx > 0 else x + dx - width
            boxes.append(((left, left + width, y + dy - 4, y + dy + 4), dx, dy))
        free = (one for one in boxes if not any(_overlap(one[0], other) for other in taken))
        box, dx, dy = next(free, boxes[0])
        taken.append(box)
        axes.annotate(
            point["name"],
            (point["rate"], point["value"]),
            (dx, dy),
            textcoords="offset points",
            fontsize=8,
            ha="left" if dx > 0 else "right",
            va="center",
        )


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def importance(
    path: Path,
    importances: Mapping[str, float],
    trials: Sequence[tuple[Mapping[str, Any], float]],
    title: str,
    most: int = 3,
) -> None:
    """Draw each setting's importance, and the score at every value tried of those that matter most.

    Parameters
    ----------
    path : path
        PNG file.
    importances : mapping of str to float
        Key of a setting to its share in the variance of the scores, largest first.
    trials : sequence of pair
        Settings, and the macro-F1 they gave.
    title : str
    most : int
        How many settings get a panel of their own.
    """
    from matplotlib.figure import Figure

    shown = list(importances)[:most]
    figure = Figure(figsize=(3.6 + 2.6 * len(shown), 3.4), layout="constrained", dpi=110)
    bars, *panels = figure.subplots(1, 1 + len(shown), width_ratios=[1.3] + [1] * len(shown))
    names = [last_names(key) for key in importances]
    bars.barh(names, list(importances.values()), color=COLOURS[0])
    bars.invert_yaxis()
    bars.set_xlabel("importance", fontsize=8)
    bars.tick_params(labelsize=8)
    best = max(score for _, score in trials)
    for axes, key in zip(panels, shown, strict=True):
        values = [settings[key] for settings, _ in trials]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        x = values if numbers else ["null" if v is None else str(v).lower() for v in values]
        colours = [COLOURS[1] if score == best else COLOURS[0] for _, score in trials]
        axes.scatter(x, [score for _, score in trials], s=14, c=colours)
        if all(type(v) is int for v in values):
            axes.xaxis.get_major_locator().set_params(integer=True)
        if numbers and min(values) > 0 and max(values) > 30 * min(values):
            axes.set_xscale("log")
        axes.set_xlabel(last_names(key), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        if axes is panels[0]:
            axes.set_ylabel("macro-F1, cross-validation", fontsize=8)
        else:
            axes.sharey(panels[0])
            axes.tick_params(labelleft=False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, format="png")


def last_names(key: str) -> str:
    """Return the last two names of a dotted key, without places in lists."""
    return ".".join([part for part in key.split(".") if not part.isdigit()][-2:])
