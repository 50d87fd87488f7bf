"""Threads for calls that block, kept warm from one invocation to the next.

`concurrent.futures` does the same at twice the price: it makes the threads anew each time, and a lock for each call.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar, cast

from .in_flight import Executor, Loop, Polled, Running

T = TypeVar("T")


class Threads:
    """The threads of one process. A call that hangs keeps its thread; later invocations get others."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []

    def __call__(self, workers: int) -> Executor:  # noqa: ARG002  # As many as there are calls at a time.
        """For one invocation, so that the end of an abandoned call of another is not taken for one of its own."""
        return _Invocation(self._idle)


class _Invocation:
    def __init__(self, idle: list[_Worker]) -> None:
        self._idle = idle
        self._bell: _Bell | None = None
        self._loop = Loop()

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Running[T]:
        if self._bell is None:
            self._bell = _Bell()
        call = _Call(self._bell, fn, args)
        try:
            worker = self._idle.pop()  # Atomic, as append is.
        except IndexError:
            worker = _Worker(self._idle)
            worker.start()
        worker.calls.put(call)
        return call

    def wait(self, running: Collection[Running[T]], seconds: float, *, for_all: bool = False) -> Sequence[Running[T]]:
        return self._loop.wait(cast("Collection[Polled[T]]", running), seconds, for_all=for_all)


class _Bell:
    """Rung from any thread, heard by `select`. Open until nobody has it any more: a call that hangs may ring late."""

    def __init__(self) -> None:
        self._heard, self._rung = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._rung, False)

    def __del__(self) -> None:
        os.close(self._heard)
        os.close(self._rung)

    def fileno(self) -> int:
        return self._heard

    def ring(self) -> None:
        with suppress(BlockingIOError):  # It has been rung often enough.
            os.write(self._rung, b"\0")

    def silence(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._heard, 4096)


class _Call(Generic[T]):
    """A call in a thread of its own."""

    __slots__ = ("_arguments", "_call", "_error", "_is_done", "_result", "bell")
    events = getattr(select, "POLLIN", 1)  # So that Windows, which has no poll, can import it: tests of the tools do.
    due = math.inf

    def __init__(self, bell: _Bell, call: Callable[..., T], arguments: tuple[Any, ...]) -> None:
        self.bell = bell
        """Rung for every call of the invocation that is over."""
        self._call = call
        self._arguments = arguments
        self._is_done = False
        self._error: BaseException | None = None
        self._result: T

    def run(self) -> None:
        try:
            self._result = self._call(*self._arguments)
        except BaseException as error:  # noqa: BLE001  # Raised again where the result is asked for.
            self._error = error
        self._is_done = True

    def fileno(self) -> int:
        return self.bell.fileno()

    def hear(self) -> None:
        self.bell.silence()

    def go_on(self) -> None:
        """Nothing to do: it goes on in its thread."""

    def give_up(self) -> None:
        """Nothing to do: it is never due."""

    def done(self) -> bool:
        return self._is_done

    def result(self) -> T:
        """What the call returned, once it is done; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """Nothing to do: it ends in its thread, and nobody looks at it any more."""


class _Worker(Thread):
    def __init__(self, idle: list[_Worker]) -> None:
        super().__init__(daemon=True)  # A process that ends does not wait for a call that hangs.
        self._idle = idle
        self.calls: SimpleQueue[_Call[Any]] = SimpleQueue()

    def run(self) -> None:
        while True:
            call = self.calls.get()
            call.run()
            bell = call.bell
            del call  # An idle thread must not hold an invocation's items.
            self._idle.append(self)
            bell.ring()
            del bell
