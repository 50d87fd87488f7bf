"""Sockets without a kernel: bytes that take their time, in pieces, and connections that break."""

from __future__ import annotations

import errno
import math
import select
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from sluice.aws.connection import Connection

from .chance import Chance
from .virtual_time import Context, Time

FIRST_NUMBER = 1_000_000
"""Of file descriptors: no real one is as high."""
POLL_SECONDS = 2e-5
"""What a look at the sockets takes; without it a loop that only looks would stand still in time."""
MIN_LATENCY, MAX_LATENCY = 0.0005, 0.004
"""Seconds on the way, each way."""
MAX_SILENT_CONNECT = 5.0  # Seconds; longer than anybody waits for a connection.
PIECES = 4

KINDS = (
    "partial send", "blocked send", "slow way there", "partial read", "ready for nothing", "stall",
    "shuffled readiness", "answer in pieces", "answer in drips", "connection refused", "name not found",
    "connect too slow", "no route", "TLS handshake fails", "slow connect",
)  # fmt: skip


class Peer(Protocol):
    """The service's end of a connection."""

    invocation: Any
    """That has sent what arrives."""

    def receive(self, data: bytes) -> None: ...
    def ended(self) -> None:
        """The client has closed its end."""


class Watched(Protocol):
    """What a file descriptor stands for."""

    watcher: Poller | None

    def is_ready(self, events: int) -> bool: ...


class Owner(Protocol):
    """The process in which a socket lives."""

    invocation: Any

    @property
    def context(self) -> Context: ...
    def before_send(self) -> None:
        """May not come back: a process can be killed there."""


class Network:
    def __init__(self, time: Time, chance: Chance) -> None:
        self.time, self.chance, self.random = time, chance, chance.random
        self.watched: dict[int, Watched] = {}
        self._last_number = FIRST_NUMBER
        self.connecting: Context | None = None
        """The thread that has just begun to connect."""

    def open(self, end: Watched) -> int:
        self._last_number += 1
        self.watched[self._last_number] = end
        return self._last_number

    def connect(self, owner: Owner, seconds: float, accept: Callable[[SimulatedSocket], Peer]) -> Connection:
        """In a thread of its own: what `HttpClient` calls where no connection is open."""
        context = self.connecting
        assert context is not None
        fault = self.chance.one_of(
            (
                ("connection refused", 0.01),
                ("name not found", 0.01),
                ("connect too slow", 0.01),
                ("no route", 0.01),
                ("TLS handshake fails", 0.01),
                ("slow connect", 0.05),
            )
        )
        takes = self.random.uniform(0.001, 0.02)
        if fault == "connect too slow":
            takes = MAX_SILENT_CONNECT
        elif fault == "slow connect":
            takes = self.random.uniform(0.1, 1.9)
        self.time.sleep(context, min(takes, seconds))
        if takes > seconds:
            raise TimeoutError(errno.ETIMEDOUT, "timed out")
        if fault in _CONNECT_ERRORS:
            raise _CONNECT_ERRORS[fault]()
        end = SimulatedSocket(self, owner)
        end.peer = accept(end)
        return SimulatedConnection(end)


_CONNECT_ERRORS: dict[str, Callable[[], OSError]] = {
    "connection refused": lambda: ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    "name not found": lambda: socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "no route": lambda: OSError(errno.ENETUNREACH, "Network is unreachable"),
    "TLS handshake fails": lambda: ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
}


