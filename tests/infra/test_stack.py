from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluice.message.settings import KeyAttribute, Settings, Table
from tests.infra.logical_ids import DEAD_LETTERS, FUNCTION, LOGS, QUEUE, TABLE
from tests.infra.template import Template, functions_settings, resolved, synthesise

pytestmark = pytest.mark.xdist_group("synth")  # One process starts Node and synthesises, not each.


def queue_of(template: Template, name: str) -> dict[str, Any]:
    return template.all("AWS::SQS::Queue")[name]


def test_what_holds_data_keeps_its_logical_id(template: Template) -> None:
    # A changed id makes CloudFormation create a new, empty resource and delete the old one.
    assert template.ids("AWS::DynamoDB::Table") == {TABLE}
    assert template.ids("AWS::SQS::Queue") == {QUEUE, DEAD_LETTERS}


def test_the_queue_keeps_its_name(template: Template) -> None:
    # A changed name has the same effect as a changed id.
    assert queue_of(template, QUEUE)["QueueName"] == "SluiceMessagesB7167E3A"


def test_messages_are_hidden_for_six_timeouts_and_the_window(template: Template) -> None:
    timeout = template.only("AWS::Lambda::Function")["Timeout"]
    window = template.only("AWS::Lambda::EventSourceMapping")["MaximumBatchingWindowInSeconds"]

    assert queue_of(template, QUEUE)["VisibilityTimeout"] >= 6 * timeout + window


def test_dead_letters_live_longer_than_messages(template: Template) -> None:
    retention = queue_of(template, DEAD_LETTERS)["MessageRetentionPeriod"]

    assert retention == 14 * 86_400
    assert retention > queue_of(template, QUEUE)["MessageRetentionPeriod"]


def test_the_queue_sends_to_its_dead_letter_queue_which_takes_from_no_other(template: Template) -> None:
    redrive = resolved(queue_of(template, QUEUE)["RedrivePolicy"])
    allowed = resolved(queue_of(template, DEAD_LETTERS)["RedriveAllowPolicy"])

    assert redrive == {"deadLetterTargetArn": f"{DEAD_LETTERS}.Arn", "maxReceiveCount": 27}
    name = queue_of(template, QUEUE)["QueueName"]
    source = f"arn:AWS::Partition:sqs:AWS::Region:AWS::AccountId:{name}"
    assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [source]}


def test_the_queue_is_polled_long(template: Template) -> None:
    assert queue_of(template, QUEUE)["ReceiveMessageWaitTimeSeconds"] == 20


@pytest.mark.parametrize("name", [QUEUE, DEAD_LETTERS])
def test_queues_are_encrypted_at_rest_and_in_transit(template: Template, name: str) -> None:
    assert queue_of(template, name)["SqsManagedSseEnabled"] is True
    policies = [p for p in template.all("AWS::SQS::QueuePolicy").values() if p["Queues"] == [{"Ref": name}]]
    assert resolved([statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]) == [
        {
            "Action": "sqs:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Resource": f"{name}.Arn",
        }
    ]


def test_the_table_outlives_the_stack(template: Template) -> None:
    table = template.resource(TABLE)

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 35,
    }


def test_the_table_is_on_demand_with_the_default_key(template: Template) -> None:
    table = template.only("AWS::DynamoDB::Table")

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]


def test_failed_messages_of_a_batch_return_alone(template: Template) -> None:
    mapping = template.only("AWS::Lambda::EventSourceMapping")

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_function_reads_the_queue_in_large_batches(template: Template) -> None:
    mapping = resolved(template.only("AWS::Lambda::EventSourceMapping"))

    assert (mapping["EventSourceArn"], mapping["FunctionName"]) == (f"{QUEUE}.Arn", FUNCTION)
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (1000, 5)
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 10}


def test_the_function_runs_on_arm_with_the_newest_python_that_cdk_knows(template: Template) -> None:
    function = template.only("AWS::Lambda::Function")

    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
    assert function["Handler"] == "batch_writer.handler.lambda_handler"


