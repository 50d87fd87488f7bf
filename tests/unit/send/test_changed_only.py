"""`sluice send --changed-only`: straight into the table, which keeps what has not changed."""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sluice.cli import DONE, FAILED, USAGE, main
from sluice.message.settings import KeyAttribute, Table
from sluice.send import command, target
from tests.fakes import FakeDynamoDB, Throttle, Unprocessed
from tests.fakes.server import serve

Send = Callable[..., tuple[int, dict[str, Any]]]
RECORDS = 2_000

pytestmark = pytest.mark.usefixtures("patient_reads")


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeDynamoDB]:
    db = FakeDynamoDB()
    db.create_table("orders", partition_key=("pk", "S"))
    with serve(db=db) as url:
        for name, value in {
            "AWS_ENDPOINT_URL_DYNAMODB": url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        # The fake knows no DescribeTable.
        monkeypatch.setattr(target, "_described", lambda *_: Table("orders", "orders", KeyAttribute("pk", "S")))
        monkeypatch.chdir(tmp_path)
        yield db


@pytest.fixture
def send(capsys: pytest.CaptureFixture[str]) -> Send:
    def run(*more: str) -> tuple[int, dict[str, Any]]:
        status = main(["send", "orders.jsonl", "--changed-only", "--table-name", "orders", "--json", *more])
        return status, json.loads(capsys.readouterr().out or "{}")

    return run


def write(records: Sequence[dict[str, Any]]) -> None:
    Path("orders.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def snapshot(changed: int = 0) -> list[dict[str, Any]]:
    return [{"pk": f"k{n}", "text": "x" * 3_000, "n": n + (n < changed) * 0.5} for n in range(RECORDS)]


def test_only_what_has_changed_is_written(db: FakeDynamoDB, send: Send) -> None:
    write(snapshot())
    status, first = send()
    assert (status, first["records"]) == (DONE, RECORDS)
    assert len(db.items("orders")) == RECORDS

    before = db.consumed["orders"]
    write(snapshot(changed=20))
    status, second = send()

    assert (status, second["records"]) == (DONE, RECORDS)
    assert RECORDS / 2 < second["unchanged"] <= RECORDS - 20
    assert db.consumed["orders"] - before < before / 2
    assert db.item("orders", {"pk": {"S": "k19"}})["n"] == {"N": "19.5"}  # type: ignore[index]


def test_a_busy_table_takes_all_in_the_end(db: FakeDynamoDB, send: Send) -> None:
    db.script(Unprocessed(10), Throttle(), Unprocessed(25), operation="BatchWriteItem")
    write(snapshot())

    status, _ = send("--max-write-units", "1000000")

    assert status == DONE
    assert len(db.items("orders")) == RECORDS


def test_what_only_the_table_refuses_is_a_rejected_record(db: FakeDynamoDB, send: Send) -> None:
    db.reject_if(lambda _, request: request.get("PutRequest", {}).get("Item", {}).get("bad") is not None, "no good")
    write([{"pk": f"k{n}"} for n in range(60)] + [{"pk": "bad one", "bad": 1}, {"nopk": 1}])

    status, told = send()

    assert status == FAILED
    assert told["rejected"] == {"MissingKey": 1, "RejectedByDynamoDB": 1}
    assert len(db.items("orders")) == 60
    lines = [json.loads(line) for line in Path("orders.jsonl.rejected.jsonl").read_text().splitlines()]
    (refused,) = [line for line in lines if line["ErrorCode"] == "RejectedByDynamoDB"]
    assert json.loads(refused["record"])["PutRequest"]["Item"]["pk"] == {"S": "bad one"}
    assert "one of lines 1 to 62" in refused["ErrorMessage"]


def test_a_denied_table_stops_it_and_a_resume_goes_on(
    db: FakeDynamoDB, send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    write(snapshot())
    db.deny_if(lambda *_: True, "not allowed to write")

    status = main(["send", "orders.jsonl", "--changed-only", "--table-name", "orders"])

    assert status == FAILED
    assert "the table does not take a record: TableError: AccessDenied" in capsys.readouterr().err
    assert db.items("orders") == []
    db._rules.clear()
    status, told = send("--resume")
    assert (status, told["records"]) == (DONE, RECORDS)
    assert len(db.items("orders")) == RECORDS


def test_a_resume_must_be_of_the_same_kind(
    db: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(snapshot())
    db.deny_if(lambda *_: True, "not allowed to write")
    main(["send", "orders.jsonl", "--changed-only", "--table-name", "orders"])
    monkeypatch.setattr(command, "queue", lambda *_: (False, 1 << 20))

    status = main(["send", "orders.jsonl", "--resume", "--table-name", "orders", "--queue-url", "https://queue"])

    assert status == USAGE
    assert "needs the options of the send that it continues" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--queue-url", "https://sqs.us-east-1.amazonaws.com/1/q", "--table-name", "orders"], "without --queue-url"),
        (["--group", "g", "--table-name", "orders"], "without --queue-url"),
        (["--key", "pk:S"], "needs to know the table"),
        ([], "needs to know the table"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], words: str, db: FakeDynamoDB, capsys: pytest.CaptureFixture[str]
) -> None:
    write(snapshot())

    assert main(["send", "orders.jsonl", "--changed-only", *arguments]) == USAGE
    assert words in capsys.readouterr().err
    assert db.calls == []


def test_without_posix_it_says_so(
    db: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(select, "poll")
    write(snapshot())

    status = main(["send", "orders.jsonl", "--changed-only", "--table-name", "orders"])

    assert status == USAGE
    assert "needs POSIX" in capsys.readouterr().err
    assert db.calls == []


def test_the_summary_says_how_many_stood_there(db: FakeDynamoDB, capsys: pytest.CaptureFixture[str]) -> None:
    write(snapshot())
    for record in snapshot():
        item = {"pk": {"S": record["pk"]}, "text": {"S": record["text"]}, "n": {"N": str(record["n"])}}
        db.put_item(TableName="orders", Item=item)

    assert main(["send", "orders.jsonl", "--changed-only", "--table-name", "orders"]) == DONE

    assert "2,000  records straight into the table, 2,000 of which stood there already" in capsys.readouterr().out