class SimulatedSocket:
    """The client's end. Faithful to a socket that does not block: what is not ready raises BlockingIOError."""

    __slots__ = (
        "_inbox", "_is_blocked", "_is_closed", "_is_ended", "_is_taken", "_last_arrival", "_last_departure", "_net",
        "_number", "answered_at", "is_reset", "owner", "peer", "watcher",
    )  # fmt: skip

    def __init__(self, net: Network, owner: Owner) -> None:
        self._net, self.owner = net, owner
        self.peer: Peer
        self.watcher: Poller | None = None
        self._inbox = b""
        self._is_ended = self.is_reset = self._is_blocked = self._is_closed = False
        self._is_taken = False
        """Whether the client has found it quiet for a request that it has not sent yet."""
        self._last_departure = self._last_arrival = 0.0
        self.answered_at = 0.0
        self._number = net.open(self)

    # What `Connection` calls

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return -1 if self._is_closed else self._number

    def send(self, data: memoryview) -> int:
        self.owner.before_send()
        if self._is_closed:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self.is_reset:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        if self._is_blocked:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        net, size = self._net, len(data)
        if net.chance.level:
            if net.chance.hits("blocked send", 0.01):
                self._block()
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            if size > 1 and net.chance.hits("partial send", 0.03):
                size = net.random.randrange(1, size)
                self._block()
        latency = net.random.uniform(MIN_LATENCY, MAX_LATENCY)
        if net.chance.hits("slow way there", 0.01):
            latency += net.random.uniform(0.05, 3.0)
        self._is_taken = False
        self._last_departure = max(self._last_departure, net.time.now + latency)
        self.peer.invocation = self.owner.invocation
        net.time.at(self._last_departure, self.peer.receive, bytes(data[:size]))
        return size

    def recv(self, size: int) -> bytes:
        if self._is_closed:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self.is_reset:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if not self._inbox:
            if self._is_ended:
                return b""
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        if len(self._inbox) > 1 and self._net.chance.hits("partial read", 0.03):
            size = self._net.random.randrange(1, len(self._inbox))
        data, self._inbox = self._inbox[:size], self._inbox[size:]
        return data

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._net.watched.pop(self._number, None)
            self.peer.ended()

    # What the service's end calls

    def is_ready(self, events: int) -> bool:
        if self.is_reset:
            return True  # POLLERR and POLLHUP are always told.
        if events & select.POLLIN and (self._inbox or self._is_ended):
            return True
        return bool(events & select.POLLOUT) and not self._is_blocked

    def is_quiet(self) -> bool:
        self._is_taken = not (self.is_reset or self._inbox or self._is_ended)
        return self._is_taken

    def deliver(self, data: bytes) -> None:
        """Bytes that the service sends now, in one piece or in several."""
        net = self._net
        self.answered_at = net.time.now
        if len(data) > PIECES and net.chance.level and net.chance.hits("answer in pieces", 0.05):
            self._in_pieces(data, net.random.randrange(2, PIECES + 1), 0.01)
        elif len(data) > PIECES and net.chance.level and net.chance.hits("answer in drips", 0.003):
            self._in_pieces(data, net.random.randrange(2, 12), 2.0)
        else:
            net.time.at(self._next_arrival(0.0), self._arrive, data)

    def surprise(self, data: bytes) -> None:
        """Bytes that nobody has asked for, at once, if nothing is on its way: no client could tell them later."""
        is_all_there = max(self._last_departure, self._last_arrival) < self._net.time.now
        is_idle = not (self._is_taken or self._is_blocked)
        if is_idle and is_all_there and self._last_departure < self.answered_at:
            self._arrive(data)

    def end(self) -> None:
        """The service closes its end."""
        self._net.time.at(self._next_arrival(0.0), self._arrive, b"")

    def reset(self) -> None:
        self._net.time.at(self._next_arrival(0.0), self._be_reset)

    def _in_pieces(self, data: bytes, count: int, pause: float) -> None:
        random = self._net.random
        cuts = sorted(random.randrange(1, len(data)) for _ in range(count - 1))
        for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if start < stop:
                self._net.time.at(self._next_arrival(random.random() * pause), self._arrive, data[start:stop])

    def _next_arrival(self, later: float) -> float:
        net = self._net
        earliest = net.time.now + net.random.uniform(MIN_LATENCY, MAX_LATENCY)
        self._last_arrival = max(self._last_arrival, earliest) + later
        return self._last_arrival

    def _arrive(self, data: bytes) -> None:
        if data:
            self._inbox += data
        else:
            self._is_ended = True
        self._tell()

    def _be_reset(self) -> None:
        self.is_reset = True
        self._tell()

    def _block(self) -> None:
        self._is_blocked = True
        self._net.time.after(self._net.random.uniform(0.001, 0.3), self._unblock)

    def _unblock(self) -> None:
        self._is_blocked = False
        self._tell()

    def _tell(self) -> None:
        if self.watcher is not None and not self._is_closed:
            self.watcher.tell(self._number)


