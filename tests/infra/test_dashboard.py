"""The dashboard shows metrics that are really reported, and every alarm's threshold on a graph of its metric."""

from __future__ import annotations

import ast
import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sluice.cdk.bundle import sources
from sluice.cost import Prices
from sluice.local.dashboard.definition import Graph, LogGraph, States, Text, Widget, widgets
from sluice.local.dashboard.insights import sums
from sluice.local.dashboard.page import graph_lines, svg
from sluice.local.dashboard.recording import Metric, Recording
from sluice.local.faults.kinds import REASONS
from tests.fakes import Throttle
from tests.infra.logical_ids import LOGS
from tests.infra.reported import AWS_METRICS, BAD, NAMESPACE, emitted, recording, report, troubled
from tests.infra.template import ROOT, Template, resolved, synthesise
from tests.infra.watching import alarms_of, math_of, queries_of
from tests.world import World

pytestmark = pytest.mark.xdist_group("synth")


def dashboard_of(template: Template) -> list[Widget]:
    return widgets(resolved(template.only("AWS::CloudWatch::Dashboard")["DashboardBody"]))


def graphs_of(template: Template) -> list[Graph]:
    return [widget for widget in dashboard_of(template) if isinstance(widget, Graph)]


def test_it_asks_what_an_operator_asks_from_top_to_bottom(template: Template) -> None:
    questions = [widget for widget in dashboard_of(template) if isinstance(widget, Text)]

    assert [widget.markdown for widget in sorted(questions, key=lambda widget: widget.place.y)] == [
        "## Is it keeping up?",
        "## Is the table the limit?",
        "## Is the data bad?",
        "## Is it efficient?",
        "## Is it healthy?",
    ]


def test_it_shows_every_metric_of_the_function(template: Template) -> None:
    shown = {entry.metric for graph in graphs_of(template) for entry in graph.entries if entry.metric is not None}

    assert emitted() <= shown


def test_every_metric_shown_is_reported(template: Template) -> None:
    counted = Metric.of(NAMESPACE, "ReportFailures", {"service": "Sluice"})
    for graph in graphs_of(template):
        for entry in graph.entries:
            if entry.metric is None or entry.metric in emitted() | {counted}:
                continue
            names = {name for name, _ in entry.metric.dimensions}
            assert AWS_METRICS[entry.metric.namespace, entry.metric.name] == names, graph.title


@pytest.mark.parametrize("configuration", ["default", "fresh"])
def test_every_threshold_is_drawn_on_a_graph_of_what_the_alarm_watches(
    templates: dict[str, Template], configuration: str
) -> None:
    template = templates[configuration]
    for name, alarm in alarms_of(template).items():
        watched = {
            Metric.of(
                query["Namespace"], query["MetricName"], {each["Name"]: each["Value"] for each in query["Dimensions"]}
            )
            for query in queries_of(alarm)
        }
        graphs = [g for g in graphs_of(template) if watched <= {entry.metric for entry in g.entries}]
        if len(watched) > 1:
            graphs = [g for g in graphs if math_of(alarm) in [entry.expression for entry in g.entries]]

        assert alarm["Threshold"] in [line.value for graph in graphs for line in graph.thresholds], name


def test_what_an_alarm_computes_is_drawn_in_the_same_periods(template: Template) -> None:
    for alarm in alarms_of(template).values():
        if len(queries_of(alarm)) > 1:
            [graph] = [g for g in graphs_of(template) if math_of(alarm) in [entry.expression for entry in g.entries]]
            periods = {query["MetricStat"]["Period"] for query in alarm["Metrics"] if "MetricStat" in query}
            assert {entry.period for entry in graph.entries} == periods


def test_all_alarms_are_there_with_their_states(template: Template) -> None:
    [states] = [widget for widget in dashboard_of(template) if isinstance(widget, States)]

    names = {arn.rsplit(":", 1)[1] for arn in states.alarms}
    assert names == template.ids("AWS::CloudWatch::Alarm") | template.ids("AWS::CloudWatch::CompositeAlarm")


