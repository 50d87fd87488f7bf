"""A whole dashboard as one SVG picture or one HTML page; neither needs anything from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape

from . import insights
from .chart import Box, Line, chart
from .definition import Entry, Graph, LogGraph, Place, States, Text, Widget
from .expression import evaluate
from .recording import Recording
from .series import Series, series

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
"""


def svg(widgets: Sequence[Widget], recording: Recording, title: str, seconds_a_minute: float = 3.0) -> str:
    """The dashboard over the time of a recording, as an SVG document.

    Runs on this machine take seconds where a production system takes minutes, so `seconds_a_minute` says how many
    seconds of the run each minute of a period stands for; rates are still those of a second.
    """
    width = MARGIN * 2 + UNIT_X * max(widget.place.x + widget.place.width for widget in widgets)
    height = HEADING + MARGIN + UNIT_Y * max(widget.place.y + widget.place.height for widget in widgets)
    elements = (element for widget in widgets for element in _drawn(widget, recording, seconds_a_minute))
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


def html(widgets: Sequence[Widget], recording: Recording, title: str, seconds_a_minute: float = 3.0) -> str:
    """The same as an HTML page that fits the window; lines name themselves under the pointer."""
    picture = svg(widgets, recording, title, seconds_a_minute).replace("<svg ", '<svg style="width:100%;height:auto" ')
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
        f'<body style="margin:0;background:#f2f3f3">\n{picture}</body>\n</html>\n'
    )


def _note(recording: Recording, seconds_a_minute: float) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(recording.start))
    seconds = recording.end - recording.start
    period = f"; a minute of the definition's periods is {seconds_a_minute:g} s here" if seconds_a_minute != 60 else ""
    return f"The stack's own dashboard, drawn with the metrics of a run of {seconds:.0f} s on {day}{period}"


def _drawn(widget: Widget, recording: Recording, seconds_a_minute: float) -> Iterator[str]:
    box = _box(widget.place)
    if isinstance(widget, Text):
        text = widget.markdown.lstrip("# ")
        yield f'<text x="{box.x + 2}" y="{box.y + box.height - 7}" class="heading">{escape(text)}</text>'
        return
    yield (f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="3" class="card"/>')
    if isinstance(widget, States):
        yield from _states(box, widget)
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


def _states(box: Box, widget: States) -> Iterator[str]:
    note = f"The states of {len(widget.alarms)} alarms stand here; a run on one machine has none to show."
    yield f'<text x="{box.x + 12}" y="{box.y + 19}" class="title">{escape(widget.title)}</text>'
    yield f'<text x="{box.x + 12}" y="{box.y + 40}" class="note">{note}</text>'


def graph_lines(graph: Graph, recording: Recording, seconds_a_minute: float) -> list[Line]:
    """The visible lines of a graph, metric math done. Raises ValueError for what cannot be drawn."""
    by_id = {
        entry.id: _of_metric(entry, recording, seconds_a_minute) for entry in graph.entries if entry.id is not None
    }
    lines = []
    for entry in graph.entries:
        if entry.is_visible:
            drawn = (
                _of_metric(entry, recording, seconds_a_minute)
                if entry.expression is None
                else evaluate(entry.expression, by_id)
            )
            label = f"{entry.label} (right)" if entry.is_right else entry.label
            lines.append(Line(label, drawn, entry.is_right))
    return lines


def _of_metric(entry: Entry, recording: Recording, seconds_a_minute: float) -> Series:
    points = recording.points.get(entry.metric, []) if entry.metric is not None else []
    return series(points, recording.start, entry.period / 60 * seconds_a_minute, entry.statistic)


def _log_lines(widget: LogGraph, recording: Recording, seconds_a_minute: float) -> list[Line]:
    """The names that occur; a legend of all that might would hide them."""
    sums = insights.sums(widget.query, recording.log, recording.start, seconds_a_minute)
    return [Line(name, each) for name, each in sums.items() if any(each.values.values())]
