"""`sluice send` as a user runs it, against a real SQS API on this machine."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.local.aws import LocalAws, local_aws
from sluice.message.decoder import Decoder
from sluice.message.settings import KeyAttribute, Settings, Table
from tests.integration.gate import gate, noted

pytestmark = pytest.mark.xdist_group("send")

ROOT = Path(__file__).parents[2]
SECONDS = 1800  # For any one run, on a busy machine.
TABLE = Table("orders", "orders", KeyAttribute("pk", "S"))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with local_aws(tmp_path_factory.mktemp("aws")) as aws:
        aws.client("dynamodb").create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield aws


class Queue:
    """A queue of the local AWS."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self._sqs = aws.client("sqs")
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self.url: str = self._sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]

    def drain(self) -> list[dict[str, Any]]:
        """All messages; they are gone then."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=600
        ).get("Messages"):
            found += messages
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return found


@pytest.fixture
def queue(aws: LocalAws, request: pytest.FixtureRequest) -> Queue:
    return Queue(aws, f"q-{abs(hash(request.node.name))}")


def command(aws: LocalAws, *arguments: str | Path, **given: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sluice", *map(str, arguments)],
        env=aws.environ() | given.get("environ", {}),
        stdin=given.get("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(aws: LocalAws, *arguments: str | Path, input: str | None = None) -> tuple[int, str, str]:
    process = command(aws, *arguments, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL)
    output, errors = process.communicate(input, timeout=SECONDS)
    return process.returncode, output, errors


def keys(messages: list[dict[str, Any]]) -> list[str]:
    """The keys of all records, as the function's decoder has them."""
    decoder = Decoder(Settings((TABLE,)))
    found = []
    for message in messages:
        decoded = decoder.decode({"messageId": message["MessageId"], "body": message["Body"]})
        assert decoded.rejected == ()
        found += [str(operation.key[1]) for operation in decoded.operations]
    return found


def items(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"pk": "k{n}", "group": "g{n % 3}", "x": "{"x" * 100}"}}\n' for n in range(count)))
    return path


