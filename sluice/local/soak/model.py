"""What the table must hold: every message that was sent, what became of it, and the verdict.

Standard queues deliver more than once and in any order, so for most items nothing could be said if messages were just
sent. Therefore an item's states form a *chain* of steps, and a step is sent only when every message of the step before
is *at rest*: acknowledged, in nobody's hands, and no call on its way that began before that. A step of several messages
may end in the state that any of them writes; the last step is a single message. So the final state of every item is
known exactly, and at each acknowledgement the states that the item may be in.

Where the newest version wins, or a FIFO queue keeps the order, one step holds all messages at once: there `final` says
in which of its states the item must end.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .past import Past

Key = tuple[str, Any, Any]
"""Table, partition key, sort key or None; the last two canonical: type and value."""
State = Any
"""A canonical item, or None for one that is not there."""
SHOWN = 5
"""Examples of each kind of violation that are kept."""


def canonical(item: Mapping[str, Mapping[str, Any]]) -> State:
    """An item of DynamoDB JSON, with base64 or bytes, so that equal means the same to DynamoDB."""
    return {name: _canonical_value(value) for name, value in item.items()}


def _canonical_value(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return kind, Decimal(content)
        case "B":
            return kind, content if isinstance(content, bytes) else base64.b64decode(content)
        case "SS" | "NS" | "BS":
            return kind, frozenset(_canonical_value({kind[0]: element}) for element in content)
        case "L":
            return kind, [_canonical_value(element) for element in content]
        case "M":
            return kind, canonical(content)
    return kind, content


@dataclass(slots=True, eq=False)
class Chain:
    """The states that one item goes through."""

    key: Key
    steps: Sequence[Sequence[State]]
    """The states that a step may leave behind."""
    final: Sequence[State] = ()
    """Those of the last step that may be left in the end; none named: all of them."""
    step: int = 0
    open: set[int] = field(default_factory=set)
    """Numbers of the messages of this step that are not at rest."""

    @property
    def is_last(self) -> bool:
        return self.step == len(self.steps) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message that is to be sent, and what is to come of it."""

    number: int
    body: str
    operations: int
    effects: tuple[tuple[Chain, Sequence[State]], ...] = ()
    """The items that its operations are about, and how each may be when the message is acknowledged."""
    error_code: str | None = None
    """Of the dead letter, where one of the operations is bad."""
    dead_letter: str = ""
    """The dead letter's body."""
    group: str | None = None
    """On a FIFO queue."""
    leaves: tuple[tuple[Chain, State], ...] = ()
    """As which it leaves items of tables that are read first; only by unconditional puts and deletes."""


@dataclass(slots=True)
class _Fate:
    message: Message
    receives: int = 0
    in_hands: int = 0
    """Deliveries that somebody is still working on."""
    acknowledged: bool = False


