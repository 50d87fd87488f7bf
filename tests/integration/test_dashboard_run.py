"""A short run of the deployed stack: nearly everything that its dashboard shows has been reported."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sluice.local.dashboard import run as runs
from sluice.local.dashboard.definition import Graph, LogGraph, widgets
from sluice.local.dashboard.insights import sums
from sluice.local.dashboard.page import svg
from sluice.local.dashboard.recording import Recording
from sluice.local.dashboard.run import PHASES, Run, run
from sluice.local.poller import Polling

NOT_IN_A_GOOD_RUN = {"ReportFailures"}
"""Metrics of what does not happen in a run: nothing fails at the queue."""
SECONDS = 1800  # For any one thing, on a busy machine.
ENOUGH = {
    "NumberOfMessagesSent": 20,  # Two of them bad ones.
    "WriteKeyRangeThroughputThrottleEvents": 1,
    "WriteAccountLimitThrottleEvents": 1,
}
SEND = runs._Stage._send


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, with_package: Callable[[Path], Path]) -> Run:
    phases = [dataclasses.replace(phase, seconds=2.0) for phase in PHASES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BAD_EVERY", 9)
        patch.setattr(runs, "DRAIN_SECONDS", SECONDS)
        # No call is given up on a busy machine, or the function would know less of it than the table.
        patch.setattr(runs, "SETTINGS", {**runs.SETTINGS, "timeout": "300"})
        patch.setattr(runs._Stage, "_send", send_until_it_is_seen)
        return run(with_package(tmp_path_factory.mktemp("run")), phases=phases)


def send_until_it_is_seen(stage: Any, messages: Iterator[str], until: float, pollers: Polling) -> None:
    """A phase, which goes on until messages have been sent and what it is there for has happened."""
    wanted = ["NumberOfMessagesSent", *filter(None, [stage._injector.cause])]
    end = time.monotonic() + SECONDS
    SEND(stage, messages, until, pollers)
    while any(total(stage._recording, name) < ENOUGH[name] for name in wanted):
        assert time.monotonic() < end, wanted
        SEND(stage, messages, time.monotonic() + 0.5, pollers)


def total(recording: Recording, name: str) -> float:
    points = list(recording.points.items())
    return sum(value for metric, values in points if metric.name == name for _, value in list(values))


def test_every_metric_shown_has_been_reported(made: Run) -> None:
    shown = {
        entry.metric
        for graph in widgets(made.body)
        if isinstance(graph, Graph)
        for entry in graph.entries
        if entry.metric is not None
        and entry.metric.name not in NOT_IN_A_GOOD_RUN
        and dict(entry.metric.dimensions).get("Operation", "BatchWriteItem") == "BatchWriteItem"  # All that it sends.
    }

    assert len(shown) > 20
    assert {metric for metric in shown if not made.recording.points.get(metric)} == set()


def test_the_table_was_limited_in_both_ways_and_the_queue_has_been_emptied(made: Run) -> None:
    totals: dict[str, float] = {}
    for metric, points in made.recording.points.items():
        totals[metric.name] = totals.get(metric.name, 0.0) + sum(value for _, value in points)

    assert totals["WriteKeyRangeThroughputThrottleEvents"] > 0
    assert totals["WriteAccountLimitThrottleEvents"] > 0
    assert totals["NumberOfMessagesDeleted"] == totals["NumberOfMessagesSent"]
    assert totals["MessagesReceived"] == sum(
        totals[name] for name in ("MessagesWritten", "MessagesReturned", "MessagesDeadLettered")
    )
    assert totals["ConsumedWriteUnits"] == totals["ConsumedWriteCapacityUnits"]


def test_bad_records_are_counted_by_their_reason(made: Run) -> None:
    graphs = {widget.title: widget for widget in widgets(made.body) if isinstance(widget, LogGraph)}
    graph = graphs["Operations rejected, by ErrorCode"]

    counts = sums(graph.query, made.recording.log, made.recording.start, 1.0)

    assert {"InvalidJson", "MissingKey"} <= {name for name, each in counts.items() if sum(each.values.values())}


def test_the_run_can_be_drawn(made: Run, tmp_path: Path) -> None:
    picture = svg(widgets(made.body), made.recording, "Sluice")
    (tmp_path / "dashboard.svg").write_text(picture)

    texts = [element.text for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert "no data" not in texts
