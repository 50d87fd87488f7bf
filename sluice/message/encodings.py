"""base64 and gzip, read whole or not at all."""

from __future__ import annotations

import base64
import binascii
import re
import zlib

_GZIP = 31  # zlib's wbits for a gzip header
_CHUNK_BYTES = 4096
"""Small, as what follows a member in its last chunk is copied once a member; 1 MiB of text can hold 39,000 of them."""
_LINE_BREAKS = str.maketrans("", "", "\r\n")
_zeros = re.compile(rb"\0*").match


class EncodingError(ValueError):
    """Data that is not encoded as it should be; the text says how, and quotes nothing of it."""


def from_base64(text: str) -> bytes:
    """The bytes that base64 stands for, with line breaks anywhere in it (RFC 2045). Raises `EncodingError`."""
    text = text.translate(_LINE_BREAKS) if "\n" in text or "\r" in text else text
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # The latter for characters beyond ASCII.
        raise EncodingError("a string that is not base64") from None
    # Python takes padding after four whole characters, too: "QUJD=".
    if len(text) != (len(data) + 2) // 3 * 4:
        raise EncodingError("a string that is not base64")
    return data


def unzipped(data: bytes, room: int) -> bytearray:
    """What all members of gzip data unzip to (RFC 1952).

    Zeros behind a member are padding (gzip's manual, "Using gzip on tapes").
    Raises `EncodingError`, also where that is more than `room` bytes: hardly more than that is ever held.
    """
    found, position = bytearray(), 0
    while True:
        position = _unzip_member(data, position, found, room)
        zeros = _zeros(data, position)
        assert zeros is not None
        position = zeros.end()
        if position == len(data):
            return found


def text_of(data: bytes | bytearray) -> str:
    """Raises `EncodingError` for what is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EncodingError("a string whose bytes are not UTF-8") from None


def _unzip_member(data: bytes, position: int, found: bytearray, room: int) -> int:
    """Unzip the member that begins at `position` to the end of `found`; returns where it ends."""
    member = zlib.decompressobj(_GZIP)
    start = position
    while not member.eof:
        chunk = member.unconsumed_tail or data[position : position + _CHUNK_BYTES]
        if not chunk:
            raise EncodingError("gzip that is cut short" if data else "no gzip but an empty string")
        position += 0 if member.unconsumed_tail else len(chunk)
        try:
            found += member.decompress(chunk, room + 1 - len(found))
        except zlib.error:
            raise EncodingError(_broken(data, start)) from None
        if len(found) > room:
            raise EncodingError(f"gzip that unzips to more than {room:,} bytes")
    return position - len(member.unused_data)


def _broken(data: bytes, start: int) -> str:
    if data.startswith(b"\x1f\x8b", start):
        return "gzip that is damaged"
    return f"gzip with bytes behind it that are no gzip (at byte {start:,})" if start else "a string that is no gzip"
