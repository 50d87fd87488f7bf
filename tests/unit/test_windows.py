"""`send`, `verify`, `dlq`, `cost` and the Producer on Windows, or on one that is played; what needs POSIX says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeDynamoDB, FakeSQS
from tests.fakes.server import serve

ROOT = Path(__file__).parents[2]


class Readable(FakeDynamoDB):
    """Answers the two calls of `sluice verify`, too."""

    def perform(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if operation == "DescribeTable":
            return {
                "Table": {
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                }
            }
        if operation == "BatchGetItem":
            found = [self.item("orders", key) for key in parameters["RequestItems"]["orders"]["Keys"]]
            return {"Responses": {"orders": [item for item in found if item]}, "UnprocessedKeys": {}}
        return super().perform(operation, parameters)


class Windows:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.db, self.sqs = Readable(), FakeSQS()
        self.db.create_table("orders", partition_key=("pk", "S"))
        self.dead_letters = self.sqs.create_queue("dead")
        self.queue = self.sqs.create_queue("work")
        self.endpoint = ""

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        environ |= {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.windows", *arguments],
            cwd=self.directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == status, done.stderr.decode("cp1252")
        return done


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    playing = Windows(tmp_path)
    with serve(db=playing.db, sqs=playing.sqs) as playing.endpoint:
        yield playing


def test_the_tests_themselves_can_begin_there_without_what_only_the_stack_needs(windows: Windows) -> None:
    script = windows.directory / "begin.py"
    script.write_text("import sys, tests.conftest\nassert not {'aws_cdk', 'moto', 'jsii'} & sys.modules.keys()\n")

    windows.run(str(script))


def test_a_file_is_sent_resumed_and_verified(windows: Windows) -> None:
    file = windows.directory / "orders.csv"
    file.write_bytes("pk,note\r\na,Grüße\r\n,bad\r\nb,two\r\n".encode())
    to_queue = ("orders.csv", "--queue-url", windows.queue, "--key", "pk:S")

    sent = windows.run("send", *to_queue, "--limit", "2", status=1)
    windows.run("send", *to_queue, "--resume", status=1)

    assert b"MissingKey" in sent.stdout + sent.stderr
    assert b"\r\n" in sent.stderr
    bodies = [json.loads(message["Body"]) for message in windows.sqs.messages(windows.queue)]
    puts = [operation["put"] for body in bodies for operation in body]
    assert puts == [{"pk": "a", "note": "Grüße"}, {"pk": "b", "note": "two"}]
    (rejected,) = (windows.directory / "orders.csv.rejected.jsonl").read_bytes().split(b"\n")[:-1]
    assert json.loads(rejected)["line"] == 3

    items: list[dict[str, Any]] = [{name: {"S": value} for name, value in put.items()} for put in puts]
    windows.db.batch_write_item(RequestItems={"orders": [{"PutRequest": {"Item": item}} for item in items]})
    verified = windows.run("verify", "orders.csv", "--table-name", "orders", "--output", "json", status=1)
    figures = json.loads(verified.stdout)
    assert (figures["equal"], figures["missing"], figures["different"]) == (2, 0, 0)


def test_dead_letters_are_shown_exported_and_sent_again(windows: Windows) -> None:
    windows.sqs.send_message(
        QueueUrl=windows.dead_letters,
        MessageBody='[{"put": {"pk": "a"}}]',
        MessageAttributes={"ErrorCode": {"DataType": "String", "StringValue": "UnknownTable"}},
    )
    queues = ("--queue-url", windows.queue, "--dlq-url", windows.dead_letters)

    assert b"UnknownTable" in windows.run("dlq", "show", *queues).stdout
    windows.run("dlq", "export", "letters.jsonl", *queues)
    windows.run("dlq", "redrive", *queues, "--from", "letters.jsonl", "--yes")

    assert [message["Body"] for message in windows.sqs.messages(windows.queue)] == ['[{"put": {"pk": "a"}}]']
    assert windows.sqs.messages(windows.dead_letters) == []


def test_the_producer_sends_from_a_block_and_at_exit(windows: Windows) -> None:
    (windows.directory / "program.py").write_text(
        "import sys\nfrom sluice import Producer\n"
        "with Producer(sys.argv[1]) as producer:\n    producer.put({'pk': 'in a block'})\n"
        "Producer(sys.argv[1]).put({'pk': 'at exit'})\n"
    )

    windows.run("program.py", windows.queue)

    bodies = [json.loads(message["Body"]) for message in windows.sqs.messages(windows.queue)]
    assert bodies == [[{"put": {"pk": "in a block"}}], [{"put": {"pk": "at exit"}}]]


def test_what_it_costs_is_told_in_the_terminals_letters(windows: Windows) -> None:
    assert b"US dollars per million records." in windows.run("cost").stdout


def test_what_needs_posix_says_so_in_one_sentence(windows: Windows) -> None:
    told = windows.run("local", "status", status=1).stderr

    assert told == b"sluice local needs POSIX: run it on Linux or macOS, or in WSL on Windows\r\n"
