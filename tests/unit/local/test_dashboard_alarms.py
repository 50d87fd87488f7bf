"""Alarms are on when CloudWatch would have them on, and the page says so."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from sluice.local.dashboard.alarms import State, resources, states
from sluice.local.dashboard.card import card
from sluice.local.dashboard.chart import Box
from sluice.local.dashboard.recording import Recording

MINUTE = 3.0
PHYSICAL = {"Queue": "https://sqs.us-east-1.amazonaws.com/123456789012/orders", "Function": "writer"}


def alarm(**changes: Any) -> dict[str, Any]:
    """Of a queue's age: above 10 for two minutes."""
    properties = {
        "AlarmActions": [{"Ref": "Topic"}],
        "AlarmDescription": "Look at it. Then see docs/runbook.md#age",
        "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}],
        "EvaluationPeriods": 2,
        "MetricName": "Age",
        "Namespace": "AWS/SQS",
        "Period": 60,
        "Statistic": "Maximum",
        "Threshold": 10,
        "TreatMissingData": "notBreaching",
    }
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {**properties, **changes},
        "Metadata": {"aws:cdk:path": "Sluice/Alarms/Old/Resource"},
    }


def ages(*values: float | None, name: str = "Age") -> Recording:
    """One value in each minute, or none."""
    recording = Recording(1000.0, 1000.0 + MINUTE * len(values))
    for number, value in enumerate(values):
        if value is not None:
            recording.add(1001.0 + MINUTE * number, "AWS/SQS", name, {"QueueName": "orders"}, value)
    return recording


def found(recording: Recording, **more: dict[str, Any]) -> dict[str, State]:
    template = {"Resources": {"Old": alarm(), "Queue": {"Type": "AWS::SQS::Queue"}, **more}}
    return {state.name: state for state in states(resources(template, PHYSICAL), recording, MINUTE)}


@pytest.mark.parametrize(
    ("values", "spans"),
    [
        ((), []),
        ((10, 10, 10), []),  # Not above it.
        ((11, 9, 11, 9), []),
        ((9, 11, 11), [(9.0, None)]),
        ((9, 11, 11, 11, 9), [(9.0, 15.0)]),
        ((11, 11, None, 9), [(6.0, 9.0)]),  # What is missing does not breach.
        ((11, 11, 9, 11, 11, 11), [(6.0, 9.0), (15.0, None)]),
    ],
)
def test_an_alarm_is_on_after_so_many_periods_above_its_threshold(
    values: tuple[float | None, ...], spans: list[tuple[float, float | None]]
) -> None:
    state = found(ages(*values))["Old"]

    assert state.spans == spans
    assert state.since == (spans[-1][0] if spans and spans[-1][1] is None else None)
    assert state.first == "Look at it. Then see docs/runbook.md#age"


def test_fewer_datapoints_than_periods_may_be_enough() -> None:
    two_of_three = alarm(EvaluationPeriods=3, DatapointsToAlarm=2)

    assert found(ages(11, 9, 11, 9, 9), Old=two_of_three)["Old"].spans == [(9.0, 12.0)]
    assert found(ages(11, 9, 9, 11, 9), Old=two_of_three)["Old"].spans == []


def test_missing_data_that_is_ignored_leaves_the_state_as_it_is() -> None:
    ignoring = alarm(EvaluationPeriods=1, TreatMissingData="ignore")

    assert found(ages(11, None, None, 9, None), Old=ignoring)["Old"].spans == [(3.0, 12.0)]


@pytest.mark.parametrize(
    ("rule", "spans"),
    [
        ('(ALARM("Old") AND ALARM("B"))', [(9.0, 12.0)]),
        ('ALARM("Old") AND ALARM("B") OR ALARM("C")', [(9.0, 12.0), (18.0, None)]),
        ('(ALARM("C") OR ALARM("Old")) AND ALARM("B")', [(9.0, 12.0)]),
        ('ALARM("Old") AND NOT ALARM("B")', [(6.0, 9.0)]),
        ('ALARM("Old") AND NOT (ALARM("B") OR ALARM("C"))', [(6.0, 9.0)]),
    ],
)
def test_a_rule_may_have_and_not_and_brackets(rule: str, spans: list[tuple[float, float | None]]) -> None:
    recording = ages(11, 11, 11, 9, 9, 9)  # On from 6 to 12.
    recording.points |= ages(9, 9, 11, 11, 9, 9, name="B").points  # From 9 to 15.
    recording.points |= ages(9, 9, 9, 9, 9, 11, name="C").points  # From 18.
    others = {name: alarm(MetricName=name, EvaluationPeriods=1) for name in "BC"}
    composite = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": rule}}
    composite["Metadata"] = {"aws:cdk:path": "S/Any/Resource"}

    for name, other in others.items():
        other["Metadata"] = {"aws:cdk:path": f"S/{name}/Resource"}
    assert found(recording, Any=composite, **others)["Any"].spans == spans


def test_a_period_that_is_not_over_does_not_count() -> None:
    recording = ages(11, 11)
    recording.end -= 0.5

    assert found(recording)["Old"].since is None


