"""What each error of DynamoDB and botocore comes to for those who sent the messages, and what a bad item costs."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import zlib
from random import Random
from typing import Any

import pytest
from botocore.exceptions import (
    ChecksumError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from sluice.aws.http_parser import HttpResponse, ProtocolError
from sluice.aws.meanings import MEANINGS
from sluice.message.errors import NothingWrittenError, TableError
from tests.fakes import Call, Canceled, Delay, Fault, Raised, Refusal, ServerError, Throttle, Unprocessed, Unreadable
from tests.fakes.protocol import FakeWire
from tests.world import EVENTS, ORDERS, Overlapping, World

pytestmark = pytest.mark.usefixtures("both_ways")
by_http = pytest.mark.parametrize("both_ways", [False], ids=["http"], indirect=True)
by_boto3 = pytest.mark.parametrize("both_ways", [True], ids=["boto3"], indirect=True)

# What a user sees of each error, from API_BatchWriteItem, API_TransactWriteItems, CommonErrors and Programming.Errors:
# "later": tried again with the same requests, and written; "isolated": the offender is found and dead-lettered;
# "raises": the invocation fails and names the table; "condition": the condition did not hold.
FATES: dict[str, tuple[int, str]] = {
    "ProvisionedThroughputExceededException": (400, "later"),
    "ThrottlingException": (400, "later"),
    "Throttling": (400, "later"),
    "RequestLimitExceeded": (400, "later"),
    "LimitExceededException": (400, "later"),
    "ProvisionedThroughputExceeded": (400, "later"),
    "ThrottlingError": (400, "later"),
    "InternalServerError": (500, "later"),
    "InternalFailure": (500, "later"),
    "ServiceUnavailable": (503, "later"),
    "ServiceUnavailableException": (503, "later"),
    "RequestTimeout": (408, "later"),
    "RequestTimeoutException": (408, "later"),
    "ReplicatedWriteConflictException": (409, "later"),
    "TransactionConflictException": (400, "later"),
    "TransactionConflict": (400, "later"),
    "TransactionInProgressException": (400, "later"),
    "ConditionalCheckFailedException": (400, "condition"),
    "ConditionalCheckFailed": (400, "condition"),
    "ValidationException": (400, "isolated"),
    "ValidationError": (400, "isolated"),
    "SerializationException": (400, "isolated"),
    "ItemCollectionSizeLimitExceededException": (400, "isolated"),
    "ItemCollectionSizeLimitExceeded": (400, "isolated"),
    "ResourceNotFoundException": (400, "raises"),
    "AccessDeniedException": (400, "raises"),
    "AccessDenied": (403, "raises"),
    "UnrecognizedClientException": (400, "raises"),
    "InvalidClientTokenId": (403, "raises"),
    "InvalidSignatureException": (400, "raises"),
    "SignatureDoesNotMatch": (403, "raises"),
    "IncompleteSignatureException": (400, "raises"),
    "MissingAuthenticationTokenException": (400, "raises"),
    "MissingAuthenticationToken": (403, "raises"),
    "NotAuthorized": (400, "raises"),
    "OptInRequired": (403, "raises"),
    # What no table of codes can name.
    "SomethingNewException": (400, "later"),
    "TransactionCanceledException": (400, "later"),
    "": (500, "later"),
    "500": (500, "later"),
    "502": (502, "later"),
    "503": (503, "later"),
    "504": (504, "later"),
}
LATER = [code for code, (_, fate) in FATES.items() if fate == "later"]
ISOLATED = [code for code, (_, fate) in FATES.items() if fate == "isolated"]
RAISES = [code for code, (_, fate) in FATES.items() if fate == "raises"]

URL = "https://dynamodb.us-east-1.amazonaws.com"
BOTOCORE_TROUBLE = [
    ConnectTimeoutError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL),
    EndpointConnectionError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
    ProxyConnectionError(proxy_url=URL),
    SSLError(endpoint_url=URL, error="handshake"),
    HTTPClientError(error=ConnectionResetError(104, "Connection reset by peer")),
    IncompleteReadError(actual_bytes=3, expected_bytes=300),
    ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
]
WIRE_TROUBLE = [
    ConnectionResetError(104, "Connection reset by peer"),
    ConnectionRefusedError(111, "Connection refused"),
    TimeoutError("timed out"),
    socket.gaierror(-2, "Name or service not known"),
    ssl.SSLError(1, "handshake"),
    ProtocolError("an answer that is not HTTP/1.x"),
]
CREDENTIAL_TROUBLE = [NoCredentialsError(), PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY")]

PUT = {"put": {"pk": "a"}}
SINGLES: dict[str, dict[str, Any]] = {
    "PutItem": {"put": {"pk": "a"}, "condition": "attribute_not_exists(pk)"},
    "DeleteItem": {"delete": {"pk": "a"}, "condition": "attribute_not_exists(pk)"},
    "UpdateItem": {"update": {"pk": "a"}, "expression": "REMOVE v"},
    "TransactWriteItems": {"update": {"pk": "a"}, "expression": "REMOVE v"},
}


def world(operation: str = "", **settings: Any) -> World:
    return World(settings={"update_once": operation == "TransactWriteItems", **settings})


def refusal(code: str) -> Refusal:
    return Refusal(code, "the service's words", FATES[code][0])


def fills(of: World) -> list[int]:
    """Requests of each batch that was sent."""
    return [sum(map(len, call.kwargs["RequestItems"].values())) for call in of.db.calls_of("BatchWriteItem")]


def sent_in(call: Call) -> list[Any]:
    """The requests of one batch."""
    return [request for of_table in call.kwargs["RequestItems"].values() for request in of_table]


def requests_of(of: World) -> list[Any]:
    return [call.kwargs for call in of.db.calls]


def test_every_code_that_the_function_knows_is_tried_here() -> None:
    assert set(MEANINGS) <= set(FATES)


# By code


@pytest.mark.parametrize("code", LATER)
def test_what_is_in_a_batch_is_sent_again_as_it_was_after(code: str) -> None:
    here = world()
    here.db.script(refusal(code), refusal(code))
    bodies = [{"put": {"pk": f"a{n}"}} for n in range(5)]

    outcome = here.run(*bodies)

    assert fills(here)[0] == 5
    assert [call.error for call in here.db.calls[:3]] == [code, code, None]
    assert all(request in sent_in(here.db.calls[0]) for call in here.db.calls for request in sent_in(call))
    assert outcome.written == outcome.received
    assert outcome.error is None
    assert here.letters() == []
    assert len(here.db.items("orders-table")) == 5


@pytest.mark.parametrize("operation", SINGLES)
@pytest.mark.parametrize("code", LATER)
def test_a_single_write_is_sent_again_as_it_was_after(code: str, operation: str) -> None:
    here = world(operation, on_condition_failed="dead-letter")
    here.db.script(refusal(code), refusal(code))

    outcome = here.run(SINGLES[operation])

    assert here.writes() == [operation] * 3
    assert requests_of(here)[0] == requests_of(here)[2]
    assert outcome.written == outcome.received
    assert here.letters() == []


@pytest.mark.parametrize("code", LATER)
def test_what_lasts_is_returned_and_not_dead_lettered(code: str) -> None:
    here = world()
    here.db.always(refusal(code), operation="BatchWriteItem")

    outcome = here.run(PUT, {"put": {"pk": "b"}, "condition": "attribute_not_exists(pk)"})

    assert outcome.returned == outcome.received[:1]
    assert outcome.error is None
    assert here.letters() == []
    assert here.clock() < 30


@pytest.mark.parametrize("code", LATER)
def test_where_nothing_else_was_done_what_lasts_raises(code: str) -> None:
    here = world()
    here.db.always(refusal(code))

    outcome = here.run(PUT)

    assert isinstance(outcome.error, NothingWrittenError)
    assert code in str(outcome.error)
    assert len(here.sqs.visibility_changes) == 1


@pytest.mark.parametrize("code", ISOLATED)
def test_a_batch_is_halved_until_the_offender_stands_alone_after(code: str) -> None:
    here = world()
    here.db.script(refusal(code), refusal(code), None, refusal(code), None)

    outcome = here.run(*({"put": {"pk": f"a{n}"}} for n in range(4)))

    assert sorted(fills(here), reverse=True) == [4, 2, 2, 1, 1]
    assert here.reasons() == ["RejectedByDynamoDB"]
    assert "the service's words" in here.letters()[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert len(outcome.written) == len(here.db.items("orders-table")) == 3


@pytest.mark.parametrize("operation", SINGLES)
@pytest.mark.parametrize("code", ISOLATED)
def test_a_single_write_is_dead_lettered_after(code: str, operation: str) -> None:
    here = world(operation)
    here.db.script(refusal(code), operation=operation)

    outcome = here.run(SINGLES[operation], {"put": {"pk": "b"}})

    assert here.reasons() == ["RejectedByDynamoDB"]
    assert json.loads(here.letters()[0]["Body"]) == SINGLES[operation]
    assert outcome.written == outcome.received[1:]


@pytest.mark.parametrize("operation", ["BatchWriteItem", *SINGLES])
@pytest.mark.parametrize("code", RAISES)
def test_a_table_that_cannot_be_written_raises_and_dead_letters_nothing(code: str, operation: str) -> None:
    here = world(operation)
    here.db.script(refusal(code), operation=operation)

    outcome = here.run(SINGLES.get(operation, PUT), {"put": {}}, "{")

    assert isinstance(outcome.error, TableError)
    for part in ("orders-table", code, "the service's words"):
        assert part in str(outcome.error)
    assert outcome.returned == outcome.received
    assert here.letters() == []
    assert here.sqs.calls_of("SendMessageBatch") == []


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_batch_over_two_tables_that_raises_names_both(code: str) -> None:
    here = world()
    here.db.always(refusal(code))

    outcome = here.run(PUT, {"table": "events", "put": {"pk": "e", "sk": 1}})

    assert "orders-table" in str(outcome.error)
    assert "events-table" in str(outcome.error)


@pytest.mark.parametrize("operation", SINGLES)
@pytest.mark.parametrize(("on_condition_failed", "reasons"), [("skip", []), ("dead-letter", ["ConditionFailed"])])
def test_a_condition_that_does_not_hold_is_no_error(
    operation: str, on_condition_failed: str, reasons: list[str]
) -> None:
    here = world(operation, on_condition_failed=on_condition_failed)
    here.db.put_item(TableName="orders-table", Item={"pk": {"S": "a"}})

    outcome = here.run({**SINGLES[operation], "condition": "attribute_not_exists(pk)"})

    assert len(outcome.operations.conditions_failed) == 1
    assert here.writes() == ["PutItem", operation]
    assert here.reasons() == reasons
    assert outcome.item_failures == []


# A transaction says why by its reasons


@pytest.mark.parametrize(
    ("reason", "fate"),
    [
        ("TransactionConflict", "later"),
        ("ThrottlingError", "later"),
        ("ProvisionedThroughputExceeded", "later"),
        ("ItemCollectionSizeLimitExceeded", "isolated"),
    ],
)
def test_a_canceled_transaction_is_judged_by_its_reason(reason: str, fate: str) -> None:
    here = world("TransactWriteItems")
    here.db.script(Canceled(reason))

    outcome = here.run(SINGLES["TransactWriteItems"])

    assert here.reasons() == ([] if fate == "later" else ["RejectedByDynamoDB"])
    assert len(outcome.operations.written) == (fate == "later")


def test_a_transaction_canceled_by_a_rule_of_the_service_is_dead_lettered_in_its_words() -> None:
    here = world("TransactWriteItems")
    here.db.reject_if(lambda _, request: "Update" in request, "No updates on a Sunday")

    here.run(SINGLES["TransactWriteItems"], {"put": {"pk": "b"}})

    [letter] = here.letters()
    assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "RejectedByDynamoDB"
    assert "No updates on a Sunday" in letter["MessageAttributes"]["ErrorMessage"]["StringValue"]


# A key that TABLES has wrong is nobody's bad message


@pytest.mark.parametrize("operation", ["BatchWriteItem", *SINGLES])
def test_a_table_with_another_key_than_the_settings_say_raises(operation: str) -> None:
    here = world(operation)
    here.db.create_table("orders-table", partition_key=("id", "S"))

    outcome = here.run(SINGLES.get(operation, PUT))

    assert isinstance(outcome.error, TableError)
    assert "orders-table" in str(outcome.error)
    assert "TABLES" in str(outcome.error)
    assert here.letters() == []


def test_an_index_key_of_a_wrong_type_is_the_items_own_fault() -> None:
    here = world()
    here.db.create_table("orders-table", partition_key=("pk", "S"), indexes=[("by_day", ("day", "S"), None)])

    outcome = here.run({"put": {"pk": "a", "day": 1}}, {"put": {"pk": "b", "day": "monday"}})

    assert here.reasons() == ["RejectedByDynamoDB"]
    assert outcome.written == outcome.received[1:]


# No answer


@by_boto3
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("operation", SINGLES)
@pytest.mark.parametrize(
    "error",
    [
        *BOTOCORE_TROUBLE,
        ResponseParserError("Unable to parse response"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_call_that_botocore_gives_up_is_made_again(error: Exception, operation: str, applied: bool) -> None:
    here = world(operation, on_condition_failed="dead-letter")
    here.db.script(Raised(error, applied))

    outcome = here.run(SINGLES[operation])

    assert here.writes() == [operation] * 2
    assert outcome.written == outcome.received
    assert here.letters() == []


@by_http
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("operation", ["BatchWriteItem", *SINGLES])
@pytest.mark.parametrize("error", WIRE_TROUBLE, ids=lambda error: type(error).__name__)
def test_a_call_that_the_wire_loses_is_made_again(error: Exception, operation: str, applied: bool) -> None:
    here = world(operation, on_condition_failed="dead-letter")
    here.db.script(Raised(error, applied))

    outcome = here.run(SINGLES.get(operation, PUT))

    assert here.writes() == [operation] * 2
    assert outcome.written == outcome.received
    assert here.letters() == []


@by_http
@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"UnprocessedItems":{}}x', b"\xff"])
@pytest.mark.parametrize("operation", ["BatchWriteItem", *SINGLES])
def test_a_call_whose_answer_is_corrupt_is_made_again(
    operation: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(operation, on_condition_failed="dead-letter")
    post, corrupt = FakeWire.post, [content]

    def answer(*arguments: Any) -> HttpResponse:
        whole = post(*arguments)
        headers = {"x-amz-crc32": str(zlib.crc32(content))}
        return HttpResponse(200, headers, corrupt.pop()) if corrupt else whole

    monkeypatch.setattr(FakeWire, "post", answer)
    outcome = here.run(SINGLES.get(operation, PUT))

    assert here.writes() == [operation] * 2
    assert outcome.written == outcome.received


@by_http
@pytest.mark.parametrize("operation", ["BatchWriteItem", *SINGLES])
def test_a_call_whose_answer_has_another_checksum_is_made_again(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(operation, on_condition_failed="dead-letter")
    post, checksums = FakeWire.post, ["1"]

    def answer(*arguments: Any) -> HttpResponse:
        whole = post(*arguments)
        return whole._replace(headers={"x-amz-crc32": checksums.pop()}) if checksums else whole

    monkeypatch.setattr(FakeWire, "post", answer)
    outcome = here.run(SINGLES.get(operation, PUT))

    assert here.writes() == [operation] * 2
    assert outcome.written == outcome.received


@pytest.mark.parametrize(
    "operation",
    ["BatchWriteItem", *SINGLES],
)
def test_an_answer_that_proves_nothing_is_no_success(operation: str) -> None:
    here = world(operation)
    # botocore makes an empty answer of a 200 whose body is no JSON: one that was cut off, or a proxy's page.
    here.db.script(Unreadable())

    outcome = here.run(SINGLES.get(operation, PUT))

    assert here.writes() == [operation] * 2
    assert outcome.written == outcome.received


@by_boto3
@pytest.mark.parametrize("operation", SINGLES)
@pytest.mark.parametrize("error", CREDENTIAL_TROUBLE, ids=lambda error: type(error).__name__)
def test_missing_credentials_raise_and_dead_letter_nothing(error: Exception, operation: str) -> None:
    here = world(operation)
    here.db.script(Raised(error))

    outcome = here.run(SINGLES[operation], {"put": {}})

    assert isinstance(outcome.error, TableError)
    assert "credentials" in str(outcome.error)
    assert outcome.returned == outcome.received
    assert here.letters() == []


@by_boto3
def test_credentials_that_cannot_be_fetched_dead_letter_nothing() -> None:
    here = world()
    here.db.always(Raised(CredentialRetrievalError(provider="container-role", error_msg="timed out")))

    outcome = here.run(SINGLES["PutItem"])

    assert outcome.error is not None
    assert outcome.returned == outcome.received
    assert here.letters() == []


# Out of date


EXPIRED = {
    "signature": (
        "InvalidSignatureException",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
    ),
    "clock": ("InvalidSignatureException", "Signature not yet current: 20260101T000000Z is still later than ..."),
    "token": ("ExpiredTokenException", "The security token included in the request is expired"),
    "token of another name": ("UnrecognizedClientException", "The security token included in the request is expired"),
    "request": ("RequestExpired", "Request has expired"),
}


@pytest.mark.parametrize("are_connected", [False, True])
@pytest.mark.parametrize("operation", ["BatchWriteItem", *SINGLES])
@pytest.mark.parametrize("expired", EXPIRED)
def test_what_is_out_of_date_is_tried_once_more_with_new_credentials(
    expired: str, operation: str, are_connected: bool
) -> None:
    here = world(operation)
    here.are_connected = are_connected
    bodies = [SINGLES[operation]] if operation in SINGLES else [{"put": {"pk": f"a{n}"}} for n in range(50)]
    in_flight = 1 if operation in SINGLES else 2
    here.db.script(*[Refusal(*EXPIRED[expired])] * in_flight, operation=operation)

    outcome = here.run(*bodies)

    assert outcome.written == outcome.received
    assert len(here.db.calls) == 2 * in_flight
    assert here.renewals == 1
    assert here.letters() == []


@pytest.mark.parametrize("expired", EXPIRED)
def test_what_stays_out_of_date_raises_in_the_services_words(expired: str) -> None:
    here = world()
    here.db.always(Refusal(*EXPIRED[expired]))

    outcome = here.run(PUT, {"put": {}})

    assert isinstance(outcome.error, TableError)
    for part in (*EXPIRED[expired], "orders-table"):
        assert part in str(outcome.error)
    assert len(here.db.calls) == 2
    assert outcome.returned == outcome.received
    assert here.letters() == []


def test_a_code_that_looks_like_none_is_not_repeated() -> None:
    here = world()
    here.db.always(Refusal('{"put": {"pk": "s3cret"}}', "words", 500))
    here.sqs.always(Refusal("s3cret s3cret"), operation="SendMessageBatch")

    outcome = here.run(PUT, {"put": {}})

    assert "an error without a code" in outcome.operations.trouble
    assert outcome.failures
    assert "s3cret" not in f"{outcome.error} {outcome.operations.trouble} {outcome.failures}"


def test_a_refused_signature_does_not_repeat_the_token_that_was_signed() -> None:
    here = world()
    words = "The request signature we calculated does not match. The Canonical String for this request should have been"
    here.db.always(Refusal("InvalidSignatureException", f"{words}\nPOST\nx-amz-security-token:s3cret"))

    outcome = here.run(PUT)

    assert "does not match" in str(outcome.error)
    assert "s3cret" not in str(outcome.error)


@pytest.mark.parametrize(("times", "sent"), [(1, 25), (3, 25), (4, 15)])
def test_dead_letters_that_are_out_of_date_are_sent_once_more(times: int, sent: int) -> None:
    here = world()
    here.sqs.script(*[Refusal(*EXPIRED["token"])] * times, operation="SendMessageBatch")

    outcome = here.run(*({"put": {"n": n}} for n in range(25)))

    assert here.renewals == 1
    assert len(outcome.dead_lettered) == len(here.letters()) == sent
    assert len(outcome.returned) == 25 - sent


# Throttling


THROTTLES = [
    pytest.param(Throttle(code, reason), id=f"{code} {reason}")
    for code in ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
    for reason in (
        "TableWriteProvisionedThroughputExceeded",
        "TableWriteAccountLimitExceeded",
        "TableWriteKeyRangeThroughputExceeded",
        "TableWriteMaxOnDemandThroughputExceeded",
        "IndexWriteKeyRangeThroughputExceeded",
    )
]


@pytest.mark.parametrize("fault", THROTTLES)
def test_throttling_starts_no_isolation_and_is_counted(fault: Throttle) -> None:
    here = world()
    here.db.script(fault, fault, Unprocessed(5))

    outcome = here.run(*({"put": {"pk": f"a{n}"}} for n in range(25)))

    # botocore's model: ThrottlingReasons, but throttlingReasons where the code is ThrottlingException.
    assert fills(here)[0] == 25
    assert outcome.operations.throttled_calls == 2
    assert 1 <= outcome.operations.unprocessed <= 5
    assert [call.error for call in here.db.calls] == [fault.code] * 2 + [None] * (len(here.db.calls) - 2)
    assert outcome.written == outcome.received
    assert here.letters() == []


@pytest.mark.parametrize("operation", ["BatchWriteItem", "PutItem"])
@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_the_limit_that_was_met_and_what_it_is_of_are_told_and_counted(code: str, operation: str) -> None:
    here = world()
    index = Throttle(code, "IndexWriteKeyRangeThroughputExceeded", index="by-day")
    here.db.always(index, operation=operation)

    outcome = here.run(PUT if operation == "BatchWriteItem" else SINGLES[operation])

    assert outcome.operations.trouble == f"{code}: IndexWriteKeyRangeThroughputExceeded of orders-table/index/by-day"
    calls = len(here.db.calls)
    assert calls > 1
    assert outcome.operations.throttling == {"IndexWriteKeyRangeThroughputExceeded": calls}


@pytest.mark.parametrize("fault", THROTTLES)
def test_throttling_in_the_middle_of_an_isolation_rejects_nobody_else(fault: Throttle) -> None:
    here = world()
    here.db.reject_if(lambda _, request: "'a7'" in str(request))
    here.db.script(None, *[fault, None, ServerError(), Unprocessed(2)] * 2)

    outcome = here.run(*({"put": {"pk": f"a{n}"}} for n in range(25)))

    assert here.reasons() == ["RejectedByDynamoDB"]
    assert outcome.dead_lettered == [outcome.received[7]]
    assert len(here.db.items("orders-table")) == 24


# What finding the offenders costs


def calls_to_find(bad: tuple[int, ...]) -> int:
    here = World(tables=(ORDERS, EVENTS))
    names = {f"'a{n}'" for n in bad}
    here.db.reject_if(lambda _, request: any(name in str(request) for name in names))

    outcome = here.run(*({"put": {"pk": f"a{n}"}} for n in range(25)))

    assert outcome.dead_lettered == [outcome.received[n] for n in bad]
    assert len(outcome.written) == len(here.db.items("orders-table")) == 25 - len(bad)
    return len(here.db.calls)


def test_one_offender_among_25_is_found_in_12_calls() -> None:
    assert max(calls_to_find((n,)) for n in range(25)) <= 12


def test_three_offenders_among_25_are_found_in_30_calls() -> None:
    every = list(itertools.combinations(range(25), 3))
    # Those furthest apart share the fewest calls; the rest is a sample.
    some = [(0, 12, 24), (3, 12, 21), (0, 8, 16), (0, 1, 2), (6, 12, 18), *Random(1).sample(every, 150)]

    assert max(calls_to_find(bad) for bad in some) <= 30


def test_24_offenders_among_25_are_all_found() -> None:
    assert calls_to_find(tuple(range(24))) <= 49


def test_offenders_in_several_tables_are_found_in_one_batch() -> None:
    here = world()
    here.db.reject_if(lambda _, request: "bad" in str(request))
    events = [{"table": "events", "put": {"pk": "bad" if n == 3 else "e", "sk": n}} for n in range(10)]

    outcome = here.run(*({"put": {"pk": "bad" if n == 8 else f"a{n}"}} for n in range(15)), *events)

    assert outcome.dead_lettered == [outcome.received[8], outcome.received[18]]
    assert len(outcome.written) == 23


@pytest.mark.parametrize("seconds", [2.0, 4.0, 8.0])
def test_an_isolation_that_ends_with_the_deadline_returns_the_rest(seconds: float) -> None:
    calls = Overlapping()
    here = World(clock=calls.clock, executor=calls.executor, settings={"max_connections": 1})
    here.db.reject_if(lambda _, request: "'a7'" in str(request))
    here.db.always(Delay(seconds, calls))

    outcome = here.run(*({"put": {"pk": f"a{n}"}} for n in range(25)), time_left=15.0)

    assert here.letters() == []
    assert outcome.received[7] in outcome.returned
    assert len(outcome.written) == len(outcome.operations.written)
    assert calls.clock() < 15.0
    assert {message.id for message in outcome.written}.isdisjoint(message.id for message in outcome.returned)
    assert len(outcome.written) + len(outcome.returned) == 25


@pytest.mark.parametrize("fault", [Throttle(), ServerError(), Unprocessed(25)], ids=repr)
def test_parts_that_are_held_up_are_returned_and_not_dead_lettered(fault: Fault) -> None:
    here = world()
    here.db.reject_if(lambda _, request: "'a7'" in str(request) and len(here.db.calls) < 4)
    here.db.script(None, None)
    here.db.always(fault)

    outcome = here.run(*({"put": {"pk": f"a{n}"}} for n in range(25)))

    assert here.letters() == []
    assert outcome.received[7] in outcome.returned