def interrupted(aws: LocalAws, number: signal.Signals, count: int, *send: str | Path) -> tuple[int, str]:
    """Start to send `count` records, and send a signal when a good part of them is accepted, but not all.

    Returns the exit status and standard error.
    """
    with gate(aws.port, lambda: noted(Path(send[1])) > count // 10) as between:
        process = command(aws, *send, environ={"AWS_ENDPOINT_URL": between.url})
        between.wait_until_something_is_held()
        process.send_signal(number)
        between.open()
        _, errors = process.communicate(timeout=SECONDS)
    return process.returncode, errors


def test_a_csv_file_arrives_whole(aws: LocalAws, queue: Queue, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(("pk,total,note\n" + "".join(f"k{n},{n}.50,\n" for n in range(5000))).encode()))

    status, output, errors = run(
        aws, "send", path, "--queue-url", queue.url, "--table-name", "orders", "--infer", "--json"
    )

    assert status == 0, errors
    result = json.loads(output)
    messages = queue.drain()
    assert Counter(keys(messages)) == Counter(f"k{n}" for n in range(5000))
    assert (result["records"], result["messages"]) == (5000, len(messages))
    assert "pk=S, total=N, note=S (inferred from 5,000 rows)" in errors
    assert {"put": {"pk": "k7", "total": 7.5}} in json.loads(messages[0]["Body"])


def test_bad_records_are_left_out_and_told(aws: LocalAws, queue: Queue, tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text('{"pk": "a"}\n{"pk": 1}\n{"pk": "b", "n": 1e999}\n{"pk": "c"}\n')

    status, output, errors = run(aws, "send", path, "--queue-url", queue.url, "--key", "pk:S")

    assert status == 1, errors
    assert sorted(keys(queue.drain())) == ["a", "c"]
    rejected = [json.loads(line) for line in Path(f"{path}.rejected.jsonl").read_text().splitlines()]
    assert [(one["line"], one["ErrorCode"]) for one in rejected] == [(2, "KeyTypeMismatch"), (3, "InvalidNumber")]
    assert "KeyTypeMismatch" in output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_an_interrupted_send_goes_on(aws: LocalAws, queue: Queue, tmp_path: Path, number: signal.Signals) -> None:
    count, one_call = 6_000, 10 * 27  # Records in ten messages of 4 KB
    path = items(tmp_path / "orders.jsonl", count)
    arguments = (
        "send",
        path,
        "--queue-url",
        queue.url,
        "--key",
        "pk:S",
        "--message-size",
        "4096",
        "--connections",
        "2",
    )

    status, errors = interrupted(aws, number, count, *arguments)

    assert status == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert "--resume goes on from there" in errors
    status, _, errors = run(aws, *arguments)
    assert status == 2
    assert "--resume" in errors
    assert "--restart" in errors
    status, output, errors = run(aws, *arguments, "--resume", "--json")
    assert status == 0, errors
    assert json.loads(output)["resumed_after_line"] > 0
    assert json.loads(output)["records"] == count
    found = Counter(keys(queue.drain()))
    assert set(found) == {f"k{n}" for n in range(count)}
    repeated = found.total() - count
    assert repeated <= (0 if number == signal.SIGINT else 2 * one_call)
    status, _, errors = run(aws, *arguments, "--resume")
    assert (status, "Nothing to do" in errors) == (0, True)
    assert queue.drain() == []


def test_a_file_that_has_changed_is_not_resumed(aws: LocalAws, queue: Queue, tmp_path: Path) -> None:
    path = items(tmp_path / "orders.jsonl", 6_000)
    arguments = (
        "send",
        path,
        "--queue-url",
        queue.url,
        "--key",
        "pk:S",
        "--message-size",
        "4096",
        "--connections",
        "1",
    )
    interrupted(aws, signal.SIGKILL, 6_000, *arguments)
    os.utime(path, ns=(0, 0))

    status, _, errors = run(aws, *arguments, "--resume")

    assert status == 1
    assert "has changed" in errors


def test_a_fifo_queue_gets_groups_in_order(aws: LocalAws, tmp_path: Path) -> None:
    queue = Queue(aws, "orders.fifo")
    path = items(tmp_path / "orders.jsonl", 900)
    arguments = ("send", path, "--queue-url", queue.url, "--key", "pk:S", "--message-size", "2048")

    status, _, errors = run(aws, *arguments)
    assert (status, "--group-by" in errors) == (2, True)
    status, _, errors = run(aws, *arguments, "--group-by", "group")

    assert status == 0, errors
    messages = queue.drain()  # In the order of the queue; moto's sequence numbers are random.
    by_group: dict[str, list[str]] = {}
    for message in messages:
        by_group.setdefault(message["Attributes"]["MessageGroupId"], []).extend(keys([message]))
    assert by_group == {f"g{group}": [f"k{n}" for n in range(group, 900, 3)] for group in range(3)}


def test_standard_input_is_sent(aws: LocalAws, queue: Queue, tmp_path: Path) -> None:
    given = ('{"put": {"pk": "a"}}\n{"delete": {"pk": "b"}}\n', str(tmp_path))

    status, _, errors = run(aws, "send", "-", "--queue-url", queue.url, "--key", "pk:S", input=given[0])

    assert status == 0, errors
    assert json.loads(queue.drain()[0]["Body"]) == [{"put": {"pk": "a"}}, {"delete": {"pk": "b"}}]


def test_a_dry_run_sends_nothing_and_needs_no_queue(aws: LocalAws, tmp_path: Path) -> None:
    path = items(tmp_path / "orders.jsonl", 1000)

    status, output, errors = run(aws, "send", path, "--dry-run", "--json")

    assert status == 0, errors
    assert json.loads(output)["records"] == 1000
    assert "Keys and item sizes are not checked" in errors
    assert [one.name for one in tmp_path.iterdir()] == ["orders.jsonl"]


def documented(aws: LocalAws, queue: Queue, directory: Path, block: int, repair: str = "cat") -> str:
    """What the commands in the documentation print; whatever jq prints goes through `repair`."""
    commands = directory / "bin"
    commands.mkdir(exist_ok=True)
    scripts = {
        "sluice": f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m sluice "$@"',
        "jq": f'{shutil.which("jq")} "$@" | {repair}',
    }
    for name, script in scripts.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o700)
    text = (ROOT / "docs" / "messages.md").read_text()
    environ = aws.environ()
    result = subprocess.run(
        ["sh", "-ec", re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[block]],
        cwd=directory,
        env=environ | {"QUEUE_URL": queue.url, "PATH": f"{commands}:{environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_commands_in_the_documentation(aws: LocalAws, queue: Queue, tmp_path: Path) -> None:
    items(tmp_path / "orders.jsonl", 10)
    (tmp_path / "orders.csv").write_text("pk,total,paid\nc1,12.50,true\nc2,,false\n")
    (tmp_path / "orders-1.csv").write_text("pk\nd1\n")
    (tmp_path / "more").mkdir()
    items(tmp_path / "more" / "orders.json", 3)

    output = documented(aws, queue, tmp_path, 0)

    assert sorted(keys(queue.drain())) == sorted([*(f"k{n}" for n in (*range(10), *range(3))), "c1", "c2", "d1"])
    assert "would send" in output


@pytest.mark.skipif(shutil.which("jq") is None and "CI" not in os.environ, reason="needs jq")
def test_rejected_records_are_sent_once_they_are_repaired(aws: LocalAws, queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text('pk,total,paid\n"c""1",1,true\n"c""2",?,true\n"c""3"?,3,true\n')
    (tmp_path / "orders.jsonl").write_text('{"pk": "k1"}\n{"pk": ?"k2"}\n')
    arguments = ("--queue-url", queue.url, "--key", "pk:S")
    assert run(aws, "send", tmp_path / "orders.csv", *arguments, "--types", "total=N,paid=BOOL")[0] == 1
    assert run(aws, "send", tmp_path / "orders.jsonl", *arguments)[0] == 1

    documented(aws, queue, tmp_path, 1, repair="tr -d '?'")

    assert sorted(keys(queue.drain())) == ['c"1', 'c"2', 'c"3', "k1", "k2"]


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("send", "nowhere.csv", "--dry-run"), 1, "nowhere.csv"),
        (("send", "nowhere.csv"), 2, "--queue-url"),
        (("send", "-", "--dry-run", "--message-size", "12"), 2, "--message-size"),
        (("dance",), 2, "dance"),
        ((), 2, "COMMAND"),
        (("--help",), 0, ""),
        (("send", "--help"), 0, ""),
    ],
)
def test_usage(aws: LocalAws, arguments: tuple[str, ...], status: int, text: str) -> None:
    found, output, errors = run(aws, *arguments)

    assert found == status
    assert text in errors
    assert "Traceback" not in errors
    assert status or "sluice send" in output or "send " in output


def test_a_queue_that_is_not_there_is_named(aws: LocalAws, tmp_path: Path) -> None:
    path = items(tmp_path / "orders.jsonl", 1)

    status, _, errors = run(aws, "send", path, "--queue-url", f"{aws.url}/{aws.account}/nowhere", "--key", "pk:S")

    assert status == 1
    assert "does not exist" in errors
    assert "Traceback" not in errors