def test_metric_math_and_other_statistics_count_as_in_a_graph() -> None:
    metric = {"Namespace": "AWS/SQS", "MetricName": "Age", "Dimensions": alarm()["Properties"]["Dimensions"]}
    math = {
        "Metrics": [
            {"Id": "e", "Expression": "IF(a > 5, 2 * a, 0)", "ReturnData": True},
            {"Id": "a", "MetricStat": {"Metric": metric, "Period": 120, "Stat": "Sum"}, "ReturnData": False},
        ]
    }
    plain = ("MetricName", "Namespace", "Dimensions", "Period", "Statistic")
    both = alarm(**math, EvaluationPeriods=1)
    both["Properties"] = {name: value for name, value in both["Properties"].items() if name not in plain}

    assert found(ages(2, 3, 2, 4), Old=both)["Old"].since == 4 * MINUTE  # Of two minutes each; 12 is above 10.
    assert found(ages(2, 3, 2, 3), Old=both)["Old"].since is None


def test_a_composite_alarm_is_on_while_one_of_its_parts_is() -> None:
    other = alarm(MetricName="Other", EvaluationPeriods=1)
    rule = {
        "Fn::Join": [
            "",
            ['(ALARM("', {"Fn::GetAtt": ["Old", "Arn"]}, '") OR ALARM("', {"Fn::GetAtt": ["B", "Arn"]}, '"))'],
        ]
    }
    composite = {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {"AlarmRule": rule},
        "Metadata": {"aws:cdk:path": "S/Any/Resource"},
    }
    recording = ages(11, 11, 9, 9, 9)
    recording.points |= ages(9, 9, 11, 9, 11, name="Other").points

    other["Metadata"] = {"aws:cdk:path": "S/B/Resource"}
    by_name = found(recording, B=other, Any=composite)

    assert list(by_name) == ["Any", "Old", "B"]
    assert by_name["Any"].spans == [(6.0, 12.0), (15.0, None)]


def test_a_metric_filter_counts_lines_of_the_log() -> None:
    filtered = {
        "Type": "AWS::Logs::MetricFilter",
        "Properties": {
            "LogGroupName": {"Ref": "Logs"},
            "FilterPattern": '{ $.level = "ERROR" && $.message = "returned" }',
            "MetricTransformations": [
                {
                    "Dimensions": [{"Key": "QueueName", "Value": "$.queue"}],
                    "MetricName": "Age",
                    "MetricNamespace": "AWS/SQS",
                    "MetricValue": "11",
                }
            ],
        },
    }
    recording = Recording(1000.0, 1006.0)
    recording.log = [(1001.0, {"level": "ERROR", "message": "returned", "queue": "orders"})]
    recording.log += [
        (1004.0, {"level": level, "message": "returned", "queue": "orders"}) for level in ("INFO", "ERROR")
    ]

    assert found(recording, Filter=filtered)["Old"].since == 6.0
    assert found(recording, Filter=filtered)["Old"].since == 6.0  # Not counted twice.
    assert recording.points == {}


@pytest.mark.parametrize(
    "resource",
    [
        alarm(TreatMissingData="breaching"),
        alarm(Threshold={"Ref": "Parameter"}),
        alarm(Dimensions=[{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Queue", "Other"]}}]),
        {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": 'OK("Old")'}},
        {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {"FilterPattern": "ERROR", "MetricTransformations": [{}]},
        },
    ],
)
def test_what_cannot_be_computed_is_refused_and_not_guessed(resource: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not known"):
        found(ages(1, 2), Odd=resource)


# The card


def drawn(*given: State) -> ElementTree.Element:
    return ElementTree.fromstring(f"<svg>{''.join(card(Box(0, 0, 1100, 88), 'Is anything wrong?', given))}</svg>")


def words(picture: ElementTree.Element) -> str:
    return " | ".join(element.text or "" for element in picture.iter("text"))


def test_the_card_says_what_is_wrong_and_what_to_do_first() -> None:
    on = State("Old", "Compare the two. Then see docs/runbook.md#old", [(75.0, None)])
    was_on, off = State("Late", "x", [(5.0, 8.0), (60.0, 90.0)]), State("Fine", "y", [])

    picture = drawn(State("Unhealthy", "Open the dashboard.", [(75.0, None)]), on, was_on, off)

    assert "Yes: Unhealthy, Old. Compare the two." in words(picture)
    assert "Old | ALARM since 1:15" in words(picture)
    assert "Late | OK; ALARM 1:00 to 1:30" in words(picture)
    assert "Fine | OK" in words(picture)
    colors = [element.attrib["fill"] for element in picture.iter("circle")]
    assert colors[0] == colors[1]
    assert len(set(colors)) == 3


def test_of_many_alarms_the_answer_names_a_few() -> None:
    many = [State(f"A{number}", "Look.", [(1.0, None)]) for number in range(5)]

    assert "Yes: A0, A1, A2 and 2 more. Look." in words(drawn(*many))


def test_the_card_says_that_nothing_is_wrong() -> None:
    assert "No: none of 2 alarms is on." in words(drawn(State("A", "", []), State("B", "", [(1.0, 2.0)])))
    assert "No alarms are known." in words(drawn())


@pytest.mark.parametrize("count", [1, 7, 11, 16])
def test_every_alarm_is_inside_the_card_and_beside_the_others(count: int) -> None:
    picture = drawn(*(State(f"A{number}", "", []) for number in range(count)))

    boxes = [
        {name: float(each.attrib[name]) for name in ("x", "y", "width", "height")} for each in picture.iter("rect")
    ]
    assert len(boxes) == count
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 1100 and box["y"] + box["height"] <= 88 for box in boxes)
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            assert abs(one["x"] - other["x"]) >= one["width"] or abs(one["y"] - other["y"]) >= one["height"]
