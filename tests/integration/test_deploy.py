"""The real CDK command line deploys the real stack to a local AWS; each resource is looked at, none believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions.batch_writer.settings import KeyAttribute, Settings, Table
from infra.config import Config
from sluice.local.aws import LocalAws, local_aws
from sluice.local.deploy import Cdk, Outputs
from tests.infra.template import resolved

pytestmark = pytest.mark.xdist_group("deploy")

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Deployed:
    """A local AWS with the stack in it."""

    aws: LocalAws
    outputs: Outputs

    def queue(self, url: str) -> dict[str, str]:
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    def function(self) -> dict[str, Any]:
        functions = self.aws.client("lambda")
        configuration: dict[str, Any] = functions.get_function_configuration(FunctionName=self.outputs.function_name)
        return configuration


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    directory = tmp_path_factory.mktemp("deploy")
    with local_aws(directory) as aws:
        cdk = Cdk(aws, directory, cache=directory)
        cdk.bootstrap()
        yield Deployed(aws, cdk.deploy({}))


def test_the_queue_is_there(deployed: Deployed) -> None:
    queue = deployed.queue(deployed.outputs.queue_url)

    assert queue["QueueArn"] == deployed.outputs.queue_arn
    assert int(queue["VisibilityTimeout"]) == Config().visibility_timeout
    assert int(queue["MessageRetentionPeriod"]) == Config().queue_retention * DAY
    assert int(queue["ReceiveMessageWaitTimeSeconds"]) == 20
    assert queue["SqsManagedSseEnabled"] == "true"
    assert queue.get("FifoQueue", "false") == "false"


def test_the_queue_sends_to_the_dead_letter_queue(deployed: Deployed) -> None:
    queue = deployed.queue(deployed.outputs.queue_url)
    dead_letters = deployed.queue(deployed.outputs.dead_letter_queue_url)

    redrive = json.loads(queue["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead_letters["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == Config().max_receive_count
    assert int(dead_letters["MessageRetentionPeriod"]) == 14 * DAY


def test_the_queue_that_dead_letters_are_taken_from_is_the_deployed_one(deployed: Deployed) -> None:
    # moto keeps no RedriveAllowPolicy, but the template it was given shows which queue is named there.
    template = deployed.aws.client("cloudformation").get_template(StackName="Sluice")["TemplateBody"]

    policies = [
        r["Properties"].get("RedriveAllowPolicy") for r in template["Resources"].values() if "Queue" in r["Type"]
    ]
    (source,) = (arn for policy in policies if policy for arn in resolved(policy["sourceQueueArns"]))
    for name, value in (("Partition", "aws"), ("Region", deployed.aws.region), ("AccountId", deployed.aws.account)):
        source = source.replace(f"AWS::{name}", value)
    assert source == deployed.outputs.queue_arn


def test_the_table_is_there(deployed: Deployed) -> None:
    table = deployed.aws.client("dynamodb").describe_table(TableName=deployed.outputs.table_name)["Table"]

    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is True


def test_the_function_is_there(deployed: Deployed) -> None:
    function = deployed.function()

    assert function["Runtime"] == "python3.14"
    assert function["Handler"] == "batch_writer.handler.lambda_handler"
    assert (function["MemorySize"], function["Timeout"]) == (Config().memory, Config().timeout)


def test_the_functions_environment_is_that_of_the_deployed_resources(deployed: Deployed) -> None:
    environ = deployed.function()["Environment"]["Variables"]

    assert Settings.from_environ(environ) == Settings(
        tables=(Table(alias="records", name=deployed.outputs.table_name, partition_key=KeyAttribute("pk", "S")),),
        dead_letter_queue_url=deployed.outputs.dead_letter_queue_url,
    )
    assert environ["POWERTOOLS_SERVICE_NAME"] == "Sluice"


def test_the_function_reads_the_queue_and_returns_failed_messages_alone(deployed: Deployed) -> None:
    functions = deployed.aws.client("lambda")

    (mapping,) = functions.list_event_source_mappings(FunctionName=deployed.outputs.function_name)[
        "EventSourceMappings"
    ]
    assert mapping["EventSourceArn"] == deployed.outputs.queue_arn
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == Config().batch_size
    assert mapping["MaximumBatchingWindowInSeconds"] == Config().batching_window
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": Config().max_concurrency}


def test_the_functions_log_group_is_there(deployed: Deployed) -> None:
    (group,) = deployed.aws.client("logs").describe_log_groups()["logGroups"]

    assert group["retentionInDays"] == Config().log_retention


def test_the_dashboard_and_the_topic_are_there(deployed: Deployed) -> None:
    outputs = deployed.outputs

    dashboard = deployed.aws.client("cloudwatch").get_dashboard(DashboardName=outputs.dashboard_name)
    deployed.aws.client("sns").get_topic_attributes(TopicArn=outputs.alarm_topic_arn)

    assert outputs.dashboard_name == f"Sluice-{deployed.aws.region}"
    text = dashboard["DashboardBody"]
    assert outputs.function_name in text
    assert outputs.table_name in text
    json.loads(text)
