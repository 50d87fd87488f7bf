"""Queue, function and tables over random schedules of messages, faults, crashes, redeliveries and duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from functions.batch_writer.errors import NothingWrittenError, TableError
from functions.batch_writer.pipeline import Outcome
from tests.fakes import Clock, ConnectionLost, Delay, Fault, Raised
from tests.property.history import (
    BAD,
    REFUSALS,
    TABLES,
    Delivery,
    History,
    Kind,
    Place,
    Sent,
    State,
    WatchedDynamoDB,
    Write,
    body,
    is_dead_letter_of,
)
from tests.strategies import examples, not_written, refusals, unknown_outcome
from tests.world import World

MARGIN = 5.0  # The default of DEADLINE_MARGIN, in seconds.
LONGER_THAN_ANY_VISIBILITY = 1_000  # Seconds.
GROUPS = ("g", "h")
KINDS: Sequence[Kind] = (
    "put", "put", "put", "delete", "delete", "put if absent", "update",
    "put version", "put version", "delete version", "poison", "mistake",
)  # fmt: skip


class KilledError(Exception):
    """The function's process has ended in the middle of a call."""


Draft = tuple[Kind, int, int, bool]
"""Kind, number of the item, version or number of the mistake, whether it is written in DynamoDB's own form."""
drafts: st.SearchStrategy[Draft] = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 2), st.integers(1, max(5, len(BAD))), st.booleans()
)
messages = st.lists(
    st.tuples(st.sampled_from(GROUPS), st.lists(drafts, min_size=1, max_size=3)), min_size=1, max_size=5
)
kills = st.builds(lambda applied: Raised(KilledError("killed"), applied), st.booleans())
# In the place of a fault: another invocation runs while this call is on its way.
INTERRUPTION, INTERRUPTION_BY_A_DUPLICATE = "interruption", "interruption by a duplicate"
interruptions = st.sampled_from([INTERRUPTION, INTERRUPTION_BY_A_DUPLICATE])
stops = st.one_of(kills, refusals)
schedules = st.lists(
    st.one_of(st.none(), not_written, not_written, not_written, unknown_outcome, unknown_outcome, interruptions, stops),
    max_size=5,
)
queue_troubles = st.sampled_from(
    [None, None, "entries", ConnectionLost(), ConnectionLost(applied=True), Raised(KilledError("killed"), applied=True)]
)


