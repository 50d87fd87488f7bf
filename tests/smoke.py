"""A deployed stack, seen from outside: what is sent is in the table, and what is bad is dead-lettered with its reason.

`python -m tests.smoke --stack-outputs FILE [--endpoint-url URL]`, where FILE is from `cdk deploy --outputs-file FILE`.
The records go by `sluice send` and are looked for by `sluice verify`. Leaves nothing behind: its records are deleted by
way of the queue, its dead letters read and deleted. For stacks with the message format `operation` and no version
attribute. Exit status: 0 all is well, 1 it is not, 2 usage.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from sluice import cli

RECORDS = 300
KEYS_IN_A_MESSAGE = 10
ENTRIES = 10  # Of one SendMessageBatch (SQS API reference).
KEYS = 100  # Of one BatchGetItem (DynamoDB API reference).
BAD = {"UnknownOperation": {"upsert": {}}, "MissingKey": {"put": {"smoke": "without its key"}}}
"""`ErrorCode` → an operation that is rejected with it."""


class SmokeError(Exception):
    """What was expected has not come; the text says what."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the stack's queue, dead letters and default table are."""

    queue_url: str
    dead_letter_queue_url: str
    table_name: str

    @classmethod
    def from_file(cls, path: Path) -> Stack:
        """Read the outputs of the one stack in the file; raises `SmokeError`."""
        try:
            (outputs,) = json.loads(path.read_text()).values()
            return cls(outputs["QueueUrl"], outputs["DeadLetterQueueUrl"], outputs["TableName"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SmokeError(f"{path} does not hold the outputs of one stack: {error!r}") from error


class Smoke:
    """One run, whose records have keys of their own."""

    def __init__(
        self,
        stack: Stack,
        sqs: Any,
        dynamodb: Any,
        *,
        endpoint_url: str | None,
        seconds: float,
        say: Callable[[str], object],
    ) -> None:
        self._stack = stack
        self._endpoint = [] if endpoint_url is None else ["--endpoint-url", endpoint_url]
        self._sqs = sqs
        self._dynamodb = dynamodb
        self._seconds = seconds
        self._say = say
        self._run = uuid.uuid4().hex

    def check(self) -> None:
        """Raises `SmokeError` for what does not come true within the seconds given."""
        table = self._dynamodb.describe_table(TableName=self._stack.table_name)["Table"]
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        names = [each["AttributeName"] for each in table["KeySchema"]]
        items = [self._item({name: types[name] for name in names}, number) for number in range(RECORDS)]
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "smoke.jsonl"
            file.write_text("".join(f"{json.dumps({'Item': item}, default=_base64)}\n" for item in items))
            self._check(file, [{name: item[name] for name in names} for item in items])

    def _check(self, file: Path, keys: Sequence[dict[str, Any]]) -> None:
        """The same for the items in the file, which is like a DynamoDB export."""
        group = ["--group", self._run] if self._stack.queue_url.endswith(".fifo") else []
        if self._command("send", str(file), "--queue-url", self._stack.queue_url, "--connections", "1", *group):
            raise SmokeError("sluice send has failed")
        sent = dict(zip(BAD, self._send([json.dumps(operation) for operation in BAD.values()]), strict=True))
        self._say(f"sent {RECORDS} records, and {len(BAD)} that are bad")
        try:
            self._wait(f"{RECORDS} records in {self._stack.table_name}", lambda: not self._command("verify", str(file)))
            self._say("all records are in the table, as they were sent")
            self._wait_for_dead_letters({message: code for code, message in sent.items()})
            self._say(f"the bad ones are dead-lettered: {', '.join(BAD)}")
        finally:
            self._send(_bodies([{"DeleteRequest": {"Key": key}} for key in keys]))
        self._wait("the records to be deleted", lambda: not self._read(keys))
        self._say("deleted again")

    def _command(self, name: str, file: str, *more: str) -> int:
        """The exit status of a command of sluice's; what it says is not said here."""
        table = ["--table-name", self._stack.table_name]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return cli.main([name, file, "--input", "export", *table, *more, *self._endpoint])

    def _item(self, types: dict[str, str], number: int) -> dict[str, Any]:
        """An item in DynamoDB JSON, of whatever types the key is."""
        unique = f"smoke-{self._run}-{number}"
        # A number key takes 38 digits: 30 of the run's, then the record's.
        digits = f"{int(self._run, 16) % 10**30:030d}{number:05d}".lstrip("0")
        values = {"S": unique, "N": digits, "B": unique.encode()}
        key = {name: {kind: values[kind]} for name, kind in types.items()}
        return {**key, "smokeNumber": {"N": str(number)}, "smokeText": {"S": "ä € 😀"}}

    def _send(self, bodies: Sequence[str]) -> list[str]:
        """Send messages; returns their ids. Raises `SmokeError` if one is not taken."""
        ids = []
        for start in range(0, len(bodies), ENTRIES):
            entries: list[dict[str, Any]] = [
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[start : start + ENTRIES])
            ]
            if self._stack.queue_url.endswith(".fifo"):
                for entry in entries:
                    entry |= {
                        "MessageGroupId": f"{self._run}-{entry['Id']}",
                        "MessageDeduplicationId": uuid.uuid4().hex,
                    }
            answer = self._sqs.send_message_batch(QueueUrl=self._stack.queue_url, Entries=entries)
            if answer.get("Failed"):
                raise SmokeError(f"SQS did not take a message: {answer['Failed'][0].get('Code')}")
            by_id = {taken["Id"]: taken["MessageId"] for taken in answer["Successful"]}
            ids += [by_id[entry["Id"]] for entry in entries]
        return ids

    def _read(self, keys: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the items that are in the table."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(keys), KEYS):
            request = {self._stack.table_name: {"Keys": keys[start : start + KEYS], "ConsistentRead": True}}
            while request:
                answer = self._dynamodb.batch_get_item(RequestItems=request)
                found += answer["Responses"].get(self._stack.table_name, [])
                request = answer.get("UnprocessedKeys") or {}
        return found

    def _wait_for_dead_letters(self, codes: dict[str, str]) -> None:
        """Wait for the dead letters of these messages, and delete them; others' are left where they are."""
        found: dict[str, str] = {}

        def all_found() -> bool:
            for letter in self._dead_letters():
                source = _attribute(letter, "SourceMessageId")
                if source in codes:
                    found[source] = _attribute(letter, "ErrorCode")
                    self._sqs.delete_message_batch(
                        QueueUrl=self._stack.dead_letter_queue_url,
                        Entries=[{"Id": "0", "ReceiptHandle": letter["ReceiptHandle"]}],
                    )
            return found.keys() == codes.keys()

        self._wait("the bad records in the dead-letter queue", all_found)
        if found != codes:
            raise SmokeError(
                f"dead letters should have the reasons {sorted(codes.values())}, got {sorted(found.values())}"
            )

    def _dead_letters(self) -> Iterator[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._stack.dead_letter_queue_url,
            MaxNumberOfMessages=ENTRIES,
            MessageAttributeNames=["All"],
            VisibilityTimeout=30,
            WaitTimeSeconds=1,
        )
        yield from answer.get("Messages", [])

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + self._seconds
        while not holds():
            if time.monotonic() > end:
                raise SmokeError(f"waited {self._seconds:g} seconds for {what}, which did not come")
            time.sleep(0.5)


def _bodies(operations: Sequence[dict[str, Any]]) -> list[str]:
    return [
        json.dumps(operations[start : start + KEYS_IN_A_MESSAGE], ensure_ascii=False, default=_base64)
        for start in range(0, len(operations), KEYS_IN_A_MESSAGE)
    ]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _attribute(letter: dict[str, Any], name: str) -> str:
    return str(letter.get("MessageAttributes", {}).get(name, {}).get("StringValue"))


def client(service: str, endpoint_url: str | None) -> Any:
    """A boto3 client of the user's own session."""
    return boto3.client(service, endpoint_url=endpoint_url, config=Config(retries={"mode": "standard"}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.smoke", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument(
        "--stack-outputs", type=Path, required=True, metavar="FILE", help="of cdk deploy --outputs-file"
    )
    parser.add_argument("--endpoint-url", help="of a local AWS")
    parser.add_argument("--seconds", type=float, default=180, help="to wait for each thing (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        stack = Stack.from_file(options.stack_outputs)
        sqs, dynamodb = (client(service, options.endpoint_url) for service in ("sqs", "dynamodb"))
        Smoke(stack, sqs, dynamodb, endpoint_url=options.endpoint_url, seconds=options.seconds, say=_say).check()
    except SmokeError as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    _say("smoke: all is well")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
