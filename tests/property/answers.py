"""Fuzzing of answers: `python -m tests.property.answers [--cases 12000] [--seed 1]`.

Answers of DynamoDB and SQS, garbled in their structure, bytes, headers and status, are given to every call that the
function makes, over HTTP and by boto3, instead of doing what was asked. Nothing may raise but the contract's errors,
and no message may count as done that is neither in the table nor among the dead letters. Every case comes from the
seed and its number alone. Exit status 1 where something is not as it must be.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

from botocore.awsrequest import AWSResponse
from msgspec.structs import replace

from sluice.aws import connection as connection_module
from sluice.aws import queue, tables
from sluice.aws.boto import BotoClient
from sluice.aws.http import Request
from sluice.aws.in_flight import Running, Submit
from sluice.aws.reads import Reads
from sluice.aws.route import Route
from sluice.aws.signature import Credentials, Signer
from tests.fakes.protocol import answered
from tests.fakes.service import FakeService
from tests.world import BLOBS, EVENTS, ORDERS, Inline, World

ENVIRON = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
Raw = tuple[int, dict[str, str], bytes]
T = TypeVar("T")
SIGNS = Credentials("key", "secret")

PUTS = [
    {"put": {"pk": "a", "v": 1}},
    {"put": {"pk": "b"}},
    {"put": {"pk": "e", "sk": 1}, "table": "events"},
]
UPDATE = {"update": {"pk": "a"}, "expression": "SET v = :v", "values": {":v": 1}}
CALLS: dict[str, list[Any]] = {
    "BatchWriteItem": [*PUTS, {"RequestItems": {"blobs": [{"PutRequest": {"Item": {"id": {"B": "AQI="}}}}]}}],
    "BatchGetItem": [{"put": {"pk": "a", "v": 1}}, {"put": {"pk": "b"}}, {"delete": {"pk": "gone"}}],
    "PutItem": [{"put": {"pk": "a", "v": 1}, "condition": "attribute_not_exists(pk)"}],
    "DeleteItem": [{"delete": {"pk": "gone"}, "condition": "attribute_exists(pk)"}],
    "UpdateItem": [UPDATE],
    "TransactWriteItems": [UPDATE],
    "SendMessageBatch": [{"put": {"n": n}} for n in range(12)],
    "ChangeMessageVisibilityBatch": [{"put": {"n": n}} for n in range(12)],
}
WAYS = tuple(f"{way} {operation}" for way in ("http", "boto3") for operation in CALLS)


# What is garbled

ERRORS = (
    "ConditionalCheckFailedException", "TransactionCanceledException", "ValidationException", "ThrottlingException",
    "InternalServerError", "InvalidSignatureException", "AccessDeniedException", "SomethingNew", "",
)  # fmt: skip
STATUSES = (200,) * 12 + (201, 202, 204, 206, 300, 301, 304, 400, 400, 403, 404, 413, 429, 500, 502, 503, 504, 599, 999)
DEEP: Any = {"S": "a"}
for _ in range(60):
    DEEP = {"L": [DEEP]}
JUNK: tuple[Any, ...] = (
    None, True, False, 0, 5, -1, 1e308, -0.5, 10**400, "", "x", "\x00", "é", [], {}, [None], [[]], [5], {"a": 5},
    {"S": 5}, {"N": "abc"}, {"N": "9" * 500}, {"N": "1e99999999999999999999"}, {"N": 5}, {"B": "***"}, {"B": 5},
    {"L": 5}, {"L": [5]}, {"M": []}, {"SS": "x"}, {"NS": ["x"]}, {"S": "a", "N": "1"}, {"Unknown": 1}, DEEP,
    [{"PutRequest": 5}], [{"PutRequest": {"Item": 5}}], [{"DeleteRequest": {"Key": {"pk": {"S": ["a"]}}}}],
    {"orders-table": [{"PutRequest": {"Item": {"pk": {"N": "abc"}}}}]}, {"other": []}, {"orders-table": None},
)  # fmt: skip
HEADERS = (
    ("x-amzn-query-error", ("", ";", "A;B;C", "Throttling;Sender", "ConditionalCheckFailedException;Sender", "é")),
    ("content-type", ("text/html; charset=iso-8859-1", "", "application/xml")),
    ("content-encoding", ("gzip", "br", "x")),
    ("x-amzn-requestid", ("", "é")),
    ("date", ("yesterday", "", "Thu, 01 Jan 99999 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT")),
    ("retry-after", ("x", "-1")),
    ("content-length", ("0", "1", "99999999", "-1", "x", "")),
)


def sample(chance: Random, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """A success, or in one of four an error, as the service would give it."""
    if chance.random() < 0.25:
        item = {"pk": {"S": "a"}, "v": {"N": "1"}, "b": {"B": "AQI="}}
        reasons = [{"Code": "ConditionalCheckFailed", "Message": "no", "Item": item}]
        said = {"__type": f"com.amazonaws#{chance.choice(ERRORS)}", "message": "Signature expired: then"}
        return {**said, "Item": item, "CancellationReasons": reasons}
    entries = request.get("Entries", [])
    cut = chance.choice([0, len(entries), len(entries)])
    if entries:
        return {
            "Successful": [{"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": "x"} for e in entries[:cut]],
            "Failed": [{"Id": e["Id"], "SenderFault": True, "Code": "Busy"} for e in entries[cut:]],
        }
    units: Any = {"TableName": "orders-table", "CapacityUnits": 1.0}
    if operation == "BatchGetItem":
        return _read(chance, request)
    if operation != "BatchWriteItem":
        return {"ConsumedCapacity": [units] if operation == "TransactWriteItems" else units}
    some = {table: requests for table, requests in request["RequestItems"].items() if chance.random() < 0.5}
    return {"UnprocessedItems": some, "ConsumedCapacity": [units]}


def _read(chance: Random, request: dict[str, Any]) -> dict[str, Any]:
    """Of each key an item that is not the one to be written, nothing, or the key as unprocessed."""
    [(table, wanted)] = request["RequestItems"].items()
    found: list[Any] = []
    left: list[Any] = []
    for key in wanted["Keys"]:
        match chance.randrange(4):
            case 0:
                left.append(key)
            case 1 | 2:
                found.append({**key, "v": {"N": "0"}})
    unprocessed = {table: {**wanted, "Keys": left}} if left else {}
    capacity = [{"TableName": table, "CapacityUnits": float(len(wanted["Keys"]) - len(left))}]
    return {"Responses": {table: found}, "UnprocessedKeys": unprocessed, "ConsumedCapacity": capacity}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside of a JSON value."""
    keys: Sequence[Any] = (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def rearranged(chance: Random, said: dict[str, Any]) -> Any:
    whole: dict[str, Any] = {"": json.loads(json.dumps(said))}
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        container, key = chance.choice(places(whole))
        match chance.randrange(5):
            case 0 if container is not whole:
                del container[key]
            case 1 if isinstance(container, list):
                container.append(container[key])
            case 2 if isinstance(container, dict) and container is not whole:
                container[chance.choice(["Id", "S", "N", "x", "Successful", "other-table"])] = container.pop(key)
            case _:
                container[key] = json.loads(json.dumps(chance.choice(JUNK)))
    return whole[""]


BYTES: tuple[Callable[[Random, bytes], bytes], ...] = (
    lambda chance, text: text[: chance.randrange(len(text) + 1)],
    lambda chance, text: text[: (at := chance.randrange(len(text)))] + chance.randbytes(1) + text[at + 1 :],
    lambda chance, _: chance.choice([b"", b"null", b"[]", b"5", b'"x"', b"{}", b"NaN", b"<html>busy</html>", b" "]),
    lambda *_: "<h1>Passerelle défaillante</h1>".encode("latin-1"),
    lambda _, text: text.replace(b'"', b'"\xe9', 1),
    lambda _, text: b"\xef\xbb\xbf" + text,
    lambda _, text: text.decode().encode("utf-16"),
    lambda _, text: gzip.compress(text),
    lambda chance, text: text + chance.choice([text, b"x", b"\x00", b"\n\n{"]),
    lambda _, text: text.replace(b"1.0", b"NaN").replace(b"true", b"Infinity"),
    lambda _, text: text.replace(b"1.0", b"1e999").replace(b"5", b"9" * 5000),
    lambda chance, _: chance.choice([b"[", b'{"a":', b'{"UnprocessedItems":', b'{"L":[']) * chance.choice([90, 5000]),
    lambda _, text: b'{"a":' * 400 + text + b"}" * 400,
    lambda _, text: text[:-1] + b',"UnprocessedItems":5}',
    lambda _, text: text.replace(b":", b':"\\ud800",', 1),
)  # fmt: skip


def garbled(chance: Random, operation: str, request: dict[str, Any]) -> Raw:
    content = json.dumps(rearranged(chance, sample(chance, operation, request))).encode()
    if chance.random() < 0.4:
        content = chance.choice(BYTES)(chance, content)
    headers = {"x-amzn-requestid": "r", "content-type": "application/x-amz-json-1.0"}
    right = str(zlib.crc32(content))
    if checksum := chance.choice(["", "", right, right, f" {right} ", " ", "1", "x", "-1", "1, 1"]):
        headers["x-amz-crc32"] = checksum
    if chance.random() < 0.3:
        name, values = chance.choice(HEADERS)
        headers[name] = chance.choice(values)
    return chance.choice(STATUSES), headers, content


# What may count


def claims_nothing(operation: str, answer: Raw, request: dict[str, Any]) -> bool:
    """Whether nobody may take it for the service's word that anything was done, or can never be done."""
    status, headers, content = answer
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum.strip() != str(zlib.crc32(content)):
        return True
    try:
        said = json.loads(content.decode(), parse_constant=lambda _: 1 / 0)
    except (ValueError, RecursionError, ZeroDivisionError):
        said = None
    if status != 200:
        named = {str(value) for value in (said or {}).values()} if isinstance(said, dict) else set()
        return not any(code and code in text for code in ERRORS for text in (*named, *headers.values()))
    if not isinstance(said, dict):
        return True
    if "Entries" in request:
        ids = {entry["Id"] for entry in request["Entries"]}
        successful = said.get("Successful")
        return not isinstance(successful, list) or not any(
            isinstance(entry, dict) and isinstance(entry.get("Id"), str) and entry["Id"] in ids for entry in successful
        )
    if operation == "BatchGetItem":
        return not is_read(said, request)
    if operation == "BatchWriteItem":
        unprocessed = said.get("UnprocessedItems")
        is_list = isinstance(unprocessed, dict) and all(isinstance(each, list) for each in unprocessed.values())
        return not is_list or not are_units(said.get("ConsumedCapacity", []))
    return not said.get("ConsumedCapacity") or not are_units(said["ConsumedCapacity"])


def is_read(said: dict[str, Any], request: dict[str, Any]) -> bool:
    """Whether it is an answer to the request that says of an item that it need not be written."""
    [(table, wanted)] = request["RequestItems"].items()
    asked = [key["pk"]["S"] for key in wanted["Keys"]]
    try:
        responses, unprocessed = said["Responses"], said["UnprocessedKeys"]
        found = [item["pk"]["S"] for item in responses.get(table, [])]
        left = [key["pk"]["S"] for key in (unprocessed[table]["Keys"] if unprocessed else [])]
        is_right = sorted([*found, *left]) == sorted({*found, *left}) and {*found, *left} <= {*asked}
    except (AttributeError, LookupError, TypeError):
        return False
    is_there = "gone" not in asked or "gone" in found or "gone" in left
    return is_right and not (
        is_there and all(item.get("v") != {"N": "1"} and len(item) > 1 for item in responses[table])
    )


def are_units(value: Any) -> bool:
    return value is None or all(
        isinstance(each, dict)
        and isinstance(each.get("TableName") or "", str)  # null is absent in AWS JSON
        and type(each.get("CapacityUnits")) in (int, float)
        and 0 <= each["CapacityUnits"] < 1e300
        for each in (value if isinstance(value, list) else [value])
    )


# What is tried


@dataclass
class Services:
    """DynamoDB and SQS at the end of a wire; the first `garble` answers to one operation are not theirs."""

    world: World
    chance: Random
    operation: str
    garble: int
    given: list[Raw] = field(default_factory=list)

    def answer(self, service: FakeService, operation: str, body: bytes) -> Raw:
        request = json.loads(body)
        if operation == self.operation and self.garble > 0:
            self.garble -= 1
            answer = garbled(self.chance, operation, request)
            if claims_nothing(operation, answer, request):
                self.given.append(answer)
                return answer
        return answered(service, operation, body, service.perform)

    def of(self, prefix: str) -> FakeService:
        return self.world.sqs if prefix == "AmazonSQS" else self.world.db

    # As the HTTP client of both

    def begin(self, request: Request, _: float, then: Callable[[Any], T], submit: Submit) -> Running[T]:
        return submit(self._end, request, then)

    def _end(self, request: Request, then: Callable[[Any], T]) -> T:
        try:
            return then(self.post(request))
        except OSError as error:
            return then(error)

    def post(self, request: Request, *__: Any) -> Any:
        prefix, _, operation = request.target.partition(".")
        status, headers, content = self.answer(self.of(prefix), operation, request.body)
        lines = "".join(
            f"{name}: {value}\r\n" for name, value in {"content-length": str(len(content)), **headers}.items()
        )
        socket = OneAnswer(f"HTTP/1.1 {status:03} X\r\n{lines}\r\n".encode("latin-1") + content)
        connection = connection_module.Connection(socket)  # type: ignore[arg-type]
        steps = connection.exchange(b"", request.body, request.answer_bytes)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return end.value

    def has_room(self) -> bool:
        return True

    def correct_clock(self, date: str) -> None:
        signer = Signer("dynamodb", "us-east-1", "host")
        signer.correct(date)
        signer.lines("target", b"{}", SIGNS)  # Whatever the date was.

    # As boto3's way to both

    def send(self, request: Any, **_: Any) -> AWSResponse:
        prefix, _, operation = request.headers["X-Amz-Target"].decode().partition(".")
        status, headers, content = self.answer(self.of(prefix), operation, request.body)
        response = AWSResponse(request.url, status, headers, None)
        response._content = content
        return response


class OneAnswer:
    """A socket that takes anything and gives one answer."""

    def __init__(self, whole: bytes) -> None:
        self._rest = whole
        self._pipe: tuple[int, ...] = os.pipe()

    def close(self) -> None:
        for number in self._pipe:
            os.close(number)
        self._pipe = ()

    def setblocking(self, _: bool) -> None:
        """It never blocks."""

    def fileno(self) -> int:
        return self._pipe[0]

    def send(self, data: memoryview) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


class ByBoto3(BotoClient):
    """boto3's clients, whose requests are answered here."""

    services: Services

    def _new(self, service: str, config: Any) -> Any:
        client = super()._new(service, config)
        client.meta.events.register(f"before-send.{service}", lambda **given: self.services.send(**given))
        return client


@dataclass
class Report:
    cases: int = 0
    given: Counter[str] = field(default_factory=Counter)
    """Garbled answers by way."""
    ends: Counter[str] = field(default_factory=Counter)
    problems: dict[str, tuple[int, list[Raw]]] = field(default_factory=dict)
    """An example of each: the number of its case, and the answers that were given."""


def run(cases: int, seed: int, first: int = 0) -> Report:
    report = Report()
    with patch.dict(os.environ, ENVIRON), patch("botocore.endpoint.time.sleep"):
        boto = ByBoto3(1)
        for number in range(first, first + cases):
            services, problems, end = judge(boto, seed, number)
            report.cases += 1
            report.ends[end] += 1
            report.given[way_of(number)] += len(services.given)
            for problem in problems:
                report.problems.setdefault(problem, (number, services.given))
    return report


def way_of(number: int) -> str:
    return WAYS[number % len(WAYS)]


def judge(boto: ByBoto3, seed: int, number: int) -> tuple[Services, list[str], str]:
    """The answers that were given, what is wrong with what came of them, and what came of the invocation."""
    chance, way = Random(f"{seed} {number}"), way_of(number)
    operation = way.partition(" ")[2]
    world = World(
        tables=[replace(table, skip_unchanged=operation == "BatchGetItem") for table in (ORDERS, EVENTS, BLOBS)],
        settings={"update_once": operation == "TransactWriteItems"},
        dead_letters=operation[:6] != "Change",
    )
    world.db.put_item(TableName="orders-table", Item={"pk": {"S": "gone"}})
    services = boto.services = Services(world, chance, operation, chance.choice([1, 1, 2, 4]))
    http = services if way.startswith("http") else None
    routes = [
        Route(lambda: boto, http, lambda: SIGNS, prefix=prefix, connections=8, clock=world.clock)
        for prefix in (tables.PREFIX, queue.PREFIX)
    ]
    world.pipeline._table._dynamodb = routes[0]  # type: ignore[attr-defined]
    assert world.pipeline._unchanged is not None
    world.pipeline._unchanged.port = Reads(world.tables, routes[0])
    world.pipeline._notices._queue = queue.Queue(routes[1], boto.sqs_url, clock=world.clock, executor=Inline)
    world.send(*CALLS[operation])
    try:
        outcome = world.invoke(world.receive(), 10.0)
    except Exception as error:  # noqa: BLE001  # Whatever it is, it is what is looked for.
        return services, [f"{way}: raises {type(error).__name__}: {error}"[:200]], "raised"
    lost = [message for message in outcome.written if not is_done(world, operation)]
    lost += outcome.dead_lettered[len(world.letters()) :]
    problems = [f"{way}: {len(lost)} counted as done that are not"] if lost else []
    return services, problems, type(outcome.error).__name__ if outcome.error else "answered"


def is_done(world: World, operation: str) -> bool:
    """Whether all that was to be written is."""
    items = {item["pk"]["S"]: item for item in world.db.items("orders-table")}
    match operation:
        case "BatchWriteItem":
            others = len(world.db.items("events-table")), len(world.db.items("blobs-table"))
            return {"a", "b"} <= items.keys() and others == (1, 1)
        case "DeleteItem":
            return "gone" not in items
        case "BatchGetItem":
            return "gone" not in items and "v" in items.get("a", {}) and "b" in items
    return "v" in items.get("a", {})


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the answers of DynamoDB and SQS")
    parser.add_argument("--cases", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    started = time.monotonic()
    report = run(given.cases, given.seed)
    seconds = time.monotonic() - started
    answers = sum(report.given.values())
    sys.stdout.write(f"{report.cases:,} cases, {answers:,} garbled answers in {seconds:.0f} s: {dict(report.ends)}\n")
    for problem, (number, examples) in report.problems.items():
        sys.stdout.write(f"{problem} (case {number} of seed {given.seed}): {examples}\n")
    sys.exit(bool(report.problems))


if __name__ == "__main__":
    main()
