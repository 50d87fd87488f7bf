"""Finds what stands in the table already, by reading before writing. What cannot be read is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from sluice.aws.in_flight import Running, Submit
from sluice.aws.reads import MAX_KEYS, Stored
from sluice.message import items
from sluice.message.equality import Attributes, are_equal
from sluice.message.operation import BatchWrite, Operation, SingleWrite
from sluice.message.settings import Table

from .worth import READ_PRICE, Gate, Judgement, Ledger, read_cost, size_class

MAX_SECONDS = 0.5
"""That a read may take until its items are written without it, and a connection with it."""
MAX_HELD = 2.0
"""Seconds that items wait for their turn to be read; then they are written."""
MAX_READ_BYTES = 256 * 1024
"""Of the operations of one read: their items come back in one answer, which is all in memory at once."""

_decode_batch_write = msgspec.json.Decoder(dict[str, dict[str, dict[str, msgspec.Raw]]]).decode
_decode_single_write = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_item = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder().decode


class ReadPort(Protocol):
    def begin(self, operations: Sequence[Operation], seconds: float, submit: Submit) -> Running[Any]: ...
    def stored(self, operations: Sequence[Operation], answer: Any) -> Stored: ...


class Found(NamedTuple):
    """What reads that have ended say of their operations."""

    unchanged: list[Operation]
    """Their items stand as they would leave them."""
    stale: list[Operation]
    """A version that is not lower stands there."""
    to_write: list[Operation]


class _Candidate(NamedTuple):
    """An operation whose item may be read, and what that is judged by."""

    operation: Operation
    ledger: Ledger
    units: int
    """Write units."""
    cost: float


class _Reading(msgspec.Struct, frozen=True):
    """One read on its way."""

    candidates: list[_Candidate]
    operations: list[Operation]
    due: float


class _Waiting(msgspec.Struct):
    """Of one table."""

    gate: Gate
    chosen: deque[_Candidate] = msgspec.field(default_factory=deque)
    """To be read as soon as a call may go."""
    undecided: deque[_Candidate] = msgspec.field(default_factory=deque)
    """Whether it pays to read them is known when other reads have come back."""
    until: float = 0.0
    """When they have waited for too long."""

    def __bool__(self) -> bool:
        return bool(self.chosen or self.undecided)


class Unchanged:
    """The tables whose items are read first, and what is known of them; kept from one invocation to the next."""

    def __init__(self, port: ReadPort, tables: Iterable[Table]) -> None:
        self.port = port
        self._gates = {table.name: Gate() for table in tables if table.skip_unchanged}
        self._ledgers: dict[tuple[str, int], Ledger] = {}

    def __bool__(self) -> bool:
        return bool(self._gates)

    def reads(self, *, connections: int, deadline: float) -> Reads:
        """For one invocation."""
        return Reads(self, connections=connections, deadline=deadline)

    def gate(self, operation: Operation) -> Gate | None:
        """None where the operation says nothing of what the item was before, or its table is not read."""
        gate = self._gates.get(operation.key[0])
        if gate is None or isinstance(operation, BatchWrite):
            return gate
        assert isinstance(operation, SingleWrite)
        return gate if operation.version is not None and not operation.is_conditional else None

    def ledger(self, operation: Operation, units: int) -> Ledger:
        name = operation.key[0], size_class(operation, units)
        ledger = self._ledgers.get(name)
        if ledger is None:
            ledger = self._ledgers[name] = Ledger()
        return ledger

    def resume(self) -> None:
        """A new invocation: reads that an earlier one has left are nobody's."""
        for ledger in self._ledgers.values():
            ledger.release(0.0, ledger.on_their_way)


