"""What was given and not begun yet. All of it only under the writer's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from sluice.message.operation import Operation

from .outcome import Outcome

WAKE_AT = 25
"""Writes with which a call is full: whoever sleeps is woken then."""


class Inbox:
    """First in, first out; bounded by the number of writes and the bytes of their JSON."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._waiting: deque[tuple[Operation, Outcome]] = deque()
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self.taken = 0
        """How many were given in all, refused ones among them."""
        self.is_closed = False
        self.is_stopped = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        return len(self._waiting) < self._most and self._bytes < self._most_bytes

    @property
    def may_go_on(self) -> bool:
        """Whether somebody who waits for room may try again: at half, so that not every write changes threads."""
        is_half = len(self._waiting) <= self._most // 2 and self._bytes <= self._most_bytes // 2
        return is_half or self.is_closed or self.is_stopped

    def add(self, operation: Operation, outcome: Outcome) -> bool:
        """Whether somebody who sleeps should be woken."""
        self._waiting.append((operation, outcome))
        self._bytes += len(operation.body)
        self.taken += 1
        waiting = len(self._waiting)
        return waiting == 1 or waiting == WAKE_AT

    def outcomes(self) -> Iterator[Outcome]:
        return (outcome for _, outcome in self._waiting)

    def take(self, most: int) -> list[tuple[Operation, Outcome]]:
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        self._bytes -= sum([len(operation.body) for operation, _ in taken])
        return taken
