"""Actors that wait in virtual time, and an executor of theirs: nothing waits, and the same seed gives the same run."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


class Time:
    """One clock for threads of which only one runs at a time: who waits lets the others run, and time jumps."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._turn = threading.Semaphore(0)

    def at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._order), event))

    def run(self, *bodies: Callable[[Actor], None]) -> None:
        """Run each body as an actor from time 0 until all have ended."""
        actors = [Actor(self, body) for body in bodies]
        for actor in actors:
            self.at(0.0, actor.resume)
        while any(actor.is_alive() for actor in actors) and self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        for actor in actors:
            actor.join()
            if actor.error is not None:
                raise actor.error

    def hand_over(self, to: threading.Semaphore) -> None:
        to.release()
        self._turn.acquire()

    def back(self) -> None:
        self._turn.release()


class Actor(threading.Thread):
    """Something that waits in virtual time."""

    def __init__(self, time: Time, body: Callable[[Actor], None]) -> None:
        super().__init__(daemon=True)
        self.time = time
        self.error: Exception | None = None
        self._body = body
        self._mine = threading.Semaphore(0)
        self._ticket = 0
        self.start()

    def run(self) -> None:
        self._mine.acquire()
        try:
            self._body(self)
        except Exception as error:  # noqa: BLE001  # Raised in the thread that runs the simulation.
            self.error = error
        self.time.back()

    def resume(self) -> None:
        self.time.hand_over(self._mine)

    def sleep(self, seconds: float) -> None:
        """Until then, or until woken, whichever is first."""
        self._ticket += 1
        ticket = self._ticket
        self.time.at(self.time.now + seconds, lambda: self.wake(ticket))
        self.time.back()
        self._mine.acquire()

    def wake(self, ticket: int | None = None) -> None:
        if ticket in (None, self._ticket):
            self._ticket += 1
            self.resume()


class Call:
    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._results: list[Any] = []
        self.is_waited_for = False

    def done(self) -> bool:
        return bool(self._results)

    def result(self) -> Any:
        return self._results[0]

    def cancel(self) -> None:
        """It ends all the same."""

    def end(self, result: Any) -> None:
        self._results.append(result)
        if self.is_waited_for:
            self._actor.wake()


class Calls:
    """An executor whose calls reach the table after half of their latency and end after the other half."""

    def __init__(self, actor: Actor, chance: Random, latency: float) -> None:
        self._actor, self._time, self._chance, self._latency = actor, actor.time, chance, latency

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Any:
        call = Call(self._actor)
        half = self._latency / 2

        def arrive() -> None:
            result = fn(*args)
            self._time.at(self._time.now + half * self._chance.uniform(0.8, 1.2), lambda: call.end(result))

        self._time.at(self._time.now + half * self._chance.uniform(0.8, 1.2), arrive)
        return call

    def wait(self, calls: Collection[Any], seconds: float, *, for_all: bool = False) -> Sequence[Any]:
        assert not for_all
        if not any(call.done() for call in calls):
            self._wait_for(calls, True)
            self._actor.sleep(seconds)
            self._wait_for(calls, False)
        return [call for call in calls if call.done()]

    def _wait_for(self, calls: Collection[Any], is_waited_for: bool) -> None:
        for call in calls:
            call.is_waited_for = is_waited_for