class Reads:
    """The reads of one invocation."""

    def __init__(self, unchanged: Unchanged, *, connections: int, deadline: float) -> None:
        unchanged.resume()
        self._unchanged = unchanged
        self._most = max(1, connections // 2)
        self.deadline = deadline
        self._waiting: dict[str, _Waiting] = {}
        self.in_flight: dict[Running[Any], _Reading] = {}
        self.errors: list[str] = []
        """Why items were not read: one for each call."""

    def __bool__(self) -> bool:
        return bool(self.in_flight) or any(self._waiting.values())

    def take(self, operations: Collection[Operation], now: float) -> Collection[Operation]:
        """Keep those that are worth a read; the others, which go at once. Nothing of their items is on its way."""
        at_once: list[Operation] = []
        for operation in operations:
            gate = self._unchanged.gate(operation)
            if gate is None or not gate.is_open(now):
                at_once.append(operation)
                continue
            units = operation.write_units
            ledger, cost = self._unchanged.ledger(operation, units), read_cost(units)
            ledger.earn(units, cost)
            if (judgement := ledger.judge(cost)) is Judgement.WRITE:
                at_once.append(operation)
                continue
            waiting = self._waiting.get(operation.key[0])
            if waiting is None:
                waiting = self._waiting[operation.key[0]] = _Waiting(gate)
            if not waiting:
                waiting.until = now + MAX_HELD
            line = waiting.chosen if judgement is Judgement.READ else waiting.undecided
            line.append(_Candidate(operation, ledger, units, cost))
        return at_once

    def begin(self, submit: Submit, has_room: Callable[[], bool], now: float) -> Collection[Operation]:
        """Have reads on their way, as many as there may be; those operations that are to be written without one."""
        at_once: list[Operation] = []
        for waiting in self._waiting.values():
            self._decide(waiting, at_once, now)
            while waiting.chosen and len(self.in_flight) < self._most and has_room():
                candidates = _taken(waiting.chosen)
                operations = [candidate.operation for candidate in candidates]
                call = self._unchanged.port.begin(operations, MAX_SECONDS, submit)
                self.in_flight[call] = _Reading(candidates, operations, now + MAX_SECONDS)
        return at_once

    def wait(self, now: float) -> float:
        """Seconds until something has taken too long."""
        dues = [reading.due for reading in self.in_flight.values()]
        return max(0.0, min([*dues, *(waiting.until for waiting in self._waiting.values() if waiting)]) - now)

    def finished(self, now: float) -> Found:
        """Of the reads that have come back, or have taken too long."""
        found = Found([], [], [])
        for call, reading in list(self.in_flight.items()):
            if call.done():
                del self.in_flight[call]
                stored = self._unchanged.port.stored(reading.operations, call.result())
                self._settle(reading.candidates, stored, found, now)
            elif now >= reading.due:
                del self.in_flight[call]
                call.cancel()
                self._settle(reading.candidates, Stored(error="a read that takes too long"), found, now)
        return found

    def abandon(self) -> None:
        """Nobody waits for them any more."""
        for call in self.in_flight:
            call.cancel()

    def _decide(self, waiting: _Waiting, at_once: list[Operation], now: float) -> None:
        """Whether those that are undecided, or were chosen a while ago, are to be read now."""
        if not waiting:
            return
        if not waiting.gate.is_open(now) or now >= min(waiting.until, self.deadline - MAX_SECONDS):
            _release(waiting.chosen)
            at_once += [candidate.operation for line in (waiting.chosen, waiting.undecided) for candidate in line]
            waiting.chosen.clear()
            waiting.undecided.clear()
        undecided, waiting.undecided = waiting.undecided, deque()
        for candidate in undecided:
            match candidate.ledger.judge(candidate.cost):
                case Judgement.READ:
                    waiting.chosen.append(candidate)
                case Judgement.WRITE:
                    at_once.append(candidate.operation)
                case Judgement.WAIT:
                    waiting.undecided.append(candidate)

    def _settle(self, candidates: Sequence[_Candidate], stored: Stored, found: Found, now: float) -> None:
        gate = self._waiting[candidates[0].operation.key[0]].gate
        _release(candidates)
        if 2 * len(stored.items) < len(candidates):
            self.errors.append(stored.error or "keys came back unprocessed")
            gate.failed(now)
        else:
            gate.succeeded()
        tallies: dict[int, _Tally] = {}
        for operation, ledger, units, cost in candidates:
            if operation not in stored.items:
                found.to_write.append(operation)
                continue
            verdict = _verdict(operation, stored.items[operation], found)
            verdict.append(operation)
            tally = tallies.get(id(ledger))
            if tally is None:
                tally = tallies[id(ledger)] = _Tally(ledger)
            tally.reads += 1
            tally.cost += cost
            tally.saved += 0 if verdict is found.to_write else units
        _pay(list(tallies.values()), stored.units)


class _Tally(msgspec.Struct):
    """What the reads of one call have cost and saved, in write units."""

    ledger: Ledger
    reads: int = 0
    cost: float = 0.0
    saved: float = 0.0


def _pay(tallies: Collection[_Tally], read_units: float | None) -> None:
    """By what the call has really consumed, where it says so."""
    estimated = sum([tally.cost for tally in tallies])
    for tally in tallies:
        cost = tally.cost if not read_units else read_units * READ_PRICE * tally.cost / estimated
        tally.ledger.settle(cost, tally.saved, tally.reads)


def _release(candidates: Iterable[_Candidate]) -> None:
    for candidate in candidates:
        candidate.ledger.release(candidate.cost, 1)


def _taken(chosen: deque[_Candidate]) -> list[_Candidate]:
    """The next call's."""
    taken: list[_Candidate] = []
    size = 0
    while chosen and len(taken) < MAX_KEYS:
        size += len(chosen[0].operation.body)
        if taken and size > MAX_READ_BYTES:
            break
        taken.append(chosen.popleft())
    return taken


def _verdict(operation: Operation, stored: Attributes | None, found: Found) -> list[Operation]:
    """To which of the lists the operation belongs, by the item that stands in its place; None: there is none."""
    wanted = _item(operation)
    if stored is None:
        return found.unchanged if wanted is None else found.to_write
    if wanted is not None and are_equal(wanted, stored):
        return found.unchanged
    return found.stale if _is_stale(operation, stored) else found.to_write


def _item(operation: Operation) -> Attributes | None:
    """What a put would leave; None of a delete."""
    if isinstance(operation, BatchWrite):
        return _decode_batch_write(operation.body).get("PutRequest", {}).get("Item")
    item = _decode_single_write(operation.body).get("Item")
    return None if item is None else _decode_item(item)


def _is_stale(operation: Operation, stored: Attributes) -> bool:
    if not isinstance(operation, SingleWrite) or operation.version is None:
        return False
    name, version = operation.version
    if name not in stored:
        return False
    try:
        held = _decode_value(stored[name])
        ((kind, content),) = held.items()
        return (kind not in ("S", "N") or type(content) is str) and not items.is_newer(version, held)
    except (ArithmeticError, AttributeError, TypeError, ValueError, msgspec.DecodeError):
        return False