@dataclass(slots=True)
class Violations:
    """One way to break the promise: how often, and a few examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)


@dataclass(slots=True)
class Verdict:
    """All that must be zero."""

    lost: Violations = field(default_factory=Violations)
    """Items whose last write was acknowledged, and which are missing or older in the table."""
    acknowledged_unwritten: Violations = field(default_factory=Violations)
    """Operations, not in the table (nor a later state) at the moment at which their message was acknowledged."""
    different: Violations = field(default_factory=Violations)
    """Items of the final table that are not as in the model; the lost ones are among them."""
    good_dead_lettered: Violations = field(default_factory=Violations)
    """Messages without a bad operation that are on the dead-letter queue."""
    bad_vanished: Violations = field(default_factory=Violations)
    """Messages with a bad operation, acknowledged, without a dead letter."""
    wrong_dead_letters: Violations = field(default_factory=Violations)
    """Dead letters with another ErrorCode or another body than the message calls for."""
    not_drained: Violations = field(default_factory=Violations)
    """Messages that were still not acknowledged when the time for draining the queue was over."""

    def rows(self) -> dict[str, Violations]:
        return {
            "lost": self.lost,
            "acknowledged unwritten": self.acknowledged_unwritten,
            "final table unlike the model": self.different,
            "good messages dead-lettered": self.good_dead_lettered,
            "bad messages without dead letter": self.bad_vanished,
            "dead letters unlike the message": self.wrong_dead_letters,
            "not drained": self.not_drained,
        }

    @property
    def is_clean(self) -> bool:
        return not any(violations.count for violations in self.rows().values())


class Ledger:
    """What was sent and what has become of it; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._fates: dict[int, _Fate] = {}
        self._waiting: set[int] = set()
        """Messages that are not acknowledged."""
        self._resting: dict[int, float] = {}
        """Messages that are acknowledged and in nobody's hands, and since when."""
        self._chains: dict[Key, Chain] = {}
        self._ready: list[Chain] = []
        self._unfinished = 0
        """Chains whose last step is still to be sent."""
        self._letters: Counter[int] = Counter()
        self.error_codes: Counter[str] = Counter()
        """Dead letters by reason."""
        self.verdict = Verdict()
        self.past = Past()
        self.unchanged = 0
        """Operations that were acknowledged without a write, for their items stood there."""

    def sending(self, messages: Iterable[Message]) -> None:
        """To be called before they are sent, for they may be received before the sender knows."""
        with self._lock:
            for message in messages:
                self._fates[message.number] = _Fate(message)
                self._waiting.add(message.number)
                for chain, _ in message.effects:
                    chain.open.add(message.number)
                    if chain.key not in self._chains:
                        self._chains[chain.key] = chain
                        self._unfinished += not chain.is_last

    def received(self, number: int) -> None:
        with self._lock:
            self._fates[number].receives += 1
            self._fates[number].in_hands += 1
            self._resting.pop(number, None)

    def effects(self, numbers: Iterable[int]) -> list[Chain]:
        """The items that these messages write."""
        with self._lock:
            return [chain for number in numbers for chain, _ in self._fates[number].message.effects]

    def check(
        self, numbers: Iterable[int], stored: Mapping[Key, State], *, in_hand: Collection[int] = (), since: float = 0.0
    ) -> None:
        """Before these messages are acknowledged: are the items as they may be, in the table that holds `stored`?

        Their invocation began after `since`; what it has `in_hand` may supersede them.
        """
        with self._lock:
            for number in numbers:
                for chain, states in self._fates[number].message.effects:
                    if stored.get(chain.key) not in states:
                        self.verdict.acknowledged_unwritten.add(
                            f"message {number}, {_shown(chain.key)}: {_difference(stored.get(chain.key))}"
                        )
                self._check_past(number, in_hand, since)

    def _check_past(self, number: int, in_hand: Collection[int], since: float) -> None:
        """Was each item, at some time of the invocation, as the message or one that supersedes it leaves it?"""
        beside = [each for other in in_hand for each in self._fates[other].message.leaves]
        for chain, state in self._fates[number].message.leaves:
            states = [state, *(left for other, left in beside if other is chain)]
            if not self.past.was_there(chain.key, states, since):
                self.verdict.acknowledged_unwritten.add(
                    f"message {number}, {_shown(chain.key)}: never there while it was worked on"
                )
            elif not self.past.was_written(chain.key, states, since):
                self.unchanged += 1

    def acknowledged(self, number: int) -> None:
        with self._lock:
            self._fates[number].acknowledged = True
            self._waiting.discard(number)

    def let_go(self, number: int, now: float) -> None:
        """One delivery of the message is over, whatever came of it."""
        with self._lock:
            fate = self._fates[number]
            fate.in_hands -= 1
            if fate.acknowledged and not fate.in_hands:
                self._resting[number] = now

    def settle(self, busy_since: float) -> None:
        """All that is still going on began at `busy_since` or later: what has rested since before is at rest."""
        with self._lock:
            for number in [number for number, since in self._resting.items() if since < busy_since]:
                del self._resting[number]
                for chain, _ in self._fates[number].message.effects:
                    chain.open.discard(number)
                    if not chain.open and not chain.is_last:
                        chain.step += 1
                        self._ready.append(chain)

    def take_ready(self, most: int) -> list[Chain]:
        """Chains whose next step is to be sent now."""
        with self._lock:
            taken, self._ready = self._ready[:most], self._ready[most:]
            self._unfinished -= sum(chain.is_last for chain in taken)
            return taken

    @property
    def is_finished(self) -> bool:
        """Whether every item's last state has been sent, and every message acknowledged."""
        with self._lock:
            return not self._unfinished and not self._waiting

    @property
    def unacknowledged(self) -> int:
        with self._lock:
            return len(self._waiting)

    def idle(self) -> list[int]:
        """Messages that are neither acknowledged nor in anybody's hands."""
        with self._lock:
            return [number for number in self._waiting if not self._fates[number].in_hands]

    def dead_letter(self, number: int | None, error_code: str | None, body: str) -> None:
        """A message of the dead-letter queue, with the number of the message that it comes from."""
        with self._lock:
            self.error_codes[error_code or "none: moved by SQS"] += 1
            fate = self._fates.get(-1 if number is None else number)
            if fate is None or fate.message.error_code is None:
                self.verdict.good_dead_lettered.add(f"message {number}, ErrorCode {error_code}")
                return
            message = fate.message
            self._letters[message.number] += 1
            if error_code != message.error_code:
                self.verdict.wrong_dead_letters.add(
                    f"message {number}: ErrorCode {error_code} instead of {message.error_code}"
                )
            elif not _is_same_json(body, message.dead_letter):
                self.verdict.wrong_dead_letters.add(f"message {number}: another body, {error_code}")

    def close(self, table: Mapping[Key, State]) -> Verdict:
        """The verdict, once, when all is over and the tables hold `table`."""
        with self._lock:
            for number, fate in self._fates.items():
                if not fate.acknowledged:
                    self.verdict.not_drained.add(f"message {number}, received {fate.receives} times")
                elif fate.message.error_code is not None and not self._letters[number]:
                    self.verdict.bad_vanished.add(f"message {number}, {fate.message.error_code}")
            for chain in self._chains.values():
                self._judge(chain, table.get(chain.key))
            for key in table.keys() - self._chains.keys():
                self.verdict.different.add(f"{_shown(key)} was never sent")
            return self.verdict

    def _judge(self, chain: Chain, stored: State) -> None:
        legal: Collection[State] = chain.steps[chain.step]
        if chain.is_last and chain.final:
            legal = chain.final
        if not chain.open.isdisjoint(self._waiting):
            # Not drained, which is a verdict of its own: the item may still be as the step before left it.
            legal = [*chain.steps[chain.step], *(chain.steps[chain.step - 1] if chain.step else [None])]
        if stored not in legal:
            self.verdict.different.add(f"{_shown(chain.key)}: {_difference(stored)}")
            self.verdict.lost.add(f"{_shown(chain.key)}: {_difference(stored)}")

    # Figures

    def messages(self) -> int:
        return len(self._fates)

    def operations(self) -> int:
        return sum(fate.message.operations for fate in self._fates.values())

    def bad_messages(self) -> int:
        return sum(fate.message.error_code is not None for fate in self._fates.values())

    def items(self) -> int:
        return len(self._chains)

    def receives(self) -> list[int]:
        """How often each message was received."""
        return [fate.receives for fate in self._fates.values()]


def _shown(key: Key) -> str:
    return " ".join([key[0], *(str(part[1]) for part in key[1:] if part is not None)])


def _difference(stored: State) -> str:
    return "not in the table" if stored is None else f"the table holds {stored.get('state', ('S', '?'))[1]}"


def _is_same_json(one: str, other: str) -> bool:
    return one == other or _parsed(one) == _parsed(other)


def _parsed(text: str) -> Callable[..., Any] | Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError):
        return object()
