"""The real CDK command line deploys the real stack to a local AWS; each resource is looked at, none believed.

moto makes no queue policies, topic policies and scaling targets, and forgets of a table its recovery, TTL, encryption
and bounds, of a function its architecture and tracing, of a queue its RedriveAllowPolicy, of an event source mapping
its pollers. All of that is only checked on the template (tests/infra).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sluice.cdk.config import Config
from sluice.local.aws import LocalAws, local_aws
from sluice.local.deploy import Cdk, Outputs
from sluice.message.settings import KeyAttribute, Settings, Table
from tests.infra import runbook
from tests.infra.template import ROOT, resolved
from tests.integration.aws_cli import aws_cli

pytestmark = pytest.mark.xdist_group("deploy")

DAY = 86_400


class CommandLine(Cdk):
    """All of `cdk` that an operator calls, for stacks of any stage."""

    def __init__(self, aws: LocalAws, directory: Path) -> None:
        super().__init__(aws, directory, cache=directory)
        self._outputs = directory / "stage.json"
        self._synthesised: Mapping[str, str] | None = None
        """The settings of what lies in the cloud assembly."""

    def deploy(self, context: Mapping[str, str]) -> Outputs:
        self._synthesised = None
        return super().deploy(context)

    def deploy_stage(self, context: Mapping[str, str]) -> tuple[Outputs, str]:
        """Synthesise and deploy a stack; returns its outputs and what cdk said."""
        self._synthesised = None
        options = ["--require-approval", "never", "--method", "direct", "--outputs-file", str(self._outputs)]
        # moto raises for the previous value of a parameter that was left at its default.
        said = self._say("deploy", context, *options, "--no-previous-parameters")
        (outputs,) = json.loads(self._outputs.read_text()).values()
        names = {name: "".join(part.capitalize() for part in name.split("_")) for name in Outputs.__slots__}
        return Outputs(**{name: outputs[output] for name, output in names.items()}), said

    def diff(self, context: Mapping[str, str]) -> str:
        return self._say("diff", context, "--method", "template")  # moto has no change set for a stack that exists.

    def destroy(self, context: Mapping[str, str]) -> str:
        return self._say("destroy", context, "--force")

    def _say(self, command: str, context: Mapping[str, str], *options: str) -> str:
        before = self.log.stat().st_size
        assembly = str(self._cache / "cdk.out")
        settings = [part for name, value in context.items() for part in ("--context", f"{name}={value}")]
        # What has just been synthesised is not again, which takes longest.
        source = ["--app", assembly] if context == self._synthesised else ["--output", assembly, *settings]
        self._synthesised = None
        self._run(command, "--all", *source, *options)
        self._synthesised = context
        return self.log.read_bytes()[before:].decode()


@dataclass(frozen=True, slots=True)
class Deployed:
    """A local AWS with a stack in it."""

    aws: LocalAws
    outputs: Outputs

    def queue(self, url: str) -> dict[str, str]:
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    def function(self) -> dict[str, Any]:
        functions = self.aws.client("lambda")
        configuration: dict[str, Any] = functions.get_function_configuration(FunctionName=self.outputs.function_name)
        return {name: value for name, value in configuration.items() if name != "ResponseMetadata"}

    def mapping(self) -> dict[str, Any]:
        mappings = self.aws.client("lambda").list_event_source_mappings(FunctionName=self.outputs.function_name)
        mapping: dict[str, Any]
        (mapping,) = mappings["EventSourceMappings"]
        return mapping

    def settings(self) -> Settings:
        return Settings.from_environ(self.function()["Environment"]["Variables"])


@pytest.fixture(scope="module")
def cdk(
    tmp_path_factory: pytest.TempPathFactory, with_package: Callable[[Path], Path]
) -> Iterator[tuple[LocalAws, CommandLine]]:
    """One account and region, for all stacks of these tests side by side."""
    directory = with_package(tmp_path_factory.mktemp("deploy"))
    with local_aws(directory) as aws:
        command_line = CommandLine(aws, directory)
        command_line.bootstrap()
        yield aws, command_line


@pytest.fixture(scope="module")
def deployed(cdk: tuple[LocalAws, CommandLine]) -> Deployed:
    aws, command_line = cdk
    return Deployed(aws, command_line.deploy({}))


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
    mapping = deployed.mapping()

    assert mapping["EventSourceArn"] == deployed.outputs.queue_arn
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == Config().batch_size
    assert mapping["MaximumBatchingWindowInSeconds"] == Config().batching_window
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": Config().max_concurrency}


def test_the_functions_log_group_is_there(deployed: Deployed) -> None:
    groups = deployed.aws.client("logs").describe_log_groups()["logGroups"]

    (group,) = (group for group in groups if group["logGroupName"].startswith("Sluice-BatchWriter"))
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


_NOT_IN_MOTO = "moto has no such call; botocore has taken its words"
NOT_KNOWN_LOCALLY = {
    "dynamodb update-contributor-insights": _NOT_IN_MOTO,
    "lambda get-account-settings": _NOT_IN_MOTO,
    "service-quotas list-service-quotas": "moto knows no quotas of DynamoDB",
    "sqs start-message-move-task": _NOT_IN_MOTO,
}
"""Commands of the runbook that the local AWS cannot answer, and why."""
RECORDS = '{"pk": "order#1", "total": 12.5}\n{"pk": "order#2", "total": 3}\n'


def test_every_command_of_the_runbook_is_run(
    cdk: tuple[LocalAws, CommandLine], deployed: Deployed, tmp_path: Path
) -> None:
    aws, _ = cdk
    (tmp_path / "orders.jsonl").write_text(RECORDS)
    sluice = tmp_path / "sluice"
    sluice.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m sluice "$@"\n')
    sluice.chmod(0o755)
    # What moto's own mapping would do, it would do by Docker.
    quiet = f'aws lambda update-event-source-mapping --uuid "{deployed.mapping()["UUID"]}" --no-enabled'
    script = "\n".join(f"{block}\n{quiet} >/dev/null" for block in [*runbook.blocks()])
    script = script.replace("STAGE=prod STACK=Sluice-prod", "STAGE= STACK=Sluice")

    with aws_cli(aws, tmp_path) as cli:
        done = subprocess.run(
            ["sh", "-xc", script],
            cwd=tmp_path,
            env=aws.environ() | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )

    run = {" ".join(words[1:3]) for words in runbook.commands()}
    failed = {call.name: call.error for call in cli.calls if call.error}
    assert {call.name for call in cli.calls} == run, done.stderr
    assert failed.keys() == NOT_KNOWN_LOCALLY.keys(), failed
    assert all(error.startswith("ClientError: ") for error in failed.values()), failed  # The service's own words.
    assert "usage: sluice" not in done.stderr
    assert "Traceback" not in done.stderr
    # What was restored was sent, and what was sent is on the queue.
    assert int(deployed.queue(deployed.outputs.queue_url)["ApproximateNumberOfMessages"]) >= 1


STAGE = {"stage": "cycle", "tableRemoval": "destroy"}
CHANGES = {"memory": "512", "batchingWindow": "9", "batchSize": "77", "timeout": "30"}


def everything(aws: LocalAws) -> set[str]:
    """Names of all that the account holds of the kinds that the stack is made of."""
    functions, logs = aws.client("lambda"), aws.client("logs")
    return {
        *(url.rsplit("/", 1)[1] for url in aws.client("sqs").list_queues().get("QueueUrls", [])),
        *aws.client("dynamodb").list_tables()["TableNames"],
        *(function["FunctionName"] for function in functions.list_functions()["Functions"]),
        *(mapping["UUID"] for mapping in functions.list_event_source_mappings()["EventSourceMappings"]),
        *(topic["TopicArn"] for topic in aws.client("sns").list_topics()["Topics"]),
        *(dashboard["DashboardName"] for dashboard in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]),
        *(group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]),
        *(role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]),
    }


def test_a_stack_is_deployed_deployed_again_changed_and_destroyed_beside_another(
    cdk: tuple[LocalAws, CommandLine], deployed: Deployed
) -> None:
    aws, command_line = cdk
    before = everything(aws)
    assert deployed.outputs.table_name in before

    outputs, _ = command_line.deploy_stage(STAGE)
    stage = Deployed(aws, outputs)
    made = everything(aws)
    function = stage.function()
    queue_name = outputs.queue_arn.split(":")[-1]
    assert {queue_name, outputs.table_name, outputs.function_name, outputs.dashboard_name} <= made - before
    assert (function["MemorySize"], stage.mapping()["BatchSize"]) == (Config().memory, Config().batch_size)

    again, said = command_line.deploy_stage(STAGE)
    assert "(no changes)" in said
    assert again == outputs
    assert everything(aws) == made
    assert stage.function() == function

    # moto would invoke the function by itself, through Docker, when the message is sent.
    aws.client("lambda").update_event_source_mapping(UUID=stage.mapping()["UUID"], Enabled=False)
    aws.client("sqs").send_message(QueueUrl=outputs.queue_url, MessageBody='{"put": {"pk": "a"}}')
    aws.client("dynamodb").put_item(TableName=outputs.table_name, Item={"pk": {"S": "kept"}})
    said = command_line.diff(STAGE | CHANGES)
    assert {
        ("AWS::Lambda::Function", "MemorySize", "1769", "512"),
        ("AWS::Lambda::Function", "Timeout", "60", "30"),
        ("AWS::Lambda::EventSourceMapping", "BatchSize", "1000", "77"),
        ("AWS::Lambda::EventSourceMapping", "MaximumBatchingWindowInSeconds", "5", "9"),
        ("AWS::SQS::Queue", "VisibilityTimeout", "365", str(6 * 30 + 9)),
    } <= differences(said)
    assert "AWS::DynamoDB" not in said
    assert "replace" not in said
    assert stage.function() == function  # A diff changes nothing.

    changed, _ = command_line.deploy_stage(STAGE | CHANGES)
    # moto makes a new topic with every update of a stack, though the difference named none; everything else stays.
    assert "AWS::SNS" not in said
    assert replace(changed, alarm_topic_arn=outputs.alarm_topic_arn) == outputs
    assert everything(aws) - {changed.alarm_topic_arn} == made - {outputs.alarm_topic_arn}
    function, mapping = stage.function(), stage.mapping()
    assert (function["MemorySize"], function["Timeout"]) == (512, 30)
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (77, 9)
    queue = stage.queue(outputs.queue_url)
    assert int(queue["VisibilityTimeout"]) == 6 * 30 + 9
    assert int(queue["ApproximateNumberOfMessages"]) == 1
    assert aws.client("dynamodb").scan(TableName=outputs.table_name)["Items"] == [{"pk": {"S": "kept"}}]
    assert "There were no differences" in command_line.diff(STAGE | CHANGES)

    command_line.destroy(STAGE | CHANGES)
    assert everything(aws) == before


def differences(said: str) -> set[tuple[str, str, str, str]]:
    """Type, property, old and new value of each plain difference that `cdk diff` prints."""
    found, kind, name, old = set(), "", "", ""
    for line in said.splitlines():
        if match := re.match(r"\[~\] (AWS::\S+)", line):
            kind = match[1]
        elif match := re.search(r"[├└]─ \[~\] (\w+)$", line):
            name = match[1]
        elif match := re.search(r"[├└]─ \[-\] (.+)$", line):
            old = match[1]
        elif match := re.search(r"[├└]─ \[\+\] (.+)$", line):
            found.add((kind, name, old, match[1]))
    return found


def test_the_table_with_the_data_withstands_the_destruction_of_its_stack(
    cdk: tuple[LocalAws, CommandLine], deployed: Deployed
) -> None:
    # On AWS `cdk destroy` would leave the table behind; moto knows no DeletionPolicy but respects the protection.
    table = deployed.aws.client("dynamodb").describe_table(TableName=deployed.outputs.table_name)["Table"]
    template = cdk[0].client("cloudformation").get_template(StackName="Sluice")["TemplateBody"]

    assert table["DeletionProtectionEnabled"] is True
    policies = [r["DeletionPolicy"] for r in template["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"]
    assert policies == ["Retain"]


def test_a_fifo_stack_is_deployed(cdk: tuple[LocalAws, CommandLine]) -> None:
    aws, command_line = cdk
    context = {"stage": "fifo", "tableRemoval": "destroy", "queueType": "fifo", "queueEncryption": "kms"}

    outputs, _ = command_line.deploy_stage(context)

    stage = Deployed(aws, outputs)
    queue, dead_letters = stage.queue(outputs.queue_url), stage.queue(outputs.dead_letter_queue_url)
    for attributes in (queue, dead_letters):
        assert attributes["QueueArn"].endswith(".fifo")
        assert attributes["FifoQueue"] == "true"
        assert (attributes["DeduplicationScope"], attributes["FifoThroughputLimit"]) == (
            "messageGroup",
            "perMessageGroupId",
        )
        assert ":key/" in attributes["KmsMasterKeyId"]
    assert json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"] == dead_letters["QueueArn"]
    assert stage.mapping()["BatchSize"] == 10
    assert not stage.mapping().get("MaximumBatchingWindowInSeconds")
    assert stage.settings().dead_letter_queue_url == outputs.dead_letter_queue_url


def test_a_stack_of_several_tables_is_deployed_with_one_that_was_there_before(
    cdk: tuple[LocalAws, CommandLine],
) -> None:
    aws, command_line = cdk
    aws.client("dynamodb").create_table(
        TableName="Legacy",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "B"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tables = [
        {
            "alias": "orders",
            "partitionKey": "customer:S",
            "sortKey": "time:N",
            "billing": "provisioned",
            "minWriteUnits": 10,
            "maxWriteUnits": 100,
            "tableRemoval": "destroy",
        },
        {"alias": "old", "existingTable": "Legacy", "partitionKey": "id:B"},
    ]
    context = {"stage": "tables", "tables": json.dumps(tables), "minPollers": "2", "maxPollers": "4"}

    outputs, _ = command_line.deploy_stage(context)

    stage = Deployed(aws, outputs)
    orders, old = stage.settings().tables
    assert (orders.alias, orders.name, old.alias, old.name) == ("orders", outputs.table_name, "old", "Legacy")
    assert (orders.sort_key, old.partition_key) == (KeyAttribute("time", "N"), KeyAttribute("id", "B"))
    table = aws.client("dynamodb").describe_table(TableName=orders.name)["Table"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["customer", "time"]
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 10
    assert stage.mapping().get("ScalingConfig", {}) == {}

    command_line.destroy(context)
    left = aws.client("dynamodb").list_tables()["TableNames"]
    assert orders.name not in left
    assert "Legacy" in left
