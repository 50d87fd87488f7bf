"""The stack on MiniStack, an emulator of AWS by others: `python -m tests.second_opinion .venv-second/bin/ministack`.

There CloudFormation, Lambda and the event source mapping are MiniStack's own, where the other tests have moto and this
project's poller. The real CDK command line bootstraps and deploys; messages go by plain boto3 and are read back; an
update that cannot be made is rolled back, and the stack goes on; in the end nothing is left.

Two things are not the deployed ones. MiniStack 1.5.33 knows neither composite alarms nor alarms on metric math, so
these are taken out of the template; and the function's native package is that of this Python, for it runs here.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.local import native_packages
from sluice.local.aws import LocalAws, free_port
from sluice.local.deploy import Cdk
from sluice.local.processes import child, tail
from sluice.local.sources import REQUIREMENTS

SECONDS = 600  # For any one thing, on a busy machine.
STACK = "Sluice-second"
CONTEXT = {"stage": "second", "tableRemoval": "destroy", "batchingWindow": "1", "batchSize": "100"}
RECORDS = 500
ENTRIES = 10  # Of one SendMessageBatch (SQS API reference).
BAD = {"InvalidJson": "{", "MissingKey": '{"put": {"n": 1}}'}
"""ErrorCode → a body that is dead-lettered with it."""


class OpinionError(Exception):
    """What was expected has not come; the text says what."""


class CommandLine(Cdk):
    """CDK's, for an assembly that is changed between synthesis and deployment."""

    def deploy_without(self, is_unknown: Callable[[Mapping[str, Any]], bool]) -> dict[str, str]:
        """Deploy the stack without the resources that the emulator does not know; its outputs."""
        assembly, outputs = self._cache / "cdk.out", self._directory / "outputs.json"
        settings = [part for name, value in CONTEXT.items() for part in ("--context", f"{name}={value}")]
        self._run("synth", "--all", "--quiet", "--output", str(assembly), *settings)
        file = assembly / f"{STACK}.template.json"
        template = json.loads(file.read_text())
        unknown = [id for id, resource in template["Resources"].items() if is_unknown(resource)]
        for id in unknown:
            del template["Resources"][id]
        file.write_text(json.dumps(template))
        say(f"without {', '.join(unknown)}")
        options = ("--require-approval", "never", "--outputs-file", str(outputs))
        self._run("deploy", "--all", "--app", str(assembly), *options)
        found: dict[str, str] = json.loads(outputs.read_text())[STACK]
        return found

    def destroy(self) -> None:
        """Destroy what `deploy_without` has deployed."""
        self._run("destroy", "--all", "--force", "--app", str(self._cache / "cdk.out"))


def is_unknown(resource: Mapping[str, Any]) -> bool:
    """Whether MiniStack refuses it."""
    kind = resource["Type"]
    return kind == "AWS::CloudWatch::CompositeAlarm" or (
        kind == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    )


@contextmanager
def ministack(program: Path, directory: Path) -> Iterator[LocalAws]:
    """MiniStack on a free port of 127.0.0.1, with its functions as processes of this machine."""
    aws = LocalAws(free_port(), account="000000000000")
    own = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(aws.port),
        "LAMBDA_EXECUTOR": "local",
        "STATE_DIR": str(directory / "state"),
    }
    log = directory / "ministack.log"
    with child([program], environ=aws.environ() | own, directory=directory, log=log) as process:

        def is_up() -> bool:
            if process.poll() is not None:
                raise OpinionError(f"MiniStack has ended:\n{tail(log)}")
            try:
                return bool(aws.client("sts").get_caller_identity()["Account"] == aws.account)
            except (BotoCoreError, ClientError):
                return False

        wait("MiniStack answers", is_up)
        yield aws