class SimulatedConnection(Connection):
    def __init__(self, end: SimulatedSocket) -> None:
        self.end = end
        super().__init__(cast("socket.socket", end))

    def is_quiet(self) -> bool:  # The real one asks the kernel.
        return self.end.is_quiet()


class Poller:
    """As `select.poll`, for one context."""

    def __init__(self, net: Network, context: Context) -> None:
        self._net = net
        self._context = context
        self._wanted: dict[int, int] = {}
        self._told: dict[int, None] = {}
        """What may be ready: all that is must be in here."""
        self._is_polling = False

    def register(self, number: int, events: int) -> None:
        assert number >= 0, "poll takes no descriptor that is closed"
        self._wanted[number] = events
        end = self._net.watched.get(number)
        if end is not None:
            end.watcher = self
        self._told[number] = None

    def unregister(self, number: int) -> None:
        del self._wanted[number]  # As the real one, it raises KeyError for what was not registered.
        self._told.pop(number, None)
        end = self._net.watched.get(number)
        if end is not None:
            end.watcher = None

    def tell(self, number: int) -> None:
        self._told[number] = None
        if self._is_polling:
            self._net.time.wake(self._context)

    def poll(self, milliseconds: float | None) -> Sequence[tuple[int, int]]:
        net, context = self._net, self._context
        net.time.elapse(context, POLL_SECONDS)
        if net.chance.level and net.chance.hits("stall", 0.0003):
            net.time.elapse(context, net.random.uniform(0.1, 2.0 if net.random.random() < 0.8 else 40.0))
        if net.chance.level and self._wanted and net.chance.hits("ready for nothing", 0.003):
            number = net.random.choice(list(self._wanted))
            return [(number, self._wanted[number])]
        until = math.inf if milliseconds is None else net.time.now + math.ceil(milliseconds) / 1000
        while not (ready := self._ready()) and net.time.now < until:
            self._is_polling = True
            try:
                if until == math.inf:
                    net.time.suspend(context)
                else:
                    net.time.sleep(context, until - net.time.now)
            finally:  # The process may be killed here.
                self._is_polling = False
        if len(ready) > 1 and net.chance.hits("shuffled readiness", 0.1):
            net.random.shuffle(ready)
        return ready

    def _ready(self) -> list[tuple[int, int]]:
        ready: list[tuple[int, int]] = []
        watched = self._net.watched
        for number in list(self._told):
            end, events = watched.get(number), self._wanted.get(number, 0)
            if end is None:
                ready.append((number, select.POLLNVAL))
            elif end.is_ready(events):
                ready.append((number, events))
            else:
                del self._told[number]
        return ready


class Bell:
    """One for all threads of an invocation: rung when a call in one of them is over, until somebody hears it."""

    def __init__(self, net: Network) -> None:
        self.watcher: Poller | None = None
        self.number = net.open(self)
        self.is_rung = False

    def is_ready(self, events: int) -> bool:  # noqa: ARG002
        return self.is_rung

    def ring(self) -> None:
        self.is_rung = True
        if self.watcher is not None:
            self.watcher.tell(self.number)


class Submitted:
    """A call in a thread of its own, as in `sluice.aws.threads`."""

    events = select.POLLIN
    due = math.inf

    def __init__(self, net: Network, bell: Bell, fn: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._bell = bell
        self._result: Any = None
        self._error: BaseException | None = None
        self._is_done = False

        def body(context: Context) -> None:
            net.connecting = context
            try:
                self._result = fn(*arguments)
            except Exception as error:  # noqa: BLE001  # Raised again where the result is asked for.
                self._error = error
            self._is_done = True
            bell.ring()

        net.time.spawn(body)

    def fileno(self) -> int:
        return self._bell.number

    def hear(self) -> None:
        self._bell.is_rung = False

    def done(self) -> bool:
        return self._is_done

    def go_on(self) -> None:
        """Nothing to do: it goes on by itself."""

    def give_up(self) -> None:
        """Nothing to do: it is never due."""

    def cancel(self) -> None:
        """Nothing to do: it ends all the same."""

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result
