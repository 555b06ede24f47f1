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
        axes.errorbar(
            point["rate"], point["value"], errors, fmt="o", color=colour, capsize=2, elinewidth=0.8
        )
    for point, (x, y, side) in zip(ordered, _places(ordered), strict=True):
        axes.annotate(
            point["name"],
            (point["rate"], point["value"]),
            (x, y),
            textcoords="offset points",
            fontsize=8,
            ha=side,
            va="center",
        )
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set(xlabel="sentences scored per second, one core", ylabel="macro-F1, 95 % interval", title=title)
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25)
    figure.savefig(path, format="png")


def frontier(points: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the points that no other equals or beats in both, and beats in one."""
    return {
        p["name"]
        for p in points
        if not any(
            q["rate"] >= p["rate"] and q["value"] >= p["value"] and (q["rate"], q["value"]) != (p["rate"], p["value"])
            for q in points
        )
    }


def _places(ordered: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """Return where each name goes, in points from its mark: to the left where the next is close."""
    places = []
    for i, point in enumerate(ordered):
        following = ordered[i + 1] if i + 1 < len(ordered) else None
        crowded = (
            following is not None
            and following["rate"] < 6 * point["rate"]
            and abs(following["value"] - point["value"]) < 0.04
        )
        places.append((-6, 5, "right") if crowded else (6, -5, "left"))
    return places
