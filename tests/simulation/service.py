"""The services' end of the wire: requests as bytes, what becomes of each, and answers as bytes, good and bad."""

from __future__ import annotations

import re
import time as real_time
import zlib
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any

import msgspec

from .chance import Chance
from .model import DENIED, OUT_OF_DATE, Invocation, Model, ViolationError
from .network import SimulatedSocket
from .queues import Queue
from .tables import Json, Tables, canceled
from .virtual_time import Time
from .workload import LATEST, Message, Place, Signature, Workload

EPOCH = 1_790_000_000.0
"""What the services' clocks show at the beginning, in seconds since 1970."""
MAX_CLOCK_SKEW = 300.0  # Seconds. IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MAX_REQUESTS = 25  # API_BatchWriteItem
MAX_ENTRIES = 10  # SQSDeveloperGuide, quotas-messages
MIN_SECONDS, MAX_SECONDS = 0.001, 0.008
"""That a call takes."""
_HEADER = re.compile(
    rb"^POST / HTTP/1\.1\r\nHost: (?P<host>[a-z0-9.-]+)\r\n.*?"
    rb"X-Amz-Target: [A-Za-z0-9_]+\.(?P<action>[A-Za-z]+)\r\nX-Amz-Date: (?P<date>[0-9TZ]{16})\r\n"
    rb"X-Amz-Security-Token: (?P<token>[a-z0-9]+)\r\nAuthorization: AWS4-HMAC-SHA256 [^\r]+\r\n.*?"
    rb"Content-Length: (?P<length>[0-9]+)\r\n\r\n",
    re.DOTALL,
)

WITHOUT_ANSWER = (
    ("reset, not carried out", 0.003), ("reset, carried out", 0.004), ("closed, carried out", 0.003),
    ("silence, not carried out", 0.001), ("silence, carried out", 0.001), ("carried out late", 0.002),
    ("answer breaks off", 0.003), ("answered late", 0.004), ("carried out and answered late", 0.004),
)  # fmt: skip
ERRORS = (
    ("error 500, not carried out", 0.004), ("error 500, carried out", 0.004), ("error 503 in HTML", 0.003),
    ("throttled", 0.015),
)  # fmt: skip
CORRUPT = (
    ("bad checksum", 0.003), ("truncated JSON", 0.003), ("garbage bytes", 0.003), ("wrong types", 0.003),
    ("member missing", 0.004), ("answer about something else", 0.003),
)  # fmt: skip
UNUSUAL = (
    ("chunked answer", 0.01), ("provisional answer first", 0.01), ("answer closes the connection", 0.01),
    ("bytes behind the answer", 0.003), ("answered twice", 0.003), ("closed while idle", 0.01), ("reset while idle", 0.005),
    ("answer without length", 0.004),
)  # fmt: skip
ALL = (*WITHOUT_ANSWER, *ERRORS, *CORRUPT, *UNUSUAL)
KINDS = (
    *(kind for kind, _ in ALL),
    "unprocessed", "no capacity", "transaction conflict", "item denied", "table denied", "credentials expired",
    "signature refused", "poison refused", "SQS entry failed", "SQS too fast",
)  # fmt: skip
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
HTML = b"<html><body><h1>503 Service Unavailable</h1></body></html>"


class Call:
    """A request that has arrived whole."""

    __slots__ = ("about", "action", "body", "connection", "invocation", "is_answered", "items")

    def __init__(self, connection: ServerConnection, action: str, body: Json) -> None:
        self.connection, self.action, self.body = connection, action, body
        self.invocation = connection.invocation
        self.is_answered = False
        self.items: list[tuple[Signature, Place, Json]] = []
        self.about: Sequence[Message] = ()

    @property
    def is_given_up(self) -> bool:
        return self.connection.is_closed_by_client