def test_the_function_understands_its_environment(template: Template) -> None:
    environ = template.only("AWS::Lambda::Function")["Environment"]["Variables"]

    assert functions_settings(template) == Settings(
        tables=(Table(alias="records", name=TABLE, partition_key=KeyAttribute("pk", "S")),),
        dead_letter_queue_url=f"https://{DEAD_LETTERS}",
    )
    assert environ["POWERTOOLS_SERVICE_NAME"] == "Sluice"
    assert environ["POWERTOOLS_METRICS_NAMESPACE"] == "Sluice"


def test_the_function_logs_json_to_a_group_that_forgets(template: Template) -> None:
    logging = resolved(template.only("AWS::Lambda::Function")["LoggingConfig"])

    assert logging == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": LOGS}
    assert template.all("AWS::Logs::LogGroup")[LOGS]["RetentionInDays"] == 30


def test_the_stack_tells_where_everything_is(template: Template) -> None:
    outputs = {name: resolved(output["Value"]) for name, output in template.content["Outputs"].items()}

    assert outputs == {
        "QueueUrl": QUEUE,
        "QueueArn": f"{QUEUE}.Arn",
        "DeadLetterQueueUrl": DEAD_LETTERS,
        "DeadLetterQueueArn": f"{DEAD_LETTERS}.Arn",
        "TableName": TABLE,
        "TableArn": f"{TABLE}.Arn",
        "FunctionName": FUNCTION,
        "FunctionArn": f"{FUNCTION}.Arn",
        "LogGroupName": LOGS,
        "DashboardName": "OverviewDashboard78DADE12",
        "AlarmTopicArn": "AlarmsTopic3A2DFEBA",
    }


def test_the_template_asks_the_account_nothing(template: Template) -> None:
    assert template.content.keys() == {"Description", "Parameters", "Resources", "Outputs"}
    assert {parameter["Type"] for parameter in template.content["Parameters"].values()} == {"String"}


def test_the_chosen_settings_reach_the_table(templates: dict[str, Template]) -> None:
    template = templates["chosen"]

    (table,) = template.ids("AWS::DynamoDB::Table")
    assert template.resource(table)["DeletionPolicy"] == "Delete"
    properties = template.only("AWS::DynamoDB::Table")
    assert properties["DeletionProtectionEnabled"] is False
    assert properties["KeySchema"] == [
        {"AttributeName": "id", "KeyType": "HASH"},
        {"AttributeName": "at", "KeyType": "RANGE"},
    ]
    assert properties["AttributeDefinitions"] == [
        {"AttributeName": "id", "AttributeType": "N"},
        {"AttributeName": "at", "AttributeType": "B"},
    ]


def test_the_chosen_settings_reach_the_function(templates: dict[str, Template]) -> None:
    function = templates["chosen"].only("AWS::Lambda::Function")

    assert (function["MemorySize"], function["Timeout"]) == (512, 30)
    settings = functions_settings(templates["chosen"])
    (table,) = settings.tables
    assert (table.sort_key, table.version) == (KeyAttribute("at", "B"), "v")
    assert (settings.record_format, settings.record_expression) == ("item", "detail")
    assert (settings.on_condition_failed, settings.update_once) == ("dead-letter", True)
    assert (settings.deadline_margin, settings.max_connections) == (3, 4)
    assert settings.max_write_units_per_second == 600 / 6
    assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == "Orders"


def test_the_chosen_settings_reach_the_queue_and_its_polling(templates: dict[str, Template]) -> None:
    queue = queue_of(templates["chosen"], QUEUE)
    mapping = templates["chosen"].only("AWS::Lambda::EventSourceMapping")

    assert queue["QueueName"].startswith("OrdersMessages")
    assert queue["VisibilityTimeout"] == 6 * 30 + 7
    assert queue["MessageRetentionPeriod"] == 2 * 86_400
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 9
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (200, 7)
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 6}


def test_the_chosen_settings_reach_what_watches(templates: dict[str, Template]) -> None:
    template = templates["chosen"]

    subscription = template.only("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")
    assert resolved(template.only("AWS::CloudWatch::Dashboard")["DashboardName"]) == "Orders-AWS::Region"
    assert template.all("AWS::Logs::LogGroup")[LOGS]["RetentionInDays"] == 7


def test_a_second_synthesis_gives_the_same_template(template: Template, tmp_path: Path) -> None:
    assert synthesise(tmp_path, {}) == template
