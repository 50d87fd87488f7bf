"""One HTTP/1.1 connection: the bytes of a request out, the bytes of an answer in."""

from __future__ import annotations

import select
import socket
from collections.abc import Generator, Mapping
from typing import NamedTuple, TypeVar

MAX_HEAD_BYTES = 64 * 1024
MAX_GROWTH = 6
"""Bytes of an answer for each of its request: it repeats no more than that, each byte as \\u00XX (RFC 8259, 7)."""
ONE_WRITE_BYTES = 64 * 1024
"""Up to here head and body are copied into one write, and so one packet where they fit."""

T = TypeVar("T")
Steps = Generator[int, None, T]
"""Gives what it waits for each time that it cannot go on: of `select`, POLLIN or POLLOUT."""

_WANTED: Mapping[type[OSError], int] = {BlockingIOError: 0}
"""Exceptions of a socket that is not ready → the poll event to wait for; 0 is the event of what was tried."""


class HttpResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    """By name in lower case."""
    content: bytes


class ProtocolError(OSError):
    """What came back is not HTTP, or not all of it."""


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
        self._received = b""
        """What has arrived and is not yet used."""
        self._max_bytes = MAX_HEAD_BYTES
        """Of the answer's content."""
        self.may_be_kept = False
        self.since = 0.0
        """Idle since, in seconds since 1970."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither the end of the connection nor anything else."""
        return not self._readable.poll(0)

    def exchange(self, head: bytes, body: bytes) -> Steps[HttpResponse]:
        self._max_bytes = MAX_HEAD_BYTES + MAX_GROWTH * len(body)
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
        return (yield from self._answer())

    def _send(self, data: bytes) -> Steps[None]:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except self._not_ready as error:
                yield self._wanted[type(error)] or select.POLLOUT

    def _answer(self) -> Steps[HttpResponse]:
        """The next answer but for those that are only provisional (1xx)."""
        self.may_be_kept = False
        while True:
            version, status, headers = _head((yield from self._until(b"\r\n\r\n")))
            if status >= 200:
                break
        length = headers.get("content-length")
        if status in (204, 304):
            content, has_end = b"", True
        elif "transfer-encoding" in headers:
            content, has_end = (yield from self._chunked(headers["transfer-encoding"])), True
        elif length is not None:
            content, has_end = (yield from self._exactly(_length(length, 10))), True
        else:
            content, has_end = (yield from self._all()), False
        # What has come beyond the answer belongs to nothing that was asked.
        closes = version != "HTTP/1.1" or "close" in headers.get("connection", "").lower()
        self.may_be_kept = has_end and not closes and not self._received
        return HttpResponse(status, headers, content)

    def _chunked(self, coding: str) -> Steps[bytes]:
        if coding.lower() != "chunked":
            raise ProtocolError("an unknown Transfer-Encoding")
        chunks, total = [], 0
        while size := _length((yield from self._until(b"\r\n")).partition(";")[0].strip(), 16):
            chunks.append((yield from self._exactly(size, total)))
            total += size
            if (yield from self._until(b"\r\n")):
                raise ProtocolError("a chunk of another length than announced")
        while (yield from self._until(b"\r\n")):  # Trailers.
            pass
        return b"".join(chunks)

    def _until(self, mark: bytes) -> Steps[str]:
        """The text before the mark; the mark is used up."""
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ProtocolError("a head without end")
            self._received += (yield from self._receive()) or _broken_off()
        text = self._received[:end].decode("latin-1")
        self._received = self._received[end + len(mark) :]
        return text

    def _exactly(self, size: int, before: int = 0) -> Steps[bytes]:
        """So many bytes, of which `before` have come already."""
        if before + size > self._max_bytes:
            raise ProtocolError("an answer that is too long")
        received = self._received
        if len(received) < size:
            parts, missing = [received], size - len(received)
            while missing > 0:
                part = (yield from self._receive()) or _broken_off()
                parts.append(part)
                missing -= len(part)
            received = b"".join(parts)
        self._received = received[size:]
        return received[:size]

    def _all(self) -> Steps[bytes]:
        parts, self._received = [self._received], b""
        size = len(parts[0])
        while part := (yield from self._receive()):
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise ProtocolError("an answer that is too long")
        return b"".join(parts)

    def _receive(self) -> Steps[bytes]:
        while True:
            try:
                return self._socket.recv(64 * 1024)
            except self._not_ready as error:
                yield self._wanted[type(error)] or select.POLLIN


def wanted_by_tls() -> Mapping[type[OSError], int]:
    import ssl  # Not loaded for a local endpoint.

    return {ssl.SSLWantReadError: select.POLLIN, ssl.SSLWantWriteError: select.POLLOUT, **_WANTED}


def _head(text: str) -> tuple[str, int, dict[str, str]]:
    """Version, status and headers (names in lower case). Raises ProtocolError."""
    first, *lines = text.split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isdecimal() and rest[3:4] in ("", " ")):
        raise ProtocolError("an answer that is not HTTP/1.x")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip() != name:
            raise ProtocolError("a malformed header")
        name = name.lower()
        # Twice the same header is a list; of a length or a checksum that makes something that is no number.
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return version, int(rest[:3]), headers


def _length(text: str, base: int) -> int:
    if not (text.isascii() and text.isalnum()):
        raise ProtocolError("a length that is no number")
    try:
        return int(text, base)
    except ValueError:
        raise ProtocolError("a length that is no number") from None


def _broken_off() -> bytes:
    raise ConnectionResetError("the connection ended before the answer did")
