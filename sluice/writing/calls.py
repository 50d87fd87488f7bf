"""The calls in flight: how many there may be of each kind, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from sluice.aws.in_flight import Executor, Running, Submit
from sluice.aws.meanings import Reply

from .pending import Sending
from .plan import Batch

FIRST_CALLS = 4
"""So many at once in the beginning, and one more for each that is taken: a table that takes nothing loses less."""
SINGLES_PER_CONNECTION = 8
"""Single writes in flight for each batch that may be: 64 in all by default. They carry one item and not 25, so a
service that answers in 5 ms takes 12,800 of them a second; beyond that it is this process that is slow."""


class TablePort(Protocol):
    def begin(self, batch: Batch, seconds: float, submit: Submit) -> Running[Any]: ...
    def has_room(self, in_flight: int) -> bool: ...
    def reply(self, batch: Batch, answer: Any) -> Reply: ...
    def renew(self) -> None: ...


class Calls:
    """Of one invocation. At most `connections` of them are batches."""

    def __init__(self, table: TablePort, connections: int, executor: Callable[[int], Executor]) -> None:
        self._table = table
        self._connections = connections
        self._most = connections * SINGLES_PER_CONNECTION
        self._make_executor = executor
        self._executor: Executor | None = None
        self._at_once = min(FIRST_CALLS, self._most)
        self._batches = 0
        self._in_flight: dict[Running[Any], Sending] = {}

    def __bool__(self) -> bool:
        return bool(self._in_flight)

    def has_room(self) -> bool:
        """Whether one more may begin."""
        in_flight = len(self._in_flight)
        return in_flight < self._at_once and self._table.has_room(in_flight)

    @property
    def takes_singles_only(self) -> bool:
        """Whether one more must not be a batch."""
        return self._batches >= min(self._at_once, self._connections)

    def grow(self) -> None:
        """Let one more be in flight at once."""
        self._at_once = min(self._at_once + 1, self._most)

    def begin(self, sending: Sending, seconds: float) -> None:
        if self._executor is None:
            self._executor = self._make_executor(self._most)
        self._batches += sending.batch[0].goes_in_batches
        self._in_flight[self._table.begin(sending.batch, seconds, self._executor.submit)] = sending

    def finished(self, seconds: float) -> Iterator[tuple[Sending, Reply]]:
        """What has come back, once anything has, but after no more than so many seconds."""
        assert self._executor is not None
        for call in self._executor.wait(self._in_flight, seconds):
            sent = self._in_flight.pop(call)
            self._batches -= sent.batch[0].goes_in_batches
            yield sent, self._table.reply(sent.batch, call.result())

    def abandon(self) -> None:
        """Nobody waits for them any more; what they carry counts as not written."""
        for call in self._in_flight:
            call.cancel()
