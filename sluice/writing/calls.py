"""The calls in flight: how many there may be of each kind, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from sluice.aws.in_flight import Executor, Running, Submit
from sluice.aws.meanings import Reply

from .pending import Sending
from .plan import Batch

FIRST_CALLS = 1.0
"""So many at once in the beginning, and one more for each round that is taken: a table that takes nothing, or that
others begin to write at the same time, loses less. Single writes are light: their number doubles with each round."""
MAX_SILENCE = 0.1
"""Seconds without an answer after which there may be one call more at once: the first ones may hang."""
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

    def __init__(self, table: TablePort, connections: int, executor: Callable[[int], Executor], *, now: float) -> None:
        self._table = table
        self._connections = connections
        self._most = connections * SINGLES_PER_CONNECTION
        self._make_executor = executor
        self._executor: Executor | None = None
        self._at_once: float = FIRST_CALLS
        self._heard_at = now
        self._batches = 0
        self._in_flight: dict[Running[Any], Sending] = {}

    def __bool__(self) -> bool:
        return bool(self._in_flight)

    def has_room(self, now: float) -> bool:
        """Whether one more may begin."""
        in_flight = len(self._in_flight)
        return in_flight < self._most_at_once(now) and self._table.has_room(in_flight)

    def takes_singles_only(self, now: float) -> bool:
        """Whether one more must not be a batch."""
        return self._batches >= min(self._most_at_once(now), self._connections)

    def wait(self, seconds: float, now: float) -> float:
        """Seconds until there is room for what may go in so many; forever where only an answer makes room."""
        if self.has_room(now):
            return seconds
        return max(seconds, MAX_SILENCE) if len(self._in_flight) < self._most else math.inf

    @property
    def at_once(self) -> float:
        """How many may be in flight, by what has been taken so far."""
        return self._at_once

    def may_begin(self, at_once: float) -> None:
        """Not one at a time: so many are known to be no danger."""
        self._at_once = min(max(self._at_once, at_once), self._most)

    def grow(self, taken: Sending) -> None:
        """More may be in flight at once, as this one was taken."""
        more = 1 / self._at_once if taken.batch[0].goes_in_batches else 1
        self._at_once = min(self._at_once + more, self._most)

    def _most_at_once(self, now: float) -> int:
        return int(min(self._at_once + (now - self._heard_at) / MAX_SILENCE, self._most))

    @property
    def submit(self) -> Submit:
        return self._running().submit

    def has_room_beside(self, others: int) -> bool:
        """Whether a call that is none of these, as so many in flight, may begin."""
        return self._table.has_room(len(self._in_flight) + others)

    def _running(self) -> Executor:
        if self._executor is None:
            self._executor = self._make_executor(self._most)
        return self._executor

    def begin(self, sending: Sending, seconds: float) -> None:
        self._batches += sending.batch[0].goes_in_batches
        self._in_flight[self._table.begin(sending.batch, seconds, self.submit)] = sending

    def finished(
        self, seconds: float, clock: Callable[[], float], beside: Collection[Running[Any]] = ()
    ) -> Iterator[tuple[Sending, Reply]]:
        """What has come back, once anything has or a call `beside` them, but after no more than so many seconds."""
        done = self._running().wait([*self._in_flight, *beside] if beside else self._in_flight, seconds)
        if beside:
            done = [call for call in done if call in self._in_flight]
        if done:
            self._heard_at = clock()
        for call in done:
            sent = self._in_flight.pop(call)
            self._batches -= sent.batch[0].goes_in_batches
            yield sent, self._table.reply(sent.batch, call.result())

    def abandon(self) -> None:
        """Nobody waits for them any more; what they carry counts as not written."""
        for call in self._in_flight:
            call.cancel()
