"""What a producer has taken and the queue has not accepted yet, packed into messages. Knows no thread and no lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sluice.sending.outbox import Outbox, Outgoing


@dataclass(slots=True)
class _Filling:
    """A message that operations are still added to."""

    since: float
    bodies: list[bytes] = field(default_factory=list)
    size: int = 1  # A bracket; each operation has a comma or the other one.


class Buffer:
    """Its owner sees to it that one thread at a time is in it."""

    def __init__(self, *, is_fifo: bool, message_bytes: int, max_bytes: int, linger: float) -> None:
        """`message_bytes` fill a message, `max_bytes` the buffer; an operation waits `linger` seconds for others."""
        self._is_fifo = is_fifo
        self._message_bytes, self._max_bytes, self._linger = message_bytes, max_bytes, linger
        self._filling: dict[str | None, _Filling] = {}
        self._outbox = Outbox(in_order=is_fifo)
        self.unfinished: set[Outgoing] = set()
        """Messages that are sealed and neither accepted nor given up."""
        self.size = 0
        """Bytes of all that was added and is not done."""

    @property
    def is_empty(self) -> bool:
        return not self._filling and not self.unfinished

    @property
    def has_messages(self) -> bool:
        """Whether there is one to take, now or when its group's turn has come."""
        return bool(self._outbox)

    def has_room(self, size: int) -> bool:
        """For so many bytes more. A buffer that is empty takes anything."""
        has_room = self.size + size <= self._max_bytes or not self.size
        if not has_room and not self.unfinished:  # All of it waits for company, which there is no room for.
            self.seal()
        return has_room

    def add(self, body: bytes, group: str | None, now: float) -> bool:
        """Whether somebody has to look: with this operation a message has begun to wait, or is to be sent."""
        size, sealed = len(body) + 1, len(self.unfinished)
        filling = self._filling.get(group)
        if filling is not None and filling.size + size > self._message_bytes:
            self._seal(group)
            filling = None
        has_begun = filling is None
        if filling is None:
            filling = self._filling[group] = _Filling(now)
        filling.bodies.append(body)
        filling.size += size
        self.size += size
        if filling.size >= self._message_bytes:
            self._seal(group)
        return has_begun or len(self.unfinished) > sealed

    def seal(self) -> None:
        """Whatever is there is to be sent as it is."""
        for group in list(self._filling):
            self._seal(group)

    def take(self, now: float) -> tuple[Sequence[Outgoing], float | None]:
        """The next messages to send, and where there are none the seconds until there may be; None: it is not known."""
        for group in [group for group, filling in self._filling.items() if filling.since + self._linger <= now]:
            self._seal(group)
        if messages := self._outbox.take():
            return messages, None
        first = min((filling.since for filling in self._filling.values()), default=None)
        return (), None if first is None else max(0.0, first + self._linger - now)

    def done(self, messages: Sequence[Outgoing]) -> None:
        """They are accepted, or given up."""
        self._outbox.done(messages)
        self.unfinished.difference_update(messages)
        self.size -= sum(len(part) + 1 for message in messages for part in message.origin)

    def _seal(self, group: str | None) -> None:
        """Close the message that is being filled for a group, and put it among those to be sent."""
        filling = self._filling.pop(group)
        body = b"[" + b",".join(filling.bodies) + b"]"
        deduplication_id = uuid.uuid4().hex if self._is_fifo else None
        origin = tuple(filling.bodies)
        message = Outgoing(body.decode(), len(body), len(origin), group, deduplication_id, origin)
        self._outbox.add(message)
        self.unfinished.add(message)
