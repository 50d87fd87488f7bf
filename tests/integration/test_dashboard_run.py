"""A short run of the deployed stack: nearly everything that its dashboard shows has been reported."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sluice.dashboard import run as runs
from sluice.dashboard.definition import Graph, LogGraph, widgets
from sluice.dashboard.insights import sums
from sluice.dashboard.page import svg
from sluice.dashboard.run import PHASES, Run, run

NOT_IN_A_GOOD_RUN = {"ReportFailures"}
"""Metrics of what does not happen in a run: nothing fails at the queue."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    phases = [dataclasses.replace(phase, seconds=4.0) for phase in PHASES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BAD_EVERY", 15)
        return run(tmp_path_factory.mktemp("run"), phases=phases)


def test_every_metric_shown_has_been_reported(made: Run) -> None:
    shown = {
        entry.metric
        for graph in widgets(made.body)
        if isinstance(graph, Graph)
        for entry in graph.entries
        if entry.metric is not None and entry.metric.name not in NOT_IN_A_GOOD_RUN
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
    [graph] = [widget for widget in widgets(made.body) if isinstance(widget, LogGraph)]

    counts = sums(graph.query, made.recording.log, made.recording.start, 1.0)

    assert {"InvalidJson", "MissingKey"} <= {name for name, each in counts.items() if sum(each.values.values())}


def test_the_run_can_be_drawn(made: Run, tmp_path: Path) -> None:
    picture = svg(widgets(made.body), made.recording, "Sluice")
    (tmp_path / "dashboard.svg").write_text(picture)

    texts = [element.text for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert "no data" not in texts
