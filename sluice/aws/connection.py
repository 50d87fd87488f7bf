"""One HTTP/1.1 connection: a request out, and what arrives to the parser."""

from __future__ import annotations

import select
import socket
from collections.abc import Generator, Mapping
from typing import TypeVar

from .http_parser import MAX_HEAD_BYTES, HttpResponse, ResponseParser

MAX_GROWTH = 6
"""Bytes of an answer for each of its request: it repeats no more than that, each byte as \\u00XX (RFC 8259, 7)."""
ONE_WRITE_BYTES = 64 * 1024
"""Up to here head and body are copied into one write, and so one packet where they fit."""

T = TypeVar("T")
Steps = Generator[int, None, T]
"""Gives what it waits for each time that it cannot go on: of `select`, POLLIN or POLLOUT."""

_WANTED: Mapping[type[OSError], int] = {BlockingIOError: 0}
"""Exceptions of a socket that is not ready → the poll event to wait for; 0 is the event of what was tried."""


class Connection:
    """One socket, used by one call at a time.

    `wanted`: exceptions of a socket that is not ready → the poll event to wait for.
    """

    def __init__(self, connected: socket.socket, wanted: Mapping[type[OSError], int] = _WANTED) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._wanted = wanted
        self._not_ready = tuple(wanted)
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self.may_be_kept = False
        self.since = 0.0
        """Idle since, in seconds since 1970."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        self.close()  # Of a call that was given up before it had its connection.

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither the end of the connection nor anything else."""
        return not self._readable.poll(0)

    def exchange(self, head: bytes, body: bytes, answer_bytes: int = 0) -> Steps[HttpResponse]:
        """`answer_bytes`: how much longer the answer may be than one that repeats the request."""
        parser = ResponseParser(MAX_HEAD_BYTES + MAX_GROWTH * len(body) + answer_bytes)
        self.may_be_kept = False
        try:
            if len(body) <= ONE_WRITE_BYTES:
                yield from self._send(head + body)
            else:
                yield from self._send(head)
                yield from self._send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may have been refused before it was read to the end; else there is no answer to read.
        del head, body
        yield select.POLLIN  # The answer is hardly ever there at once: not worth a look.
        while (response := parser.feed((yield from self._receive()))) is None:
            pass
        self.may_be_kept = parser.may_be_kept
        return response

    def _send(self, data: bytes) -> Steps[None]:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except self._not_ready as error:
                yield self._wanted[type(error)] or select.POLLOUT

    def _receive(self) -> Steps[bytes]:
        while True:
            try:
                return self._socket.recv(64 * 1024)
            except self._not_ready as error:
                yield self._wanted[type(error)] or select.POLLIN


def wanted_by_tls() -> Mapping[type[OSError], int]:
    import ssl  # Not loaded for a local endpoint.

    return {ssl.SSLWantReadError: select.POLLIN, ssl.SSLWantWriteError: select.POLLOUT, **_WANTED}
