"""A DynamoDB that costs next to nothing: it answers at once, or after a fixed latency, and counts.

`python -m tests.benchmarks.server [--latency MS]` prints its port. One thread for all connections; the answers are
made beforehand. Whether a request is right the strict fake of the tests decides; here it is only opened, and only while
something is to be counted in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import selectors
import socket
import sys
import threading
import time
import zlib
from collections import Counter, deque
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


@dataclass(slots=True)
class Counts:
    """What has come since it was last begun to count."""

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

    def told(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "written": self.written,
            "items": self.items,
            "distinct": len(self.keys),
            "largest": self.largest,
            "waited": self.waited,
        }


def _item(write: dict[str, Any]) -> dict[str, Any]:
    """The item of a put, the key of a delete or an update."""
    item: dict[str, Any] = write["Item"] if "Item" in write else write["Key"]
    return item


class Connection:
    """One client's requests, as they come."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = accepted
        self._received = b""

    def read(self) -> list[tuple[bytes, bytes]] | None:
        """Head, in lower case, and body of each request that is whole now; None where the client has closed."""
        try:
            more = self.socket.recv(262_144)
        except ConnectionError:
            more = b""
        if not more:
            return None
        self._received += more
        found = []
        while (end := self._received.find(END_OF_HEAD)) >= 0:
            head = self._received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            total = end + len(END_OF_HEAD) + int(length.split(b"\r\n", 1)[0] or 0)
            if len(self._received) < total:
                break
            found.append((head, self._received[end + len(END_OF_HEAD) : total]))
            self._received = self._received[total:]
        return found


class Server:
    """Listens on a free port of this machine."""

    def __init__(self, latency: float) -> None:
        """`latency`: seconds between a request and its answer."""
        self._latency = latency
        self._check = False
        self._counts = Counts()
        self._cpu = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waiting: deque[tuple[float, Connection, bytes]] = deque()
        """Answers and the times of their requests, the earliest first."""

    def run(self) -> None:
        while True:
            for key, _ in self._ready():
                if key.data is None:
                    connection = Connection(self._listener.accept()[0])
                    self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                else:
                    self._serve(key.data)
            while self._waiting and self._waiting[0][0] + self._latency <= time.perf_counter():
                began, connection, answer = self._waiting.popleft()
                self._counts.waited += time.perf_counter() - began
                self._send(connection, answer)

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        if not self._waiting:
            return self._selector.select()
        seconds = self._waiting[0][0] + self._latency - time.perf_counter()
        # A selector rounds up to whole milliseconds; select() on the selector's own descriptor does not.
        select.select([self._selector.fileno()], [], [], max(0.0, seconds))
        return self._selector.select(0)

    def _serve(self, connection: Connection) -> None:
        requests = connection.read()
        if requests is None:
            self._selector.unregister(connection.socket)
            connection.socket.close()
            return
        for head, body in requests:
            if head.startswith(b"get "):
                self._send(connection, self._control(head.split(b" ", 2)[1].decode()))
            elif self._latency:
                self._waiting.append((time.perf_counter(), connection, self._answer(head, body)))
            else:
                self._send(connection, self._answer(head, body))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        name, answers = BY_TARGET[head.split(b"x-amz-target: dynamodb_20120810.", 1)[1].split(b"\r\n", 1)[0]]
        counts = self._counts
        counts.calls[name] += 1
        if name != "DescribeTable":
            counts.written += sum(map(body.count, MARKS[name])) if name in MARKS else 1
            if self._check:
                counts.open(body)
        return answers[ASKED in body]

    def _send(self, connection: Connection, answer: bytes) -> None:
        with contextlib.suppress(OSError):  # The client has gone; its end will be read, or has been.
            connection.socket.sendall(answer)

    def _control(self, path: str) -> bytes:
        """`/reset` and `/check` begin to count anew, without and with opening the requests; `/counts` tells."""
        if path == "/counts":
            return reply({**self._counts.told(), "cpu": time.process_time() - self._cpu})
        self._check = path == "/check"
        self._counts = Counts()
        self._cpu = time.process_time()
        return reply({})


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
