"""A whole dashboard as one SVG picture or one HTML page; neither needs anything from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape

from . import insights
from .alarms import State
from .card import card
from .chart import Box, Line, chart
from .definition import Graph, LogGraph, Place, States, Text, Widget
from .evaluation import visible
from .recording import Recording

UNIT_X, UNIT_Y, MARGIN, GAP = 46, 32, 10, 4
"""Pixels of a unit of the grid, around all widgets, and around each."""
HEADING = 44
"""Pixels above the widgets."""

_STYLE = """
text { font-family: -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #16191f; }
.heading { font-size: 17px; font-weight: 600; }
.note { font-size: 11px; fill: #545b64; }
.title { font-size: 12px; font-weight: 600; }
.tick { font-size: 9.5px; fill: #687078; }
.legend { font-size: 10px; }
.none { font-size: 11px; fill: #879596; text-anchor: middle; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.card { fill: #fff; stroke: #d5dbdb; }
.grid { stroke: #eaeded; }
.answer { font-size: 12px; font-weight: 600; }
.alarm { font-size: 11px; }
"""


def svg(
    widgets: Sequence[Widget],
    recording: Recording,
    title: str,
    seconds_a_minute: float = 3.0,
    states: Sequence[State] = (),
) -> str:
    """The dashboard over the time of a recording, as an SVG document, with the states of its alarms.

    Runs on this machine take seconds where a production system takes minutes, so `seconds_a_minute` says how many
    seconds of the run each minute of a period stands for; rates are still those of a second.
    """
    width = MARGIN * 2 + UNIT_X * max(widget.place.x + widget.place.width for widget in widgets)
    height = HEADING + MARGIN + UNIT_Y * max(widget.place.y + widget.place.height for widget in widgets)
    elements = (element for widget in widgets for element in _drawn(widget, recording, seconds_a_minute, states))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" aria-label="{escape(title)}">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>',
            f'<text x="{MARGIN + GAP}" y="22" class="heading">{escape(title)}</text>',
            f'<text x="{MARGIN + GAP}" y="38" class="note">{escape(_note(recording, seconds_a_minute))}</text>',
            *elements,
            "</svg>\n",
        ]
    )


def html(
    widgets: Sequence[Widget],
    recording: Recording,
    title: str,
    seconds_a_minute: float = 3.0,
    states: Sequence[State] = (),
) -> str:
    """The same as an HTML page that fits the window; lines name themselves under the pointer."""
    picture = svg(widgets, recording, title, seconds_a_minute, states).replace(
        "<svg ", '<svg style="width:100%;height:auto" '
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
        f'<body style="margin:0;background:#f2f3f3">\n{picture}</body>\n</html>\n'
    )


def _note(recording: Recording, seconds_a_minute: float) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(recording.start))
    seconds = recording.end - recording.start
    period = f"; a minute of the definition's periods is {seconds_a_minute:g} s here" if seconds_a_minute != 60 else ""
    return f"The stack's own dashboard, drawn with the metrics of a run of {seconds:.0f} s on {day}{period}"


def _drawn(widget: Widget, recording: Recording, seconds_a_minute: float, states: Sequence[State]) -> Iterator[str]:
    box = _box(widget.place)
    if isinstance(widget, Text):
        text = widget.markdown.lstrip("# ")
        yield f'<text x="{box.x + 2}" y="{box.y + box.height - 7}" class="heading">{escape(text)}</text>'
        return
    yield (f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="3" class="card"/>')
    if isinstance(widget, States):
        yield from card(box, widget.title, states)
        return
    seconds = recording.end - recording.start
    if isinstance(widget, Graph):
        lines = graph_lines(widget, recording, seconds_a_minute)
        yield from chart(box, widget.title, lines, widget.thresholds, seconds, is_stacked=widget.is_stacked)
    else:
        lines = _log_lines(widget, recording, seconds_a_minute)
        yield from chart(box, widget.title, lines, [], seconds, is_stacked=True)


def _box(place: Place) -> Box:
    return Box(
        MARGIN + place.x * UNIT_X + GAP,
        HEADING + place.y * UNIT_Y + GAP,
        place.width * UNIT_X - 2 * GAP,
        place.height * UNIT_Y - 2 * GAP,
    )


def graph_lines(graph: Graph, recording: Recording, seconds_a_minute: float) -> list[Line]:
    """The visible lines of a graph, metric math done. Raises ValueError for what cannot be drawn."""
    return [
        Line(f"{entry.label} (right)" if entry.is_right else entry.label, drawn, entry.is_right)
        for entry, drawn in visible(graph.entries, recording, seconds_a_minute)
    ]


def _log_lines(widget: LogGraph, recording: Recording, seconds_a_minute: float) -> list[Line]:
    """The names that occur; a legend of all that might would hide them."""
    sums = insights.sums(widget.query, recording.log, recording.start, seconds_a_minute)
    return [Line(name, each) for name, each in sums.items() if any(each.values.values())]
