"""One HTTP/1.1 response, made of bytes as they arrive. Knows no socket, no clock and no request. Pure.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple, TypeVar

MAX_HEAD_BYTES = 64 * 1024
_usual_headers = re.compile(r"\r\n([A-Za-z0-9-]+): ([!-~](?:[ -~]*[!-~])?)(?=\r|$)").findall

T = TypeVar("T")
Reading = Generator[None, bytes, T]
"""Is sent what has arrived, b"" at the end of the connection, each time that it needs more."""


class HttpResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    """By name in lower case."""
    content: bytes


class ProtocolError(OSError):
    """What came back is not HTTP, or not all of it."""


class ResponseParser:
    """Reads one response with at most `max_bytes` of content."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received = b""
        """What has arrived and is not yet used."""
        self.may_be_kept = False
        """Whether the connection may be used again: its response had an end, and nothing came behind it."""
        self._reading = self._response()
        next(self._reading)

    def feed(self, data: bytes) -> HttpResponse | None:
        """The response once it is whole, None as long as more has to come; b"" says that no more comes.

        Raises `ProtocolError` for what is not HTTP, and ConnectionResetError for a response that breaks off.
        """
        try:
            self._reading.send(data)
        except StopIteration as end:
            response: HttpResponse = end.value
            return response
        return None

    def _response(self) -> Reading[HttpResponse]:
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

    def _chunked(self, coding: str) -> Reading[bytes]:
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

    def _until(self, mark: bytes) -> Reading[str]:
        """The text before the mark; the mark is used up."""
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ProtocolError("a head without end")
            self._received += (yield) or _broken_off()
        text = self._received[:end].decode("latin-1")
        self._received = self._received[end + len(mark) :]
        return text

    def _exactly(self, size: int, before: int = 0) -> Reading[bytes]:
        """So many bytes, of which `before` have come already."""
        if before + size > self._max_bytes:
            raise ProtocolError("an answer that is too long")
        received = self._received
        if len(received) < size:
            parts, missing = [received], size - len(received)
            while missing > 0:
                part = (yield) or _broken_off()
                parts.append(part)
                missing -= len(part)
            received = b"".join(parts)
        self._received = received[size:]
        return received[:size]

    def _all(self) -> Reading[bytes]:
        parts, self._received = [self._received], b""
        size = len(parts[0])
        while part := (yield):
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise ProtocolError("an answer that is too long")
        return b"".join(parts)


def _head(text: str) -> tuple[str, int, dict[str, str]]:
    """Version, status and headers (names in lower case). Raises ProtocolError."""
    if text.startswith("HTTP/1.1 200 OK\r\n"):  # The usual, in a third of the time.
        usual = {name.lower(): value for name, value in _usual_headers(text)}
        if len(usual) == text.count("\r") == text.count("\n"):  # Each line is a header of its own name.
            return "HTTP/1.1", 200, usual
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