def logged(template: Template, title: str, lines: list[str]) -> dict[str, float]:
    """What the widget with that title makes of lines of the function's log."""
    [graph] = [widget for widget in dashboard_of(template) if isinstance(widget, LogGraph) and widget.title == title]
    assert graph.query.startswith(f"SOURCE '{LOGS}' | ")
    found = sums(graph.query, recording(lines).log, 0.0, 60)
    return {name: sum(each.values.values()) for name, each in found.items()}


def test_it_counts_the_error_codes_that_the_functions_log_has(template: Template) -> None:
    lines = report(troubled(), BAD, BAD, "{", {"put": {"pk": 1}}, {"upsert": {}}, {"put": {"pk": "good"}})

    counts = logged(template, "Operations rejected, by ErrorCode", lines)

    assert {name: count for name, count in counts.items() if count} == {
        "MissingKey": 2,
        "InvalidJson": 1,
        "KeyTypeMismatch": 1,
        "UnknownOperation": 1,
    }
    assert set(counts) == error_codes()


def test_it_counts_the_throttling_reasons_that_the_functions_log_has(template: Template) -> None:
    world = World()
    range_of_keys = Throttle(reason="TableWriteKeyRangeThroughputExceeded")
    world.db.script(range_of_keys, Throttle(reason="IndexWriteAccountLimitExceeded", index="by-day"), range_of_keys)

    counts = logged(template, "Calls throttled, by reason", report(world, {"put": {"pk": "good"}}))

    assert {name: count for name, count in counts.items() if count} == {
        "TableWriteKeyRangeThroughputExceeded": 2,
        "IndexWriteAccountLimitExceeded": 1,
    }
    assert set(counts) >= set(REASONS)


def error_codes() -> set[str]:
    from sluice.cdk.sections import ERROR_CODES  # Here, for it loads CDK.

    return set(ERROR_CODES)


