"""Messages that wait to be sent, and which of them may go together in one SendMessageBatch. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
MAX_ENTRIES = 10
MAX_BYTES = 1_048_576
"""Of one message, and of all messages of one call together."""
BILLED_BYTES = 65_536  # https://aws.amazon.com/sqs/pricing/ : each 64 KB chunk of a payload is billed as one request.


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """One message to be sent."""

    body: str
    size: int
    """Bytes of the body in UTF-8."""
    records: int
    group: str | None = None
    deduplication_id: str | None = None
    origin: Any = None
    """Whatever its maker wants to know it by."""
    units: int = 0
    """About as many write units as its records take, where its maker has counted them."""


class Outbox:
    """Messages in the order in which they are to be sent; not thread-safe.

    With `in_order`, as on a FIFO queue, no message is handed out while an earlier one of its group is on its way:
    each entry of a batch fails by itself, and a later one must not overtake it.
    """

    def __init__(self, *, in_order: bool) -> None:
        self._in_order = in_order
        self._next: deque[Outgoing] = deque()
        """Those that may be sent now."""
        self._behind: dict[str | None, deque[Outgoing]] = {}
        """Of each group that has a message in `_next` or on its way, the later ones."""
        self.size = 0
        """Bytes that wait."""
        self.count = 0
        """Messages that wait."""

    def __bool__(self) -> bool:
        return bool(self._next)

    def add(self, message: Outgoing) -> None:
        self.size += message.size
        self.count += 1
        if self._in_order and message.group in self._behind:
            self._behind[message.group].append(message)
            return
        if self._in_order:
            self._behind[message.group] = deque()
        self._next.append(message)

    def take(self, entries: int = MAX_ENTRIES) -> list[Outgoing]:
        """The next messages that fit into one call; none where all that wait are behind one on its way."""
        taken: list[Outgoing] = []
        room = MAX_BYTES
        while self._next and len(taken) < entries and self._next[0].size <= room:
            message = self._next.popleft()
            room -= message.size
            taken.append(message)
        self.size -= MAX_BYTES - room
        self.count -= len(taken)
        return taken

    def done(self, messages: Iterable[Outgoing]) -> None:
        """These are on their way no more: sent, or given up."""
        if not self._in_order:
            return
        for message in messages:
            behind = self._behind[message.group]
            if behind:
                self._next.append(behind.popleft())
            else:
                del self._behind[message.group]