class Function(RuleBasedStateMachine):
    """Several environments of the function between one queue and the same tables."""

    fifo = False
    seen: Counter[str]
    """What was reached in all runs."""

    @initialize(seed=st.integers(0, 999), connections=st.sampled_from([1, 8]))
    def start(self, seed: int, connections: int) -> None:
        self.clock = Clock()
        self.environments = [self._world(seed, 1), self._world(seed + 1, connections)]
        self.db, self.sqs = WatchedDynamoDB(self.clock), self.environments[0].sqs
        for world in self.environments:
            world.db, world.sqs = self.db, self.sqs
        self.sent: dict[str, Sent] = {}
        self.done: set[str] = set()
        """Ids of the messages that an invocation has called done."""
        self.histories: dict[Place, History] = {}
        self.letters_seen = 0
        self.queue_trouble: object = None
        self.running: list[Delivery] = []
        self.last: list[dict[str, Any]] = []
        """The records of the last event."""
        self.failed = False

    def _world(self, seed: int, connections: int) -> World:
        return World(
            TABLES,
            {"max_connections": connections},
            chance=Random(seed).random,
            fifo=self.fifo,
            fifo_dead_letters=self.fifo,
            clock=self.clock,
        )

    # What happens

    def send(self, drafts_by_message: list[tuple[str, list[Draft]]]) -> None:
        for group, drafts in drafts_by_message:
            number = len(self.sent)
            writes = [
                Write(kind, f"{group}{item}", f"{number}.{position}", version, is_native)
                for position, (kind, item, version, is_native) in enumerate(drafts)
            ]
            [id] = self.environments[0].send(body(writes), group=group)
            self.sent[id] = Sent(id, group, writes)

    @rule(fault=st.one_of(st.none(), st.none(), not_written, unknown_outcome))
    def lasting_trouble_of_the_table(self, fault: Fault | None) -> None:
        self.db.always(fault)

    @rule(trouble=queue_troubles, visibility_too=st.booleans())
    def trouble_of_the_queue(self, trouble: Any, visibility_too: bool) -> None:
        self.queue_trouble = trouble
        fault = None if isinstance(trouble, str) else trouble
        self.sqs.fail_entries("SendMessageBatch", (lambda _: True) if trouble == "entries" else ())
        self.sqs.always(fault, "SendMessageBatch")
        self.sqs.always(fault if visibility_too else None, "ChangeMessageVisibilityBatch")

    @rule(
        arrivals=messages,
        environment=st.integers(0, 1),
        count=st.sampled_from([1, 3, 10, 10]),
        seconds=st.sampled_from([0.05, 1.0, 3.0]),
        schedule=schedules,
        answer_is_lost=st.sampled_from([False, False, True]),
    )
    def messages_arrive(
        self,
        arrivals: list[tuple[str, list[Draft]]],
        environment: int,
        count: int,
        seconds: float,
        schedule: list[Fault | str | None],
        answer_is_lost: bool,
    ) -> None:
        """Messages are sent, and an environment is invoked with what is on the queue, while the table has trouble."""
        self.send(arrivals)
        for fault in schedule:
            if isinstance(fault, str):
                self.db.script(Delay(0, Interruption(self, fault == INTERRUPTION_BY_A_DUPLICATE)))
            else:
                self.db.script(fault)
        self.last = self.environments[environment].receive(count)
        self.invoke(environment, self.last, seconds, answer_is_lost=answer_is_lost)

    @rule(
        wait=st.sampled_from([1, 6, 31, LONGER_THAN_ANY_VISIBILITY]),
        environment=st.integers(0, 1),
        answer_is_lost=st.booleans(),
    )
    def time_passes(self, wait: int, environment: int, answer_is_lost: bool) -> None:
        """What is visible again by then is delivered again."""
        self.clock.sleep(wait)
        self.last = self.environments[environment].receive()
        self.invoke(environment, self.last, 1.0, answer_is_lost=answer_is_lost)

    # The function

    def invoke(self, environment: int, records: list[dict[str, Any]], seconds: float, *, answer_is_lost: bool) -> None:
        """Hand the records to an environment, `seconds` before its deadline; delete what it calls done."""
        if not records:
            return
        self.failed = True  # Until it is known to be well, so that the drain at the end hides no failure.
        delivery = Delivery([self.sent[record["messageId"]] for record in records], self.fifo)
        chains = delivery.chains()
        for place, chain in chains.items():
            self.histories.setdefault(place, History()).begin([write for _, write in chain])
            self._look_at(place)
        self.running.append(delivery)
        self.db.note = delivery.answers.append
        outcome: Outcome | None = None
        try:
            outcome = self.environments[environment].pipeline.run(records, MARGIN + seconds)
        except KilledError:
            self.seen["killed"] += 1
        self.running.pop()
        self.db.note = self.running[-1].answers.append if self.running else lambda _: None
        acknowledged = self._acknowledged(delivery, outcome)
        settled = acknowledged | self._check_dead_letters(delivery, outcome, acknowledged)
        for place, chain in chains.items():
            at_least = max((n for n, (id, _) in enumerate(chain, 1) if id in settled), default=0)
            self.histories[place].end(at_least)
            self._look_at(place)
        if self.fifo:
            delivery.check_order()
        self._count(delivery, outcome, acknowledged, answer_is_lost)
        if not answer_is_lost:
            self.done |= acknowledged
            for record in records:
                if record["messageId"] in acknowledged:
                    handle = record["receiptHandle"]
                    self.sqs.delete_message(QueueUrl=self.environments[0].queue_url, ReceiptHandle=handle)
        self.failed = False

    def _look_at(self, place: Place) -> None:
        history, state = self.histories[place], self.db.state(place)
        possible = {possible for possible, _ in history.may_be}
        assert history.is_seen_to_be(state), f"{place} is {state}, and may only be one of {possible}"

    def _acknowledged(self, delivery: Delivery, outcome: Outcome | None) -> set[str]:
        """What the function calls done: nothing where it raises or is killed."""
        if outcome is None:
            return set()
        refused = any(answer.error in REFUSALS for answer in delivery.answers)
        assert isinstance(outcome.error, TableError) == refused
        if outcome.error is not None:
            assert isinstance(outcome.error, NothingWrittenError | TableError)
            return set()
        returned = {failure["itemIdentifier"] for failure in outcome.item_failures}
        held: set[str] = set()
        for message in delivery.messages if self.fifo else ():
            assert message.group not in held or message.id in returned, "done, and an earlier one of its group is not"
            if message.id in returned:
                held.add(message.group)
        return {message.id for message in delivery.messages} - returned

    def _check_dead_letters(self, delivery: Delivery, outcome: Outcome | None, acknowledged: set[str]) -> set[str]:
        """Returns the ids of the messages that have got a dead letter."""
        letters = self.environments[0].letters()
        new, self.letters_seen = letters[self.letters_seen :], len(letters)
        messages = {message.id: message for message in delivery.messages}
        for letter in new:
            source = source_of(letter)
            assert source in messages, "a dead letter of a message that was not delivered"
            assert is_dead_letter_of(letter, delivery.bad(messages[source])), f"{letter} of {messages[source]}"
        if outcome is not None and outcome.error is not None and self.queue_trouble is None:
            assert not new, "it raises, and has sent dead letters"
        # A FIFO queue takes a dead letter that is sent again for the one that it has.
        sources = {source_of(letter) for letter in (letters if self.fifo else new)}
        for id in acknowledged:
            assert (id in sources) == bool(delivery.bad(messages[id])), (
                "acknowledged without a dead letter, or with one"
            )
        return {source_of(letter) for letter in new}

    # What must hold at any time

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.sent.keys() - self._on_the_queue() <= self.done

    @invariant()
    def every_item_is_as_a_delivery_left_it(self) -> None:
        assert self.db.places() <= self.histories.keys()
        for place in self.histories:
            self._look_at(place)

    def _on_the_queue(self) -> set[str]:
        return {message["MessageId"] for message in self.sqs.messages(self.environments[0].queue_url)}

    def teardown(self) -> None:
        """Without trouble, one more delivery ends it all."""
        if not hasattr(self, "failed") or self.failed:
            return
        self.db.calm()
        self.trouble_of_the_queue(None, False)
        self.clock.sleep(LONGER_THAN_ANY_VISIBILITY)
        self.invoke(0, self.environments[0].receive(), 60.0, answer_is_lost=False)
        self.nothing_is_lost()
        self.every_item_is_as_a_delivery_left_it()
        assert not self._on_the_queue(), "the trouble is over, and messages are still returned"
        self.check_newest()
        if self.fifo:
            self.check_sequence()

    def check_newest(self) -> None:
        """A version that nothing newer came after is what the table has, whatever the order of arrival."""
        for place in self.histories:
            writes = [w for m in self.sent.values() for w in m.writes if w.place == place and w.is_versioned]
            newest = max((write.version for write in writes), default=0)
            puts = [write for write in writes if write.version == newest and write.kind == "put version"]
            if puts:
                assert self.db.state(place) in [write.applied_to(None) for write in puts]
                self.seen["newest"] += 1

    def check_sequence(self) -> None:
        """Each group's items are as if its messages had been applied one after the other, once."""
        states: dict[Place, State] = {}
        for message in self.sent.values():
            for write in message.writes:
                if write.code is None:
                    states[write.place] = write.applied_to(states.get(write.place))
        assert {place: self.db.state(place) for place in states} == states

    def _count(self, delivery: Delivery, outcome: Outcome | None, acknowledged: set[str], answer_is_lost: bool) -> None:
        places = [write.place for message in delivery.messages for write in message.writes if write.code is None]
        self.seen.update(
            name
            for name, reached in {
                "acknowledged": acknowledged,
                "invocation": True,
                "some returned": acknowledged and outcome and outcome.returned,
                "answer lost": answer_is_lost and acknowledged,
                "an item twice": len(places) > len(set(places)),
                "interrupted": self.running,
                "interrupted at the same item": any(len(self.histories[place].running) for place in set(places)),
                "dead-lettered": outcome and outcome.dead_lettered,
                "dead letter not sent": outcome and any("dead letter" in failure for failure in outcome.failures),
                "superseded": outcome and outcome.operations.superseded,
                "condition failed": outcome and outcome.operations.conditions_failed,
                "poison found": outcome and outcome.operations.rejected,
                "unprocessed": outcome and outcome.operations.unprocessed,
                "throttled": outcome and outcome.operations.throttled_calls,
                "raised": outcome and outcome.error,
                "done twice": acknowledged & self.done,
            }.items()
            if reached
        )


