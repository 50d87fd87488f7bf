"""One clock for threads of which exactly one runs at a time, in an order that chance alone decides.

A thread that waits runs what happens next itself, until that wakes somebody, and then hands over: so a simulation with
one actor never changes threads. Nothing here knows the real clock.
"""

from __future__ import annotations

import heapq
from _thread import allocate_lock  # threading.Semaphore hands over in several times the time.
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Any

Body = Callable[["Context"], None]


class StoppedError(BaseException):
    """The simulation is over; unwinds whoever still waits."""


class DeadlockError(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class Context:
    """Something that waits in virtual time, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = allocate_lock()
        self.turn.acquire()
        self.body: Body | None = None
        self.is_waiting = False
        self.ticket = 0
        """Of the present wait, so that the timer of an earlier one wakes nobody."""
        self.doom: BaseException | None = None
        """Raised where it waits, when it is next woken."""


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0
        self._ready: deque[Context] = deque()
        self._main = Context("main")
        self._threads: list[tuple[Thread, Context]] = []
        self._idle: list[Context] = []
        self._running = 0
        """Bodies that have not ended."""
        self._is_stopping = False
        self._error: BaseException | None = None

    # What happens

    def at(self, when: float, event: Callable[..., object], *arguments: Any) -> None:
        """Have it called at that time, in the thread of whoever waits then. What it raises ends the simulation."""
        self._order += 1
        heapq.heappush(self._events, (when if when > self.now else self.now, self._order, event, arguments))

    def after(self, seconds: float, event: Callable[..., object], *arguments: Any) -> None:
        self.at(self.now + seconds, event, *arguments)

    def elapse(self, context: Context, seconds: float) -> None:
        """Some time goes by in which the context does not wait for anything."""
        until = self.now + seconds
        if self._ready or (self._events and self._events[0][0] <= until):
            self.sleep(context, seconds)
        else:
            self.now = until

    def sleep(self, context: Context, seconds: float) -> None:
        """Until the time has gone by, or somebody has woken the context, whichever is first."""
        context.ticket += 1
        self.at(self.now + seconds, self._ring, context, context.ticket)
        self._suspend(context)

    def suspend(self, context: Context) -> None:
        """Until somebody has woken the context."""
        context.ticket += 1
        self._suspend(context)

    def wake(self, context: Context) -> None:
        """Have it go on if it waits."""
        if context.is_waiting:
            context.is_waiting = False
            self._ready.append(context)

    def _ring(self, context: Context, ticket: int) -> None:
        if context.ticket == ticket:
            self.wake(context)

    # Who runs

    def spawn(self, body: Body, name: str = "worker") -> Context:
        """Run the body in a thread of its own, from now on."""
        if self._idle:
            context = self._idle.pop()
        else:
            context = Context(name)
            thread = Thread(target=self._live, args=(context,), daemon=True)
            self._threads.append((thread, context))
            thread.start()
            context.is_waiting = True
        context.name, context.body = name, body
        self._running += 1
        self.wake(context)
        return context

    def run(self) -> None:
        """Let everything that was spawned go on until all of it has ended, and all that is due has happened."""
        try:
            while self._running or self._ready:
                self.suspend(self._main)
                if self._error is not None:
                    raise self._error
            while self._events:
                self._step()
                if self._ready:
                    raise AssertionError("somebody is woken after the end")
        finally:
            self._stop()

    def _live(self, context: Context) -> None:
        context.turn.acquire()
        while not self._is_stopping:
            body = context.body
            assert body is not None
            try:
                body(context)
            except StoppedError:
                return
            except BaseException as error:  # noqa: BLE001  # Raised in the thread that runs the simulation.
                self._fail(error)
            context.body = None
            self._idle.append(context)
            self._running -= 1
            if not self._running:
                self.wake(self._main)
            try:
                self.suspend(context)
            except StoppedError:
                return

    def _suspend(self, me: Context) -> None:
        if self._is_stopping:
            raise StoppedError
        me.is_waiting = True
        ready = self._ready
        while True:
            if ready:
                following = ready.popleft()
                if following is not me:
                    following.turn.release()
                    me.turn.acquire()
                    if self._is_stopping:
                        raise StoppedError
                break
            try:
                self._step()
            except BaseException as error:
                if me is self._main:
                    raise
                self._fail(error)
        if me.doom is not None:
            doom, me.doom = me.doom, None
            raise doom

    def _fail(self, error: BaseException) -> None:
        """The first error ends everything: main is next."""
        if self._error is None:
            self._error = error
        self._ready.clear()
        self._main.is_waiting = False
        self._ready.append(self._main)

    def _step(self) -> None:
        if not self._events:
            raise DeadlockError("everybody waits, and nothing will happen")
        self.now, _, event, arguments = heapq.heappop(self._events)
        event(*arguments)

    def _stop(self) -> None:
        self._is_stopping = True
        for thread, context in self._threads:
            context.turn.release()
            thread.join()
        self._events.clear()
