"""The deployed dashboard, drawn from what the playground has seen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from sluice.local.dashboard.definition import widgets
from sluice.local.dashboard.page import html
from sluice.local.dashboard.recording import Recording

SECONDS_A_MINUTE = 3.0
"""Seconds here stand for minutes in production, or a day would pass before there is anything to see."""
MAX_LOG = 4 << 20
"""Bytes of each log that are drawn."""
RELOAD = '<meta http-equiv="refresh" content="5">'


def page(body: str, recording: Recording, logs: Sequence[Path]) -> str:
    """The dashboard as an HTML page that renews itself."""
    now = Recording(recording.start, time.time(), {metric: list(points) for metric, points in recording.points.items()})
    if points := [points[0][0] for points in now.points.values() if points]:
        now.start = min(points)
    for log in logs:
        now.read_log(_end_of(log))
    return html(widgets(body), now, "Sluice (playground)", SECONDS_A_MINUTE).replace("<head>", f"<head>{RELOAD}", 1)


def _end_of(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MAX_LOG))
            return file.read().decode(errors="replace").splitlines()[size > MAX_LOG :]
    except FileNotFoundError:
        return []
