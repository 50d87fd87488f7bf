"""The deployed dashboard and its alarms, of what the playground has seen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from sluice.local.dashboard.alarms import Resource, states
from sluice.local.dashboard.definition import widgets
from sluice.local.dashboard.page import html
from sluice.local.dashboard.sampling import Notes

SECONDS_A_MINUTE = 3.0
"""Seconds here stand for minutes in production, or a day would pass before there is anything to see."""
RELOAD = '<meta http-equiv="refresh" content="5">'

_WIDGETS = [
    {"type": "text", "properties": {"markdown": "# This stack has no dashboard; its alarms:"}},
    {"type": "alarm", "properties": {"title": "Is anything wrong?", "alarms": []}},
]
NO_DASHBOARD = json.dumps(
    {"widgets": [{**one, "x": 0, "y": 3 * row, "width": 24, "height": 3} for row, one in enumerate(_WIDGETS)]}
)
"""The body of a dashboard, for a stack with dashboard=false."""


def page(body: str, notes: Notes, alarms: Sequence[Resource]) -> str:
    """The dashboard as an HTML page that renews itself."""
    now = notes.copy(time.time())
    drawn = html(widgets(body), now, "Sluice (playground)", SECONDS_A_MINUTE, states(alarms, now, SECONDS_A_MINUTE))
    return drawn.replace("<head>", f"<head>{RELOAD}", 1)


def alarms_on(notes: Notes, alarms: Sequence[Resource]) -> str:
    """The alarms that are on, as a JSON array: name, since when (seconds since 1970), and what to do first."""
    now = notes.copy(time.time())
    found = [state for state in states(alarms, now, SECONDS_A_MINUTE) if state.since is not None]
    return json.dumps(
        [{"name": state.name, "since": now.start + (state.since or 0.0), "first": state.first} for state in found]
    )
