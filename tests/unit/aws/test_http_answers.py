"""An HTTP answer means what boto3 would make of it, but a corrupt one is none."""

from __future__ import annotations

import json
import zlib
from typing import Any

import botocore.session
import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from sluice.aws.answer import NoAnswer, Refusal, ThrottlingReason, understood

MODEL = botocore.session.Session().get_service_model("dynamodb")
SHAPE = MODEL.operation_model("BatchWriteItem").output_shape
CODES = st.one_of(
    st.sampled_from(
        [
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "ValidationException",
            "com.amazon.coral.service#ExpiredTokenException",
            "InternalServerError:http://internal.amazon.com/coral/com.amazonaws.dynamodb.v20120810/",
            "a#b#Throttling:x:y",
            "",
        ]
    ),
    st.text("aB#:", max_size=6),
)


def checked(content: bytes) -> dict[str, str]:
    return {"x-amz-crc32": str(zlib.crc32(content))}


def botocores_error(status: int, headers: dict[str, str], content: bytes) -> tuple[str, str]:
    response = {"status_code": status, "headers": headers, "body": content}
    error = create_parser("json").parse(response, SHAPE)["Error"]
    return error["Code"], error["Message"]


@given(
    st.sampled_from([400, 403, 408, 409, 413, 500, 502, 503]),
    st.dictionaries(st.sampled_from(["message", "Message"]), st.text(max_size=20)),
    st.one_of(st.none(), CODES),
    st.sampled_from([None, "Throttling;Sender", "Old.Code;Sender"]),
)
def test_an_error_is_called_what_boto3_calls_it(
    status: int, words: dict[str, str], code: str | None, query_error: str | None
) -> None:
    content = json.dumps({**words, **({} if code is None else {"__type": code})}).encode()
    headers = {**checked(content), **({} if query_error is None else {"x-amzn-query-error": query_error})}

    answer = understood(status, headers, content)

    theirs, message = botocores_error(status, headers, content)
    assert answer == Refusal(theirs, message)


ORDERS = "arn:aws:dynamodb:us-east-1:123456789012:table/orders"
BY_DAY = f"{ORDERS}/index/by-day"


def reasons_of(**members: Any) -> list[ThrottlingReason]:
    return list(understood(400, {}, json.dumps({"__type": "x#ThrottlingException", **members}).encode()).reasons)  # type: ignore[union-attr]


@pytest.mark.parametrize("member", ["ThrottlingReasons", "throttlingReasons"])
def test_the_reasons_of_a_throttle_are_read_in_either_spelling(member: str) -> None:
    table = {"reason": "TableWriteKeyRangeThroughputExceeded", "resource": ORDERS}
    index = {"reason": "IndexWriteAccountLimitExceeded", "resource": BY_DAY}

    assert reasons_of(**{member: [table, index]}) == [
        ThrottlingReason("TableWriteKeyRangeThroughputExceeded", "orders"),
        ThrottlingReason("IndexWriteAccountLimitExceeded", "orders", "by-day"),
    ]


def test_a_reason_that_looks_unlike_one_is_none_and_a_resource_that_does_stays_unnamed() -> None:
    strange = [{"reason": "s3cret", "resource": ORDERS}, {"reason": 1}, {"resource": ORDERS}, "Table", None, []]

    assert reasons_of(ThrottlingReasons=strange) == []
    assert reasons_of(ThrottlingReasons="TableWrite") == reasons_of(ThrottlingReasons=None) == []
    for resource in ("s3cret", f"{ORDERS}/stream/1", None, 1):
        found = reasons_of(ThrottlingReasons=[{"reason": "TableWriteAccountLimitExceeded", "resource": resource}])
        assert found == [ThrottlingReason("TableWriteAccountLimitExceeded")]


@pytest.mark.parametrize(
    ("reason", "is_of_a_part"),
    [
        ("TableWriteProvisionedThroughputExceeded", False),
        ("TableWriteMaxOnDemandThroughputExceeded", False),
        ("TableWriteAccountLimitExceeded", False),
        ("TableWriteKeyRangeThroughputExceeded", True),
        ("IndexWriteProvisionedThroughputExceeded", True),
        ("IndexWriteKeyRangeThroughputExceeded", True),
    ],
)
def test_an_index_and_a_range_of_keys_are_a_part_of_the_table(reason: str, is_of_a_part: bool) -> None:
    assert ThrottlingReason(reason).is_of_a_part == is_of_a_part


@pytest.mark.parametrize("content", [b"", b"<html>busy</html>", b"[]", b"null", b"\xff", b"{", b"[" * 100_000])
@pytest.mark.parametrize("status", [301, 400, 500, 502, 503])
def test_an_error_that_is_no_json_is_known_by_its_status(status: int, content: bytes) -> None:
    assert understood(status, {}, content) == Refusal(str(status), "")


@pytest.mark.parametrize("content", [b"", b"<html>ok</html>", b"[]", b"null", b"\xff", b"{", b"{} ,", b"[" * 100_000])
def test_a_success_that_cannot_be_read_is_none(content: bytes) -> None:
    assert isinstance(understood(200, checked(content), content), NoAnswer)


ANSWERS: list[dict[str, Any]] = [
    {"UnprocessedItems": {}},
    {"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": {"pk": {"N": "1.50"}}}}]}},
    {"UnprocessedItems": {}, "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 25.0}]},
]


@pytest.mark.parametrize("said", ANSWERS)
def test_a_success_says_what_boto3_reads(said: dict[str, Any]) -> None:
    content = json.dumps(said).encode()

    answer = understood(200, checked(content), content)

    response = {"status_code": 200, "headers": checked(content), "body": content}
    theirs = create_parser("json").parse(response, SHAPE)
    assert answer == {name: theirs[name] for name in said} == said


@pytest.mark.parametrize("status", [200, 400, 500])
@given(data=st.data())
def test_one_changed_byte_spoils_an_answer(status: int, data: st.DataObject) -> None:
    content = json.dumps(ANSWERS[1]).encode()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    corrupt = content[:place] + bytes([changed]) + content[place + 1 :]

    assert isinstance(understood(status, checked(content), corrupt), NoAnswer)


@pytest.mark.parametrize("checksum", ["", "x", "1", "-1", "1, 1"])
def test_a_wrong_checksum_makes_any_answer_none(checksum: str) -> None:
    assert isinstance(understood(200, {"x-amz-crc32": checksum}, b'{"UnprocessedItems":{}}'), NoAnswer)


def test_an_answer_without_a_checksum_is_taken_as_it_is() -> None:
    assert understood(200, {}, b'{"UnprocessedItems":{}}') == {"UnprocessedItems": {}}


@pytest.mark.parametrize("status", [200, 400])
def test_bytes_that_are_no_text_are_no_answer(status: int) -> None:
    answer = understood(status, {}, b'{"a":"\xff"}')

    assert isinstance(answer, NoAnswer if status == 200 else Refusal)
