"""A DynamoDB that costs next to nothing: it answers at once, or after a fixed latency, and counts.

`python -m tests.benchmarks.server [--latency MS]` prints its port. A thread a connection; the answers are made
beforehand. Whether a request is right the strict fake of the tests decides; here it is only opened, and only while
something is to be counted in it.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.records import TABLE

END_OF_HEAD = b"\r\n\r\n"
KEY_SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


def reply(content: Any) -> bytes:
    """A whole answer, with DynamoDB's headers and its checksum."""
    body = json.dumps(content).encode()
    head = (
        "HTTP/1.1 200 OK",
        "Server: Server",
        "Content-Type: application/x-amz-json-1.0",
        f"Content-Length: {len(body)}",
        "Connection: keep-alive",
        "x-amzn-RequestId: 2D6KBQ8R0O4HUQ7UVGGN3UDJFJVV4KQNSO5AEMVJF66Q9ASUAAJG",
        f"x-amz-crc32: {zlib.crc32(body)}",
    )
    return "\r\n".join(head).encode() + END_OF_HEAD + body


def _unit(units: float) -> dict[str, Any]:
    return {"CapacityUnits": units, "TableName": TABLE}


DESCRIBED = reply({"Table": {"TableName": TABLE, "TableStatus": "ACTIVE", "KeySchema": KEY_SCHEMA}})
REPLIES = {  # Without and with the capacity, for which a request asks by ReturnConsumedCapacity.
    b"BatchWriteItem": (
        reply({"UnprocessedItems": {}}),
        reply({"ConsumedCapacity": [_unit(25.0)], "UnprocessedItems": {}}),
    ),
    b"PutItem": (reply({}), reply({"ConsumedCapacity": _unit(1.0)})),
    b"DeleteItem": (reply({}), reply({"ConsumedCapacity": _unit(1.0)})),
    b"UpdateItem": (reply({}), reply({"ConsumedCapacity": _unit(1.0)})),
    b"TransactWriteItems": (reply({}), reply({"ConsumedCapacity": [_unit(2.0)]})),
    b"DescribeTable": (DESCRIBED, DESCRIBED),
}
ASKED = b"ReturnConsumedCapacity"
MARKS = {"BatchWriteItem": (b'"PutRequest"', b'"DeleteRequest"'), "TransactWriteItems": (b'"TableName"',)}
"""What stands once in each of several writes; no text of the records looks like it."""


@dataclass(slots=True, eq=False)
class Counts:
    """What one connection has brought; only its own thread writes it."""

    calls: Counter[str] = field(default_factory=Counter)
    written: int = 0
    """Items, by a glance at the bodies; counted always."""
    items: int = 0
    keys: set[tuple[str, str]] = field(default_factory=set)
    largest: int = 0
    """Requests in the fullest call."""
    waited: float = 0.0
    """Seconds from the requests to their answers: on a busy machine more than the latency."""

    def open(self, body: bytes) -> None:
        """Count what is in a write, of one item or of several."""
        request = json.loads(body)
        if "RequestItems" in request:
            writes = [each for of_table in request["RequestItems"].values() for each in of_table]
        else:
            writes = request.get("TransactItems") or [{"": request}]
        items = [_item(write) for each in writes for write in each.values()]
        self.items += len(items)
        self.keys.update((item["pk"]["S"], item["sk"]["S"]) for item in items)
        self.largest = max(self.largest, len(items))


def _item(write: dict[str, Any]) -> dict[str, Any]:
    """The item of a put, the key of a delete or an update."""
    item: dict[str, Any] = write["Item"] if "Item" in write else write["Key"]
    return item


def requests(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Head, in lower case, and body of each request of a connection, until the client closes it."""
    received = b""
    with connection:
        while True:
            while (end := received.find(END_OF_HEAD)) < 0:
                more = connection.recv(262_144)
                if not more:
                    return
                received += more
            head = received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            total = end + len(END_OF_HEAD) + int(length.split(b"\r\n", 1)[0] or 0)
            while len(received) < total:
                more = connection.recv(262_144)
                if not more:
                    return
                received += more
            yield head, received[end + len(END_OF_HEAD) : total]
            received = received[total:]


class Server:
    """Listens on a free port of this machine."""

    def __init__(self, latency: float) -> None:
        """`latency`: seconds between a request and its answer."""
        self._latency = latency
        self._check = False
        self._counts: list[Counts] = []
        self._cpu = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        counts: Counts | None = None
        for head, body in requests(connection):
            if head.startswith(b"get "):
                connection.sendall(self._control(head.split(b" ", 2)[1].decode()))
                continue
            name, answers = BY_TARGET[head.split(b"x-amz-target: dynamodb_20120810.", 1)[1].split(b"\r\n", 1)[0]]
            if counts not in self._counts:  # The first request, or the first one after a reset.
                counts = Counts()
                self._counts.append(counts)
            assert counts is not None
            counts.calls[name] += 1
            if name != "DescribeTable":
                counts.written += sum(map(body.count, MARKS[name])) if name in MARKS else 1
            if self._check and name != "DescribeTable":
                counts.open(body)
            if self._latency:
                began = time.perf_counter()
                time.sleep(self._latency)
                counts.waited += time.perf_counter() - began
            connection.sendall(answers[ASKED in body])

    def _control(self, path: str) -> bytes:
        """`/reset` and `/check` begin to count anew, without and with opening the requests; `/counts` tells."""
        if path == "/counts":
            return reply(self._told())
        self._check = path == "/check"
        self._counts = []
        self._cpu = time.process_time()
        return reply({})

    def _told(self) -> dict[str, Any]:
        calls: Counter[str] = Counter()
        keys: set[tuple[str, str]] = set()
        for counts in self._counts:
            calls += counts.calls
            keys |= counts.keys
        return {
            "calls": calls,
            "written": sum(counts.written for counts in self._counts),
            "items": sum(counts.items for counts in self._counts),
            "distinct": len(keys),
            "largest": max((counts.largest for counts in self._counts), default=0),
            "waited": sum(counts.waited for counts in self._counts),
            "cpu": time.process_time() - self._cpu,
        }


BY_TARGET = {name.lower(): (name.decode(), answers) for name, answers in REPLIES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="A DynamoDB to measure clients against")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="milliseconds before each answer")
    server = Server(parser.parse_args().latency / 1000)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.run, daemon=True).start()
    sys.stdin.read()  # Until whoever started it ends, however it ends.


if __name__ == "__main__":
    main()
