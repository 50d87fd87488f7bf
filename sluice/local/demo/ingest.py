"""A data set through a deployed queue and function: send, poll until all is done, see what came of it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.local.aws import LocalAws, LocalError
from sluice.local.deploy import Deployment
from sluice.local.poller import Invocation, polling
from sluice.local.processes import tail
from sluice.local.runtime import ExecutionEnvironment, link_runtime_client, start_all
from sluice.local.serial_queue import OneAtATime

from .weather import Item, Message, sends

ENVIRONMENTS = 2
"""Function processes at once; the local AWS, a process itself, keeps no more of them busy."""
PATIENCE = 90.0
"""Seconds without a single message done after which it is pointless to go on."""
PATIENCE_WITH_ERRORS = 20.0
"""The same while the function ends in nothing but errors."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of the dead-letter queue."""

    source: str
    """Id of the message that it was made of."""
    code: str
    reason: str
    records: int


@dataclass(slots=True)
class Ingested:
    """What was sent and what became of it, as queue, function and clock tell."""

    messages: int = 0
    records: int = 0
    seconds: float = 0.0
    """From the first message sent to the last one done."""
    invocations: list[Invocation] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    """Every value of each metric that the function put out."""

    def total(self, metric: str) -> float:
        return math.fsum(self.metrics.get(metric, ()))

    @property
    def function_seconds(self) -> float:
        """The time that the function's processes worked, added up."""
        return math.fsum(invocation.seconds for invocation in self.invocations)


class Ingest:
    """Sends messages to the deployed queue while the deployed function works on them."""

    def __init__(self, aws: LocalAws, deployment: Deployment, directory: Path, check: Callable[[], None]) -> None:
        self._deployment = deployment
        self._directory = directory
        self._aws = aws
        self._check = check
        self._stopping = threading.Event()
        self._sqs = OneAtATime(aws.client("sqs"), self._stopping)
        self._dynamodb = aws.client("dynamodb")
        self._environments: list[ExecutionEnvironment] = []
        self._finished: deque[Invocation] = deque()
        self._parts = ExitStack()

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def start_function(self) -> None:
        """Start the processes of the function; raises `LocalError` if one cannot initialise."""
        runtime_client = self._directory / "runtime-client"
        link_runtime_client(runtime_client)
        for number in range(1, ENVIRONMENTS + 1):
            log = self._directory / f"function-{number}.log"
            environment = ExecutionEnvironment(
                self._deployment.function, self._aws, runtime_client, log, self._stopping
            )
            self._environments.append(self._parts.enter_context(environment))
        start_all(self._environments, self._check)

    def run(self, messages: Iterable[Message], on_progress: Callable[[int], None]) -> Ingested:
        """Send all messages and wait until none is left; tells `on_progress` how many items the table holds."""
        result = Ingested()
        with polling(
            self._sqs,
            self._deployment.mapping,
            [environment.invoke for environment in self._environments],
            self._finished.append,
            self._stopping,
        ) as pollers:
            start = time.monotonic()
            pending: set[str] = set()
            for group in sends(messages):
                self._check()
                pending |= self._send(group)
                result.messages += len(group)
                result.records += sum(message.records for message in group)
                on_progress(self._items_in_table())
            patience = Patience(time.monotonic)
            while pending:
                self._check()
                while self._finished:
                    invocation = self._finished.popleft()
                    result.invocations.append(invocation)
                    pending.difference_update(invocation.deleted)
                    patience.note(invocation)
                if pollers.failure is not None:
                    raise LocalError(f"The poller failed: {pollers.failure}") from pollers.failure
                if patience.is_over():
                    raise LocalError(self._gave_up(patience, len(pending), result.messages))
                on_progress(self._items_in_table())
                time.sleep(0.05)
            result.seconds = time.monotonic() - start
        result.dead_letters = self._read_dead_letters()
        result.metrics = read_metrics(environment.log for environment in self._environments)
        return result

    def _send(self, group: Sequence[Message]) -> set[str]:
        """Send up to ten messages; returns their ids."""
        entries = [{"Id": str(number), "MessageBody": message.body} for number, message in enumerate(group)]
        response = self._sqs.send_message_batch(QueueUrl=self._deployment.outputs.queue_url, Entries=entries)
        for failure in response.get("Failed", []):
            raise LocalError(f"SQS did not take a message: {failure.get('Code')}: {failure.get('Message')}")
        return {entry["MessageId"] for entry in response["Successful"]}

    def _items_in_table(self) -> int:
        # moto counts at once; the service itself does so only about every six hours (DescribeTable API reference).
        table = self._dynamodb.describe_table(TableName=self._deployment.outputs.table_name)["Table"]
        return int(table["ItemCount"])

    def _read_dead_letters(self) -> list[DeadLetter]:
        """All dead letters; they stay on their queue, unseen by others until its visibility timeout is over.

        One for each message that they come from: a message that SQS brings twice is dead-lettered twice.
        """
        letters: dict[str, DeadLetter] = {}
        while messages := self._sqs.receive_message(
            QueueUrl=self._deployment.outputs.dead_letter_queue_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
        ).get("Messages"):
            self._check()
            letters |= {letter.source: letter for letter in map(_dead_letter, messages)}
        return list(letters.values())

    def _gave_up(self, patience: Patience, pending: int, sent: int) -> str:
        logs = "\n".join(f"{environment.log} ends:\n{tail(environment.log, 6)}" for environment in self._environments)
        return f"{patience.reason}; {pending} of {sent} messages are not done.\n{logs}"


