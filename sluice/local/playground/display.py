"""A playground on the terminal: throughput, backlog, throttles, dead letters. Pure but for `watch`."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sluice.cli import counted, plural
from sluice.terminal import can_redraw

_BARS = " ▁▂▃▄▅▆▇█"
CLEAR, HOME = "\x1b[J", "\x1b[H"

Look = Mapping[str, Any]
"""One entry of what `Numbers` become as JSON."""


def lines(history: Sequence[Look], title: str, width: int = 80) -> Iterator[str]:
    """What is to be seen now, and how it came to be."""
    if not history:
        yield f"{title}: nothing to be seen yet"
        return
    now = history[-1]
    totals = now["totals"]
    room = max(10, width - 46)
    yield title
    yield ""
    for name, value, unit, series in (
        ("written", now["write_rate"], "records/s", [one["write_rate"] for one in history]),
        (
            "backlog",
            now["waiting"] + now["in_flight"],
            "messages",
            [one["waiting"] + one["in_flight"] for one in history],
        ),
        ("throttled", now["throttle_rate"], "items and calls/s", [one["throttle_rate"] for one in history]),
        ("dead letters", now["dead_letters"], "messages", [one["dead_letters"] for one in history]),
    ):
        yield f"  {name:<13}{value:>9,.0f} {unit:<18} {sparkline(series, room)}"
    yield ""
    yield f"  {'table':<13}{now['items']:>9,} {plural(now['items'], 'item')}"
    yield f"  {'in flight':<13}{now['in_flight']:>9,} of those messages"
    written = round(totals.get("OperationsWritten", 0))
    yield (
        f"  {'so far':<13}{written:>9,} {plural(written, 'record')} written in"
        f" {counted(round(totals.get('BatchWrites', 0)), 'batch call')},"
        f" {counted(round(totals.get('MessagesReturned', 0)), 'message')} returned"
    )
    if faults := now.get("faults"):
        yield f"  {'faults':<13}{', '.join(f'{count:,} {name}' for name, count in faults.items())}"[:width]


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values, the largest of them as the highest bar."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return "▁" * len(shown) if shown else ""
    return "".join(_BARS[max(1, round(value / top * (len(_BARS) - 1)))] for value in shown)


def watch(look: Callable[[], Sequence[Look] | None], title: str, check: Callable[[], None]) -> None:
    """Draw once a second until `check` raises or `look` gives None; a line each five seconds where none can draw."""
    is_terminal = can_redraw(sys.stdout)
    while (history := look()) is not None:
        if is_terminal:
            width = shutil.get_terminal_size().columns
            text = "\n".join(line[:width].ljust(width) for line in lines(history, title, width))
            sys.stdout.write(f"{HOME}{CLEAR}{text}\n")
        elif history:
            sys.stdout.write(f"{plain(history[-1])}\n")
        sys.stdout.flush()
        end = time.monotonic() + (1 if is_terminal else 5)
        while time.monotonic() < end:
            check()
            time.sleep(0.05)


def plain(now: Look) -> str:
    """One look as one line."""
    return (
        f"{time.strftime('%H:%M:%S', time.localtime(now['at']))}  {now['write_rate']:,.0f} records/s written,"
        f" {counted(now['waiting'], 'message')} waiting, {now['in_flight']:,} in flight,"
        f" {now['throttle_rate']:,.0f} throttled/s,"
        f" {counted(now['dead_letters'], 'dead letter')}, {counted(now['items'], 'item')}"
    )
