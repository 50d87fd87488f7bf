"""The promise: every message ends written, dead-lettered with its reason, or back on the queue; none is lost."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

import pytest
from aws_lambda_powertools import Metrics
from hypothesis import given
from hypothesis import strategies as st

from functions.batch_writer import metrics as report
from sluice.message.errors import TableError
from sluice.message.redelivery import visibility
from tests.fakes import Capacity, FakeDynamoDB, Unprocessed
from tests.fakes.faults import ConnectionLost
from tests.property.model import (
    THROTTLED,
    Invocation,
    by_item,
    is_poison,
    put_old_items,
    requests_of,
    stored,
    words_of_its_own,
    words_of_many,
)
from tests.strategies import (
    ALL_KINDS,
    GOOD_KINDS,
    TABLES,
    Body,
    Identity,
    Intent,
    Sieve,
    delays,
    examples,
    not_written,
    refusals,
    request_items,
    schedules,
    single_operations,
    unknown_outcome,
    until_seen,
    workloads,
)
from tests.world import World

A_LONG_TIME = 1_000_000.0
MARGIN = 5.0

seeds = st.integers(0, 2**32 - 1)


def world_of(bodies: Sequence[Body], seed: int, **settings: Any) -> World:
    """A world in which there is something to delete, and in which the service rejects what is poison."""
    dead_letters, words = settings.pop("dead_letters", True), settings.pop("words", words_of_its_own)
    world = World(TABLES, settings, dead_letters, Random(seed).random, are_connected=seed % 2 == 0)
    put_old_items(world, bodies)
    world.db.reject_if(lambda _, request: is_poison(request), words)
    return world


def deliver(world: World, bodies: dict[str, Body], records: list[dict[str, Any]], time_left: float) -> Invocation:
    calls, letters = len(world.db.calls), len(world.letters())
    outcome = world.invoke(records, time_left)
    delivered = [(record, bodies[record["messageId"]]) for record in records]
    return Invocation(world, delivered, world.db.calls[calls:], world.letters()[letters:], outcome)


def send(world: World, bodies: Sequence[Body]) -> dict[str, Body]:
    """Put the bodies on the queue; by message id."""
    return dict(zip(world.send(*(body.text for body in bodies)), bodies, strict=True))


def last_writes(delivered: Sequence[tuple[Any, Body]]) -> dict[Identity, Intent]:
    """The last good operation on each item."""
    chains = by_item(intent for _, body in delivered for intent in body.intents if not intent.poison)
    return {key: chain[-1] for key, chain in chains.items()}


# Whatever happens

TROUBLES: Sequence[tuple[st.SearchStrategy[Any], ...]] = (
    (),
    (not_written,),
    (not_written, unknown_outcome),
    (unknown_outcome,),
    (not_written, unknown_outcome, refusals),
)


def test_a_message_is_acknowledged_exactly_when_its_operations_are_in_the_table_or_dead_lettered() -> None:
    seen: Counter[str] = Counter()

    @given(st.data(), workloads(), seeds)
    def holds(data: st.DataObject, bodies: list[Body], seed: int) -> None:
        world = world_of(
            bodies,
            seed,
            dead_letters=data.draw(st.sampled_from([True, True, True, False]), "dead_letters"),
            max_connections=data.draw(st.sampled_from([1, 2, 8]), "connections"),
            max_write_units_per_second=data.draw(st.sampled_from([float("inf"), 100.0, 3.0]), "units"),
        )
        by_id = send(world, bodies)
        troubles = data.draw(st.sampled_from(TROUBLES), "troubles")
        late = (delays(world.clock, st.one_of(st.none(), not_written, unknown_outcome)),) if troubles else ()
        world.db.script(*data.draw(schedules(*troubles, *late), "schedule"))
        world.db.always(data.draw(st.one_of(st.none(), st.none(), not_written), "always") if troubles else None)
        world.db.respell = data.draw(st.booleans(), "respell")
        if data.draw(st.integers(0, 3), "limit") == 0:
            world.db.limit("orders-table", Capacity(2.0, 2.0, world.clock))
        queue_is_well = data.draw(dead_letter_trouble(world), "dead letters arrive")
        records = world.receive()
        if data.draw(st.integers(0, 9), "twice") == 0:  # At least once means: now and then twice.
            # Not poison, which would be found out in one copy, and be superseded in the other.
            records += [record for record in records[:2] if "poison" not in record["body"]]
        time_left = data.draw(st.sampled_from([5.01, 5.3, 12.0, 30.0]), "time left")

        invocation = deliver(world, by_id, records, time_left)

        in_time = world.clock() < time_left - 0.5  # Else the function is about to be killed, and sends nothing more.
        invocation.check(dead_letters_arrive=world.dead_letters and queue_is_well and in_time)
        check_calls_are_legal(invocation)
        check_metrics(invocation)
        if not late:
            assert world.clock() <= time_left - MARGIN + 0.01, "it sleeps past the deadline"
        note(seen, invocation)

    until_seen(holds, seen, REACHED)


REACHED = {
    "more than one batch", "a full batch", "an item twice in a message", "an item twice in an invocation",
    "several tables in a call", "written", "dead-lettered", "returned", "NothingWrittenError",
    "superseded", "unprocessed", "throttled", "InternalServerError", "ServiceUnavailable", "ConnectionClosedError",
    "ReadTimeoutError", "poison found", "partly dead-lettered",
}  # fmt: skip


def note(seen: Counter[str], invocation: Invocation) -> None:
    """Count what was reached, so that the property cannot hold for want of trouble."""
    outcome = invocation.outcome
    chains = by_item(intent for _, body in invocation.delivered for intent in body.intents)
    inside = (by_item(body.intents).values() for _, body in invocation.delivered)
    seen.update(
        name
        for name, reached in {
            "more than one batch": len(chains) > 25,
            "a full batch": 25 in outcome.operations.batch_fills,
            "an item twice in an invocation": any(len(chain) > 1 for chain in chains.values()),
            "an item twice in a message": any(len(chain) > 1 for message in inside for chain in message),
            "several tables in a call": any(len(call.kwargs["RequestItems"]) > 1 for call in invocation.calls),
            "written": outcome.written,
            "dead-lettered": outcome.dead_lettered,
            "returned": outcome.returned and outcome.written,
            "superseded": outcome.operations.superseded,
            "unprocessed": outcome.operations.unprocessed,
            "throttled": outcome.operations.throttled_calls,
            "poison found": invocation.found_out(),
            "partly dead-lettered": any(
                letter["Body"] not in [body.text for _, body in invocation.delivered] for letter in invocation.letters
            ),
            type(outcome.error).__name__: outcome.error,
        }.items()
        if reached
    )
    seen.update({call.error for call in invocation.calls if call.error and call.error not in THROTTLED})


@st.composite
def dead_letter_trouble(draw: st.DrawFn, world: World) -> bool:
    """Whether all dead letters arrive and SQS says so; else it fails for some, or its answer is lost."""
    match draw(st.sampled_from(["none", "none", "entries", "answer", "visibility"])):
        case "entries":
            failing = draw(st.sets(st.integers(0, 5), min_size=1))
            world.sqs.fail_entries("SendMessageBatch", {str(number) for number in failing})
            return False
        case "answer":
            world.sqs.script(ConnectionLost(applied=draw(st.booleans())), operation="SendMessageBatch")
            return False
        case "visibility":
            world.sqs.always(ConnectionLost(), "ChangeMessageVisibilityBatch")
    return True


def check_calls_are_legal(invocation: Invocation) -> None:
    """No call breaks a rule that can be checked beforehand: another table, without trouble, takes each of them."""
    table = FakeDynamoDB()
    for each in TABLES:
        sort_key = (each.sort_key.name, each.sort_key.type) if each.sort_key else None
        table.create_table(
            each.name, partition_key=(each.partition_key.name, each.partition_key.type), sort_key=sort_key
        )
    for call in invocation.calls:
        table.batch_write_item(**call.kwargs)


class Sums:
    """Takes metrics as Powertools does, and keeps what was flushed."""

    def __init__(self) -> None:
        self.metric_set: dict[str, dict[str, list[float]]] = {}
        self._flushed: dict[str, list[float]] = {}

    def flush_metrics(self) -> None:
        for name, metric in self.metric_set.items():
            self._flushed.setdefault(name, []).extend(metric["Value"])
        self.metric_set.clear()

    def values(self, name: str) -> list[float]:
        return [*self._flushed.get(name, []), *self.metric_set.get(name, {"Value": []})["Value"]]

    @property
    def totals(self) -> dict[str, float]:
        return {name: sum(self.values(name)) for name in {*self._flushed, *self.metric_set}}


def check_metrics(invocation: Invocation) -> None:
    """The metrics add up, and agree with what the table has seen."""
    sums = Sums()
    report.count(cast("Metrics", sums), invocation.outcome, now=0.0)
    total, calls, operations = sums.totals, invocation.calls, invocation.outcome.operations
    assert total["MessagesReceived"] == len(invocation.delivered)
    ends = ("MessagesWritten", "MessagesReturned", "MessagesDeadLettered")
    assert total["MessagesReceived"] == sum(total[end] for end in ends)
    assert total["BatchWrites"] == len(calls)
    assert sums.values("BatchFill") == [len(requests_of(call)) for call in calls]
    assert len(sums.values("WriteLatency")) == min(len(calls), report.MAX_VALUES)
    assert total["ThrottledCalls"] == sum(call.error in THROTTLED for call in calls)
    assert operations.written.isdisjoint(operations.superseded)
    assert (operations.written | operations.superseded).isdisjoint(operations.rejected)
    done = total["OperationsWritten"] + total["OperationsSuperseded"] + total["OperationsRejected"]
    intents = [intent for _, body in invocation.delivered for intent in body.intents]
    assert done <= len(intents)
    if not invocation.outcome.returned:
        assert done == len(intents)


@given(workloads(), refusals, st.lists(st.one_of(st.none(), not_written), max_size=2), seeds)
def test_a_refusal_of_the_table_raises_and_dead_letters_nothing(
    bodies: list[Body], refusal: Any, calls_before: list[Any], seed: int
) -> None:
    world = world_of(bodies, seed)
    by_id = send(world, bodies)
    world.db.script(*calls_before, refusal)

    invocation = deliver(world, by_id, world.receive(), 30.0)

    invocation.check(dead_letters_arrive=True)
    check_metrics(invocation)
    if isinstance(invocation.outcome.error, TableError):
        assert {message.id for message in invocation.outcome.returned} == invocation.ids


def test_a_refusal_is_the_tables_fault_a_policys_for_some_items_or_the_items_own() -> None:
    seen: set[str] = set()

    @given(
        single_operations("poison", "poison", "put", "delete"),
        st.builds(Sieve, st.integers(0, 99), st.sampled_from([0, 0, 10, 50, 100])),
        st.sampled_from([words_of_its_own, words_of_many]),
        seeds,
    )
    def holds(bodies: list[Body], is_denied: Sieve, words: Callable[[Any], str], seed: int) -> None:
        world = world_of(bodies, seed, words=words)
        world.db.deny_if(is_denied, "not for you")
        by_id = send(world, bodies)

        invocation = deliver(world, by_id, world.receive(), 30.0)

        invocation.check(dead_letters_arrive=True)
        check_metrics(invocation)
        error = invocation.outcome.error
        seen.update({"denied"} if invocation.denied() and not error else {})
        seen.update({"dead-lettered"} if invocation.found_out() and not error else {})
        seen.update({"the words"} if "the same words" in str(error) else {})
        seen.update({"access"} if "not for you" in str(error) else {})

    holds()

    assert seen == {"denied", "dead-lettered", "the words", "access"}


# Without trouble, and after it


@given(request_items("put", "mistake", "poison"), seeds)
def test_a_dead_letter_has_the_code_of_the_first_bad_operation(bodies: list[Body], seed: int) -> None:
    world = world_of(bodies, seed)
    by_id = send(world, bodies)

    invocation = deliver(world, by_id, world.receive(), 30.0)

    invocation.check_first_codes()


@given(workloads(), seeds, st.sampled_from([1, 8]))
def test_without_trouble_nothing_is_returned(bodies: list[Body], seed: int, connections: int) -> None:
    world = world_of(bodies, seed, max_connections=connections)
    by_id = send(world, bodies)
    before, consumed_before = stored(world), sum(world.db.consumed.values())

    invocation = deliver(world, by_id, world.receive(), 30.0)

    assert invocation.outcome.item_failures == []
    invocation.check(dead_letters_arrive=True)
    check_metrics(invocation)
    wanted = {key: intent.item for key, intent in last_writes(invocation.delivered).items()}
    assert stored(world) == {key: item for key, item in (before | wanted).items() if item is not None}
    assert invocation.outcome.operations.consumed == sum(world.db.consumed.values()) - consumed_before


@given(st.data(), workloads(), seeds)
def test_trouble_that_ends_in_time_returns_nothing(data: st.DataObject, bodies: list[Body], seed: int) -> None:
    world = world_of(bodies, seed)
    by_id = send(world, bodies)
    world.db.script(*data.draw(schedules(not_written, unknown_outcome), "schedule"))
    world.db.respell = data.draw(st.booleans(), "respell")

    invocation = deliver(world, by_id, world.receive(), A_LONG_TIME)

    assert invocation.outcome.item_failures == []
    assert invocation.outcome.error is None
    invocation.check(dead_letters_arrive=True)


def test_trouble_that_is_over_is_no_reason_to_raise() -> None:
    world = World(settings={"max_connections": 1, "max_write_units_per_second": 3.0})
    world.db.script(Unprocessed(5))

    outcome = world.run([{"put": {"pk": f"{number}"}} for number in range(46)], time_left=12.0)

    sent = {key for call in world.db.calls for key, _ in requests_of(call)}
    assert stored(world).keys() == sent, "the table has taken all that it was sent"
    assert 25 <= len(sent) < 46
    assert [failure["itemIdentifier"] for failure in outcome.item_failures] == [outcome.received[0].id]
    assert outcome.error is None


# Redelivery


def redeliver_until_done(world: World, bodies: Sequence[Body], shuffle: Random | None) -> list[Invocation]:
    """Invocations until the queue is empty; the trouble is over after the third."""
    by_id = send(world, bodies)
    invocations: list[Invocation] = []
    while records := world.receive():
        if shuffle is not None:
            shuffle.shuffle(records)
        invocations.append(deliver(world, by_id, records, MARGIN + 3.0))
        world.clock.sleep(1_000)  # Longer than any visibility: all that was returned is there again.
        if len(invocations) == 3:
            world.db.always(None)
            world.db.limit("orders-table", None)
            world.sqs.fail_entries("SendMessageBatch", ())
            world.sqs.always(None, "ChangeMessageVisibilityBatch")
        assert len(invocations) < 40, "messages go round in circles"
    return invocations


def trouble(data: st.DataObject, world: World) -> None:
    world.db.script(*data.draw(schedules(not_written, unknown_outcome, refusals, longest=8), "schedule"))
    world.db.always(data.draw(st.one_of(st.none(), not_written), "always"))
    if data.draw(st.booleans(), "limit"):
        world.db.limit("orders-table", Capacity(0.1, 2.0, world.clock))
    data.draw(dead_letter_trouble(world), "dead letters arrive")


@examples(0.4)
@given(st.data(), workloads(*ALL_KINDS), seeds)
def test_after_redelivery_each_item_is_as_its_last_delivery_left_it(
    data: st.DataObject, bodies: list[Body], seed: int
) -> None:
    """What a standard queue can promise: order holds within an invocation, and redelivery is a new arrival."""
    world = world_of(bodies, seed)
    before = stored(world)
    trouble(data, world)

    invocations = redeliver_until_done(world, bodies, Random(seed))

    wanted: dict[Identity, Intent] = {}
    for invocation in invocations:
        wanted |= last_writes(invocation.delivered)
        check_calls_are_legal(invocation)
        check_metrics(invocation)
        invocation.check_one_outcome_each()
        invocation.check_dead_letters()
    assert stored(world) == {key: item for key, item in (before | items_of(wanted)).items() if item is not None}
    bad = {message for invocation in invocations for message in lettered(invocation)}
    mistaken = {
        record["messageId"] for record, body in invocations[0].delivered if any(intent.code for intent in body.intents)
    }
    assert bad >= mistaken, "a bad message is neither on the queue nor among the dead letters"


@examples(0.4)
@given(st.data(), single_operations(*ALL_KINDS), seeds)
def test_redelivery_in_order_of_single_operations_ends_as_without_trouble(
    data: st.DataObject, bodies: list[Body], seed: int
) -> None:
    """With one operation to a message, those on one item share their fate, so that none overtakes another."""
    troubled, calm = world_of(bodies, seed), world_of(bodies, seed)
    trouble(data, troubled)

    redeliver_until_done(troubled, bodies, None)
    redeliver_until_done(calm, bodies, None)

    assert stored(troubled) == stored(calm)


def items_of(intents: dict[Identity, Intent]) -> dict[Identity, Any]:
    return {key: intent.item for key, intent in intents.items()}


def lettered(invocation: Invocation) -> set[str]:
    return {letter["MessageAttributes"]["SourceMessageId"]["StringValue"] for letter in invocation.letters}


# Identity

texts = st.text("ab$", max_size=2)


@given(texts, texts, texts, st.sampled_from(["", "|", "#", ":", "$", "/", "-", "_", ",", " ", "\x1f", "\\"]))
def test_keys_that_read_alike_when_joined_are_different_items(first: str, middle: str, last: str, joint: str) -> None:
    world = World(TABLES)
    one, other = (f"a{first}{joint}{middle}", f"{last}b"), (f"a{first}", f"{middle}{joint}{last}b")
    bodies = [{"put": {"pk": pk, "sk": sk}, "table": "pairs"} for pk, sk in (one, other)]

    world.run(*bodies, {"put": {"pk": one[0]}}, {"put": {"pk": one[0]}, "table": "copies"})

    assert {(item["pk"]["S"], item["sk"]["S"]) for item in world.db.items("pairs-table")} == {one, other}
    assert len(world.db.items("orders-table")) == len(world.db.items("copies-table")) == 1


# Visibility


@examples(0.5)
@given(st.data(), workloads(*GOOD_KINDS), seeds, st.integers(1, 6))
def test_a_returned_message_is_hidden_for_a_time_that_grows_with_its_receives(
    data: st.DataObject, bodies: list[Body], seed: int, receives: int
) -> None:
    world = world_of(bodies, seed)
    send(world, bodies)
    for _ in range(receives - 1):
        world.receive()
        world.clock.sleep(31)  # One more than the queue's visibility timeout.
    world.db.always(data.draw(not_written, "always"))
    records = world.receive()

    outcome = world.invoke(records)

    handles = {record["messageId"]: record["receiptHandle"] for record in records}
    hidden = dict(world.sqs.visibility_changes)
    assert set(hidden) == {handles[message.id] for message in outcome.returned}
    assert all(1 <= seconds <= min(900, 5 * 2 ** (receives - 1)) for seconds in hidden.values())


@pytest.mark.parametrize("receive_count", [1, 2, 5, 8, 9, 20, 10_000])
def test_the_time_hidden_uses_the_whole_range(receive_count: int) -> None:
    ceiling = min(900, 5 * 2 ** (min(receive_count, 20) - 1))

    drawn = [visibility(receive_count, step / 10_000) for step in range(10_000)]

    assert set(drawn) == set(range(1, ceiling + 1))
    assert max(Counter(drawn).values()) - min(Counter(drawn).values()) <= 1, "every second is as likely as another"
