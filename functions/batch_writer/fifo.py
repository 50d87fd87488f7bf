"""FIFO queues: within a message group, a message's turn comes when all earlier ones are done. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain

from sluice.message.decoder import Message
from sluice.message.operation import Operation


class Groups:
    """Says which operations may go. On a standard queue all of them at once; else group by group, in order."""

    def __init__(self, messages: Sequence[Message], *, are_dead_lettered: bool = True) -> None:
        self._are_dead_lettered = are_dead_lettered
        """Bad messages count as done only where a dead-letter queue takes them; else they hold their group."""
        self._waiting: dict[str, deque[Message]] = {}
        self._unordered = [message.operations for message in messages if message.group is None]
        self._message_of: dict[Operation, Message] = {}
        self._left: dict[Message, int] = {}
        """How many operations of a message are still to end."""
        if len(self._unordered) == len(messages):  # A standard queue: there is nothing to keep in order.
            return
        for message in messages:
            if message.group is None:
                continue
            self._waiting.setdefault(message.group, deque()).append(message)
            self._left[message] = len(message.operations)
            for operation in message.operations:
                self._message_of[operation] = message

    @property
    def are_ordered(self) -> bool:
        return bool(self._waiting)

    def first(self) -> Iterable[Operation]:
        """What may go at once."""
        return chain(chain.from_iterable(self._unordered), *map(self._release, self._waiting.values()))

    def after(self, operations: Iterable[Operation]) -> Sequence[Operation]:
        """What may go now that these operations are written, superseded, rejected, or their conditions did not hold."""
        released: list[Operation] = []
        for operation in operations:
            message = self._message_of.get(operation)
            if message is None:
                continue
            self._left[message] -= 1
            if self._left[message] == 0 and message.group is not None and self._lets_pass(message):
                self._waiting[message.group].popleft()
                released += self._release(self._waiting[message.group])
        return released

    def _release(self, group: deque[Message]) -> Sequence[Operation]:
        while group and not group[0].operations and self._lets_pass(group[0]):
            group.popleft()
        return group[0].operations if group else ()

    def _lets_pass(self, message: Message) -> bool:
        return not message.unreadable and (self._are_dead_lettered or not message.rejected)
