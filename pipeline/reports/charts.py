"""Charts as inline SVG: coloured by the page's style sheet, read out by their descriptions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

WIDTH, HEIGHT = 264, 208
LEFT, RIGHT, TOP, BOTTOM = 38, 8, 8, 36
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart.

    Attributes
    ----------
    points : sequence of (x, y)
        Both from 0 to 1; a y that is nan breaks the line.
    style : str
        Class of the page's style sheet, such as "s0", "dash".
    name : str
        For the legend; nothing for none.
    dots : bool
        Whether each point is marked.
    """

    points: Sequence[Point]
    style: str
    name: str = ""
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A square of lines, from 0 to 1 unless the vertical axis ends elsewhere.

    Attributes
    ----------
    title, description : str
        Read out in place of the picture.
    x, y : str
        Names of the axes.
    marks : sequence of (x, y, tooltip)
        Single dots.
    bars : sequence of (x, low, high)
        Vertical intervals.
    at : float, optional
        Where a vertical line stands, such as a threshold.
    top : float
        Where the vertical axis ends.
    """

    title: str
    description: str
    x: str
    y: str
    lines: Sequence[Line] = ()
    marks: Sequence[tuple[float, float, str]] = field(default=())
    bars: Sequence[tuple[float, float, float]] = field(default=())
    at: float | None = None
    top: float = 1.0

    def __html__(self) -> str:
        """Return the chart as SVG."""
        said = escape(f"{self.title}. {self.description}")
        parts = [
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">',
            *self._axes(),
            *(
                f'<line class="bar" x1="{_x(x)}" x2="{_x(x)}" y1="{self._y(low)}" y2="{self._y(high)}"/>'
                for x, low, high in self.bars
            ),
            *(_line(line, self._y) for line in self.lines),
            *(
                f'<circle class="mark" cx="{_x(x)}" cy="{self._y(y)}" r="4">'
                f"<title>{escape(tip)}</title></circle>"
                for x, y, tip in self.marks
            ),
            *self._legend(),
            "</svg>",
        ]
        return "".join(parts)

    def _y(self, value: float) -> float:
        return _y(min(value / self.top, 1))

    def _axes(self) -> Iterable[str]:
        for tick in TICKS:
            x, y, text, up = _x(tick), _y(tick), f"{tick:g}", f"{tick * self.top:.3g}"
            yield f'<line class="grid" x1="{x}" x2="{x}" y1="{_y(0)}" y2="{_y(1)}"/>'
            yield f'<line class="grid" x1="{_x(0)}" x2="{_x(1)}" y1="{y}" y2="{y}"/>'
            yield f'<text class="tick" x="{x}" y="{HEIGHT - BOTTOM + 13}" text-anchor="middle">{text}</text>'
            yield f'<text class="tick" x="{LEFT - 5}" y="{y + 3}" text-anchor="end">{up}</text>'
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(self.x)}</text>'
        across = (TOP + HEIGHT - BOTTOM) / 2
        yield (
            f'<text class="axis" transform="rotate(-90 9 {across})" x="9" y="{across}" '
            f'text-anchor="middle">{escape(self.y)}</text>'
        )
        if self.at is not None:
            yield f'<line class="at" x1="{_x(self.at)}" x2="{_x(self.at)}" y1="{_y(0)}" y2="{_y(1)}"/>'

    def _legend(self) -> Iterable[str]:
        named = [line for line in self.lines if line.name]
        for n, line in enumerate(named):
            y = HEIGHT - BOTTOM - 8 - 12 * (len(named) - 1 - n)
            at = f'x1="{LEFT + 6}" x2="{LEFT + 24}" y1="{y - 3}" y2="{y - 3}"'
            yield f'<line class="line {line.style}" {at}/>'
            yield f'<text class="tick" x="{LEFT + 28}" y="{y}">{escape(line.name)}</text>'


def interval_bar(value: float, low: float, high: float, *, zero: bool = False) -> Markup:
    """Return a small bar: an interval and its value on a scale from 0 to 1, or -1 to 1 around `zero`."""
    span = 100.0

    def at(number: float) -> str:
        place = (number + 1) / 2 if zero else number
        return f"{min(max(place, 0), 1) * span:.1f}"

    middle = f'<line class="grid" x1="{at(0)}" x2="{at(0)}" y1="0" y2="12"/>' if zero else ""
    return Markup(  # numbers and fixed text only
        f'<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<line class="grid" x1="0" x2="100" y1="6" y2="6"/>{middle}'
        f'<line class="whisker" x1="{at(low)}" x2="{at(high)}" y1="6" y2="6"/>'
        f'<line class="point" x1="{at(value)}" x2="{at(value)}" y1="1" y2="11"/></svg>'
    )


def _line(line: Line, at: Callable[[float], float]) -> str:
    runs: list[list[Point]] = [[]]
    for x, y in line.points:
        if math.isnan(y):
            runs.append([])
        else:
            runs[-1].append((x, y))
    drawn = "".join(
        f'<polyline class="line {line.style}" points="{" ".join(f"{_x(x)},{at(y)}" for x, y in run)}"/>'
        for run in runs
        if len(run) > 1
    )
    if line.dots:
        drawn += "".join(
            f'<circle class="dot {line.style}" cx="{_x(x)}" cy="{at(y)}" r="2.5"/>'
            for run in runs
            for x, y in run
        )
    return drawn


def _x(value: float) -> float:
    return round(LEFT + value * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float) -> float:
    return round(HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM), 1)
