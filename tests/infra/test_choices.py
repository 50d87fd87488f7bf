"""What can be chosen, in the template: queue, encryption, tables, polling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.message.settings import KeyAttribute, Table
from tests.infra.configurations import KEY
from tests.infra.logical_ids import DEAD_LETTERS, EVENTS, FIXED, ORDERS, QUEUE, QUEUE_KEY, TABLE
from tests.infra.template import Template, functions_settings, resolved, synthesise

pytestmark = pytest.mark.xdist_group("synth")


# Properties that give a resource a name of its own, instead of one that CloudFormation makes up.
NAMES = {
    "QueueName",
    "TableName",
    "FunctionName",
    "RoleName",
    "LogGroupName",
    "TopicName",
    "AlarmName",
    "DashboardName",
    "AliasName",
    "PolicyName",
    "MetricName",
}
# These properties are names of others; the metrics of two stacks are told apart by dimension.
REFERENCES = {
    ("AWS::Lambda::EventSourceMapping", "FunctionName"),
    ("AWS::CloudWatch::Alarm", "MetricName"),
    ("AWS::Logs::MetricFilter", "LogGroupName"),
}


def mapping_of(template: Template) -> dict[str, Any]:
    return template.only("AWS::Lambda::EventSourceMapping")


# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
def test_fifo_queues_are_in_high_throughput_mode(templates: dict[str, Template]) -> None:
    queues = templates["fifo"].all("AWS::SQS::Queue")

    for queue in queues.values():
        assert queue["FifoQueue"] is True
        assert (queue["DeduplicationScope"], queue["FifoThroughputLimit"]) == ("messageGroup", "perMessageGroupId")
        assert queue["QueueName"].endswith(".fifo")
        assert len(queue["QueueName"]) <= 80
        assert "ContentBasedDeduplication" not in queue
    assert len({queue["QueueName"] for queue in queues.values()}) == 2


def test_a_fifo_queue_may_deduplicate_as_a_whole_and_by_content(tmp_path: Path) -> None:
    settings = {"queueType": "fifo", "deduplicationScope": "queue", "contentBasedDeduplication": True}

    queue = synthesise(tmp_path, settings).all("AWS::SQS::Queue")[QUEUE]

    assert (queue["DeduplicationScope"], queue["FifoThroughputLimit"]) == ("queue", "perQueue")
    assert queue["ContentBasedDeduplication"] is True


def test_fifo_messages_come_in_tens_and_without_a_window(templates: dict[str, Template]) -> None:
    mapping = mapping_of(templates["fifo"])

    assert mapping["BatchSize"] == 10
    assert "MaximumBatchingWindowInSeconds" not in mapping
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_fifo_dead_letters_are_taken_from_the_fifo_queue(templates: dict[str, Template]) -> None:
    queues = templates["fifo"].all("AWS::SQS::Queue")

    (source,) = resolved(queues[DEAD_LETTERS]["RedriveAllowPolicy"])["sourceQueueArns"]
    assert source.split(":")[-1] == queues[QUEUE]["QueueName"]
    assert resolved(queues[QUEUE]["RedrivePolicy"])["deadLetterTargetArn"] == f"{DEAD_LETTERS}.Arn"


def test_the_longest_name_of_a_stack_leaves_room_for_fifo(tmp_path: Path) -> None:
    template = synthesise(tmp_path, {"stackName": "x" * 128, "queueType": "fifo"})

    assert {len(queue["QueueName"]) <= 80 for queue in template.all("AWS::SQS::Queue").values()} == {True}


def test_a_key_of_the_stacks_own_encrypts_both_queues_and_turns(templates: dict[str, Template]) -> None:
    template = templates["guarded"]

    for queue in template.all("AWS::SQS::Queue").values():
        assert resolved(queue["KmsMasterKeyId"]) == f"{QUEUE_KEY}.Arn"
        assert queue["KmsDataKeyReusePeriodSeconds"] == 3600
        assert "SqsManagedSseEnabled" not in queue
    assert template.only("AWS::KMS::Key")["EnableKeyRotation"] is True


def test_the_key_outlives_the_stack_as_nothing_else_opens_dead_letters(templates: dict[str, Template]) -> None:
    key = templates["guarded"].resource(QUEUE_KEY)

    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_a_key_that_is_there_is_used_and_none_made(templates: dict[str, Template]) -> None:
    template = templates["tables"]

    assert {queue["KmsMasterKeyId"] for queue in template.all("AWS::SQS::Queue").values()} == {KEY}
    assert template.ids("AWS::KMS::Key") == set()


def test_tables_keep_their_logical_ids_by_alias(templates: dict[str, Template]) -> None:
    assert templates["tables"].ids("AWS::DynamoDB::Table") == {ORDERS, EVENTS, FIXED}


def test_the_order_of_tables_decides_nothing_but_the_default(tmp_path: Path) -> None:
    tables = [{"alias": "fixed"}, {"alias": "records"}, {"alias": "orders"}]

    template = synthesise(tmp_path, {"tables": tables})

    assert template.ids("AWS::DynamoDB::Table") == {FIXED, ORDERS, TABLE}
    assert resolved(template.content["Outputs"]["TableName"]["Value"]) == FIXED


def test_a_table_may_be_provisioned_and_scale(templates: dict[str, Template]) -> None:
    template = templates["tables"]
    table = template.all("AWS::DynamoDB::Table")[ORDERS]
    (target,) = template.all("AWS::ApplicationAutoScaling::ScalableTarget").values()
    (policy,) = template.all("AWS::ApplicationAutoScaling::ScalingPolicy").values()

    assert table["ProvisionedThroughput"] == {"ReadCapacityUnits": 5, "WriteCapacityUnits": 10}
    assert "BillingMode" not in table
    assert resolved(target["ResourceId"]) == f"table/{ORDERS}"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (10, 1000)
    assert target["ScalableDimension"] == "dynamodb:table:WriteCapacityUnits"
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 60


def test_a_provisioned_table_without_a_minimum_does_not_scale(templates: dict[str, Template]) -> None:
    table = templates["tables"].all("AWS::DynamoDB::Table")[FIXED]

    assert table["ProvisionedThroughput"] == {"ReadCapacityUnits": 5, "WriteCapacityUnits": 50}


def test_an_on_demand_table_may_have_bounds_and_a_warm_start(templates: dict[str, Template]) -> None:
    table = templates["tables"].all("AWS::DynamoDB::Table")[EVENTS]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": 30000, "MaxWriteRequestUnits": 20000}
    assert table["WarmThroughput"] == {"WriteUnitsPerSecond": 12000}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ends", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 7,
    }


def test_a_table_may_be_encrypted_by_three_kinds_of_key(templates: dict[str, Template], template: Template) -> None:
    tables = templates["tables"].all("AWS::DynamoDB::Table")

    assert "SSESpecification" not in template.only("AWS::DynamoDB::Table")  # A key of DynamoDB's own.
    assert tables[EVENTS]["SSESpecification"] == {"SSEEnabled": True}
    assert tables[FIXED]["SSESpecification"] == {"KMSMasterKeyId": KEY, "SSEEnabled": True, "SSEType": "KMS"}


def test_a_table_to_be_thrown_away_is_neither_protected_nor_copied(templates: dict[str, Template]) -> None:
    table = templates["tables"].resource(ORDERS)

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert table["Properties"]["DeletionProtectionEnabled"] is False
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}


def test_the_function_is_told_all_tables_in_their_order(templates: dict[str, Template]) -> None:
    assert functions_settings(templates["tables"]).tables == (
        Table("orders", ORDERS, KeyAttribute("customer", "S"), KeyAttribute("time", "N")),
        Table("old", "Legacy", KeyAttribute("id", "B")),
        Table("events", EVENTS, KeyAttribute("pk", "S"), version="v", skip_unchanged=True),
        Table("fixed", FIXED, KeyAttribute("pk", "S")),
    )


def test_several_tables_are_put_out_by_alias(templates: dict[str, Template], template: Template) -> None:
    names = resolved(templates["tables"].content["Outputs"]["TableNames"]["Value"])

    assert json.loads(names) == {"orders": ORDERS, "old": "Legacy", "events": EVENTS, "fixed": FIXED}
    assert "TableNames" not in template.content["Outputs"]


def test_provisioned_pollers_replace_the_maximum_concurrency(templates: dict[str, Template]) -> None:
    mapping = mapping_of(templates["tables"])

    assert mapping["ProvisionedPollerConfig"] == {"MinimumPollers": 3, "MaximumPollers": 5000}
    assert "ScalingConfig" not in mapping


def test_a_reserve_is_kept_where_it_is_asked_for(templates: dict[str, Template], template: Template) -> None:
    assert templates["guarded"].only("AWS::Lambda::Function")["ReservedConcurrentExecutions"] == 10
    assert "ReservedConcurrentExecutions" not in template.only("AWS::Lambda::Function")


def test_lambda_traces_where_it_is_asked_to(templates: dict[str, Template], template: Template) -> None:
    assert templates["guarded"].only("AWS::Lambda::Function")["TracingConfig"] == {"Mode": "Active"}
    assert "TracingConfig" not in template.only("AWS::Lambda::Function")


def test_tags_are_the_stacks_so_that_cloudformation_puts_them_everywhere(tmp_path: Path) -> None:
    synthesise(tmp_path, {"tags": "team=data"})

    manifest = json.loads((tmp_path / "manifest.json").read_text())

    assert manifest["artifacts"]["Sluice"]["properties"]["tags"] == {"team": "data"}


def test_a_table_may_be_renamed_only_by_making_another(template: Template, tmp_path: Path) -> None:
    renamed = synthesise(tmp_path, {"alias": "orders"})

    assert renamed.ids("AWS::DynamoDB::Table").isdisjoint(template.ids("AWS::DynamoDB::Table"))


@pytest.mark.parametrize("queue_type", ["standard", "fifo"])
def test_two_stacks_in_one_account_and_region_share_no_name(tmp_path: Path, queue_type: str) -> None:
    def names(stage: str) -> set[str]:
        template = synthesise(tmp_path / stage, {"stage": stage, "queueType": queue_type, "queueEncryption": "kms"})
        found = set()
        for resource in template.content["Resources"].values():
            for name in NAMES & resource.get("Properties", {}).keys():
                if (resource["Type"], name) not in REFERENCES:
                    value = resolved(resource["Properties"][name])
                    if resource["Type"] != "AWS::IAM::Policy":  # Within its role; not seen outside of it.
                        found.add(f"{resource['Type']} {value}")
        return found

    test, production = names("test"), names("production")

    assert len(test) >= 2
    assert test & production == set()


def test_the_metrics_of_two_stacks_are_told_apart(tmp_path: Path) -> None:
    services = {
        synthesise(tmp_path / stage, {"stage": stage}).only("AWS::Lambda::Function")["Environment"]["Variables"][
            "POWERTOOLS_SERVICE_NAME"
        ]
        for stage in ("test", "production")
    }

    assert services == {"Sluice-test", "Sluice-production"}
