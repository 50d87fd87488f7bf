"""docs/library.md: its programs run, and its words are the code's."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from sluice.direct.outcome import Status
from sluice.direct.tables import named
from tests.fakes import FakeDynamoDB

PAGE = (Path(__file__).parents[3] / "docs" / "library.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_of_the_page_runs(program: str, db: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = named("orders", {"pk": "S"}, None)
    # The fake knows no DescribeTable.
    monkeypatch.setattr("sluice.direct.writer.resolved", lambda *_: orders)
    names: dict[str, Any] = {}
    exec(compile(program, "library.md", "exec"), names)  # That is the test.
    if "lambda_handler" in names:
        names["lambda_handler"]({"Records": [kinesis("1", {"pk": "a"})]}, None)
    assert db.items("orders")


def kinesis(number: str, item: dict[str, Any]) -> dict[str, Any]:
    """A record as https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html shows it."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": number,
            "data": base64.b64encode(json.dumps(item).encode()).decode(),
            "approximateArrivalTimestamp": 1545084650.987,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000006:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "us-east-2",
        "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
    }


def change(number: str, name: str, pk: str, **image: Any) -> dict[str, Any]:
    """A record as https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html shows it."""
    return {
        "eventID": number,
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": {"pk": {"S": pk}},
            "SequenceNumber": number,
            "SizeBytes": 26,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **image,
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/source/stream/2026-11-29T00:00:00.000",
    }


@pytest.fixture
def handler() -> Any:
    names: dict[str, Any] = {}
    [program] = [program for program in PROGRAMS if "lambda_handler" in program]
    exec(compile(program, "library.md", "exec"), names)
    return names["lambda_handler"]


def test_a_batch_of_kinesis_comes_again_from_its_first_failure_on(db: FakeDynamoDB, handler: Any) -> None:
    records = [
        kinesis("101", {"pk": "a", "total": 12.5}),
        kinesis("102", {"pk": "b", "padding": "x" * 400_000}),
        kinesis("103", {"pk": "b", "padding": "x" * 410_000}),
        kinesis("104", {"no": "key"}),
    ]

    answer = handler({"Records": records}, None)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "103"}]}
    assert [item.get("total") for item in db.items("orders") if item["pk"] == {"S": "a"}] == [{"N": "12.5"}]


def test_a_stream_is_copied_in_its_order(db: FakeDynamoDB, handler: Any) -> None:
    old, new = ({"pk": {"S": "a"}, "total": {"N": total}} for total in ("1", "2"))
    records = [
        change("1", "INSERT", "a", NewImage=old),
        change("2", "INSERT", "b", NewImage={"pk": {"S": "b"}}),
        change("3", "MODIFY", "a", NewImage=new, OldImage=old),
        change("4", "REMOVE", "b", OldImage={"pk": {"S": "b"}}),
    ]

    assert handler({"Records": records}, None) == {"batchItemFailures": []}
    assert db.items("orders") == [new]


def test_the_page_names_every_status() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(get_args(Status))
