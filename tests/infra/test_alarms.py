from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.template import ROOT, Template, resolved

pytestmark = pytest.mark.xdist_group("synth")

# Metric → dimension, from the pages on CloudWatch metrics in the developer guides of SQS, Lambda and DynamoDB.
AWS_METRICS = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "QueueName",
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "QueueName",
    ("AWS/Lambda", "Errors"): "FunctionName",
    ("AWS/Lambda", "Throttles"): "FunctionName",
    ("AWS/DynamoDB", "WriteThrottleEvents"): "TableName",
}
FUNCTION_METRICS = {
    "MessagesReceived",
    "MessagesWritten",
    "MessagesReturned",
    "MessagesDeadLettered",
    "OperationsWritten",
    "OperationsSuperseded",
    "OperationsRejected",
    "ConditionsFailed",
    "BatchWrites",
    "BatchFill",
    "UnprocessedItems",
    "ThrottledCalls",
    "ConsumedWriteUnits",
    "WriteLatency",
    "BackoffTime",
}
RESOURCES = {
    "QueueName": {"MessagesQueueDA932AE9.QueueName", "MessagesDeadLetters3B953EB8.QueueName"},
    "FunctionName": {"BatchWriterFunction9E097AFA"},
    "TableName": {"RecordsTableC9B7A30B"},
}


def alarms_of(template: Template) -> list[dict[str, Any]]:
    alarms: list[dict[str, Any]] = resolved(list(template.all("AWS::CloudWatch::Alarm").values()))
    return alarms


def widgets_of(template: Template) -> Iterator[dict[str, Any]]:
    for widget in json.loads(resolved(template.only("AWS::CloudWatch::Dashboard")["DashboardBody"]))["widgets"]:
        yield widget["properties"]


def test_every_failure_has_its_alarm(template: Template) -> None:
    watched = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for alarm in alarms_of(template)}

    assert watched == {
        ("ApproximateNumberOfMessagesVisible", "MessagesDeadLetters3B953EB8.QueueName"),
        ("ApproximateAgeOfOldestMessage", "MessagesQueueDA932AE9.QueueName"),
        ("Errors", "BatchWriterFunction9E097AFA"),
        ("Throttles", "BatchWriterFunction9E097AFA"),
        ("WriteThrottleEvents", "RecordsTableC9B7A30B"),
    }


def test_every_alarm_watches_a_metric_that_exists(template: Template) -> None:
    for alarm in alarms_of(template):
        (dimension,) = alarm["Dimensions"]

        assert AWS_METRICS[alarm["Namespace"], alarm["MetricName"]] == dimension["Name"]
        assert dimension["Value"] in RESOURCES[dimension["Name"]]


def test_every_alarm_says_what_to_do_and_has_a_heading_in_the_runbook(template: Template) -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", runbook, re.MULTILINE)}
    named = set()

    for alarm in alarms_of(template):
        said = re.fullmatch(r"([A-Z].+\.) Then see docs/runbook\.md#([a-z-]+)", alarm["AlarmDescription"])
        assert said is not None, alarm["AlarmDescription"]
        named.add(said[2])

    assert named == headings


def test_every_alarm_reaches_the_topic_and_rests_without_data(template: Template) -> None:
    (topic,) = template.ids("AWS::SNS::Topic")

    for alarm in alarms_of(template):
        assert alarm["AlarmActions"] == [topic]
        assert alarm["TreatMissingData"] == "notBreaching"


def test_the_topic_lets_alarms_in_by_tls_alone(template: Template) -> None:
    (topic,) = template.ids("AWS::SNS::Topic")
    policy = resolved(template.only("AWS::SNS::TopicPolicy"))
    statements = {statement.pop("Sid"): statement for statement in policy["PolicyDocument"]["Statement"]}

    assert policy["Topics"] == [topic]
    assert statements == {
        "AllowPublishThroughSSLOnly": {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": topic,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        "AllowAlarmsOfThisAccount": {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic,
            "Condition": {"StringEquals": {"aws:SourceAccount": "AWS::AccountId"}},
        },
    }


def test_nobody_is_subscribed_unless_an_address_is_given(template: Template) -> None:
    assert template.ids("AWS::SNS::Subscription") == set()


def test_the_dashboard_shows_every_metric_of_the_function(template: Template) -> None:
    shown = {tuple(metric[:4]) for widget in widgets_of(template) for metric in widget["metrics"]}

    ours = {metric[1] for metric in shown if metric[0] == "Sluice"}
    assert ours == FUNCTION_METRICS
    assert {metric[2:] for metric in shown if metric[0] == "Sluice"} == {("service", "Sluice")}


def test_every_threshold_is_drawn_on_the_graph_it_guards(template: Template) -> None:
    drawn = {
        (tuple(metric[:4]), line["value"])
        for widget in widgets_of(template)
        for metric in widget["metrics"]
        for line in widget.get("annotations", {}).get("horizontal", [])
    }

    assert drawn == {
        ((alarm["Namespace"], alarm["MetricName"], dimension["Name"], dimension["Value"]), alarm["Threshold"])
        for alarm in alarms_of(template)
        for dimension in alarm["Dimensions"]
    }