class Interruption:
    """As a delay of a call: in that time another environment is invoked, with other messages or with the same."""

    def __init__(self, function: Function, by_a_duplicate: bool) -> None:
        self._function, self._by_a_duplicate = function, by_a_duplicate

    def sleep(self, _: float) -> None:
        function = self._function
        if len(function.running) > 1:
            return
        # A FIFO queue keeps back what is in flight.
        again = self._by_a_duplicate and not function.fifo
        records = function.last if again else function.environments[1].receive()
        function.invoke(1, records, 0.3, answer_is_lost=False)


def source_of(letter: dict[str, Any]) -> str:
    return str(letter["MessageAttributes"]["SourceMessageId"]["StringValue"])


class Standard(Function):
    seen = Counter()

    @rule(environment=st.integers(0, 1), answer_is_lost=st.booleans())
    def the_last_event_comes_again(self, environment: int, answer_is_lost: bool) -> None:
        self.invoke(environment, self.last, 1.0, answer_is_lost=answer_is_lost)


class Fifo(Function):
    fifo = True
    seen = Counter()


REACHED = {
    "acknowledged", "some returned", "answer lost", "an item twice", "interrupted", "dead-lettered",
    "dead letter not sent", "superseded", "condition failed", "poison found", "unprocessed", "throttled", "raised",
    "killed", "newest",
}  # fmt: skip


def run(machine: type[Function], share: float) -> None:
    machine.seen.clear()
    run_state_machine_as_test(machine, settings=settings(examples(share), stateful_step_count=20))
    assert machine.seen.keys() >= REACHED, REACHED - machine.seen.keys()


def test_on_a_standard_queue_nothing_is_lost_and_every_item_is_as_a_delivery_may_leave_it() -> None:
    run(Standard, 1)

    assert Standard.seen["interrupted at the same item"]
    assert Standard.seen["done twice"]


def test_on_a_fifo_queue_each_group_ends_as_if_its_messages_had_been_applied_once_in_order() -> None:
    run(Fifo, 1)