def test_it_knows_every_error_code_of_the_function() -> None:
    given = {
        node.args[0].value
        for path in sources().values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Rejected", "Rejection")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }

    assert len(given) > 10
    assert given <= error_codes()


def test_no_widgets_overlap_and_none_sticks_out(template: Template) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard_of(template):
        place = widget.place
        cells = {(x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)}
        assert not cells & taken
        assert place.x + place.width <= 24
        taken |= cells


def test_titles_fit_into_a_quarter_of_the_width(template: Template) -> None:
    assert [graph.title for graph in graphs_of(template) if len(graph.title) > 34] == []


def test_several_tables_are_told_apart_and_shown_with_their_capacity(templates: dict[str, Template]) -> None:
    [graph] = [graph for graph in graphs_of(templates["tables"]) if graph.title == "Write units a second"]

    visible = [entry.label for entry in graph.entries if entry.is_visible]
    assert visible == [
        *("orders: consumed", "orders: provisioned"),
        *("old: consumed", "old: provisioned", "old: maximum"),
        *("events: consumed", "events: maximum"),
        *("fixed: consumed", "fixed: provisioned"),
        "events: read units consumed",
    ]


@pytest.mark.parametrize("name", ["fifo", "fresh", "guarded", "tables"])
def test_the_dashboard_of_any_configuration_can_be_drawn(templates: dict[str, Template], name: str) -> None:
    graphs = graphs_of(templates[name])

    drawn = [line for graph in graphs for line in graph_lines(graph, Recording(0.0, 60.0), 60)]

    assert len(drawn) >= len(graphs) > 15


def test_how_old_data_is_has_percentiles_and_the_target(templates: dict[str, Template]) -> None:
    for name, targets in (("default", []), ("fresh", [60_000])):
        [graph] = [graph for graph in graphs_of(templates[name]) if graph.title == "From sent to written (ms)"]
        assert [entry.statistic for entry in graph.entries] == ["p50", "p90", "p99"]
        assert [line.value for line in graph.thresholds] == targets
        assert {graph.place.width} == {24 - 6 * 2 * bool(targets)}


def test_quiet_groups_are_shown_where_producers_send_groups(templates: dict[str, Template]) -> None:
    of_groups = {"ApproximateNumberOfMessagesVisibleInQuietGroups", "ApproximateAgeOfOldestMessageInQuietGroups"}
    shown = {
        name: {entry.metric.name for graph in graphs_of(template) for entry in graph.entries if entry.metric}
        for name, template in templates.items()
        if template.ids("AWS::CloudWatch::Dashboard")
    }

    assert {name for name, metrics in shown.items() if of_groups <= metrics} == {"fresh"}
    assert {name for name, metrics in shown.items() if of_groups & metrics} == {"fresh"}


def test_a_limit_of_write_units_is_drawn(tmp_path: Path) -> None:
    template = synthesise(tmp_path, {"maxWriteUnitsPerSecond": "500"})

    [graph] = [graph for graph in graphs_of(template) if graph.title == "Write units a second"]

    assert [(line.value, line.label) for line in graph.thresholds] == [(500, "maxWriteUnitsPerSecond")]


def test_the_cost_of_a_million_is_what_the_numbers_make_of_it(template: Template) -> None:
    """A million items of 1 KB by 40,000 calls in 1,000 invocations of 10 s, 1,769 MB, one item a message."""
    [graph] = [graph for graph in graphs_of(template) if graph.title.startswith("Cost of a million")]
    made = Recording(0.0, 60.0)
    totals = {"OperationsWritten": 1e6, "ConsumedWriteUnits": 1e6, "Duration": 1e7, "Invocations": 1000}
    totals |= {"NumberOfMessagesSent": 1e6, "NumberOfMessagesReceived": 1e6, "NumberOfMessagesDeleted": 1e6}
    totals |= {"NumberOfEmptyReceives": 0}
    for entry in graph.entries:
        if entry.metric is not None:
            made.add(
                1.0, entry.metric.namespace, entry.metric.name, dict(entry.metric.dimensions), totals[entry.metric.name]
            )

    dollars = {line.label: line.series.values[0] for line in graph_lines(graph, made, 60)}

    seconds, prices = 1000 * 10, Prices.load()
    assert dollars == {
        "write units, on demand": pytest.approx(1e6 * prices.write_request_unit),
        "function": pytest.approx(
            seconds * 1769 / 1024 * prices.lambda_gb_second + 1000 * prices.lambda_request, rel=1e-3
        ),
        "queue, ten messages a request": pytest.approx(1e6 * prices.sqs_request * 3 / 10),
    }


def test_a_fifo_queue_has_its_own_price(templates: dict[str, Template]) -> None:
    prices = Prices.load()

    for name, price in (("fifo", prices.sqs_fifo_request), ("guarded", prices.sqs_request)):
        [graph] = [graph for graph in graphs_of(templates[name]) if graph.title.startswith("Cost of a million")]
        assert any(str(entry.expression).startswith(f"({1e6 * price:g} * (empty") for entry in graph.entries), name


def test_it_can_be_drawn_before_anything_has_happened(template: Template) -> None:
    picture = ElementTree.fromstring(svg(dashboard_of(template), Recording(0.0, 60.0), "Sluice"))

    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    graphs = [widget for widget in dashboard_of(template) if isinstance(widget, Graph | LogGraph)]
    assert texts.count("no data") == len(graphs)
    for graph in graphs:
        assert graph.title in texts


def test_the_picture_in_the_documents_is_of_this_dashboard(template: Template) -> None:
    picture = ElementTree.fromstring((ROOT / "docs" / "dashboard.svg").read_text())
    texts = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}

    for graph in graphs_of(template):
        assert {
            graph.title,
            *(entry.label for entry in graph.entries if entry.is_visible and not entry.is_right),
        } <= texts
        assert all(any((text or "").startswith(line.label) for text in texts) for line in graph.thresholds)
    assert "no data" not in texts


def test_sections_follow_each_other_without_a_gap(template: Template) -> None:
    rows = sorted({(widget.place.y, widget.place.height) for widget in dashboard_of(template)})

    assert all(y + height == below for (y, height), (below, _) in pairwise(rows))
    assert re.fullmatch(
        r"-PT3H", json.loads(resolved(template.only("AWS::CloudWatch::Dashboard")["DashboardBody"]))["start"]
    )
