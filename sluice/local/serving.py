"""What the local HTTP servers have in common: a thread for each connection, answers in one write, not a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TICK = 0.05
"""Seconds between looks at whether a server is to end."""


@contextmanager
def serving(handler: type[QuietHandler], port: int = 0) -> Iterator[int]:
    """Serve on a port of 127.0.0.1, by default any free one, until exit; yields it. Raises OSError."""
    server = _QuietServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": TICK}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Say nothing: clients come and go, and one that was ended leaves a broken connection behind."""


class QuietHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 with bodies that may come in chunks."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # Header and body leave in one write; in two, delayed ACKs cost 40 ms.

    def payload(self) -> bytes:
        """The request's body."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: standard error is the user's."""
