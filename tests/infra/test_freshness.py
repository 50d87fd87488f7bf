"""The alarm for fresh data: what it watches, and when it is on."""

from __future__ import annotations

import pytest

from sluice.local.dashboard.expression import evaluate
from sluice.local.dashboard.series import series
from tests.infra.reported import emitted
from tests.infra.runbook import headings
from tests.infra.template import Template, resolved
from tests.infra.watching import alarms_of, math_of, queries_of

pytestmark = pytest.mark.xdist_group("synth")

TARGET = 60_000
"""Milliseconds: of the configuration `fresh`."""


def parts(template: Template) -> dict[int, tuple[str, float]]:
    """Period in seconds → logical id and threshold of the alarms on SentToWritten."""
    found = {}
    for id, alarm in resolved(template.all("AWS::CloudWatch::Alarm")).items():
        for query in alarm.get("Metrics", ()):
            if "MetricStat" in query and query["MetricStat"]["Metric"]["MetricName"] == "SentToWritten":
                assert query["MetricStat"]["Stat"] == f"PR(:{TARGET})"
                assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "notBreaching")
                found[query["MetricStat"]["Period"]] = (id, alarm["Threshold"])
    return found


def is_on(template: Template, late: dict[int, float]) -> bool:
    """Whether the composite alarm is on when of each window such a percentage of 1,000 messages was late."""
    rule = str(resolved(template.all("AWS::CloudWatch::CompositeAlarm")["AlarmsNotFresh78FE3FE0"]["AlarmRule"]))
    alarms = alarms_of(template)
    for period, (id, threshold) in parts(template).items():
        count = round(late[period] * 10)
        points = [(1.0, TARGET + 1.0)] * count + [(2.0, float(TARGET))] * (1000 - count)
        expression = math_of(alarms[id.removeprefix("Alarms")[:-8]])
        in_time = series(points, 0.0, period, f"PR(:{TARGET})")
        computed = evaluate(expression, {expression.removeprefix("100 - "): in_time})
        assert computed.values[0] == pytest.approx(late[period])
        rule = rule.replace(f'ALARM("{id}.Arn")', str(computed.values[0] > threshold))
    return bool(eval(rule.replace("AND", "and").replace("OR", "or")))  # The template's own rule.


HOUR, FIVE_MINUTES, SIX_HOURS, HALF_AN_HOUR = 3600, 300, 21_600, 1800


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ({}, False),
        ({HOUR: 14.3, FIVE_MINUTES: 14.3}, False),
        ({HOUR: 14.5, FIVE_MINUTES: 14.5}, True),
        ({HOUR: 90.0}, False),  # It was late and is no more.
        ({FIVE_MINUTES: 90.0}, False),  # It has just begun.
        ({SIX_HOURS: 6.1, HALF_AN_HOUR: 6.1}, True),
        ({SIX_HOURS: 6.1, HALF_AN_HOUR: 6.0}, False),
        ({SIX_HOURS: 6.1, FIVE_MINUTES: 100.0}, False),  # Of two pairs one window each.
    ],
)
def test_it_is_on_while_both_windows_of_a_pair_burn_too_fast(
    templates: dict[str, Template], late: dict[int, float], expected: bool
) -> None:
    none = dict.fromkeys((HOUR, FIVE_MINUTES, SIX_HOURS, HALF_AN_HOUR), 0.0)

    assert is_on(templates["fresh"], none | late) is expected


def test_the_pairs_use_up_what_the_documents_say_of_a_month() -> None:
    """Percent of the budget of 30 days: what is late for so long, at that rate."""
    from sluice.cdk import freshness

    used = {
        pair[0].period.to_hours(): pair[0].burn_rate * pair[0].period.to_hours() / (30 * 24) * 100
        for pair in freshness.PAIRS
    }

    assert used == {1: pytest.approx(2), 6: pytest.approx(5)}


def test_one_alarm_notifies_and_says_what_to_do(templates: dict[str, Template]) -> None:
    template = templates["fresh"]
    composite = resolved(template.all("AWS::CloudWatch::CompositeAlarm")["AlarmsNotFresh78FE3FE0"])
    (topic,) = template.ids("AWS::SNS::Topic")

    assert composite["AlarmActions"] == [topic]
    assert composite["AlarmDescription"].endswith("docs/runbook.md#not-fresh")
    assert "not-fresh" in headings()
    alarms = template.all("AWS::CloudWatch::Alarm")
    assert len(parts(template)) == 4
    assert all("AlarmActions" not in alarms[id] for id, _ in parts(template).values())


def test_it_watches_what_the_function_reports(templates: dict[str, Template]) -> None:
    reported = {metric.name for metric in emitted()}

    for id, _ in parts(templates["fresh"]).values():
        queries = queries_of(alarms_of(templates["fresh"])[id.removeprefix("Alarms")[:-8]])
        assert {query["MetricName"] for query in queries} <= reported


def test_without_a_target_nothing_watches_it(template: Template) -> None:
    assert parts(template) == {}
