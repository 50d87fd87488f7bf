"""What graphs and alarms make of a recording: each metric by its period and statistic, and metric math."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .definition import Entry
from .expression import evaluate
from .recording import Recording
from .series import Series, series


def visible(entries: Sequence[Entry], recording: Recording, seconds_a_minute: float) -> list[tuple[Entry, Series]]:
    """The entries that are shown, with their values. Raises ValueError for what cannot be computed."""
    by_id = {entry.id: _of_metric(entry, recording, seconds_a_minute) for entry in entries if entry.id is not None}
    return [
        (
            entry,
            _of_metric(entry, recording, seconds_a_minute)
            if entry.expression is None
            else evaluate(entry.expression, by_id, _filled(entry, by_id.values(), recording, seconds_a_minute)),
        )
        for entry in entries
        if entry.is_visible
    ]


def _filled(entry: Entry, found: Iterable[Series], recording: Recording, seconds_a_minute: float) -> range:
    """The periods that FILL fills: all whole ones of the run, if anything was ever reported."""
    if not any(each.values for each in found):
        return range(0)
    return range(int((recording.end - recording.start) // (entry.period / 60 * seconds_a_minute)))


def _of_metric(entry: Entry, recording: Recording, seconds_a_minute: float) -> Series:
    points = recording.points.get(entry.metric, []) if entry.metric is not None else []
    return series(points, recording.start, entry.period / 60 * seconds_a_minute, entry.statistic)
