"""The injector on a port of 127.0.0.1, speaking HTTP well or as badly as a delivery wants it."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .injector import Delivery, Injector
from .kinds import Manner
from .upstream import UpstreamResponse

TICK = 0.02
"""Seconds between looks at a client that is left hanging, and between pieces of a dripped answer, at least."""
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds: close() sends RST.


@contextmanager
def serve(injector: Injector, port: int = 0) -> Iterator[str]:
    """Serve on 127.0.0.1, by default on a free port, while the block runs; yields the URL. GET /faults counts."""
    server = _Server(("127.0.0.1", port), injector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": TICK}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        injector.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # A connection that is kept alive would hold the end up.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], injector: Injector) -> None:
        self.injector = injector
        super().__init__(address, _Handler)

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # Without shutdown(), which would say FIN where RST is meant.

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # A client that has gone away is part of the game.
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        status, content = (200, self.server.injector.counts()) if self.path == "/faults" else (404, {})
        answer = UpstreamResponse(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
        self._send(_bytes(Delivery(answer)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.injector.working():
            delivery = self.server.injector.answer(dict(self.headers.items()), body, self._has_hung_up)
        self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        whole = _bytes(delivery)
        match delivery.manner:
            case Manner.WHOLE | Manner.CORRUPTED:
                self._send(whole)
            case Manner.CUT:
                self._send(whole[: -max(1, len(delivery.answer.body) // 2)])
                self.close_connection = True
            case Manner.DRIPPED:
                self._drip(whole, delivery.seconds)
            case Manner.RESET:
                self._reset()
            case Manner.HUNG:
                self._hang(delivery.seconds)
                self._reset()

    def _send(self, content: bytes) -> None:
        self.wfile.write(content)

    def _drip(self, content: bytes, seconds: float) -> None:
        pieces = min(len(content), max(1, int(seconds / TICK)))
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            self._send(content[start : start + size])
            self.server.injector.stopping.wait(seconds * size / len(content))

    def _hang(self, seconds: float) -> None:
        """Say nothing until the client hangs up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.injector.stopping.wait(TICK):
            if self._has_hung_up():
                return

    def _has_hung_up(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was injected is counted."""


def _bytes(delivery: Delivery) -> bytes:
    """Status, headers and body in one piece: sent in two, Nagle's algorithm would wait for an acknowledgement."""
    answer = delivery.answer
    checksum = zlib.crc32(answer.body) if delivery.checksum is None else delivery.checksum
    head = {**answer.headers, "Content-Length": str(len(answer.body)), "x-amz-crc32": str(checksum)}
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(f"{n}: {v}" for n, v in head.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
