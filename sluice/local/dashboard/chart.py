"""A graph as SVG: axes, lines or areas, thresholds and a legend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from .definition import Threshold
from .series import Series

COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f", "#393b79")
"""Red is left out: thresholds have it."""
LEFT, RIGHT, TOP, LEGEND_LINE = 44, 14, 32, 14
"""Pixels around the plot; a line of the legend has as many as the last."""
LETTER = 5.9
"""Pixels that a letter of the legend takes, about."""


DOT = 3
"""Pixels of the radius of a value that stands alone."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series to be drawn."""

    label: str
    series: Series
    is_right: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Mark:
    """An entry of the legend."""

    label: str
    color: str
    is_threshold: bool = False


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where values go: seconds from 0 to `seconds` across, values from 0 to `top` upwards."""

    box: Box
    seconds: float
    top: float

    def x(self, seconds: float) -> float:
        return self.box.x + self.box.width * min(1.0, seconds / self.seconds)

    def y(self, value: float) -> float:
        return self.box.y + self.box.height * (1 - min(1.0, max(0.0, value / self.top)))


def chart(
    box: Box, title: str, lines: Sequence[Line], thresholds: Sequence[Threshold], seconds: float, *, is_stacked: bool
) -> Iterator[str]:
    """The elements of one graph over the first `seconds` of a run."""
    colors = dict(zip((line.label for line in lines), _colors(len(lines)), strict=False))
    # Thresholds are named in the legend too: beside their lines the names would cover curves.
    legend = _legend_rows([*_marks(colors, thresholds)], box.width - 2 * RIGHT)
    right = [line for line in lines if line.is_right]
    bottom = 20 + LEGEND_LINE * len(legend)
    area = Box(box.x + LEFT, box.y + TOP, box.width - LEFT - (LEFT - 8 if right else RIGHT), box.height - TOP - bottom)
    drawn = _stacked(lines) if is_stacked else list(lines)
    highest = max(
        [max(line.series.values.values(), default=0.0) for line in drawn if not line.is_right]
        + [threshold.value for threshold in thresholds],
        default=0.0,
    )
    left_plot = _Plot(area, seconds, _nice_top(highest))
    highest_right = max((max(line.series.values.values(), default=0.0) for line in right), default=0.0)
    right_plot = _Plot(area, seconds, _nice_top(highest_right))
    yield f'<text x="{box.x + 12:.0f}" y="{box.y + 19:.0f}" class="title">{escape(title)}</text>'
    yield from _grid(left_plot)
    if right:
        yield from _right_axis(right_plot)
    for threshold in thresholds:
        yield _threshold(left_plot, threshold)
    for line in reversed(drawn) if is_stacked else drawn:
        yield from _curve(right_plot if line.is_right else left_plot, line, colors[line.label], is_filled=is_stacked)
    if not any(line.series.values for line in lines):
        yield f'<text x="{area.x + area.width / 2:.0f}" y="{area.y + area.height / 2:.0f}" class="none">no data</text>'
    yield from _legend(box, legend)


def _colors(count: int) -> Iterator[str]:
    for number in range(count):
        yield COLORS[number % len(COLORS)]


def _stacked(lines: Sequence[Line]) -> list[Line]:
    """Each line on top of the one before; where one has no value it adds nothing."""
    total: dict[int, float] = {}
    stacked = []
    for line in lines:
        total = {
            number: total.get(number, 0.0) + line.series.values.get(number, 0.0)
            for number in sorted({*total, *line.series.values})
        }
        stacked.append(Line(line.label, Series(total, line.series.period)))
    return stacked


def _curve(plot: _Plot, line: Line, color: str, *, is_filled: bool) -> Iterator[str]:
    for run in _runs(line.series):
        points = [(plot.x((number + 0.5) * line.series.period), plot.y(line.series.values[number])) for number in run]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        tooltip = f"<title>{escape(line.label)}</title>"
        if len(points) == 1:
            [(x, y)] = points
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT}" fill="{color}">{tooltip}</circle>'
        elif is_filled:
            ground = plot.y(0)
            corners = f"{points[-1][0]:.1f},{ground:.1f} {points[0][0]:.1f},{ground:.1f}"
            yield f'<polygon points="{path} {corners}" fill="{color}" fill-opacity="0.75">{tooltip}</polygon>'
        else:
            yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8">{tooltip}</polyline>'


def _runs(series: Series) -> Iterator[list[int]]:
    """Numbers of periods that follow each other; CloudWatch draws no line across a gap."""
    run: list[int] = []
    for number in series.values:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _grid(plot: _Plot) -> Iterator[str]:
    box = plot.box
    for part in (0.0, 0.5, 1.0):
        y = plot.y(plot.top * part)
        yield f'<line x1="{box.x:.1f}" y1="{y:.1f}" x2="{box.x + box.width:.1f}" y2="{y:.1f}" class="grid"/>'
        yield f'<text x="{box.x - 5:.1f}" y="{y + 3.5:.1f}" class="tick end">{_short(plot.top * part)}</text>'
    for part, anchor in ((0.0, ""), (0.5, " middle"), (1.0, " end")):
        seconds = plot.seconds * part
        x, y = plot.x(seconds), box.y + box.height + 13
        yield f'<text x="{x:.1f}" y="{y:.1f}" class="tick{anchor}">{clock(seconds)}</text>'


def _right_axis(plot: _Plot) -> Iterator[str]:
    for part in (0.0, 0.5, 1.0):
        x, y = plot.box.x + plot.box.width + 4, plot.y(plot.top * part) + 3.5
        yield f'<text x="{x:.1f}" y="{y:.1f}" class="tick">{_short(plot.top * part)}</text>'


def _threshold(plot: _Plot, threshold: Threshold) -> str:
    box, y = plot.box, plot.y(threshold.value)
    return (
        f'<line x1="{box.x:.1f}" y1="{y:.1f}" x2="{box.x + box.width:.1f}" y2="{y:.1f}" class="threshold"'
        f' stroke="{escape(threshold.color)}" stroke-width="1.2" stroke-dasharray="5 3"/>'
    )


def _marks(colors: Mapping[str, str], thresholds: Sequence[Threshold]) -> Iterator[_Mark]:
    for label, color in colors.items():
        yield _Mark(label, color)
    for threshold in thresholds:
        yield _Mark(f"{threshold.label}: {_short(threshold.value)}", threshold.color, is_threshold=True)


def _legend_rows(marks: Sequence[_Mark], width: float) -> list[list[tuple[float, _Mark]]]:
    """Rows of (offset, mark), each as full as it gets."""
    rows: list[list[tuple[float, _Mark]]] = []
    offset = math.inf
    for mark in marks:
        needed = 22 + LETTER * len(mark.label)
        if offset + needed > width:
            rows.append([])
            offset = 0.0
        rows[-1].append((offset, mark))
        offset += needed
    return rows


def _legend(box: Box, rows: Sequence[Sequence[tuple[float, _Mark]]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        y = box.y + box.height - 6 - LEGEND_LINE * (len(rows) - 1 - number)
        for offset, mark in row:
            x, color = box.x + RIGHT + offset, escape(mark.color)
            if mark.is_threshold:
                dash = 'stroke-width="1.4" stroke-dasharray="4 2"'
                yield f'<path d="M{x - 1:.1f} {y - 3:.1f}h10" stroke="{color}" {dash}/>'
            else:
                yield f'<rect x="{x:.1f}" y="{y - 7:.1f}" width="8" height="8" rx="1" fill="{color}"/>'
            yield f'<text x="{x + 12:.1f}" y="{y:.1f}" class="legend">{escape(mark.label)}</text>'


def _nice_top(highest: float) -> float:
    """The end of an axis: a round number with room above the highest value."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest * 1.1))
    return next(power * step for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if power * step >= highest * 1.1)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def clock(seconds: float) -> str:
    """`1:05` for 65 seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
