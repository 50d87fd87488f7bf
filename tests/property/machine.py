"""Queue, function and tables over random schedules of messages, faults, crashes, redeliveries and duplicates."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import NothingWrittenError, TableError
from tests.fakes import Canceled, Clock, Delay, Fault
from tests.property.history import Delivery, History, is_dead_letter_of
from tests.property.promises import (
    check_added,
    check_added_once,
    check_counts,
    check_newest,
    check_sequence,
    check_visibility,
    source_of,
)
from tests.property.schedules import (
    INTERRUPTION_BY_A_DUPLICATE,
    NOT_FOR_SHARED_ITEMS,
    Arrivals,
    Draft,
    KilledError,
    Setting,
    queue_troubles,
)
from tests.property.watched import MISSING, WatchedDynamoDB, tables_denied
from tests.property.writes import TABLES, Place, Sent, State, Write, body
from tests.strategies import not_written, unknown_outcome
from tests.world import World

MARGIN = 5.0  # The default of DEADLINE_MARGIN, in seconds.
LONGER_THAN_ANY_VISIBILITY = 1_000  # Seconds.


# One class, as Hypothesis wants rules and invariants on one; what is promised stands in promises.py and history.py.
class Function(RuleBasedStateMachine):
    """Several environments of the function between one queue and the same tables."""

    fifo = False
    setting: Setting = "default"
    most_records = 10_000
    """Of one event."""
    seen: Counter[str]
    """What was reached in all runs."""

    @initialize(
        seed=st.integers(0, 999),
        connections=st.sampled_from([1, 8]),
        skips=st.sampled_from([(True, True), (False, True), (False, False)]),
    )
    def start(self, seed: int, connections: int, skips: tuple[bool, bool]) -> None:
        self.once = self.setting == "update once"
        self.refuses_conditions = self.setting.startswith("refuse")
        self.has_dlq = not self.setting.endswith("no dead letters")
        self.clock = Clock()
        self.environments = [self._world(seed, 1, skips[0]), self._world(seed + 1, connections, skips[1])]
        self.db, self.sqs = WatchedDynamoDB(self.clock), self.environments[0].sqs
        for world in self.environments:
            world.db, world.sqs = self.db, self.sqs
        self.queue_url = self.environments[0].queue_url
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

    def _world(self, seed: int, connections: int, skips: bool) -> World:
        return World(
            [replace(table, skip_unchanged=skips) for table in TABLES],
            {
                "max_connections": connections,
                "update_once": self.once,
                "on_condition_failed": "dead-letter" if self.refuses_conditions else "skip",
            },
            dead_letters=self.has_dlq,
            chance=Random(seed).random,
            fifo=self.fifo,
            fifo_dead_letters=self.fifo,
            clock=self.clock,
            are_connected=connections % 2 == 0,
        )

    # What happens

    def send(self, arrivals: Arrivals) -> None:
        for group, drafts in arrivals:
            number = len(self.sent)
            writes = [self._write(group, draft, f"{number}.{position}") for position, draft in enumerate(drafts)]
            [id] = self.environments[0].send(body(writes), group=group)
            self.sent[id] = Sent(id, group, writes)

    def _write(self, group: str, draft: Draft, marker: str) -> Write:
        kind, item, version, is_native = draft
        if item == 3:  # Several groups share this one.
            kind, pk = NOT_FOR_SHARED_ITEMS.get(kind, kind), ""
        else:
            pk = f"{group}{item}"
        # Counters stand by themselves, and with UPDATE_ONCE all that is updated does: a put that is delivered again
        # wipes out an update that is not applied again.
        if kind == "add" or (self.once and kind in ("update", "update if present")):
            pk = f"{pk}+"
        if kind == "put again":
            return Write("put", pk, marker, version, is_native, content=f"{pk} as {version % 2}")
        return Write(kind, pk or "shared", marker, version, is_native)

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

    def arrive(
        self,
        arrivals: Arrivals,
        wait: int,
        environment: int,
        count: int,
        seconds: float,
        schedule: list[Fault | str | None],
        cancellations: list[Canceled],
        answer_is_lost: bool,
    ) -> None:
        """Messages are sent, and an environment is invoked with what is on the queue, while the table has trouble."""
        self.clock.sleep(wait)
        self.send(arrivals)
        for fault in schedule:
            if isinstance(fault, str):
                self.db.script(Delay(0, Interruption(self, fault == INTERRUPTION_BY_A_DUPLICATE)))
            else:
                self.db.script(fault)
        self.db.script(*cancellations, operation="TransactWriteItems")
        self.last = self.environments[environment].receive(count)
        self.invoke(environment, self.last, seconds, answer_is_lost=answer_is_lost)

    @rule(
        wait=st.sampled_from([1, 6, 31, 31, LONGER_THAN_ANY_VISIBILITY]),
        environment=st.integers(0, 1),
        answer_is_lost=st.booleans(),
    )
    def time_passes(self, wait: int, environment: int, answer_is_lost: bool) -> None:
        """What is visible again by then is delivered again."""
        self.clock.sleep(wait)
        self.last = self.environments[environment].receive(self.most_records)
        self.invoke(environment, self.last, 1.0, answer_is_lost=answer_is_lost)

    # The function

    def invoke(self, environment: int, records: list[dict[str, Any]], seconds: float, *, answer_is_lost: bool) -> None:
        """Hand the records to an environment, `seconds` before its deadline; delete what it calls done."""
        if not records:
            return
        self.failed = True  # Until it is known to be well, so that the drain at the end hides no failure.
        delivery = self._delivery(records)
        chains = delivery.chains()
        for place, of_place in chains.items():
            self.histories.setdefault(place, History(self._results)).begin(
                [[w for _, w in chain] for chain in of_place]
            )
            self._look_at(place)
        self.running.append(delivery)
        self.db.note = delivery.answers.append
        changed_before = len(self.sqs.visibility_changes)
        outcome: Outcome | None = None
        try:
            outcome = self.environments[environment].pipeline.run(records, MARGIN + seconds)
        except KilledError:
            self.seen["killed"] += 1
        self.running.pop()
        self.db.note = self.running[-1].answers.append if self.running else lambda _: None
        acknowledged = self._acknowledged(delivery, outcome)
        settled = acknowledged | self._check_dead_letters(delivery, outcome, acknowledged)
        delivery.check_written(settled)
        for place, of_place in chains.items():
            at_least = [
                max((n for n, (id, _) in enumerate(chain, 1) if id in settled), default=0) for chain in of_place
            ]
            self.histories[place].end(at_least)
            self._look_at(place)
        if self.fifo:
            delivery.check_order()
        if outcome is not None:
            check_counts(delivery, outcome, acknowledged)
            if self.queue_trouble is None and not isinstance(outcome.error, TableError):
                check_visibility(delivery, records, outcome, dict(self.sqs.visibility_changes[changed_before:]))
        self._count(delivery, outcome, acknowledged, answer_is_lost)
        if not answer_is_lost:
            self.done |= acknowledged
            self._delete([record for record in records if record["messageId"] in acknowledged])
        self.failed = False

    def _delivery(self, records: list[dict[str, Any]]) -> Delivery:
        return Delivery(
            [self.sent[record["messageId"]] for record in records],
            self.fifo,
            frozenset(r["messageId"] for r in records if int(r["attributes"]["ApproximateReceiveCount"]) > 1),
            self.refuses_conditions,
            self.has_dlq,
        )

    def _results(self, write: Write, state: State) -> set[State]:
        """With UPDATE_ONCE an update that has been applied changes nothing when it is delivered again."""
        after = {write.applied_to(state)}
        return after | {state} if self.once and write.signature in self.db.updated else after

    def _look_at(self, place: Place) -> None:
        history, state = self.histories[place], self.db.state(place)
        possible = {possible for possible, _ in history.may_be}
        assert history.is_seen_to_be(state), f"{place} is {state}, and may only be one of {possible}"

    def _acknowledged(self, delivery: Delivery, outcome: Outcome | None) -> set[str]:
        """What the function calls done: nothing where it raises or is killed."""
        if outcome is None:
            return set()
        is_missing = any(answer.error == MISSING for answer in delivery.answers)
        refused = is_missing or bool(tables_denied(delivery.answers))
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
        assert self.has_dlq or not letters
        messages = {message.id: message for message in delivery.messages}
        for letter in new:
            source = source_of(letter)
            assert source in messages, "a dead letter of a message that was not delivered"
            ways = delivery.bad_or_not(messages[source])
            assert any(is_dead_letter_of(letter, bad) for bad in ways), f"{letter} of {messages[source]}"
            assert not self.fifo or letter["Attributes"]["MessageGroupId"] == messages[source].group
        if outcome is not None and outcome.error is not None and self.queue_trouble is None:
            assert not new, "it raises, and has sent dead letters"
        fresh = {source_of(letter) for letter in new}
        # A FIFO queue takes a dead letter that is sent again for the one that it has.
        there = {source_of(letter) for letter in letters} if self.fifo else fresh
        for id in acknowledged:
            ways = delivery.bad_or_not(messages[id])
            assert any(id in there if bad else id not in fresh for bad in ways), (
                "acknowledged without a dead letter, or with one"
            )
        return fresh

    def _delete(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=record["receiptHandle"])

    # What must hold at any time

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.sent.keys() - self._on_the_queue() <= self.done

    @invariant()
    def every_item_is_as_a_delivery_left_it(self) -> None:
        assert self.db.places() <= self.histories.keys()
        for place in self.histories:
            self._look_at(place)

    @invariant()
    def with_update_once_nothing_is_added_twice_in_ten_minutes(self) -> None:
        if self.once:
            check_added_once(self.db)

    def _on_the_queue(self) -> set[str]:
        return self.sqs.message_ids(self.queue_url)

    # The end

    def teardown(self) -> None:
        """Without trouble, all comes to its end."""
        if not hasattr(self, "failed") or self.failed:
            return
        self.db.calm()
        self.trouble_of_the_queue(None, False)
        while self._on_the_queue():
            self._deliver_what_is_left()
        self.nothing_is_lost()
        self.every_item_is_as_a_delivery_left_it()
        self.with_update_once_nothing_is_added_twice_in_ten_minutes()
        writes = [write for message in self.sent.values() for write in message.writes if write.code is None]
        self.seen["newest"] += check_newest(self.db, writes)
        self.seen["added"] += check_added(self.db, writes)
        if self.fifo:
            self.seen["sequence"] += check_sequence(self.db, writes, once=self.once)
        self.seen["transaction repeated"] += self.db.repeated_transactions

    def _deliver_what_is_left(self) -> None:
        """One more delivery, which ends all but what is bad and has no dead-letter queue to go to."""
        while not (records := self.environments[0].receive(self.most_records)):
            self.clock.sleep(31)
        self.invoke(0, records, 60.0, answer_is_lost=False)
        on_the_queue = self._on_the_queue()
        left = [record for record in records if record["messageId"] in on_the_queue]
        if not left:
            return
        assert not self.has_dlq, "the trouble is over, and messages are still returned"
        self._take_away(left)

    def _take_away(self, left: list[dict[str, Any]]) -> None:
        """What SQS's own redrive does in time to what is returned every time: on FIFO to the first of each group."""
        groups: set[str] = set()
        for record in left:
            message = self.sent[record["messageId"]]
            if self.fifo and message.group in groups:
                continue
            groups.add(message.group)
            assert any(self.last_delivery.bad_or_not(message)), f"returned without need: {message}"
            self.done.add(message.id)
            self._delete([record])
            self.seen["held to the end"] += 1

    def _count(self, delivery: Delivery, outcome: Outcome | None, acknowledged: set[str], answer_is_lost: bool) -> None:
        self.last_delivery = delivery
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
                "condition refused": self.refuses_conditions
                and any(write.has_condition for message in delivery.messages for write in delivery.bad(message)),
                "poison found": outcome and outcome.operations.rejected,
                "unchanged": outcome and outcome.operations.unchanged,
                "stale by reading": outcome
                and outcome.operations.by_reading & outcome.operations.conditions_failed.keys(),
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
        if function.fifo:  # It keeps back every group of which something is in flight.
            function.send([("z", [("put", 3, 1, False), ("put", 0, 1, False)])])
        if self._by_a_duplicate and not function.fifo:
            records = function.last
        else:
            records = function.environments[1].receive(function.most_records)
        function.seen["interrupted after a read"] += any(answer.seen for answer in function.running[-1].answers)
        function.invoke(1, records, 0.3, answer_is_lost=False)
