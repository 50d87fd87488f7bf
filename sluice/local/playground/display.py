"""A playground on the terminal: throughput, backlog, throttles, dead letters. Pure but for `watch`."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sluice.cli import counted, plural
from sluice.terminal import can_redraw

_BARS = " ▁▂▃▄▅▆▇█"
CLEAR, HOME = "\x1b[J", "\x1b[H"

LABEL = 16
"""Columns before a text."""
MIN_BARS = 10

Look = Mapping[str, Any]
"""One entry of what `Numbers` become as JSON."""


def lines(history: Sequence[Look], title: str, width: int = 80, alarms: Sequence[Look] = ()) -> Iterator[str]:
    """What is to be seen now, and how it came to be; no line is longer than `width`.

    `alarms` are those that are on, as the playground tells them.
    """
    if not history:
        yield from _wrapped("", f"{title}: nothing to be seen yet", width)
        return
    now = history[-1]
    yield from _wrapped("", title, width)
    yield ""
    yield from _bars(history, max(MIN_BARS, width - 45))
    yield ""
    yield f"  {'table':<13}{now['items']:>9,} {plural(now['items'], 'item')}"
    yield f"  {'in flight':<13}{now['in_flight']:>9,} {plural(now['in_flight'], 'message')} of the backlog"
    yield from _wrapped("so far", _so_far(now["totals"]), width)
    if faults := now.get("faults"):
        yield from _wrapped("faults", ", ".join(f"{count:,} {name}" for name, count in faults.items()), width)
    if not now.get("is_enabled", True):
        yield from _wrapped("polling", "off: the event source mapping is disabled, and messages wait", width)
    for one in alarms:
        yield from _wrapped("ALARM", f"{one['name']}: {one['first']}", width)
    if not alarms:
        yield from _wrapped("alarms", "none is on", width)


def _bars(history: Sequence[Look], room: int) -> Iterator[str]:
    for name, unit, values in (
        ("written", "records/s", [one["write_rate"] for one in history]),
        ("backlog", "messages", [one["waiting"] + one["in_flight"] for one in history]),
        ("throttled", "items and calls/s", [one["throttle_rate"] for one in history]),
        ("dead letters", "messages", [one["dead_letters"] for one in history]),
    ):
        shown = f"{values[-1]:,.0f}"
        unit = "message" if (shown, unit) == ("1", "messages") else unit
        yield f"  {name:<13}{shown:>9} {unit:<18} {sparkline(values, room)}"


def _so_far(totals: Mapping[str, float]) -> str:
    written, calls, returned = (
        round(totals.get(name, 0)) for name in ("OperationsWritten", "BatchWrites", "MessagesReturned")
    )
    return (
        f"{counted(written, 'record')} written in {counted(calls, 'batch call')},"
        f" {counted(returned, 'message')} returned"
    )


def _wrapped(name: str, text: str, width: int) -> list[str]:
    """A line, or as many as it takes, the text behind the name."""
    begin = f"  {name:<{LABEL - 2}}" if name else ""
    return textwrap.wrap(text, width, initial_indent=begin, subsequent_indent=" " * len(begin))


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values, the largest of them as the highest bar."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return "▁" * len(shown) if shown else ""
    return "".join(_BARS[max(1, round(value / top * (len(_BARS) - 1)))] for value in shown)


def watch(
    look: Callable[[], Sequence[Look] | None],
    alarms: Callable[[], Sequence[Look]],
    title: str,
    check: Callable[[], None],
    *,
    as_json: bool = False,
) -> None:
    """Draw once a second until `check` raises or `look` gives None; a line each five seconds where none can draw.

    `as_json`: each look once, an object a line, instead.
    """
    told = math.inf
    is_terminal = can_redraw(sys.stdout) and not as_json
    while (history := look()) is not None:
        if as_json:
            new = [one for one in history if one["at"] > told] if told < math.inf else history[-1:]
            sys.stdout.writelines(json.dumps({**one, "alarms": alarms()}) + "\n" for one in new)
            told = new[-1]["at"] if new else told
        elif is_terminal:
            width = shutil.get_terminal_size().columns
            text = "\n".join(line.ljust(width) for line in lines(history, title, width, alarms()))
            sys.stdout.write(f"{HOME}{CLEAR}{text}\n")
        elif history:
            sys.stdout.write(f"{plain(history[-1], alarms())}\n")
        sys.stdout.flush()
        end = time.monotonic() + (1 if is_terminal or as_json else 5)
        while time.monotonic() < end:
            check()
            time.sleep(0.05)


def plain(now: Look, alarms: Sequence[Look] = ()) -> str:
    """One look as one line."""
    return (
        f"{time.strftime('%H:%M:%S', time.localtime(now['at']))}  {now['write_rate']:,.0f} records/s written,"
        f" {counted(now['waiting'], 'message')} waiting, {now['in_flight']:,} in flight,"
        f" {now['throttle_rate']:,.0f} throttled/s,"
        f" {counted(now['dead_letters'], 'dead letter')}, {counted(now['items'], 'item')}"
        f"{'' if now.get('is_enabled', True) else ', polling is off'}"
        + "".join(f", ALARM {one['name']}" for one in alarms)
    )
