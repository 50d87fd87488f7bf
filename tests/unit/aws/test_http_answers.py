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
from sluice.aws.meanings import Meaning, failure

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


# Stored items, and why a transaction was canceled

STORED: dict[str, Any] = {
    "pk": {"S": "a"},
    "n": {"N": "1.50"},
    "b": {"B": "AP8="},
    "set": {"BS": ["AQ==", "Ag=="]},
    "deep": {"L": [{"M": {"b": {"B": ""}, "none": {"NULL": True}}}]},
}
WITH_BYTES = {
    **STORED,
    "b": {"B": b"\x00\xff"},
    "set": {"BS": [b"\x01", b"\x02"]},
    "deep": {"L": [{"M": {"b": {"B": b""}, "none": {"NULL": True}}}]},
}


def failed(item: Any) -> bytes:
    return json.dumps({"__type": "x#ConditionalCheckFailedException", "message": "no", "Item": item}).encode()


def canceled(*reasons: Any, **more: Any) -> bytes:
    said = {"__type": "x#TransactionCanceledException", "Message": "canceled", "CancellationReasons": list(reasons)}
    return json.dumps({**said, **more}).encode()


def stored_in(answer: Any) -> Any:
    assert isinstance(answer, Refusal)
    return answer.stored


def test_a_stored_item_is_read_with_its_binary_as_boto3_reads_it() -> None:
    shape = MODEL.shape_for_error_code("ConditionalCheckFailedException")
    theirs = create_parser("json").parse({"status_code": 200, "headers": {}, "body": failed(STORED)}, shape)

    answer = understood(400, {}, failed(STORED))

    assert answer == Refusal("ConditionalCheckFailedException", "no", WITH_BYTES)
    assert stored_in(answer) == theirs["Item"]


@pytest.mark.parametrize(
    "item",
    [
        5, "x", [], True, {"pk": 5}, {"pk": {}}, {"pk": {"S": 5}}, {"pk": {"S": "a", "N": "1"}}, {"pk": {"Unknown": 1}},
        {"b": {"B": "***"}}, {"b": {"B": "QQ"}}, {"b": {"B": 5}}, {"b": {"BS": ["***"]}}, {"b": {"BS": "AQ=="}},
        {"n": {"N": "abc"}}, {"n": {"N": 5}}, {"l": {"L": 5}}, {"l": {"L": [5]}}, {"m": {"M": []}}, {"s": {"SS": "x"}},
    ],
    ids=json.dumps,
)  # fmt: skip
@pytest.mark.parametrize("is_transaction", [False, True])
def test_a_stored_item_that_is_none_is_no_item_but_no_error_either(item: Any, is_transaction: bool) -> None:
    """It must not be taken for "nothing is stored": what failed may have been applied by an earlier attempt."""
    reason = {"Code": "ConditionalCheckFailed", "Message": "no", "Item": item}

    answer = understood(400, {}, canceled(reason) if is_transaction else failed(item))

    stored = stored_in(answer)
    assert stored is not None
    assert failure(answer, ["t"]).meaning is Meaning.UNSURE  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [40, 500, 5000])
def test_a_stored_item_that_is_too_deep_is_no_item(depth: int) -> None:
    content = b'{"__type":"ConditionalCheckFailedException","Item":{"pk":%b{"S":"a"}%b}}'
    answer = understood(400, {}, content % (b'{"L":[' * depth, b"]}" * depth))

    assert isinstance(answer, Refusal)
    assert failure(answer, ["t"]).meaning is Meaning.UNSURE


@pytest.mark.parametrize("content", [failed(None), b'{"__type":"ConditionalCheckFailedException","message":"no"}'])
def test_where_nothing_is_stored_there_is_no_item(content: bytes) -> None:
    answer = understood(400, {}, content)

    assert answer == Refusal("ConditionalCheckFailedException", "no", None)
    assert failure(answer, ["t"]).meaning is Meaning.CONDITION_FAILED


def test_a_canceled_transaction_is_what_its_first_reason_is() -> None:
    reason = {"Code": "ConditionalCheckFailed", "Message": "no", "Item": STORED}

    answer = understood(400, {}, canceled(reason, {"Code": "ThrottlingError", "Message": "too fast"}))

    assert answer == Refusal("ConditionalCheckFailed", "no", WITH_BYTES)


@pytest.mark.parametrize(
    "reasons", [None, 5, "x", {}, {"Code": "ConditionalCheckFailed"}, [], [None], [5], ["x"], [[]]], ids=json.dumps
)
def test_a_canceled_transaction_without_a_reason_is_just_canceled(reasons: Any) -> None:
    answer = understood(400, {}, canceled(CancellationReasons=reasons))

    assert answer == Refusal("TransactionCanceledException", "canceled")
    assert failure(answer, ["t"]).meaning is Meaning.UNSURE


@pytest.mark.parametrize(
    "reason", [{}, {"Code": None}, {"Code": 5}, {"Code": "None"}, {"Code": ["ConditionalCheckFailed"]}], ids=json.dumps
)
def test_a_reason_that_says_nothing_leaves_the_outcome_open(reason: Any) -> None:
    answer = understood(400, {}, canceled(reason))

    assert isinstance(answer, Refusal)
    assert failure(answer, ["t"]).meaning is Meaning.UNSURE


@pytest.mark.parametrize("words", [None, 5, [], {}], ids=json.dumps)
def test_words_that_are_no_text_are_no_words(words: Any) -> None:
    answers = [
        understood(400, {}, json.dumps({"__type": "ValidationException", "message": words}).encode()),
        understood(400, {}, canceled({"Code": "ThrottlingError", "Message": words})),
    ]

    assert answers == [Refusal("ValidationException", ""), Refusal("ThrottlingError", "")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["S", "N", "B", "BS", "L", "M", "pk"]), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMED = st.sampled_from(["ConditionalCheckFailedException", "TransactionCanceledException", "ValidationException"])


@given(NAMED, JSON, JSON, st.dictionaries(st.sampled_from(["Code", "Message", "Item"]), JSON))
def test_no_refusal_of_any_shape_raises(code: str, item: Any, reasons: Any, reason: dict[str, Any]) -> None:
    for given_reasons in (reasons, [reason], [reasons]):
        said = {"__type": code, "message": item, "Item": item, "CancellationReasons": given_reasons}

        answer = understood(400, {}, json.dumps(said).encode())

        assert isinstance(answer, Refusal)
        assert isinstance(answer.code, str)
        assert isinstance(answer.words, str)
        assert answer.stored is None or isinstance(answer.stored, dict)
        failure(answer, ["t"])


@pytest.mark.parametrize("status", [400, 500, 503])
def test_the_status_of_a_refusal_is_kept(status: int) -> None:
    answer = understood(status, {}, b'{"__type":"Whatever"}')

    assert isinstance(answer, Refusal)
    assert answer.status == status
