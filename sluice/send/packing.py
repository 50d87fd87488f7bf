"""Records to messages, window by window: what a window holds depends on its beginning and the options alone.

So a send that is interrupted can begin again at any window, and its messages come out as they did before. A message is
known by both ends of its window and its number there: a window that is cut short at a bad record ends elsewhere than
the one that a send without `stops` makes of the same beginning, and its messages are not taken for those.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from sluice.message.operation import Rejection
from sluice.sending.outbox import BILLED_BYTES, MAX_BYTES, MAX_ENTRIES, Outgoing
from sluice.sending.record import Position, Record

GROUPED_BYTES = 16 << 20
"""Of a window where records are put together by group."""
GROUPED_MESSAGES = 4_000
"""The same; each note of the journal names those that are sent."""
_REFUSAL_BYTES = 500
"""About what a rejected record costs in memory besides its text."""
_UNIT = 1024
"""Bytes of an item for which it takes a write unit; its JSON has rather more than DynamoDB counts."""
_GROUP_ID = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")  # SendMessage: MessageGroupId


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is not sent."""

    line: int
    end: Position
    reason: Rejection
    text: bytes
    """As it is to be repaired."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the file: its messages, and its records that no message has."""

    start: Position
    end: Position
    messages: tuple[Outgoing, ...]
    rejected: tuple[Rejected, ...]


class StoppedAtError(Exception):
    """The record at which the caller wants to stop; all before it has been handed out."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(f"line {rejected.line}: {rejected.reason.code}: {rejected.reason.message}")
        self.rejected = rejected


@dataclass(frozen=True, slots=True)
class Packing:
    """How records become messages."""

    check: Callable[[bytes], Rejection | None]
    message_bytes: int = BILLED_BYTES
    """A message has at most as many bytes; one of a single record may have more, up to `most_bytes`."""
    most_bytes: int = MAX_BYTES
    """What the queue takes."""
    group: str | None = None
    """The group of all messages."""
    group_by: str | None = None
    """The attribute whose value is the group of a record."""
    bare: bool = False
    """The records are items, not operations."""
    run: str | None = None
    """Begins the deduplication ids; None for a queue without them."""
    stops: bool = False
    """Stop at the first record that is rejected, by `StoppedAtError`."""

    def windows(self, records: Iterable[Record], start: Position) -> Iterator[Window]:
        """All windows from `start` on."""
        window = _Filling(self, start)
        for record in records:
            body = record.body
            reason = record.error or self.check(body)
            if reason is None and len(body) + 2 > self.most_bytes:
                reason = Rejection(
                    "MessageTooLarge", f"{len(body):,} bytes of JSON; the queue takes {self.most_bytes:,}"
                )
            group = self.group
            if reason is None and self.group_by is not None:
                group = group_of(body, self.group_by, bare=self.bare)
                if group is None:
                    reason = Rejection("MissingGroup", f"no string or number {self.group_by!r} to group by")
            if reason is not None:
                rejected = Rejected(record.line, record.end, reason, body if record.text is None else record.text)
                if self.stops:
                    yield window.closed()
                    raise StoppedAtError(rejected)
                if not window.refuse(rejected):
                    yield window.closed()
                    window = _Filling(self, window.end)
                    window.refuse(rejected)
            elif not window.add(body, group):
                yield window.closed()
                window = _Filling(self, window.end)
                window.add(body, group)
            window.end = record.end
        if window.end != window.start:
            yield window.closed()


class _Filling:
    """A window that records are still added to."""

    def __init__(self, packing: Packing, start: Position) -> None:
        self._packing = packing
        self._limit = packing.message_bytes - 1  # Each element costs a comma or bracket, and one bracket is left.
        self.start = self.end = start
        self.rejected: list[Rejected] = []
        self._full: list[tuple[str | None, list[bytes]]] = []
        self._open: dict[str | None, list[bytes]] = {}
        self._sizes: dict[str | None, int] = {}
        # Ungrouped, the messages of a window go in one call; each has one bracket more than is counted.
        self._room = GROUPED_BYTES if packing.group_by is not None else MAX_BYTES - MAX_ENTRIES
        self._refused = 0

    def add(self, body: bytes, group: str | None) -> bool:
        """False: the window is full, and the record belongs to the next one."""
        size = len(body) + 1
        filled = self._sizes.get(group, 0)
        if filled + size > self._limit and filled:
            if self._packing.group_by is None and len(self._full) + 1 == MAX_ENTRIES:
                return False
            self._full.append((group, self._open.pop(group)))
            filled = 0
        if self._sizes and (size > self._room or len(self._full) + len(self._open) >= GROUPED_MESSAGES):
            return False
        self._room -= size
        if filled:
            self._open[group].append(body)
        else:
            self._open[group] = [body]
        self._sizes[group] = filled + size
        return True

    def refuse(self, rejected: Rejected) -> bool:
        """False: the window is full of rejected records."""
        if self.rejected and self._refused + len(rejected.text) > MAX_BYTES:
            return False
        self.rejected.append(rejected)
        self._refused += len(rejected.text) + _REFUSAL_BYTES
        return True

    def closed(self) -> Window:
        parts = [*self._full, *self._open.items()]
        messages = tuple(self._message(number, group, bodies) for number, (group, bodies) in enumerate(parts))
        return Window(self.start, self.end, messages, tuple(self.rejected))

    def _message(self, number: int, group: str | None, bodies: list[bytes]) -> Outgoing:
        body = b"[" + b",".join(bodies) + b"]"
        run = self._packing.run
        origin = (self.start.offset, self.end.offset, number)
        deduplication_id = None if run is None else "-".join(map(str, (run, *origin)))
        units = sum(-(-len(one) // _UNIT) for one in bodies)
        return Outgoing(body.decode(), len(body), len(bodies), group, deduplication_id, origin, units)


_exact = msgspec.json.Decoder(float_hook=str)


def group_of(body: bytes, attribute: str, *, bare: bool = False) -> str | None:
    """The message group of a record by one of its attributes; None where it has none that is a string or number.

    A value that SQS does not take as a group, such as one with a space, stands as its SHA-256.
    """
    try:
        element = _exact.decode(body)
    except msgspec.DecodeError:  # Two operations on one line.
        return None
    if not isinstance(element, dict):
        return None
    value = element.get(attribute) if bare else _attribute(element, attribute)
    if isinstance(value, dict) and len(value) == 1:  # DynamoDB JSON
        value = value.get("S", value.get("N"))
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if _GROUP_ID.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()


def _attribute(element: dict[str, Any], attribute: str) -> Any:
    """The value in the item or key of an operation."""
    for name in ("put", "delete", "update"):
        if isinstance(element.get(name), dict):
            return element[name].get(attribute)
    for name, inner in (("PutRequest", "Item"), ("DeleteRequest", "Key"), ("Put", "Item"), ("Delete", "Key")):
        if isinstance(element.get(name), dict):
            return element[name].get(inner, {}).get(attribute)
    if isinstance(element.get("Update"), dict):
        return element["Update"].get("Key", {}).get(attribute)
    return None
