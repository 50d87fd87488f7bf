"""A file for `aws dynamodb batch-write-item --request-items`: by table, a list of put and delete requests.

https://docs.aws.amazon.com/cli/latest/reference/dynamodb/batch-write-item.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

import msgspec

from sluice.message.operation import Rejection
from sluice.sending.record import Position, Record, allowed

from .rows import TOO_LONG
from .source import MAX_LINE_BYTES, Source

_BLANK = b" \t\r\n\xef\xbb\xbf"
_REQUESTS = ({"PutRequest"}, {"DeleteRequest"})


def is_request_items(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value has requests for each of its names, and nothing else."""
    return isinstance(value, dict) and bool(value) and all(map(_are_requests, value.values()))


def _are_requests(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and set(one) in _REQUESTS for one in value)
    )


def requests(source: Source, start: Position) -> Iterator[Record]:
    """One record for each document: a line, or all that is left of the file where no document ends with its line."""
    lines = source.lines(start)
    rest: list[bytes] = []
    begin = size = 0
    for line in lines:
        if not rest:
            begin, line = lines.line, line.lstrip(_BLANK)
        end = Position(lines.offset, lines.line)
        if not rest and (not line or _is_whole(line)):
            if line:
                yield _record(begin, end, line)
            continue
        rest.append(line[: MAX_LINE_BYTES - size])
        size += len(rest[-1])
    if rest:
        yield _record(begin, end, b"".join(rest))


def _record(line: int, end: Position, text: bytes) -> Record:
    text = text.rstrip(_BLANK)
    if len(text) >= MAX_LINE_BYTES:
        return Record(line, end, text, TOO_LONG)
    try:
        is_right = is_request_items(msgspec.json.decode(text))
    except (ValueError, RecursionError):
        return Record(line, end, text, Rejection("InvalidJson", "not JSON"))
    if not is_right:
        return Record(line, end, text, Rejection("UnknownOperation", "not request items: {table: [PutRequest, …]}"))
    return Record(line, end, allowed(b'{"RequestItems":' + text + b"}"), None, text)


def _is_whole(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True