class ServerConnection:
    """Reads requests one after the other; what is sent before the last one is answered breaks the protocol."""

    def __init__(self, service: Service, end: SimulatedSocket) -> None:
        self._service, self._end = service, end
        self._received = b""
        self._is_reset = False
        self.call: Call | None = None
        self.invocation: Invocation
        """That has sent what arrives."""
        self.is_closed_by_client = False

    def receive(self, data: bytes) -> None:
        if self._is_reset:
            return
        if self.call is not None and not self.call.is_answered:
            raise ViolationError("sent on a connection that still owes an answer", _first_id(self.call.invocation))
        self._received += data
        match = _HEADER.match(self._received)
        if match is None:
            if b"\r\n\r\n" in self._received:
                raise ViolationError(f"a request that AWS would not take: {self._received[:300]!r}")
            return
        length = match.end() + int(match["length"])
        if len(self._received) < length:
            return
        if len(self._received) > length:
            raise ViolationError("bytes behind a request")
        body = self._received[match.end() :]
        self._received = b""
        self._service.handle(self, match["action"].decode(), body, match["date"].decode(), match["token"].decode())

    def ended(self) -> None:
        self.is_closed_by_client = True

    def deliver(self, data: bytes) -> None:
        if not self._is_reset:
            self._end.deliver(data)

    def surprise(self, data: bytes) -> None:
        if not self._is_reset:
            self._end.surprise(data)

    def end(self) -> None:
        self._end.end()

    def reset(self) -> None:
        self._is_reset = True
        self._end.reset()


