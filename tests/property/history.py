"""What a history of deliveries may leave in the tables: the contract, item by item and message group by group.

Knows what was delivered when, and the rules; takes from the function only which messages it calls done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from tests.property.watched import CONDITION_FAILED, NOT_WRITTEN, Answer
from tests.property.writes import Place, Sent, State, Write, is_superseded
from tests.strategies import as_json, parsed

Chain = Sequence[Write]
"""Operations on one item that are applied one after the other, some or all of them."""
Positions = tuple[tuple[int, ...], ...]
"""For each invocation under way, how many operations of each of its chains are done."""


def always(write: Write, state: State) -> set[State]:
    """Every delivery applies the operation."""
    return {write.applied_to(state)}


@dataclass(slots=True)
class History:
    """Every state that one item may be in, by what was delivered and what was called done.

    An invocation applies the good operations of a chain in order, some or all of them; at least up to the last that is
    called done. A standard queue has one chain an item, in order of arrival; a FIFO queue has one for each message
    group, side by side. Another invocation may run in the middle of it; then the one in the middle of which it ran may
    repeat the operations whose outcome it did not learn.
    """

    results: Callable[[Write, State], set[State]] = always
    """What one delivery of an operation may make of the item."""
    running: list[Sequence[Chain]] = field(default_factory=list)
    """What each invocation under way has to do here, the innermost last."""
    may_be: set[tuple[State, Positions]] = field(default_factory=lambda: {(None, ())})

    def begin(self, chains: Sequence[Chain]) -> None:
        if self.running:
            self.may_be = self._advanced()
        self.may_be = {(state, (*done, (0,) * len(chains))) for state, done in self.may_be}
        self.running.append(chains)

    def end(self, at_least: Sequence[int]) -> None:
        """The innermost invocation has ended, and at least so many operations of each of its chains are done."""
        ends = [
            (state, done[:-1])
            for state, done in self._advanced()
            if all(position >= least for position, least in zip(done[-1], at_least, strict=True))
        ]
        self.running.pop()
        self.may_be = {(state, before) for state, done in ends for before in _repeated(done)}

    def is_seen_to_be(self, state: State) -> bool:
        """Whether the item may be in this state; from now on it is known to be."""
        self.may_be = {(possible, done) for possible, done in self.may_be if possible == state}
        return bool(self.may_be)

    def _advanced(self) -> set[tuple[State, Positions]]:
        """All that the innermost invocation can make of what may be."""
        reached, to_do = set(self.may_be), list(self.may_be)
        while to_do:
            state, done = to_do.pop()
            for number, chain in enumerate(self.running[-1]):
                position = done[-1][number]
                if position == len(chain):
                    continue
                further = (*done[:-1], (*done[-1][:number], position + 1, *done[-1][number + 1 :]))
                fresh = {(after, further) for after in self.results(chain[position], state)} - reached
                reached |= fresh
                to_do += fresh
        return reached


def _repeated(done: Positions) -> Iterator[Positions]:
    if not done:
        return iter([done])
    choices = [(position, position - 1) if position else (position,) for position in done[-1]]
    return ((*done[:-1], last) for last in product(*choices))


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages handed to one invocation, in order; and what DynamoDB answered it."""

    messages: Sequence[Sent]
    is_ordered: bool
    """From a FIFO queue."""
    redelivered: frozenset[str] = frozenset()
    """Ids of the messages that SQS says it has delivered before."""
    conditions_are_refused: bool = False
    """ON_CONDITION_FAILED=dead-letter."""
    are_dead_lettered: bool = True
    """There is a dead-letter queue; without one a bad message holds its group."""
    answers: list[Answer] = field(default_factory=list)

    def chains(self) -> dict[Place, list[list[tuple[str, Write]]]]:
        """The good operations on each item in order, each with the id of its message; on FIFO a chain a group."""
        chains: dict[Place, dict[str, list[tuple[str, Write]]]] = {}
        for message in self.messages:
            for write in message.writes:
                if write.code is None:
                    group = message.group if self.is_ordered else ""
                    chains.setdefault(write.place, {}).setdefault(group, []).append((message.id, write))
        return {place: list(by_group.values()) for place, by_group in chains.items()}

    # What is bad

    def bad(self, message: Sent) -> list[Write]:
        """What must be refused; what a later good operation makes superfluous is nobody's concern."""
        return [write for write in message.writes if self._is_bad(message, write) is True]

    def bad_or_not(self, message: Sent) -> list[list[Write]]:
        """What may be refused, in each way that is right: of some operations nobody can tell."""
        judged = [(write, self._is_bad(message, write)) for write in message.writes]
        unclear = [write for write, is_bad in judged if is_bad is None]
        return [
            [write for write, is_bad in judged if is_bad or write in some]
            for count in range(len(unclear) + 1)
            for some in combinations(unclear, count)
        ]

    def _is_bad(self, message: Sent, write: Write) -> bool | None:
        if write.kind == "poison":
            return not is_superseded(write, self._later(message, write))
        if write.has_condition and self.conditions_are_refused:
            return self._is_refused(message, write)
        return write.kind == "mistake"

    def _is_refused(self, message: Sent, write: Write) -> bool | None:
        """Whether its condition did not hold; None where an earlier attempt may be why, and it cannot be told."""
        may_be_applied = message.id in self.redelivered
        for answer in self.answers:
            if write.signature in answer.pending and answer.error not in (None, *NOT_WRITTEN):
                may_be_applied = True
            if write.signature in answer.over and answer.error in CONDITION_FAILED:
                if write.is_update:
                    return None if may_be_applied else True
                if answer.stored == write.applied_to(None):  # Written by an earlier attempt, or by a duplicate.
                    return False if may_be_applied else None
                return True
        return False

    def _later(self, message: Sent, write: Write) -> list[Write]:
        """The operations after this one that may supersede it: on FIFO only those of its own message."""
        scope = [message] if self.is_ordered else self.messages
        everything = [each for sent in scope for each in sent.writes]
        return everything[everything.index(write) + 1 :]

    # What must have happened

    def check_written(self, done: set[str]) -> None:
        """What is called done was taken, refused for good, seen in the table, or superseded by what was; all in this
        invocation."""
        over = {signature for answer in self.answers for signature in answer.over}
        for scope in [[message] for message in self.messages] if self.is_ordered else [self.messages]:
            replaced: set[Place] = set()
            for message, write in reversed([(sent, write) for sent in scope for write in sent.writes]):
                went = write.signature in over or any(
                    write.place in answer.seen and write.stands(answer.seen[write.place]) for answer in self.answers
                )
                if message.id in done and write.kind != "mistake":
                    assert went or write.place in replaced, f"{write} is called done, and never went to the table"
                if went and write.replaces_everything:
                    replaced.add(write.place)

    def check_order(self) -> None:
        """Within a group, no operation goes to the table before all those of earlier messages are over."""
        turns = self._turns()
        over: set[Write] = set()
        stood: set[Write] = set()
        """May be left out, if the function has got the answer in time."""
        for answer in self.answers:
            may_go = [message for message in self.messages if turns[message.id] <= over | stood]
            stood |= {
                write
                for message in may_go
                if answer.seen
                for write in message.to_be_sent
                if write.place in answer.seen and write.stands(answer.seen[write.place])
            }
            for signature in [*answer.over, *answer.pending]:
                # Two that write the same are as good as each other.
                asked = [w for m in may_go for w in m.to_be_sent if w.signature == signature and w not in over]
                assert asked, f"{signature} goes before its turn, is written again, or was never asked for"
                if signature in answer.over:
                    over.add(next((write for write in asked if write not in stood), asked[0]))

    def _turns(self) -> dict[str, set[Write]]:
        """For each message what must be over before it may go."""
        turns: dict[str, set[Write]] = {}
        before: dict[str, set[Write]] = {}
        for message in self.messages:
            turns[message.id] = before.get(message.group, set())
            is_held = not self.are_dead_lettered and self.bad(message)
            more = [*message.to_be_sent, *([_NEVER] if is_held else [])]
            before[message.group] = turns[message.id].union(more)
        return turns


_NEVER = Write("mistake", "", "")
"""Is never over."""


def is_dead_letter_of(letter: dict[str, Any], bad: Sequence[Write]) -> bool:
    """Whether a dead letter holds just the bad operations of a message, and the code of the first."""
    wanted = [parsed(as_json(write.json)) for write in bad]
    found = parsed(letter["Body"])
    code = letter["MessageAttributes"]["ErrorCode"]["StringValue"]
    is_listed = (found if isinstance(found, list) else [found]) == wanted
    return bool(bad) and is_listed and code == (bad[0].code or "ConditionFailed")