@dataclass(frozen=True, slots=True)
class Stack:
    """The deployed stack, seen from outside."""

    aws: LocalAws
    outputs: Mapping[str, str]

    def take_native_packages_of_here(self, directory: Path) -> None:
        """Put the function's own code back, with the native package that this Python can load."""
        functions = self.aws.client("lambda")
        code = functions.get_function(FunctionName=self.outputs["FunctionName"])["Code"]
        with urllib.request.urlopen(code["Location"]) as answer:  # MiniStack's own address.
            zipfile.ZipFile(io.BytesIO(answer.read())).extractall(directory)
        native_packages.link(directory, REQUIREMENTS)
        functions.update_function_code(FunctionName=self.outputs["FunctionName"], ZipFile=zipped(directory))

    def send(self, bodies: list[str]) -> None:
        sqs = self.aws.client("sqs")
        for start in range(0, len(bodies), ENTRIES):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + ENTRIES])]
            answer = sqs.send_message_batch(QueueUrl=self.outputs["QueueUrl"], Entries=entries)
            expect("messages that SQS took", len(answer["Successful"]), len(entries))

    def items(self) -> dict[str, str]:
        """Key → number, of all that is in the table."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["TableName"])
        return {item["pk"]["S"]: item["n"]["N"] for page in pages for item in page["Items"]}

    def letters(self) -> dict[str, str]:
        """ErrorCode → body, of the dead letters, which are deleted."""
        sqs, url = self.aws.client("sqs"), self.outputs["DeadLetterQueueUrl"]
        found: dict[str, str] = {}

        def are_there() -> bool:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            for letter in answer.get("Messages", []):
                found[letter["MessageAttributes"]["ErrorCode"]["StringValue"]] = letter["Body"]
                sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
            return len(found) >= len(BAD)

        wait("the dead letters", are_there)
        return found

    def update_badly(self) -> str:
        """Ask for a version whose code is not there; the stack's status in the end."""
        formation = self.aws.client("cloudformation")
        template = formation.get_template(StackName=STACK)["TemplateBody"]
        template = json.loads(template) if isinstance(template, str) else template
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                resource["Properties"]["Code"]["S3Key"] = "never-published.zip"
                resource["Properties"]["MemorySize"] = 512
        parameters = [{"ParameterKey": name, "UsePreviousValue": True} for name in template.get("Parameters", {})]
        formation.update_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template),
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )
        status = ""

        def is_settled() -> bool:
            nonlocal status
            status = formation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
            return not status.endswith("IN_PROGRESS")

        wait("the update ends", is_settled)
        return status

    def memory(self) -> int:
        name = self.outputs["FunctionName"]
        return int(self.aws.client("lambda").get_function_configuration(FunctionName=name)["MemorySize"])


def everything(aws: LocalAws) -> dict[str, list[str]]:
    """What a stack is made of, by kind; nothing of it may be left."""
    return {
        "queues": aws.client("sqs").list_queues().get("QueueUrls", []),
        "tables": aws.client("dynamodb").list_tables()["TableNames"],
        "functions": [each["FunctionName"] for each in aws.client("lambda").list_functions()["Functions"]],
        "topics": [each["TopicArn"] for each in aws.client("sns").list_topics()["Topics"]],
        "alarms": [each["AlarmName"] for each in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "dashboards": [
            each["DashboardName"] for each in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]
        ],
    }


def zipped(directory: Path) -> bytes:
    """The directory as an archive; what is linked stands in it as itself."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for base, _, files in os.walk(directory, followlinks=True):
            for name in files:
                archive.write(Path(base) / name, (Path(base) / name).relative_to(directory))
    return content.getvalue()


def wait(what: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise OpinionError(f"not within {SECONDS} s: {what}")
        time.sleep(0.2)


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise OpinionError(f"{what}: expected {expected}, found {found}")


_START = time.monotonic()


def say(what: str) -> None:
    sys.stdout.write(f"{time.monotonic() - _START:6.1f} s  {what}\n")
    sys.stdout.flush()


def main(program: Path) -> None:
    """Raises `OpinionError`, or `LocalError` by the CDK command line."""
    with tempfile.TemporaryDirectory() as name, ministack(program, Path(name)) as aws:
        directory = Path(name)
        say("MiniStack answers")
        before = everything(aws)
        cdk = CommandLine(aws, directory, cache=directory)
        cdk.bootstrap()
        say("bootstrapped")
        stack = Stack(aws, cdk.deploy_without(is_unknown))
        say("deployed")
        stack.take_native_packages_of_here(directory / "code")

        wanted = {f"k{n}": str(n) for n in range(RECORDS)}
        stack.send([json.dumps({"put": {"pk": pk, "n": int(n)}}) for pk, n in wanted.items()] + [*BAD.values()])
        wait("the records are in the table", lambda: len(stack.items()) >= RECORDS)
        expect("items", stack.items(), wanted)
        expect("dead letters", stack.letters(), BAD)
        say(f"{RECORDS} records written and read back, {len(BAD)} dead-lettered with their reasons")

        memory = stack.memory()
        expect("the stack after a bad version", stack.update_badly(), "UPDATE_ROLLBACK_COMPLETE")
        expect("memory after the rollback", stack.memory(), memory)
        stack.take_native_packages_of_here(directory / "code-again")
        stack.send(['{"put": {"pk": "after", "n": 1}}'])
        wait("a record after the rollback", lambda: "after" in stack.items())
        say("a bad version rolled back, and the stack goes on")

        cdk.destroy()
        expect("left over", everything(aws), before)
        say("destroyed, and nothing is left")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
