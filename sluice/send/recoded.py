"""Text of another encoding as UTF-8; what is no text becomes bytes that are no UTF-8, and costs its line."""

from __future__ import annotations

import codecs
import io
from typing import Any

_BLOCK = 1 << 18
_BAD = "\udcff"
"""Stands for what is no text; written as the byte FF, which UTF-8 has not."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _BAD, error.end


codecs.register_error("sluice-bad", _replaced)


class Recoded(io.RawIOBase):
    """The bytes of a stream, whose text has an encoding that Python knows, in UTF-8."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder(encoding)("sluice-bad").decode
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            block = self._stream.read1(_BLOCK)
            text = self._decode(block, not block)
            self._ready = memoryview(text.encode("utf-8", "surrogateescape"))
            if not block and not text:
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