class Service:
    """What both services share: time, credentials, faults, and how an answer gets on its way."""

    def __init__(self, time: Time, chance: Chance, model: Model, workload: Workload, name: str) -> None:
        self.time, self.chance, self.random, self.model, self.workload = time, chance, chance.random, model, workload
        self.name = name
        self.token = "token0"
        self.calls = 0
        self.calls_left = -1
        """Until the weather changes."""
        self.calls_are_over: Callable[[], None]
        self.holds_back = False
        self._shown_at, self._shown, self._stamp_minimum, self._stamp_maximum = -1, "", "", ""

    def accept(self, end: SimulatedSocket) -> ServerConnection:
        return ServerConnection(self, end)

    def handle(self, connection: ServerConnection, action: str, content: bytes, date: str, token: str) -> None:
        self.calls += 1
        self.calls_left -= 1
        if not self.calls_left:
            self.calls_are_over()
        connection.invocation.calls += 1
        call = Call(connection, action, msgspec.json.decode(content))
        connection.call = call
        self.read(call)
        now = self.time.now
        self.model.trace.note(now, f"{action} arrives: {_shown(call)}", call.invocation.who, call.about)
        if refusal := self._out_of_date(date, token):
            call.invocation.codes[OUT_OF_DATE] += 1
            self._answer(call, 400, refusal, {}, "")
            return
        fault = self.chance.one_of(ALL)
        if not fault:
            status, body = self.carry_out(call)
            self._answer(call, status, body, {}, "")
        else:
            self._fail(call, fault)

    # To be given by each service

    def read(self, call: Call) -> None:
        raise NotImplementedError

    def carry_out(self, call: Call) -> tuple[int, Json]:
        raise NotImplementedError

    def throttle(self, call: Call) -> Json:
        raise NotImplementedError

    def wrong_types(self, body: Json) -> Any:
        """The answer with something in it that is of another type than it must be."""
        raise NotImplementedError

    def without_member(self, body: Json) -> Json:
        """The answer without something that is always there."""
        raise NotImplementedError

    def about_something_else(self, body: Json) -> Json:
        raise NotImplementedError

    # Faults

    def _fail(self, call: Call, fault: str) -> None:  # noqa: C901, PLR0912  # One case for each kind.
        self.model.trace.note(self.time.now, fault, call.invocation.who, call.about)
        match fault:
            case "reset, not carried out":
                self._lose(call)
            case "reset, carried out":
                self.carry_out(call)
                self.time.after(self._latency(), self._lose, call)
            case "closed, carried out":
                self.carry_out(call)
                call.is_answered = True
                call.connection.end()
            case "silence, not carried out":
                pass
            case "silence, carried out":
                self.carry_out(call)
            case "carried out late":
                self.time.after(self.random.uniform(9, 200), self.carry_out, call)
            case "answered late":
                status, body = self.carry_out(call)
                self._answer(call, status, body, {}, "", self.random.uniform(0.1, 9.0))
            case "carried out and answered late":
                self.time.after(self.random.uniform(0.1, 9.0), self._carry_out_and_answer, call)
            case "error 500, not carried out":
                self._answer(call, 500, {"__type": "com.amazonaws#InternalServerError", "message": "oh"}, {}, "")
            case "error 500, carried out":
                self.carry_out(call)
                self._answer(call, 500, {"__type": "com.amazonaws#InternalServerError", "message": "oh"}, {}, "")
            case "error 503 in HTML":
                call.is_answered = True
                self._deliver(call, _http(503, {"content-type": "text/html"}, HTML))
            case "throttled":
                self._answer(call, 400, self.throttle(call), {}, "")
            case _:
                # Most harm would do an answer that has lost what was unprocessed.
                self.holds_back = fault in _OF_CONTENT and self.random.random() < 0.7
                status, body = self.carry_out(call)
                self.holds_back = False
                self._answer(call, status, body, {}, fault)

    def _lose(self, call: Call) -> None:
        call.is_answered = True
        call.connection.reset()

    def _carry_out_and_answer(self, call: Call) -> None:
        status, body = self.carry_out(call)
        self._answer(call, status, body, {}, "")

    def _answer(  # noqa: PLR0913
        self, call: Call, status: int, body: Json, headers: Mapping[str, str], fault: str, later: float = 0.0
    ) -> None:
        """Have the answer on its way; `fault` is what is wrong or unusual about its bytes."""
        said: Any = body
        if fault in _OF_CONTENT and status == 200:
            said = {
                "wrong types": self.wrong_types,
                "member missing": self.without_member,
                "answer about something else": self.about_something_else,
            }[fault](body)
        content = msgspec.json.encode(said)
        all_headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-crc32": str(zlib.crc32(content)),
            "date": self._date(),
            **headers,
        }
        if fault == "bad checksum":
            place = self.random.randrange(len(content))
            content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        elif fault == "truncated JSON":
            content = content[: self.random.randrange(1, len(content))]
            del all_headers["x-amz-crc32"]
        elif fault == "answer closes the connection":
            all_headers["connection"] = "close"
        self.time.after(later + self._latency(), self._send, call, status, all_headers, content, fault)

    def _send(self, call: Call, status: int, headers: dict[str, str], content: bytes, fault: str) -> None:
        call.is_answered = True
        connection = call.connection
        match fault:
            case "garbage bytes":
                data = bytes(self.random.randrange(256) for _ in range(40))
                connection.deliver(data)
                connection.end()
                return
            case "answer breaks off":
                data = _http(status, headers, content)
                connection.deliver(data[: self.random.randrange(1, len(data))])
                connection.end()
                return
            case "chunked answer":
                connection.deliver(_chunked(status, headers, content))
            case "answer without length":
                connection.deliver(_http(status, headers, content, length=False))
                connection.end()
            case "provisional answer first":
                connection.deliver(b"HTTP/1.1 100 Continue\r\n\r\n" + _http(status, headers, content))
            case "bytes behind the answer":
                connection.deliver(_http(status, headers, content) + b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            case _:
                connection.deliver(_http(status, headers, content))
        if fault == "answer closes the connection":
            connection.end()
        elif fault in ("closed while idle", "reset while idle", "answered twice"):
            act: Callable[[], None] = {
                "closed while idle": connection.end,
                "reset while idle": connection.reset,
                "answered twice": lambda: connection.surprise(_http(status, headers, content)),
            }[fault]
            self.time.after(self.random.uniform(0.0, 0.1 if self.random.random() < 0.5 else 20.0),
                            self._if_idle, connection, call, act)  # fmt: skip

    def _if_idle(self, connection: ServerConnection, call: Call, act: Callable[[], None]) -> None:
        if connection.call is call and not connection.is_closed_by_client:
            call.is_answered = True
            act()

    def _deliver(self, call: Call, data: bytes) -> None:
        self.time.after(self._latency(), call.connection.deliver, data)

    def _latency(self) -> float:
        return self.random.uniform(MIN_SECONDS, MAX_SECONDS)

    # Time and credentials

    def _date(self) -> str:
        self._look_at_the_clock()
        return self._shown

    def _look_at_the_clock(self) -> None:
        second = int(self.time.now)
        if second != self._shown_at:
            self._shown_at = second
            now = EPOCH + second
            self._shown = formatdate(now, usegmt=True)
            self._stamp_minimum, self._stamp_maximum = _stamp(now - MAX_CLOCK_SKEW), _stamp(now + MAX_CLOCK_SKEW)

    def _out_of_date(self, date: str, token: str) -> Json | None:
        self._look_at_the_clock()
        if not self._stamp_minimum <= date <= self._stamp_maximum:
            self.chance.count("signature refused")
            words = "Signature expired: " if date < self._stamp_minimum else "Signature not yet current: "
            return {
                "__type": "com.amazonaws#InvalidSignatureException",
                "message": f"{words}{date} is now off {self._stamp_minimum}",
            }
        if token != self.token:
            self.chance.count("credentials expired")
            return {
                "__type": "com.amazonaws#ExpiredTokenException",
                "message": "The security token included in the request is expired",
            }
        return None


_OF_CONTENT = ("wrong types", "member missing", "answer about something else")


def _shown(call: Call) -> str:
    return f"{call.items[0][0]} and {len(call.items) - 1} more" if call.items else f"{len(call.about)} entries"


def _first_id(invocation: Invocation) -> str:
    return invocation.messages[0].id


def _stamp(now: float) -> str:
    return real_time.strftime("%Y%m%dT%H%M%SZ", real_time.gmtime(now))


def _http(status: int, headers: Mapping[str, str], content: bytes, *, length: bool = True) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if length:
        lines += f"content-length: {len(content)}\r\n"
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + content


def _chunked(status: int, headers: Mapping[str, str], content: bytes) -> bytes:
    cut = len(content) // 2
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (content[:cut], content[cut:]) if piece)
    head = _http(status, {**headers, "transfer-encoding": "chunked"}, b"", length=False)
    return head + pieces + b"0\r\n\r\n"


