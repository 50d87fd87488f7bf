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
    """When it is given up if nothing is ready until then; of `time.monotonic`."""

    def fileno(self) -> int: ...
    def go_on(self) -> None: ...
    def give_up(self) -> None: ...


def wait(calls: Collection[Polled[T]], seconds: float, *, for_all: bool = False) -> Sequence[Polled[T]]:
    """As `Executor.wait`. Looks once, at least, at what is ready."""
    until = time.monotonic() + seconds
    left = seconds
    while True:
        done: list[Polled[T]] = []
        waiting: list[Polled[T]] = []
        for call in calls:  # Asked once: one that ends meanwhile, in its thread, is still waited for, and has rung.
            (done if call.done() else waiting).append(call)
        if not waiting or (done and not for_all) or left < 0:
            return done
        _move_on(waiting, until)
        left = until - time.monotonic()


def _move_on(calls: Collection[Polled[Any]], until: float) -> None:
    """Wait for whatever is ready first, or due."""
    ready = select.poll()
    waiting: dict[int, Polled[Any]] = {}  # Calls in threads share a bell: any of them silences it.
    for call in calls:
        number = call.fileno()
        ready.register(number, call.events)
        waiting[number] = call
        until = min(until, call.due)
    # Rounded up to whole milliseconds by `poll`: the end is not missed by a hair, again and again.
    left = max(0.0, until - time.monotonic()) * 1000
    for number, _ in ready.poll(None if left == math.inf else left):
        waiting.pop(number).go_on()
    now = time.monotonic()
    for call in waiting.values():
        if now >= call.due:
            call.give_up()
