"""The alarms watch metrics that are really reported, begin when they should, and say what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sluice.cdk.config import Config
from sluice.local.dashboard.alarms import resources, states
from sluice.local.dashboard.expression import evaluate
from sluice.local.dashboard.recording import Metric, Recording
from sluice.local.dashboard.series import Series
from tests.infra.configurations import ALARM_TOPIC
from tests.infra.logical_ids import DEAD_LETTERS, FUNCTION, LOGS, QUEUE, TABLE
from tests.infra.reported import AWS_METRICS, BAD, emitted, matches, recording, report, troubled, without_queue
from tests.infra.runbook import headings
from tests.infra.template import Template, resolved, synthesise
from tests.infra.watching import alarms_of, math_of, queries_of

pytestmark = pytest.mark.xdist_group("synth")

RESOURCES = {
    "QueueName": {f"{QUEUE}.QueueName", f"{DEAD_LETTERS}.QueueName"},
    "FunctionName": {FUNCTION},
    "TableName": {TABLE},
}
OTHER_HEADINGS = {
    *("a-canary", "before-you-begin", "change-a-key", "is-anything-missing", "other-ways-to-run-it", "pause", "replay"),
    *("restore-the-table", "upgrade-and-rollback"),
    "not-fresh",  # test_freshness has it.
}


def test_every_way_to_fail_has_its_alarm(template: Template) -> None:
    watched = {
        name: {query["MetricName"] for query in queries_of(alarm)} for name, alarm in alarms_of(template).items()
    }

    sent, deleted, visible, flying = (
        "NumberOfMessagesSent",
        "NumberOfMessagesDeleted",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
    )
    assert watched == {
        "DeadLetters": {visible, flying},
        "NewDeadLetters": {visible, flying, "MessagesDeadLettered"},
        "ExpiringDeadLetters": {"ApproximateAgeOfOldestMessage"},
        "MessageAge": {"ApproximateAgeOfOldestMessage"},
        "NoProgress": {deleted, visible, flying},
        "Returned": {sent, deleted, "MessagesReturned", "MessagesReceived"},
        "ReportFailures": {"ReportFailures"},
        "FunctionErrors": {"Errors"},
        "FunctionThrottles": {"Throttles"},
        "FunctionDuration": {"Duration"},
        "HotKeys": {"WriteKeyRangeThroughputThrottleEvents"},
        "AccountLimit": {"WriteAccountLimitThrottleEvents"},
        "SystemErrors": {"SystemErrors"},
    }


def test_only_dead_letters_are_watched_on_their_queue(template: Template) -> None:
    alarms = alarms_of(template)
    of_queue = {
        (name, dimension["Value"])
        for name, alarm in alarms.items()
        for query in queries_of(alarm)
        for dimension in query["Dimensions"]
        if dimension["Name"] == "QueueName"
    }

    assert of_queue == {
        ("DeadLetters", f"{DEAD_LETTERS}.QueueName"),
        ("NewDeadLetters", f"{DEAD_LETTERS}.QueueName"),
        ("ExpiringDeadLetters", f"{DEAD_LETTERS}.QueueName"),
        ("MessageAge", f"{QUEUE}.QueueName"),
        ("NoProgress", f"{QUEUE}.QueueName"),
        ("Returned", f"{QUEUE}.QueueName"),
    }


def test_every_alarm_watches_metrics_that_are_reported(template: Template) -> None:
    filtered = {
        Metric.of(each["MetricNamespace"], each["MetricName"], {"service": "Sluice"})
        for rule in template.all("AWS::Logs::MetricFilter").values()
        for each in rule["MetricTransformations"]
    }

    for name, alarm in alarms_of(template).items():
        for query in queries_of(alarm):
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in query["Dimensions"]}
            metric = Metric.of(query["Namespace"], query["MetricName"], dimensions)
            if metric in emitted() | filtered:
                continue
            assert AWS_METRICS[query["Namespace"], query["MetricName"]] == dimensions.keys(), name
            if query["MetricName"] == "SystemErrors":
                assert dimensions.pop("Operation") in {"BatchWriteItem", "PutItem", "DeleteItem", "UpdateItem"}
            assert all(value in RESOURCES[dimension] for dimension, value in dimensions.items()), name


def test_reports_that_sqs_refuses_are_counted_from_the_log(template: Template) -> None:
    rule = resolved(template.only("AWS::Logs::MetricFilter"))
    [counted] = rule["MetricTransformations"]

    refused = [line for _, line in recording(report(without_queue(), BAD)).log if matches(rule["FilterPattern"], line)]
    usual = [line for _, line in recording(report(troubled(), BAD, "{")).log if matches(rule["FilterPattern"], line)]

    assert [line["service"] for line in refused] == ["Sluice"]
    assert usual == []
    assert counted["Dimensions"] == [{"Key": "service", "Value": "$.service"}]
    assert counted["MetricValue"] == "1"
    assert rule["LogGroupName"] == LOGS


@pytest.mark.parametrize(
    ("sent", "deleted", "returned", "received", "percent"),
    [(10, 5, 30, 40, 75), (10, 10, 40, 40, 0), (0, 3, 40, 40, 0), (10, 0, 0, 40, 0)],
    ids=["grows", "keeps up", "shrinks", "nothing returned"],
)
def test_returned_messages_alarm_only_while_the_queue_grows(
    template: Template, sent: int, deleted: int, returned: int, received: int, percent: float
) -> None:
    alarm = alarms_of(template)["Returned"]
    numbers = {"sent": sent, "deleted": deleted, "returned": returned, "received": received}

    value = evaluate(math_of(alarm), {id: Series({0: number}, 300) for id, number in numbers.items()})

    assert value.values == {0: percent}
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (50, 3)


@pytest.mark.parametrize(
    ("deleted", "waiting", "flying", "stuck"),
    [(0, 3, 2, 5), (0, 0, 4, 4), (1, 3, 2, 0), (0, 0, 0, 0)],
    ids=["nothing moves", "all come back again and again", "one has gone", "nothing to do"],
)
def test_no_progress_is_messages_of_which_none_is_deleted(
    template: Template, deleted: int, waiting: int, flying: int, stuck: int
) -> None:
    numbers = {"deleted": deleted, "waiting": waiting, "flying": flying}

    value = evaluate(
        math_of(alarms_of(template)["NoProgress"]), {id: Series({0: number}, 300) for id, number in numbers.items()}
    )

    assert value.values == {0: stuck}


@pytest.mark.parametrize(("timeout", "window"), [(60, 5), (900, 300)])
def test_no_progress_waits_longer_than_a_message_may_be_away(tmp_path: Path, timeout: int, window: int) -> None:
    alarm = alarms_of(synthesise(tmp_path, {"timeout": timeout, "batchingWindow": window}))["NoProgress"]

    periods = {query["MetricStat"]["Period"] for query in alarm["Metrics"] if "MetricStat" in query}
    assert periods == {300}
    # The longest backoff of a returned message is 900 seconds.
    assert 300 * (alarm["EvaluationPeriods"] - 1) >= 900 + window + timeout


def test_a_duration_alarms_between_the_end_of_writing_and_the_timeout(template: Template) -> None:
    config = Config()

    milliseconds = alarms_of(template)["FunctionDuration"]["Threshold"]

    assert (config.timeout - config.deadline_margin) * 1000 < milliseconds < config.timeout * 1000


def test_the_pipeline_is_unhealthy_when_records_are_late(template: Template) -> None:
    rule = resolved(template.only("AWS::CloudWatch::CompositeAlarm"))["AlarmRule"]

    late = re.findall(r"ALARM\(\"?Alarms(\w+?)[0-9A-F]{8}\.Arn\"?\)", rule)
    assert sorted(late) == ["FunctionErrors", "MessageAge", "NoProgress", "Returned"]
    assert rule.count(" OR ") == 3


def test_every_alarm_says_what_to_do_and_has_a_heading_in_the_runbook(template: Template) -> None:
    from sluice.cdk import throttling  # Here, for it loads CDK.

    everything = [*alarms_of(template).values(), template.only("AWS::CloudWatch::CompositeAlarm")]
    causes = (throttling.HOT_KEYS, throttling.PROVISIONED, throttling.ON_DEMAND_MAXIMUM, throttling.ACCOUNT_LIMIT)
    named = {throttling.INDEX_HEADING, *(cause.heading for cause in causes), "read-throttles"}

    for alarm in everything:
        said = re.fullmatch(r"([A-Z].+\.) Then see docs/runbook\.md#([a-z-]+)", alarm["AlarmDescription"])
        assert said is not None, alarm["AlarmDescription"]
        named.add(said[2])

    assert headings() - OTHER_HEADINGS == named


def test_every_alarm_tells_the_topic_when_it_begins_and_ends_and_rests_without_data(template: Template) -> None:
    (topic,) = template.ids("AWS::SNS::Topic")

    for name, alarm in alarms_of(template).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
        assert alarm["TreatMissingData"] == ("ignore" if name == "DeadLetters" else "notBreaching")
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


def test_an_alarm_is_never_told_twice(template: Template) -> None:
    assert "AlarmActions" not in template.only("AWS::CloudWatch::CompositeAlarm")


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


def test_alarms_may_go_to_a_topic_that_exists(templates: dict[str, Template]) -> None:
    template = templates["tables"]

    assert template.ids("AWS::SNS::Topic") == set()
    assert {tuple(alarm["AlarmActions"]) for alarm in alarms_of(template).values()} == {(ALARM_TOPIC,)}
    assert template.content["Outputs"]["AlarmTopicArn"]["Value"] == ALARM_TOPIC


def test_alarms_may_use_the_key_of_an_encrypted_topic(templates: dict[str, Template]) -> None:
    template = templates["guarded"]
    (key,) = template.ids("AWS::KMS::Key")

    statements = [
        s for s in template.allowed("AWS::KMS::Key", "KeyPolicy") if s.get("Sid") == "AllowAlarmsOfThisAccount"
    ]

    assert resolved(template.only("AWS::SNS::Topic"))["KmsMasterKeyId"] == f"{key}.Arn"
    [allowed] = statements
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": "AWS::AccountId"}}


def test_every_table_has_alarms_of_its_own_for_what_can_throttle_it(templates: dict[str, Template]) -> None:
    alarms = alarms_of(templates["tables"])

    of_tables = {
        name: [{each["Name"]: each["Value"] for each in query["Dimensions"]} for query in queries_of(alarm)]
        for name, alarm in alarms.items()
        if all(query["Namespace"] == "AWS/DynamoDB" for query in queries_of(alarm))
    }
    assert set(of_tables) == {
        *("SystemErrors", "SystemErrorsold", "SystemErrorsevents", "SystemErrorsfixed"),
        *("HotKeys", "ProvisionedCapacity"),
        *("HotKeysold", "ProvisionedCapacityold", "OnDemandMaximumold", "AccountLimitold"),
        *("HotKeysevents", "OnDemandMaximumevents", "AccountLimitevents"),
        *("HotKeysfixed", "ProvisionedCapacityfixed"),
        "ReadThrottlesevents",
    }
    by_name = {name: {each["TableName"] for each in dimensions} for name, dimensions in of_tables.items()}
    assert all(tables == {"Legacy"} for name, tables in by_name.items() if name.endswith("old"))
    assert len(set().union(*by_name.values())) == 4


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("default", {"BatchWriteItem", "PutItem", "DeleteItem", "UpdateItem"}),
        ("chosen", {"PutItem", "DeleteItem", "TransactWriteItems"}),  # With a version, and updates that apply once.
    ],
)
def test_system_errors_are_those_of_the_calls_that_the_function_makes(
    templates: dict[str, Template], name: str, calls: set[str]
) -> None:
    alarm = alarms_of(templates[name])["SystemErrors"]

    dimensions = [{each["Name"]: each["Value"] for each in query["Dimensions"]} for query in queries_of(alarm)]
    assert {each["Operation"] for each in dimensions} == calls
    assert {each["TableName"] for each in dimensions} == {TABLE}


def test_an_index_has_alarms_of_its_own_for_what_can_throttle_it(tmp_path: Path) -> None:
    status = {"name": "by-status", "partitionKey": "status:S"}
    local = {"name": "by-day", "sortKey": "day:S"}
    template = synthesise(
        tmp_path, {"sortKey": "sk:S", "indexes": [{**status, "maxWriteUnits": 100}, {**status, "name": "other"}, local]}
    )

    found = {
        name: {dimension["Name"]: dimension["Value"] for dimension in queries_of(alarm)[0]["Dimensions"]}
        for name, alarm in alarms_of(template).items()
        if name.startswith("Index")
    }

    first, second = ({"TableName": TABLE, "GlobalSecondaryIndexName": name} for name in ("by-status", "other"))
    assert found == {
        "IndexHotKeysbystatus": first,
        "IndexAccountLimitbystatus": first,
        "IndexOnDemandMaximumbystatus": first,
        "IndexHotKeysother": second,
        "IndexAccountLimitother": second,
    }


@pytest.mark.parametrize(
    ("billing", "settings", "expected"),
    [
        ("PAY_PER_REQUEST", {}, {"HotKeys", "AccountLimit"}),
        ("PAY_PER_REQUEST", {"max_write_request_units": 500}, {"HotKeys", "OnDemandMaximum", "AccountLimit"}),
        ("PROVISIONED", {}, {"HotKeys", "ProvisionedCapacity"}),
    ],
    ids=["on demand", "on demand with a maximum", "provisioned"],
)
def test_a_table_is_watched_for_what_can_throttle_it(
    billing: str, settings: dict[str, Any], expected: set[str]
) -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_dynamodb as dynamodb

    from sluice.cdk.throttling import causes_of

    key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
    mode = dynamodb.BillingMode[billing]

    table = dynamodb.Table(Stack(App(), "Stack"), "Table", partition_key=key, billing_mode=mode, **settings)

    assert {cause.alarm for cause in causes_of(table)} == expected


def test_a_table_of_unknown_mode_is_watched_for_everything() -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_dynamodb as dynamodb

    from sluice.cdk.throttling import causes_of

    table = dynamodb.Table.from_table_name(Stack(App(), "Stack"), "Table", "existing")

    assert len({cause.metric for cause in causes_of(table)}) == 4


def test_every_alarm_of_every_stack_can_be_computed_on_one_machine(templates: dict[str, Template]) -> None:
    for name, each in templates.items():
        physical = {logical_id: f"https://a/b/{logical_id}" for logical_id in each.content["Resources"]}
        run = Recording(0.0, 600.0)
        run.log = [(1.0, {"level": "ERROR", "message": "messages returned", "service": "Sluice"})]

        found = states(resources(each.content, physical), run, 3.0)

        alarms = each.ids("AWS::CloudWatch::Alarm") | each.ids("AWS::CloudWatch::CompositeAlarm")
        assert len({state.name for state in found}) == len(alarms), name
        assert all(state.first for state in found), name
