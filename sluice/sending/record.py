"""One record as it stands in the array of a message's body."""

from __future__ import annotations

from typing import Literal

import msgspec

from sluice.message.operation import Rejection

_NOT_FOR_SQS = ("\ufffe".encode(), "\uffff".encode())  # SendMessage API reference: characters that a body may have.


# Structs, for a file has millions: a NamedTuple takes ten times as long to make.


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record."""

    line: int
    """The line on which it begins, from 1."""
    end: Position
    body: bytes
    """One element of a message's body; where there is an error, the line as it is."""
    error: Rejection | None = None
    """Why it cannot even be read."""
    text: bytes | None = None
    """As it is to be repaired where it is rejected: CSV and exports as they stand in the file; None for the body."""


def around(table: str | None) -> tuple[bytes, bytes]:
    """What stands before and after an item to make it a put."""
    return b'{"put":', b"}" if table is None else b',"table":' + msgspec.json.encode(table) + b"}"


def native_around(action: Literal["Put", "Delete"], table: str | None) -> tuple[bytes, bytes]:
    """The same for an item, or a key, in DynamoDB JSON."""
    inner = "Item" if action == "Put" else "Key"
    if table is None:
        return f'{{"{action}Request":{{"{inner}":'.encode(), b"}}"
    return f'{{"{action}":{{"{inner}":'.encode(), b',"TableName":' + msgspec.json.encode(table) + b"}}"


def allowed(body: bytes) -> bytes:
    """The same JSON without the two characters that SQS refuses; within JSON they can only stand in a string."""
    if b"\xef\xbf" in body:
        for character, escape in zip(_NOT_FOR_SQS, (b"\\ufffe", b"\\uffff"), strict=True):
            body = body.replace(character, escape)
    return body


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place between two records: bytes before it (unpacked), and lines before it."""

    offset: int
    line: int


START = Position(0, 0)
