"""Bars and lines as SVG: what the charts need, in the place of a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

OURS = "#0f7b6c"
OTHERS = "#9aa5b1"
INK, FAINT, GRID = "#1f2933", "#52606d", "#e4e7eb"
COLOURS = (OURS, "#c2410c", "#4063d8", "#9558b2", "#b58900")
WIDTH = 760


@dataclass(frozen=True, slots=True)
class Line:
    """A series of points; `dashed` for limits and peers."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def text(x: float, y: float, content: str, *, anchor: str = "start", size: int = 13, fill: str = INK) -> str:
    style = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(content)}</text>'


def document(height: float, title: str, parts: Sequence[str]) -> str:
    area = f'width="{WIDTH}" height="{height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" {area} role="img"'
            f' aria-label="{escape(title)}" font-family="system-ui, sans-serif">',
            f'<rect {area} fill="#ffffff"/>',
            text(16, 28, title, size=16),
            *parts,
            "</svg>\n",
        ]
    )


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, float]], *, ours: str, digits: int = 1) -> str:
    """A group of horizontal bars for each subject; the bar named `ours` stands out."""
    parts: list[str] = []
    left, right, y = 250, 90, 52.0
    for group, values in groups.items():
        longest = max(values.values())
        parts.append(text(16, y + 12, f"{group}, {unit}", fill=FAINT))
        y += 24
        for name, value in values.items():
            length = value / longest * (WIDTH - left - right)
            colour = OURS if name == ours else OTHERS
            parts.append(text(left - 8, y + 13, name, anchor="end"))
            parts.append(f'<rect x="{left}" y="{y:.1f}" width="{length:.1f}" height="17" fill="{colour}"/>')
            parts.append(text(left + length + 6, y + 13, f"{value:,.{digits}f}"))
            y += 23
        y += 14
    return document(y, title, parts)


def lines(
    title: str,
    x_name: str,
    y_name: str,
    series: Sequence[Line],
    *,
    logarithmic: bool = False,
    y_maximum: float | None = None,
) -> str:
    """Lines over a common axis, which may be logarithmic."""
    left, right, top, height = 70, 30, 84, 260
    points = [point for line in series for point in line.points]
    place = math.log10 if logarithmic else float
    low, high = min(place(x) for x, _ in points), max(place(x) for x, _ in points)
    step = nice_step((y_maximum or max(y for _, y in points)) / 5)
    peak = math.ceil((y_maximum or max(y for _, y in points)) / step) * step

    def at(x: float, y: float) -> tuple[float, float]:
        share = (place(x) - low) / ((high - low) or 1)
        return left + share * (WIDTH - left - right), top + height * (1 - min(y, peak) / peak)

    parts = [
        text(left, top - 10, y_name, fill=FAINT),
        text(WIDTH - right, top + height + 40, x_name, anchor="end", fill=FAINT),
    ]
    for count in range(round(peak / step) + 1):
        _, y = at(points[0][0], count * step)
        parts.append(f'<line x1="{left}" x2="{WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(text(left - 8, y + 4, f"{count * step:,g}", anchor="end", fill=FAINT))
    parts += [
        text(at(x, 0)[0], top + height + 20, f"{x:,g}", anchor="middle", fill=FAINT)
        for x in x_ticks(points, logarithmic)
    ]
    legend = float(left)
    for line, colour in zip(series, COLOURS, strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line.points))
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(
            f'<line x1="{legend}" x2="{legend + 22}" y1="50" y2="50" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        parts.append(text(legend + 28, 54, line.name))
        legend += 50 + 7.2 * len(line.name)
    return document(top + height + 56, title, parts)


def nice_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power: float = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step)


def x_ticks(points: Sequence[tuple[float, float]], logarithmic: bool) -> Sequence[float]:
    xs = sorted({x for x, _ in points})
    if logarithmic:
        return xs
    step = nice_step((xs[-1] - xs[0]) / 6 or 1)
    first = math.ceil(xs[0] / step)
    return [count * step for count in range(first, math.floor(xs[-1] / step) + 1)]
