"""Each fault as a real boto3 client sees it, with the SDK's retries off; behind the injector, the strict fake."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sluice.local.faults.injector import Injector
from sluice.local.faults.kinds import KINDS
from sluice.local.faults.profiles import PROFILES, Profile, decide
from sluice.local.faults.requests import Table
from sluice.local.faults.server import serve
from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.server import serve as serve_fakes

TABLES = (Table("orders", ("pk",)), Table("readings", ("pk", "at")))
PATIENCE, LONG = 0.3, 600.0
"""Seconds that the client waits for an answer: where none comes, and else."""


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Place:
    """A client, the injector that it speaks to, and the service behind."""

    client: Any
    injector: Injector
    service: FakeDynamoDB
    url: str
    clock: Clock
    upstream: str

    def stored(self, table: str = "orders") -> set[str]:
        return {item["pk"]["S"] for item in self.service.items(table)}


@contextmanager
def place(profile: Profile, seed: int = 1) -> Iterator[Place]:
    service, clock = FakeDynamoDB(), Clock()
    service.create_table("orders", partition_key=("pk", "S"))
    service.create_table("readings", partition_key=("pk", "S"), sort_key=("at", "N"))
    with ExitStack() as parts:
        upstream = parts.enter_context(serve_fakes(db=service))
        injector = Injector(upstream, profile, seed, tables=TABLES, counts_units=False, clock=clock, wait=clock.wait)
        url = parts.enter_context(serve(injector))
        hangs = any(kind.startswith("hang") for kind in profile.shares)
        yield Place(client_of(url, PATIENCE if hangs else LONG), injector, service, url, clock, upstream)


def client_of(url: str, patience: float = LONG) -> Any:
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        endpoint_url=url,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            parameter_validation=False,
            proxies={},
            read_timeout=patience,
        ),
    )


def puts(*names: str) -> dict[str, Any]:
    return {"RequestItems": {"orders": [{"PutRequest": {"Item": {"pk": {"S": name}}}} for name in names]}}


def outcome(call: Any, **request: Any) -> str:
    """The error code or exception of a call; "" for none."""
    try:
        call(**request)
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
    except Exception as error:  # noqa: BLE001  # Which one it is, is what is tested.
        return type(error).__name__
    return ""


def eventually(look: Callable[[], Any], expected: Any) -> Any:
    """What is seen, once it is what is expected: who has given up a call knows not how far it has come."""
    end = time.monotonic() + LONG
    while (seen := look()) != expected and time.monotonic() < end:
        threading.Event().wait(0.01)
    return seen


NAMES = ("a", "b", "c")
ALL: set[str] = set(NAMES)
NONE: set[str] = set()
THROTTLED = "400 ProvisionedThroughputExceededException"

# Kind of fault → what a batch of three puts ends in, and what is stored then; None where some are.
BATCHES: dict[str, tuple[str, set[str] | None]] = {
    "unprocessed": ("", None),
    "throughput-exceeded": (THROTTLED, NONE),
    "throttling": ("400 ThrottlingException", NONE),
    "request-limit": ("400 RequestLimitExceeded", NONE),
    "internal-error-before": ("500 InternalServerError", NONE),
    "internal-error-after": ("500 InternalServerError", ALL),
    "unavailable": ("503 ServiceUnavailable", NONE),
    "reset-before": ("ConnectionClosedError", NONE),
    "reset-after": ("ConnectionClosedError", ALL),
    "truncated": ("", None),
    "corrupted": ("", None),
    "drip": ("", ALL),
    "hang-before": ("ReadTimeoutError", NONE),
    "hang-after": ("ReadTimeoutError", ALL),
    "late": ("", ALL),
    "outage": ("500 InternalServerError", NONE),
    "replicated-write-conflict": ("409 ReplicatedWriteConflictException", NONE),
    "expired-token": ("400 ExpiredTokenException", NONE),
}
OTHERS = {
    "transaction-conflict": "400 TransactionConflictException",
    "transaction-canceled": "400 TransactionCanceledException",
    "transaction-throttled": "400 TransactionCanceledException",
}


# Kind of fault → what a read of three keys ends in.
READS = {
    **{name: error for name, (error, _) in BATCHES.items() if "BatchGetItem" in KINDS[name].operations},
    "denied": "400 AccessDeniedException",
}


def test_every_kind_of_fault_is_tested() -> None:
    assert BATCHES.keys() | OTHERS.keys() | READS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_meets_the_fault(kind: str) -> None:
    expected, stored = BATCHES[kind]

    with place(Profile({kind: 1.0}, drip=0.1, hang=5)) as at:
        seen = outcome(at.client.batch_write_item, **puts(*NAMES))

        assert seen == expected
        assert eventually(lambda: at.injector.counts().get(kind), 1) == 1
        assert eventually(at.stored, stored) == stored if stored is not None else 0 < len(at.stored()) < len(ALL)
        assert at.injector.counts()["writes"] == 1


@pytest.mark.parametrize("kind", [kind for kind in BATCHES if "PutItem" in KINDS[kind].operations])
def test_a_single_put_meets_the_fault(kind: str) -> None:
    expected, stored = BATCHES[kind]

    with place(Profile({kind: 1.0}, drip=0.1, hang=5)) as at:
        seen = outcome(at.client.put_item, TableName="orders", Item={"pk": {"S": "a"}})

        assert seen == expected
        assert eventually(lambda: at.injector.counts().get("writes"), 1) == 1
        now = (ALL if stored is None else stored) & {"a"}
        assert eventually(at.stored, now) == now


def test_a_single_write_conflicts_with_a_transaction() -> None:
    with place(Profile({"transaction-conflict": 1.0})) as at:
        seen = outcome(at.client.delete_item, TableName="orders", Key={"pk": {"S": "a"}})

        assert seen == OTHERS["transaction-conflict"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("transaction-canceled", "TransactionConflict"), ("transaction-throttled", "ProvisionedThroughputExceeded")],
)
def test_a_transaction_is_cancelled_with_its_reason(kind: str, reason: str) -> None:
    items = [{"Put": {"TableName": "orders", "Item": {"pk": {"S": name}}}} for name in NAMES]

    with place(Profile({kind: 1.0})) as at, pytest.raises(ClientError) as raised:
        at.client.transact_write_items(TransactItems=items)

    assert raised.value.response["Error"]["Code"] == "TransactionCanceledException"
    reasons = [reason["Code"] for reason in raised.value.response["CancellationReasons"]]
    assert reasons == [reason, "None", "None"]


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("throughput-exceeded", "ThrottlingReasons"),
        ("throttling", "throttlingReasons"),
        ("request-limit", "ThrottlingReasons"),
    ],
)
def test_throttles_give_their_reasons_in_the_spelling_of_the_error(kind: str, member: str) -> None:
    with place(Profile({kind: 1.0})) as at, pytest.raises(ClientError) as raised:
        at.client.batch_write_item(**puts(*NAMES))

    [reason] = raised.value.response[member]
    assert reason["reason"].startswith("TableWrite")
    assert reason["resource"].endswith(":table/orders")


def gets(*names: str) -> dict[str, Any]:
    return {"RequestItems": {"orders": {"Keys": [{"pk": {"S": name}} for name in names], "ConsistentRead": True}}}


@pytest.mark.parametrize("kind", READS)
def test_a_read_meets_the_fault(kind: str) -> None:
    with place(Profile({kind: 1.0})) as at:
        seen = outcome(at.client.batch_get_item, **gets(*NAMES))

        assert seen == READS[kind]
        assert at.injector.counts() == {f"read-{kind}": 1, "reads": 1}


@pytest.mark.parametrize("kind", ["unprocessed", "truncated", "corrupted"])
def test_keys_that_are_held_back_come_back_unprocessed_unless_the_answer_is_garbled(kind: str) -> None:
    with place(Profile()) as at:
        at.client.batch_write_item(**puts(*NAMES))
        at.injector.switch(Profile({kind: 1.0}))

        answer = at.client.batch_get_item(**gets(*NAMES))

    found = {item["pk"]["S"] for item in answer.get("Responses", {}).get("orders", [])}
    unprocessed = {key["pk"]["S"] for key in answer.get("UnprocessedKeys", {}).get("orders", {}).get("Keys", [])}
    assert found < ALL
    assert unprocessed == (ALL - found if kind == "unprocessed" else NONE)


def test_a_table_that_is_out_of_order_is_not_read_either() -> None:
    with place(Profile({"outage": 1.0})) as at:
        outcome(at.client.batch_write_item, **puts("a"))

        seen = outcome(at.client.batch_get_item, **gets("a"))

        assert seen == "500 InternalServerError"
        assert at.injector.counts()["read-outage"] == 1


def test_the_states_of_items_are_told_in_their_order_with_the_beginning_of_each_call() -> None:
    told: list[Any] = []
    clock = Clock(7.0)
    with place(Profile()) as at:
        injector = Injector(
            at.upstream,
            Profile(),
            1,
            tables=TABLES,
            counts_units=False,
            clock=clock,
            wrote=lambda *each: told.append(each),
        )
        with serve(injector) as url:
            client = client_of(url)
            client.batch_write_item(**puts("a"))
            client.delete_item(TableName="orders", Key={"pk": {"S": "a"}})
            outcome(
                client.put_item, TableName="orders", Item={"pk": {"S": "a"}}, ConditionExpression="attribute_exists(pk)"
            )

    assert [(write.key, write.item, began) for [write], began in told] == [
        (("a",), {"pk": {"S": "a"}}, 7.0),
        (("a",), None, 7.0),
    ]


def test_what_is_held_back_comes_back_unprocessed_and_is_not_stored() -> None:
    with place(Profile({"unprocessed": 1.0})) as at:
        returned = at.client.batch_write_item(**puts(*NAMES))["UnprocessedItems"]["orders"]

        names = {request["PutRequest"]["Item"]["pk"]["S"] for request in returned}
        assert names == ALL - at.stored()
        assert at.injector.counts()["unprocessed-items"] == len(names)


@pytest.mark.parametrize("kind", ["unprocessed", "truncated", "corrupted"])
def test_the_only_request_of_a_batch_is_never_held_back(kind: str) -> None:
    """The service throttles the whole call then, which is a fault of its own."""
    with place(Profile({kind: 1.0})) as at:
        seen = outcome(at.client.batch_write_item, **puts("a"))

        assert (seen, at.stored()) == ("", {"a"})
        assert "unprocessed" not in at.injector.counts()


def test_what_comes_back_may_be_in_another_order() -> None:
    names = [f"{number:02}" for number in range(20)]
    sorted_answers = set()

    with place(Profile({"unprocessed": 1.0})) as at:
        for _ in range(8):
            returned = at.client.batch_write_item(**puts(*names))["UnprocessedItems"]["orders"]
            order = [request["PutRequest"]["Item"]["pk"]["S"] for request in returned]
            sorted_answers.add(order == sorted(order))

    assert sorted_answers == {True, False}


def test_number_keys_may_come_back_in_another_spelling() -> None:
    items = [{"pk": {"S": "a"}, "at": {"N": str(number)}, "n": {"N": "7"}} for number in range(20)]
    request = {"RequestItems": {"readings": [{"PutRequest": {"Item": item}} for item in items]}}
    spellings, others = set(), set()

    with place(Profile({"unprocessed": 1.0})) as at:
        for _ in range(8):
            for returned in at.client.batch_write_item(**request)["UnprocessedItems"]["readings"]:
                item = returned["PutRequest"]["Item"]
                spellings.add(item["at"]["N"].lstrip("0123456789"))
                others.add(item["n"]["N"])

    assert spellings == {"", ".0", "E0", "E+0"}
    assert others == {"7"}


@pytest.mark.parametrize("kind", ["truncated", "corrupted"])
def test_a_corrupt_answer_reads_like_success_and_only_its_checksum_tells(kind: str) -> None:
    """botocore compares x-amz-crc32 to decide on a retry, and where it must not retry it returns what it has."""
    bodies = []

    with place(Profile({kind: 1.0})) as at:
        at.client.meta.events.register("before-parse.dynamodb", lambda response_dict, **_: bodies.append(response_dict))
        answer = at.client.batch_write_item(**puts(*NAMES))

        assert "UnprocessedItems" not in answer
        assert at.stored() != ALL
        assert zlib.crc32(bodies[0]["body"]) != int(bodies[0]["headers"]["x-amz-crc32"])


def test_a_sound_answer_has_its_checksum() -> None:
    bodies = []

    with place(PROFILES["calm"]) as at:
        at.client.meta.events.register("before-parse.dynamodb", lambda response_dict, **_: bodies.append(response_dict))
        at.client.batch_write_item(**puts(*NAMES))

    assert zlib.crc32(bodies[0]["body"]) == int(bodies[0]["headers"]["x-amz-crc32"])


@pytest.mark.parametrize("kind", ["reset-before", "reset-after"])
def test_a_reset_is_a_reset_and_no_orderly_end(kind: str) -> None:
    body = json.dumps(puts(*NAMES)).encode()
    head = f"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.BatchWriteItem\r\nContent-Length: {len(body)}\r\n\r\n"

    with ExitStack() as parts:
        at = parts.enter_context(place(Profile({kind: 1.0})))
        port = urlsplit(at.url).port or 0
        connection = parts.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LONG))
        connection.sendall(head.encode() + body)

        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_an_outage_lasts_its_seconds_and_is_of_one_table() -> None:
    both = {**puts("a")["RequestItems"], "readings": [{"PutRequest": {"Item": {"pk": {"S": "r"}, "at": {"N": "1"}}}}]}

    with place(Profile({"outage": 1.0}, outage=3)) as at:
        first = outcome(at.client.batch_write_item, **puts("a"))
        at.injector.switch(PROFILES["calm"])
        over = outcome(at.client.batch_write_item, **puts("b"))
        at.injector.switch(Profile({"outage": 1.0}, outage=3))
        returned = at.client.batch_write_item(RequestItems=both)["UnprocessedItems"]

        assert (first, over) == ("500 InternalServerError", "")
        assert returned == puts("a")["RequestItems"]
        assert at.stored("readings") == {"r"}


def test_an_outage_ends() -> None:
    with place(Profile({"outage": 0.5}, outage=3), seed=seed_for("outage", None, None)) as at:
        seen = []
        for at.clock.now in (0.0, 2.9, 3.1):
            seen.append(outcome(at.client.batch_write_item, **puts("a")))

    assert seen == ["500 InternalServerError", "500 InternalServerError", ""]


def seed_for(*kinds: str | None) -> int:
    """A seed that gives the first calls these faults, where every other call has an outage."""
    profile = Profile({"outage": 0.5})
    return next(
        seed
        for seed in range(1000)
        if tuple(decide(profile, seed, number, "BatchWriteItem").name for number in range(len(kinds))) == kinds
    )


def test_credentials_expire_once() -> None:
    with place(Profile({"expired-token": 1.0})) as at:
        seen = [outcome(at.client.batch_write_item, **puts("a")) for _ in range(3)]

    assert seen == ["400 ExpiredTokenException", "", ""]


def test_a_late_request_is_applied_after_its_time_on_the_wire() -> None:
    with place(Profile({"late": 1.0}, delay=8)) as at:
        at.client.batch_write_item(**puts("a"))

        assert 0 < at.clock.now < 8
        assert at.stored() == {"a"}


@pytest.mark.parametrize(("drops_given_up", "stored"), [(True, NONE), (False, {"a"})])
def test_a_request_may_be_applied_after_its_client_has_hung_up(drops_given_up: bool, stored: set[str]) -> None:
    service, has_hung_up = FakeDynamoDB(), threading.Event()
    service.create_table("orders", partition_key=("pk", "S"))
    with ExitStack() as parts:
        upstream = parts.enter_context(serve_fakes(db=service))
        injector = Injector(
            upstream,
            Profile({"late": 1.0}),
            1,
            tables=TABLES,
            counts_units=False,
            drops_given_up=drops_given_up,
            wait=lambda _: has_hung_up.wait(),
        )
        client = client_of(parts.enter_context(serve(injector)), PATIENCE)

        assert outcome(client.batch_write_item, **puts("a")) == "ReadTimeoutError"
        assert eventually(lambda: injector.counts().get("writes"), 1) == 1
        has_hung_up.set()
        while injector.in_flight_since() is not None:
            pass

        assert {item["pk"]["S"] for item in service.items("orders")} == stored
        assert injector.counts().get("given-up", 0) == drops_given_up


def test_a_table_without_write_units_left_gives_the_rest_back_until_they_have_filled_up() -> None:
    with place(Profile(write_units=2)) as at:
        first = at.client.batch_write_item(**puts(*NAMES))["UnprocessedItems"]
        second = outcome(at.client.batch_write_item, RequestItems=first)
        at.clock.now += 1
        third = outcome(at.client.batch_write_item, RequestItems=first)

        assert first == puts("c")["RequestItems"]
        assert second == THROTTLED
        assert third == ""
        assert at.stored() == ALL


def test_a_partition_has_write_units_of_its_own() -> None:
    requests = [{"PutRequest": {"Item": {"pk": {"S": pk}, "at": {"N": str(n)}}}} for n in (1, 2) for pk in ("a", "b")]

    with place(Profile(partition_write_units=1)) as at:
        returned = at.client.batch_write_item(RequestItems={"readings": requests})["UnprocessedItems"]["readings"]

    assert returned == requests[2:]


def test_a_single_write_without_write_units_is_throttled() -> None:
    with place(Profile(write_units=1)) as at:
        seen = [outcome(at.client.put_item, TableName="orders", Item={"pk": {"S": name}}) for name in ("a", "b")]

        assert seen == ["", THROTTLED]
        assert at.stored() == {"a"}


def reading(at: str, **more: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"pk": {"S": "a"}, "at": {"N": at}, **more}}}


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([reading(str(number)) for number in range(26)], "Too many items"),
        ([reading("1"), reading("1.0")], "duplicates"),
        ([reading("1"), {"DeleteRequest": {"Key": {"pk": {"S": "a"}, "at": {"N": "1e0"}}}}], "duplicates"),
        ([reading("1", v={"S": "x" * 400 * 1024})], "maximum allowed size"),
        ([reading(str(number), v={"S": "\x01" * 390_000}) for number in range(8)], "16 MB"),
        ([{"PutRequest": {"Item": {"pk": {"S": "a"}}}}], "key element"),
        ([reading("1", v={"N": "one"})], "key element"),
    ],
    ids=["26", "duplicate", "put and delete", "400 KB", "16 MB", "no sort key", "no number"],
)
def test_an_illegal_batch_is_refused_whatever_the_fault(requests: list[Any], words: str) -> None:
    with place(Profile({"internal-error-after": 1.0})) as at, pytest.raises(ClientError) as raised:
        at.client.batch_write_item(RequestItems={"readings": requests})

    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert words in raised.value.response["Error"]["Message"]
    assert at.service.calls == []
    assert at.injector.counts() == {"refused": 1, "writes": 1}


def test_twenty_five_requests_pass() -> None:
    with place(PROFILES["calm"]) as at:
        at.client.batch_write_item(RequestItems={"readings": [reading(str(number)) for number in range(25)]})

        assert len(at.service.items("readings")) == 25


def test_what_does_not_write_passes() -> None:
    with place(Profile({"internal-error-before": 1.0})) as at:
        answer = at.client.get_item(TableName="orders", Key={"pk": {"S": "a"}})

        assert "Item" not in answer
        assert at.injector.counts() == {}


def test_an_endpoint_that_is_gone_is_an_unavailable_service() -> None:
    injector = Injector("http://127.0.0.1:9", PROFILES["calm"], 1, tables=TABLES, counts_units=False)

    with serve(injector) as url:
        seen = outcome(client_of(url).batch_write_item, **puts("a"))

    assert seen == "503 ServiceUnavailable"
    assert injector.counts()["upstream-unreachable"] == 1


def test_the_faults_are_counted_over_http() -> None:
    with place(Profile({"throttling": 1.0})) as at:
        outcome(at.client.batch_write_item, **puts("a"))
        with urllib.request.urlopen(f"{at.url}/faults", timeout=LONG) as response:
            counts = json.load(response)

    assert counts == {"throttling": 1, "writes": 1}


def test_the_same_seed_gives_the_same_calls_the_same_faults() -> None:
    def seen(seed: int) -> list[Any]:
        profile = replace(PROFILES["hostile"], drip=0, delay=0, shares=without_hangs())
        with place(profile, seed) as at:
            return [answer(at.client, puts(*NAMES, str(number))) for number in range(40)]

    first, again, other = seen(1), seen(1), seen(2)

    assert first == again
    assert first != other


def without_hangs() -> dict[str, float]:
    return {kind: share for kind, share in PROFILES["hostile"].shares.items() if not kind.startswith("hang")}


def answer(client: Any, request: dict[str, Any]) -> Any:
    try:
        return client.batch_write_item(**request).get("UnprocessedItems")
    except Exception as error:  # noqa: BLE001  # Any of them is an answer here.
        return str(error).replace(client.meta.endpoint_url, "")
