"""Calls side by side, and one wait for all of them.

Most are exchanges on open connections, which need no thread: whoever waits for them moves them on. The others block,
and run in threads, which ring when they are done.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Running(Protocol[T_co]):
    """A call that was begun; `concurrent.futures.Future` is one."""

    def done(self) -> bool: ...
    def result(self) -> T_co: ...
    def cancel(self) -> object:
        """Nobody waits for it any more; it may be carried out all the same."""


class Submit(Protocol):
    """Calls what may block."""

    def __call__(self, fn: Callable[..., T], /, *args: Any) -> Running[T]: ...


class Executor(Protocol):
    """What one invocation makes its calls with."""

    @property
    def submit(self) -> Submit: ...

    def wait(self, calls: Collection[Running[T]], seconds: float, *, for_all: bool = False) -> Sequence[Running[T]]:
        """Wait until one is done, or all are, but no longer than so many seconds; those that are done."""


class Polled(Running[T_co], Protocol[T_co]):
    """A call that goes on when something is ready."""

    events: int
    """What it waits for: of `select`, POLLIN or POLLOUT."""
    due: float
    """When it is given up if nothing is ready until then; by the loop's clock."""

    def fileno(self) -> int: ...
    def hear(self) -> None:
        """Silence what is ready; once for all that share a descriptor, before any of them is asked whether it is done.

        Else the ring of one that ends after it was asked would be silenced by the next.
        """

    def go_on(self) -> None: ...
    def give_up(self) -> None: ...


class Poll(Protocol):
    """As `select.poll`: file descriptors, what each waits for, and a wait of at most so many milliseconds."""

    def register(self, number: int, events: int, /) -> object: ...
    def unregister(self, number: int, /) -> object: ...
    def poll(self, milliseconds: float | None, /) -> Sequence[tuple[int, int]]: ...


class Loop:
    """Moves calls on as soon as they can go on, and gives up those that are due. For one thread.

    `poll` waits, and `clock` is what calls are due by; a simulation has its own.
    """

    def __init__(self, poll: Poll | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll = poll or select.poll()
        self._clock = clock
        self._waiting: dict[Polled[Any], int] = {}
        """Calls that are not done, with the file descriptor by which each is registered."""
        self._by_number: dict[int, list[Polled[Any]]] = {}
        """Of a descriptor its calls: one on a connection; those in threads share a bell."""

    def wait(self, calls: Collection[Polled[T]], seconds: float, *, for_all: bool = False) -> Sequence[Polled[T]]:
        """As `Executor.wait`. Looks once, at least, at what is ready."""
        waiting = self._waiting
        until = self._clock() + seconds
        done: list[Polled[Any]] = []
        others = len(waiting)
        for call in calls:
            if call in waiting:
                others -= 1
            elif call.done():
                done.append(call)
            else:
                self._register(call)
        if others:  # Nobody waits for them any more.
            for call in waiting.keys() - set(calls):
                self._forget(call)
        while waiting and (for_all or not done):
            done += self._move_on(until)
            if self._clock() > until:
                break
        return done

    def _register(self, call: Polled[Any]) -> None:
        number = call.fileno()
        self._waiting[call] = number
        self._by_number.setdefault(number, []).append(call)
        self._poll.register(number, call.events)

    def _forget(self, call: Polled[Any]) -> None:
        number = self._waiting.pop(call)
        others = self._by_number[number]
        others.remove(call)
        if not others:
            del self._by_number[number]
            self._poll.unregister(number)

    def _move_on(self, until: float) -> list[Polled[Any]]:
        """Wait for whatever is ready first, or due; the calls that are done with that."""
        due = min([call.due for call in self._waiting])
        # Rounded up to whole milliseconds by `poll`: the end is not missed by a hair, again and again.
        left = max(0.0, min(until, due) - self._clock()) * 1000
        done: list[Polled[Any]] = []
        for number, _ in self._poll.poll(None if left == math.inf else left):
            ready = [(call, call.events) for call in self._by_number.get(number, ())]
            if ready:
                ready[0][0].hear()
            for call, events in ready:
                call.go_on()
                if call.done():
                    self._forget(call)
                    done.append(call)
                elif call.events != events or call.fileno() != number:
                    self._forget(call)
                    self._register(call)
        if (now := self._clock()) >= due:
            for call in [call for call in self._waiting if now >= call.due]:
                call.give_up()
                if call.done():
                    self._forget(call)
                    done.append(call)
        return done


def wait(calls: Collection[Polled[T]], seconds: float) -> Sequence[Polled[T]]:
    """Until one of the calls is done, by a loop of its own."""
    return Loop().wait(calls, seconds)