class DynamoDB(Service):
    def __init__(self, time: Time, chance: Chance, model: Model, workload: Workload, tables: Tables) -> None:
        super().__init__(time, chance, model, workload, "dynamodb")
        self._tables = tables
        self.capacity: float | None = None
        """Write units per second of each table; None: as much as is sent."""
        self._tokens: dict[str, tuple[float, float]] = {}
        self.denied: Callable[[Place], bool] | None = None

    def read(self, call: Call) -> None:
        body = call.body
        if call.action == "BatchWriteItem":
            call.items = [
                (_of_request(table, request), (table, _key_of(request)), request)
                for table, requests in body["RequestItems"].items()
                for request in requests
            ]
            self._check_batch(call)
        else:
            arguments = body["TransactItems"][0]["Update"] if call.action == "TransactWriteItems" else body
            attributes = arguments.get("Key") or arguments["Item"]
            place = (arguments["TableName"], attributes["pk"]["S"])
            call.items = [(_of_single(call.action, arguments, place), place, arguments)]
            if place[0] == LATEST.name and "ConditionExpression" not in arguments:
                raise ViolationError(f"{place} has versions, and is written without a condition")
        call.about = self._messages(call)
        invocation = call.invocation
        if invocation.is_over or call.is_given_up:
            return
        for _, place, _ in call.items:
            if len(invocation.on_item.get(place, ())) > 1:
                other = invocation.busy.get(place)
                if other is not None and not other.is_answered and not other.is_given_up:
                    raise ViolationError(f"two calls at once write {place}", call.about[0].id if call.about else "")
                invocation.busy[place] = call

    def _check_batch(self, call: Call) -> None:
        places = {place for _, place, _ in call.items}
        if len(call.items) > MAX_REQUESTS or len(places) < len(call.items) or not call.items:
            raise ViolationError(f"a batch of {len(call.items)} requests for {len(places)} items",
                                 _first_id(call.invocation))  # fmt: skip
        if any(place[0] == LATEST.name for place in places):
            raise ViolationError("a table with versions is written in a batch", _first_id(call.invocation))

    def _messages(self, call: Call) -> Sequence[Message]:
        """The messages of which the call carries something."""
        found = []
        for signature, place, _ in call.items:
            operations = call.invocation.on_item.get(place)
            if not operations:
                raise ViolationError(f"{place} is nobody's item", _first_id(call.invocation))
            found += [operation.message for _, operation in operations if operation.signature == signature]
        return found

    def carry_out(self, call: Call) -> tuple[int, Json]:
        if call.action == "BatchWriteItem":
            return self._batch(call)
        return self._single(call)

    # Batches

    def _batch(self, call: Call) -> tuple[int, Json]:
        if refusal := self._refused(call):
            return 400, refusal
        taken, left = self._divided(call.items)
        if not taken:
            return 400, self.throttle(call)
        requests: dict[str, list[Json]] = {}
        for _, (table, _), request in taken:
            requests.setdefault(table, []).append(request)
        units = self._tables.batch(requests)
        call.invocation.consumed += sum(units.values())
        is_late = call.is_given_up or call.invocation.is_over
        now, apply = self.time.now, self.model.apply
        for signature, place, _ in taken:
            apply(call.invocation, signature, place, now, is_late=is_late)
        unprocessed: dict[str, list[Json]] = {}
        for _, (table, _), request in left:
            unprocessed.setdefault(table, []).append(request)
        if left:
            call.invocation.is_slowed = True
            self.model.trace.note(now, f"{len(left)} unprocessed", call.invocation.who, call.about)
        capacity = [{"TableName": table, "CapacityUnits": count} for table, count in units.items()]
        return 200, {"UnprocessedItems": unprocessed, "ConsumedCapacity": capacity}

    def _divided(self, items: list[Any]) -> tuple[list[Any], list[Any]]:
        left: list[Any] = []
        if self.holds_back or (self.chance.level and self.chance.hits("unprocessed", 0.04)):
            count = self.random.randint(1, len(items))
            left = self.random.sample(items, count)
            items = [item for item in items if item not in left]
        if self.capacity is not None:
            allowed = [self._takes(item[1][0]) for item in items]
            refused = [item for item, is_allowed in zip(items, allowed, strict=True) if not is_allowed]
            if refused:
                self.chance.count("no capacity")
                left = [*left, *refused]
                items = [item for item, is_allowed in zip(items, allowed, strict=True) if is_allowed]
        return items, left

    def _takes(self, table: str) -> bool:
        if self.capacity is None:
            return True
        tokens, at = self._tokens.get(table, (self.capacity, 0.0))
        tokens = min(self.capacity, tokens + (self.time.now - at) * self.capacity)
        is_allowed = tokens >= 1
        self._tokens[table] = (tokens - is_allowed, self.time.now)
        return is_allowed

    # Single writes

    def _single(self, call: Call) -> tuple[int, Json]:
        [(signature, place, _)] = call.items
        if refusal := self._refused(call):
            return 400, refusal
        if not self._takes(place[0]):
            self.chance.count("no capacity")
            return 400, self.throttle(call)
        if call.action == "TransactWriteItems" and self.chance.hits("transaction conflict", 0.03):
            return 400, canceled({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
        status, body = self._tables.single(call.action, call.body)
        call.invocation.consumed += 2 if call.action == "TransactWriteItems" else 1
        if status != 200:
            self.model.condition_failed(call.invocation, signature, place)
        elif call.action == "TransactWriteItems" and "ReadCapacityUnits" in body["ConsumedCapacity"][0]:
            self.model.is_repeated(call.invocation, signature)
        else:
            is_late = call.is_given_up or call.invocation.is_over
            self.model.apply(call.invocation, signature, place, self.time.now, is_late=is_late)
        self.model.trace.note(self.time.now, f"{call.action} {place}: {status}", call.invocation.who, call.about)
        return status, body

    # Refusals

    def _refused(self, call: Call) -> Json | None:
        if self.denied is not None and any(self.denied(place) for _, place, _ in call.items):
            self.chance.count("item denied")
            call.invocation.codes[DENIED] += 1
            return {
                "__type": "com.amazon.coral.service#AccessDeniedException",
                "Message": f"User: sluice is not authorized to perform: dynamodb:{call.action}",
            }
        poisoned = [item for item in call.items if "poison" in _attributes(item[2])]
        if not poisoned:
            return None
        self.chance.count("poison refused")
        signature, _, _ = poisoned[0]
        if len(call.items) == 1:
            call.invocation.refused.add(signature)
        return {
            "__type": "com.amazon.coral.validate#ValidationException",
            "message": f"One or more parameter values were invalid: poison {signature}",
        }

    def throttle(self, call: Call) -> Json:
        if not call.is_given_up and not call.invocation.is_over:
            self.model.throttled(call.invocation, [place for _, place, _ in call.items], self.time.now)
        code = self.random.choice(THROTTLES)
        return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "too fast"}

    def wrong_types(self, body: Json) -> Any:
        if "UnprocessedItems" not in body:
            return {**body, "ConsumedCapacity": self.random.choice(("much", [5], {"CapacityUnits": "1"}))}
        wrong: Sequence[Any] = (
            [body], {**body, "UnprocessedItems": []}, {**body, "UnprocessedItems": None},
            {**body, "UnprocessedItems": {"plain-table": {}}}, {**body, "ConsumedCapacity": "much"},
        )  # fmt: skip
        return self.random.choice(wrong)

    def without_member(self, body: Json) -> Json:
        return {
            name: value
            for name, value in body.items()
            if name != ("UnprocessedItems" if len(body) > 1 else "ConsumedCapacity")
        }

    def about_something_else(self, body: Json) -> Json:
        if "UnprocessedItems" not in body:
            return {"Attributes": {}}
        stranger = {"PutRequest": {"Item": {"pk": {"S": "a stranger"}}}}
        return {**body, "UnprocessedItems": {"plain-table": [stranger]}}


def _of_request(table: str, request: Json) -> Signature:
    if "PutRequest" in request:
        return int(request["PutRequest"]["Item"]["m"]["N"])
    return ("delete", table, request["DeleteRequest"]["Key"]["pk"]["S"])


def _key_of(request: Json) -> str:
    inner = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return str(inner["pk"]["S"])


def _attributes(request: Json) -> Json:
    found: Json = request["PutRequest"]["Item"] if "PutRequest" in request else request.get("Item", {})
    return found


def _of_single(action: str, arguments: Json, place: Place) -> Signature:
    values = arguments.get("ExpressionAttributeValues", {})
    if action == "PutItem":
        return int(arguments["Item"]["m"]["N"])
    if ":m" in values:
        return int(values[":m"]["N"])
    return ("delete", *place, values[":sluice_version"]["N"])


class Sqs(Service):
    """The dead-letter queue, and the visibility of what is on the queue."""

    def __init__(self, time: Time, chance: Chance, model: Model, workload: Workload, queue: Queue, dlq: str) -> None:
        super().__init__(time, chance, model, workload, "sqs")
        self._queue, self._dlq = queue, dlq

    def read(self, call: Call) -> None:
        entries = call.body["Entries"]
        if not 1 <= len(entries) <= MAX_ENTRIES or len({entry["Id"] for entry in entries}) < len(entries):
            raise ViolationError("a batch that SQS would not take", _first_id(call.invocation))
        if (call.action == "SendMessageBatch") != (call.body["QueueUrl"] == self._dlq):
            raise ViolationError(f"{call.action} of {call.body['QueueUrl']}", _first_id(call.invocation))
        if call.action == "SendMessageBatch":
            ids = [entry["MessageAttributes"]["SourceMessageId"]["StringValue"] for entry in entries]
        else:
            ids = [entry["ReceiptHandle"].partition("#")[0] for entry in entries]
        call.about = [self.workload.by_id[id] for id in ids]

    def carry_out(self, call: Call) -> tuple[int, Json]:
        if self.chance.level and self.chance.hits("SQS too fast", 0.02):
            return 400, self.throttle(call)
        successful: list[Json] = []
        failed: list[Json] = []
        for entry, message in zip(call.body["Entries"], call.about, strict=True):
            if self.chance.level and self.chance.hits("SQS entry failed", 0.02):
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            elif call.action == "SendMessageBatch":
                self.model.letter(call.invocation, entry)
                successful.append({"Id": entry["Id"], "MessageId": f"letter-{self.calls}", "MD5OfMessageBody": "0"})
            else:
                receipt, seconds = entry["ReceiptHandle"], entry["VisibilityTimeout"]
                self.model.visibility(call.invocation, receipt, seconds)
                self._queue.change_visibility(message, receipt, float(seconds), self.time.now)
                successful.append({"Id": entry["Id"]})
        return 200, {"Successful": successful, "Failed": failed}

    def throttle(self, call: Call) -> Json:  # noqa: ARG002
        return {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "too fast"}

    def wrong_types(self, body: Json) -> Any:
        return self.random.choice(([], {**body, "Successful": "all"}, {**body, "Successful": [1, 2]}))

    def without_member(self, body: Json) -> Json:
        return {"Successful": body["Successful"][1:]}

    def about_something_else(self, body: Json) -> Json:
        return {**body, "Successful": [{"Id": "4711"}, *body["Successful"]]}
