"""Calls side by side: threads that only wait for a service, kept warm from one invocation to the next.

`concurrent.futures` does the same at twice the price: it makes the threads anew each time, and a lock for each call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Running(Protocol[T_co]):
    """A call that was submitted; `concurrent.futures.Future` is one."""

    def done(self) -> bool: ...
    def result(self) -> T_co: ...


class Executor(Protocol):
    """What an invocation submits its calls to; `concurrent.futures.Executor` is one."""

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Running[T]: ...
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...


class Call(Generic[T]):
    """A call in a thread of its own."""

    __slots__ = ("_arguments", "_call", "_error", "_is_done", "_result", "finished")

    def __init__(self, finished: SimpleQueue[None], call: Callable[..., T], arguments: tuple[Any, ...]) -> None:
        self.finished = finished
        """Gets an entry for every call of the invocation that is over."""
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

    def done(self) -> bool:
        return self._is_done

    def result(self) -> T:
        """What the call returned, once it is done; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result


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
        self._finished: SimpleQueue[None] = SimpleQueue()

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Call[T]:
        call = Call(self._finished, fn, args)
        try:
            worker = self._idle.pop()  # Atomic, as append is.
        except IndexError:
            worker = _Worker(self._idle)
            worker.start()
        worker.calls.put(call)
        return call

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to do: what still hangs ends in its thread, and nobody looks at it any more."""


class _Worker(Thread):
    def __init__(self, idle: list[_Worker]) -> None:
        super().__init__(daemon=True)  # A process that ends does not wait for a call that hangs.
        self._idle = idle
        self.calls: SimpleQueue[Call[Any]] = SimpleQueue()

    def run(self) -> None:
        while True:
            call = self.calls.get()
            call.run()
            finished = call.finished
            del call  # An idle thread must not hold an invocation's items.
            self._idle.append(self)
            finished.put(None)


def wait(
    calls: Iterable[Running[T]], timeout: float, return_when: str = ALL_COMPLETED
) -> tuple[list[Running[T]], list[Running[T]]]:
    """As `concurrent.futures.wait`, for calls of one executor: those that are done, and those that are not."""
    until = time.monotonic() + timeout
    late = list(calls)
    done: list[Running[T]] = []
    while True:
        over = [call for call in late if call.done()]
        if over:
            done += over
            late = [call for call in late if call not in over]
        if not late or (done and return_when == FIRST_COMPLETED):
            return done, late
        finished: SimpleQueue[None] = late[0].finished  # type: ignore[attr-defined]  # Others than `Call` are done.
        try:
            finished.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            return done, late
