"""Streams of bytes: one that begins again with what was read, and one that is unpacked from zstd."""

from __future__ import annotations

import io
from typing import Any

_BLOCK = 1 << 20


def skip(stream: io.BufferedReader, count: int) -> None:
    """Read so many bytes for nothing; raises `EOFError` where there are not so many."""
    while count:
        block = stream.read(min(count, _BLOCK))
        if not block:
            raise EOFError("it ends before the place where it is to be continued")
        count -= len(block)


class Again(io.RawIOBase):
    """Bytes that have been read already, and then the stream that they came from."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head, self._rest = memoryview(head), rest

    def buffered(self) -> io.BufferedReader:
        return io.BufferedReader(self, _BLOCK)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._head[: len(buffer)] or self._rest.read1(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(block)] = block
        return len(block)


class Zstandard(io.RawIOBase):
    """A .zst file of one or more frames, unpacked. One that is cut short raises, which the package's own does not."""

    _FEED = 8 << 10  # A few bytes can unpack to 128 KiB (RFC 8878), so memory is bounded by feeding little at a time.

    def __init__(self, file: Any) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._file = file
        self._frame: Any = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._file.read(self._FEED)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the zstd data ends before its end marker")
                return 0
            self._frame = self._frame or self._new()
            try:
                self._ready = memoryview(self._frame.decompress(self._packed))
            except self._error as error:
                raise OSError(f"not zstd data: {error}") from error
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