class Patience:
    """Decides when a function that does not get anywhere has been waited for long enough."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_done = clock()
        self._error: str | None = None

    def note(self, invocation: Invocation) -> None:
        self._error = invocation.answer.error
        if invocation.deleted:
            self._last_done = self._clock()

    def is_over(self) -> bool:
        return self._clock() - self._last_done > (PATIENCE_WITH_ERRORS if self._error else PATIENCE)

    @property
    def reason(self) -> str:
        if self._error:
            return f"The function fails again and again ({self._error})"
        return f"The function finished no message for {PATIENCE:.0f} seconds"


def read_metrics(logs: Iterable[Path]) -> dict[str, list[float]]:
    """The values of all metrics in lines of CloudWatch's embedded metric format, a number or an array of them each.

    Format: CloudWatch user guide, CloudWatch_Embedded_Metric_Format_Specification.
    """
    values: dict[str, list[float]] = {}
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            for blob in _embedded_metrics(line):
                for directive in blob["_aws"].get("CloudWatchMetrics", []):
                    for metric in directive.get("Metrics", []):
                        value = blob.get(metric["Name"], [])
                        values.setdefault(metric["Name"], []).extend(value if isinstance(value, list) else [value])
    return values


def _embedded_metrics(line: str) -> list[dict[str, Any]]:
    if '"_aws"' not in line:
        return []
    try:
        blob = json.loads(line)
    except ValueError:
        return []
    return [blob] if isinstance(blob, dict) and isinstance(blob.get("_aws"), dict) else []


def _dead_letter(message: dict[str, Any]) -> DeadLetter:
    def attribute(name: str) -> str:
        return str(message.get("MessageAttributes", {}).get(name, {}).get("StringValue", "none given"))

    return DeadLetter(
        source=attribute("SourceMessageId"),
        code=attribute("ErrorCode"),
        reason=attribute("ErrorMessage"),
        records=_records_in(message["Body"]),
    )


def _records_in(body: str) -> int:
    """How many records a dead letter stands for: those in its array, or one that could not even be parsed."""
    try:
        value = json.loads(body)
    except ValueError:
        return 1
    return len(value) if isinstance(value, list) else 1


def write_units(items: Iterable[Item]) -> int:
    """What DynamoDB charges for putting these items: a unit for each KB begun (developer guide, read-write-operations).

    Sizes are bounded from above by counting every character of a number as a byte, and two more.
    """
    sizes = (
        sum(len(name.encode()) + len(text.encode()) + 2 for name, value in item.items() for text in value.values())
        for item in items
    )
    return sum(math.ceil(size / 1024) for size in sizes)
