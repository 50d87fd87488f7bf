"""What becomes of a message: written, dead-lettered or returned; never lost, never acknowledged unwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import NothingWrittenError, SettingsError, TableError
from tests.fakes import (
    Capacity,
    ConnectionLost,
    Delay,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
)
from tests.world import World

THROTTLES = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"]
UNKNOWN_OUTCOMES: dict[str, Fault] = {
    "500": ServerError(),
    "500 after applying": ServerError(applied=True),
    "503": ServerError("ServiceUnavailable", 503),
    "connection lost": ConnectionLost(),
    "connection lost after applying": ConnectionLost(applied=True),
    "timeout": Timeout(),
    "timeout after applying": Timeout(applied=True),
}
TROUBLE: dict[str, Fault] = {**{code: Throttle(code) for code in THROTTLES}, **UNKNOWN_OUTCOMES}

BAD: dict[str, Any] = {"put": {}}


def puts(count: int, prefix: str = "a") -> list[dict[str, Any]]:
    return [{"put": {"pk": f"{prefix}{n}"}} for n in range(count)]


def holds(text: str) -> Callable[[str, Any], bool]:
    """True of a request that has this text anywhere."""
    return lambda _table, request: text in json.dumps(request, default=repr)


def keys(world: World) -> set[str]:
    return {item["pk"]["S"] for item in world.db.items("orders-table")}


def fates(outcome: Outcome) -> dict[str, list[str]]:
    return {
        "written": [message.id for message in outcome.written],
        "dead-lettered": [message.id for message in outcome.dead_lettered],
        "returned": [message.id for message in outcome.returned],
    }


def on_queue(world: World) -> list[str]:
    return [message["MessageId"] for message in world.sqs.messages(world.queue_url)]


# Each message in exactly one outcome


def test_each_message_ends_in_exactly_one_outcome() -> None:
    world = World()
    world.db.reject_if(holds("poison"))
    world.db.always(UnprocessedIf(holds("busy")))
    bodies = [
        *({"put": {"pk": name}} for name in ("good", "poison", "busy")),
        BAD,
        [{"put": {"pk": "good-beside-bad"}}, BAD],
        [{"put": {"pk": "busy-beside-bad"}}, BAD],
        [{"put": {"pk": "busy-beside-good"}}, {"put": {"pk": "good-with-another"}}],
        "{",
    ]
    good, poison, busy, bad, good_bad, busy_bad, busy_good, broken = world.send(*bodies)

    outcome = world.invoke(world.receive())

    assert fates(outcome) == {
        "written": [good],
        "dead-lettered": [poison, bad, good_bad, broken],
        "returned": [busy, busy_bad, busy_good],
    }
    assert outcome.item_failures == [{"itemIdentifier": id} for id in (busy, busy_bad, busy_good)]
    assert keys(world) == {"good", "good-beside-bad", "good-with-another"}
    assert on_queue(world) == [busy, busy_bad, busy_good]


def test_a_message_is_not_dead_lettered_while_another_of_its_operations_is_pending() -> None:
    world = World()
    world.db.always(UnprocessedIf(holds("busy")))
    world.send([{"put": {"pk": "busy"}}, BAD])
    world.invoke(world.receive())
    assert world.letters() == []
    world.db.always(None)
    world.clock.sleep(1000)

    outcome = world.invoke(world.receive())

    assert keys(world) == {"busy"}
    assert world.reasons() == ["MissingKey"]
    assert outcome.item_failures == []
    assert on_queue(world) == []


def test_a_message_that_comes_twice_in_an_event_is_returned_once() -> None:
    world = World()
    world.db.always(Throttle())
    world.send({"put": {"pk": "a"}})
    record = world.receive()[0]

    outcome = world.invoke([record, record])

    assert outcome.item_failures == [{"itemIdentifier": record["messageId"]}]


# Unprocessed items


def test_unprocessed_items_are_sent_again_until_they_are_written() -> None:
    world = World()
    world.db.script(Unprocessed(20), Unprocessed(25), Unprocessed(3), Unprocessed(1))

    outcome = world.run(*puts(25))

    assert keys(world) == {f"a{n}" for n in range(25)}
    assert outcome.item_failures == []
    assert outcome.operations.unprocessed == 20 + 20 + 3 + 1
    assert [call.error for call in world.db.calls] == [None] * 5


def test_a_table_that_took_nothing_is_tried_by_small_calls_while_there_is_much_to_write() -> None:
    world = World()
    world.db.script(Unprocessed(25))

    outcome = world.run(*puts(300))

    sent = [len(call.kwargs["RequestItems"]["orders-table"]) for call in world.db.calls]
    assert keys(world) == {f"a{n}" for n in range(300)}
    assert outcome.operations.unprocessed == 25
    assert sent[:3] == [25, 1, 1]
    assert sum(sent) == 325
    assert world.clock() < 3.0


def test_only_what_was_unprocessed_is_sent_again() -> None:
    world = World()
    world.db.script(Unprocessed(2))

    world.run(*puts(10))

    sent = [len(call.kwargs["RequestItems"]["orders-table"]) for call in world.db.calls]
    assert sent == [10, 2]


def test_unprocessed_items_are_known_in_any_order_and_spelling() -> None:
    world = World()
    world.db.respell = True
    world.db.script(Unprocessed(9), Unprocessed(4))

    numbers = ["1", "2.5", "-3", "1e2", "0", "0.10", "7", "8", "9"]
    outcome = world.run(*(f'{{"put": {{"pk": "a", "sk": {n}}}, "table": "events"}}' for n in numbers))

    assert len(world.db.items("events-table")) == len(numbers)
    assert outcome.item_failures == []
    assert {call.error for call in world.db.calls} == {None}


def test_unprocessed_deletes_and_binary_keys_are_sent_again() -> None:
    world = World()
    world.db.respell = True
    blobs = [{"Put": {"TableName": "blobs", "Item": {"id": {"B": id}}}} for id in ("AAA=", "AAE=", "AAI=")]
    world.run(*blobs, {"put": {"pk": "a", "sk": 5}, "table": "events"})
    world.db.script(Unprocessed(4))

    deletes = [{"Delete": {"TableName": "blobs", "Key": {"id": {"B": id}}}} for id in ("AAA=", "AAE=")]
    outcome = world.run(*deletes, {"delete": {"pk": "a", "sk": 5.0}, "table": "events"})

    assert world.db.items("blobs-table") == [{"id": {"B": b"\x00\x02"}}]
    assert world.db.items("events-table") == []
    assert outcome.item_failures == []


def test_what_stays_unprocessed_is_returned_at_the_deadline() -> None:
    world = World(settings={"deadline_margin": 5})
    world.db.always(UnprocessedIf(holds("busy")))
    world.send(*puts(3), {"put": {"pk": "busy"}})

    outcome = world.invoke(world.receive(), time_left=30)

    assert keys(world) == {"a0", "a1", "a2"}
    assert [failure["itemIdentifier"] for failure in outcome.item_failures] == on_queue(world)
    assert len(on_queue(world)) == 1
    assert outcome.error is None
    assert 20 <= world.clock() <= 30
    assert len(world.db.calls) >= 5


def test_items_that_find_no_capacity_at_first_are_written_as_it_comes() -> None:
    world = World()
    world.db.limit("orders-table", Capacity(50, 1, world.clock))

    outcome = world.run(*puts(500))

    assert len(keys(world)) == 500
    assert outcome.item_failures == []
    assert outcome.operations.unprocessed > 0


def test_a_throttled_table_does_not_hold_back_another() -> None:
    world = World()
    world.db.always(UnprocessedIf(lambda table, _request: table == "orders-table"))

    outcome = world.run(*puts(100), *({"put": {"pk": "e", "sk": n}, "table": "events"} for n in range(100)))

    assert len(world.db.items("events-table")) == 100
    assert len(outcome.item_failures) == 100
    assert outcome.error is None


@pytest.mark.parametrize(
    "stranger",
    [
        {"orders-table": [{"PutRequest": {"Item": {"pk": {"S": "stranger"}}}}]},
        {"strange-table": [{"PutRequest": {"Item": {"pk": {"S": "a0"}}}}]},
        {"orders-table": [{"PutRequest": {"Item": {}}}]},
        {"orders-table": [{"PutRequest": {"Item": {"pk": {"N": "0"}}}}]},
    ],
    ids=["key", "table", "no key", "key type"],
)
def test_unprocessed_items_that_match_nothing_leave_the_whole_call_in_doubt(
    stranger: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.send(*puts(3))

    monkeypatch.setattr(world.db, "batch_write_item", lambda **_: {"UnprocessedItems": stranger})
    outcome = world.invoke(world.receive())

    assert fates(outcome)["written"] == []
    assert len(outcome.returned) == 3
    assert isinstance(outcome.error, NothingWrittenError)


def test_an_item_unprocessed_beside_one_that_matches_nothing_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    write = world.db.batch_write_item
    answers = [{"orders-table": [{"PutRequest": {"Item": {"pk": {"S": key}}}} for key in ("a1", "stranger")]}]

    def answer(**request: Any) -> Any:
        return {"UnprocessedItems": answers.pop()} if answers else write(**request)

    monkeypatch.setattr(world.db, "batch_write_item", answer)
    outcome = world.run(*puts(3))

    assert keys(world) == {"a0", "a1", "a2"}
    assert len(outcome.written) == 3


# Throttles, failures of the service, lost connections


@pytest.mark.parametrize("fault", TROUBLE.values(), ids=TROUBLE)
def test_a_call_that_fails_for_a_while_is_sent_again(fault: Fault) -> None:
    world = World()
    world.db.script(fault, fault, fault)

    outcome = world.run(*puts(5), {"delete": {"pk": "a0"}})

    assert keys(world) == {"a1", "a2", "a3", "a4"}
    assert outcome.item_failures == []
    assert world.letters() == []
    assert len(world.db.calls) == 4


@pytest.mark.parametrize("fault", UNKNOWN_OUTCOMES.values(), ids=UNKNOWN_OUTCOMES)
def test_an_unknown_outcome_makes_nothing_slower_than_its_backoff(fault: Fault) -> None:
    world = World()
    world.db.script(fault, fault, fault)

    world.run(*puts(5))

    assert [len(call.kwargs["RequestItems"]["orders-table"]) for call in world.db.calls] == [5] * 4
    assert world.clock() == pytest.approx(0.025 + 0.05 + 0.1)


@pytest.mark.parametrize("fault", TROUBLE.values(), ids=TROUBLE)
def test_a_call_that_never_succeeds_counts_as_not_written(fault: Fault) -> None:
    world = World(settings={"deadline_margin": 5})
    world.db.always(fault)
    ids = world.send(*puts(60), BAD)

    outcome = world.invoke(world.receive(), time_left=30)

    assert outcome.written == []
    assert set(fates(outcome)["returned"]) >= set(ids[:60])
    assert world.clock() <= 30
    assert 1 < len(world.db.calls) < 1000


@pytest.mark.parametrize("code", THROTTLES)
def test_throttled_calls_are_counted_and_waited_for(code: str) -> None:
    world = World()
    world.db.script(Throttle(code), Throttle(code))

    outcome = world.run(*puts(5))

    assert outcome.operations.throttled_calls == 2
    assert sum(world.clock.slept) > 0


def test_waits_grow_and_are_drawn_by_chance() -> None:
    def waits(chance: float) -> list[float]:
        world = World(chance=lambda: chance)
        world.db.script(*[Throttle()] * 6)
        world.run({"put": {"pk": "a"}})
        return world.clock.slept

    long, short = waits(0.999), waits(0.25)

    assert sum(short) < sum(long)
    assert long[-1] > 2 * long[0]


@pytest.mark.parametrize("fault", [ServerError(applied=True), ConnectionLost(applied=True), Timeout(applied=True)])
def test_a_write_of_unknown_outcome_that_is_sent_again_does_not_undo_a_later_one(fault: Fault) -> None:
    world = World()
    world.db.script(fault)

    world.run({"put": {"pk": "a", "v": 1}}, {"put": {"pk": "a", "v": 2}})

    assert world.db.items("orders-table") == [{"pk": {"S": "a"}, "v": {"N": "2"}}]


def test_no_call_is_sent_when_the_deadline_has_come() -> None:
    world = World(settings={"deadline_margin": 5})
    sent_at: list[float] = []

    def busy(_table: str, _request: Any) -> bool:
        sent_at.append(world.clock())
        return True

    world.db.always(UnprocessedIf(busy))

    world.run({"put": {"pk": "a"}}, time_left=12)

    assert sent_at
    assert max(sent_at) <= 7


def test_a_slow_answer_does_not_lose_what_it_wrote() -> None:
    world = World(settings={"deadline_margin": 5})
    world.db.script(Delay(8, world.clock))

    outcome = world.run(*puts(3), time_left=30)

    assert keys(world) == {"a0", "a1", "a2"}
    assert outcome.item_failures == []
    assert len(world.db.calls) == 1


# What the whole invocation ends with


def test_an_invocation_that_wrote_nothing_because_of_the_table_raises() -> None:
    world = World()
    world.db.always(Throttle())
    ids = world.send(*puts(3))

    outcome = world.invoke(world.receive())

    assert isinstance(outcome.error, NothingWrittenError)
    assert fates(outcome) == {"written": [], "dead-lettered": [], "returned": ids}
    assert len(world.sqs.visibility_changes) == 3
    assert on_queue(world) == ids


def test_one_written_operation_is_no_written_message() -> None:
    world = World()
    world.db.always(UnprocessedIf(holds("busy")))

    outcome = world.run([{"put": {"pk": "a"}}, {"put": {"pk": "busy"}}])

    assert keys(world) == {"a"}
    assert isinstance(outcome.error, NothingWrittenError)


def test_one_written_message_is_enough_not_to_raise() -> None:
    world = World()
    world.db.always(UnprocessedIf(holds("busy")))

    outcome = world.run({"put": {"pk": "a"}}, {"put": {"pk": "busy"}})

    assert outcome.error is None
    assert len(outcome.returned) == 1


def test_one_dead_lettered_message_is_enough_not_to_raise() -> None:
    world = World()
    world.db.always(Throttle())

    outcome = world.run({"put": {"pk": "a"}}, BAD)

    assert outcome.error is None
    assert len(outcome.returned) == len(outcome.dead_lettered) == 1


def test_bad_messages_without_a_dead_letter_queue_are_returned_without_raising() -> None:
    world = World(dead_letters=False)
    ids = world.send(BAD, "{")

    outcome = world.invoke(world.receive())

    assert outcome.error is None
    assert fates(outcome)["returned"] == ids
    assert len(world.sqs.visibility_changes) == 2
    assert world.letters() == []


def test_bad_messages_whose_dead_letters_fail_are_returned_without_raising() -> None:
    world = World()
    world.sqs.always(Refusal("AccessDenied", "no"), "SendMessageBatch")

    outcome = world.run(BAD, "{")

    assert outcome.error is None
    assert len(outcome.returned) == 2


def test_a_retry_that_succeeds_is_no_trouble_for_bad_messages_that_are_returned() -> None:
    world = World(dead_letters=False)
    world.db.reject_if(holds("poison"))
    world.db.script(ServerError())

    outcome = world.run({"put": {"pk": "poison"}})

    assert len(outcome.returned) == 1
    assert outcome.error is None


@pytest.mark.parametrize("dead_letters", [True, False])
def test_a_throttled_message_beside_a_bad_one_that_cannot_be_dead_lettered_raises(dead_letters: bool) -> None:
    world = World(dead_letters=dead_letters)
    world.sqs.always(Refusal("AccessDenied", "no"), "SendMessageBatch")
    world.db.always(Throttle())

    outcome = world.run({"put": {"pk": "a"}}, BAD)

    assert isinstance(outcome.error, NothingWrittenError)
    assert len(outcome.returned) == 2


# Nobody's bad message


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("ResourceNotFoundException", "Requested resource not found"),
        Refusal("AccessDeniedException", "User is not authorized to perform: dynamodb:BatchWriteItem on orders-table"),
        Refusal("UnrecognizedClientException", "The security token included in the request is invalid."),
    ],
    ids=lambda refusal: refusal.code,
)
def test_a_missing_table_or_denied_access_raises_and_dead_letters_nothing(refusal: Refusal) -> None:
    world = World()
    world.db.always(refusal)
    ids = world.send(*puts(30), BAD, "{")

    outcome = world.invoke(world.receive())

    assert isinstance(outcome.error, TableError)
    assert refusal.code in str(outcome.error) or refusal.message in str(outcome.error)
    assert world.letters() == []
    assert fates(outcome) == {"written": [], "dead-lettered": [], "returned": ids}


def test_a_missing_table_is_named() -> None:
    world = World()
    world.db.always(Refusal("ResourceNotFoundException", "Requested resource not found"))

    outcome = world.run({"put": {"pk": "a"}})

    assert "orders-table" in str(outcome.error)


def test_tables_that_describe_another_key_raise_and_dead_letter_nothing() -> None:
    world = World()
    world.db.create_table("orders-table", partition_key=("id", "S"))
    ids = world.send(*puts(30), BAD)

    outcome = world.invoke(world.receive())

    assert isinstance(outcome.error, TableError)
    assert world.letters() == []
    assert fates(outcome)["returned"] == ids


def test_trouble_that_comes_after_some_were_written_still_dead_letters_nothing() -> None:
    world = World()
    world.db.script(None)
    world.db.always(Refusal("UnrecognizedClientException", "The security token included in the request is invalid."))

    outcome = world.run(*puts(30), BAD)

    assert len(keys(world)) == 25
    assert isinstance(outcome.error, TableError)
    assert world.letters() == []
    assert len(outcome.returned) == 31


def test_a_margin_as_long_as_the_timeout_is_refused_before_anything_is_written() -> None:
    world = World(settings={"deadline_margin": 5})
    world.send({"put": {"pk": "a"}})

    with pytest.raises(SettingsError, match="DEADLINE_MARGIN"):
        world.invoke(world.receive(), time_left=5)

    assert world.db.calls == []


# What only the service can find


@pytest.mark.parametrize("position", [0, 12, 24])
def test_one_item_that_only_the_service_refuses_is_told_apart_from_25(position: int) -> None:
    world = World()
    words = "One or more parameter values were invalid: Type mismatch for Index Key day Expected: S Actual: N"
    world.db.reject_if(holds("poison"), words)
    bodies = puts(25)
    bodies[position] = {"put": {"pk": "poison"}}

    ids = world.send(*bodies)
    outcome = world.invoke(world.receive())

    assert len(keys(world)) == 24
    assert fates(outcome)["dead-lettered"] == [ids[position]]
    [letter] = world.letters()
    assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "RejectedByDynamoDB"
    assert words in letter["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert json.loads(letter["Body"]) == bodies[position]
    assert outcome.item_failures == []


def test_an_index_key_of_a_wrong_type_is_told_apart() -> None:
    world = World()
    world.db.create_table("orders-table", partition_key=("pk", "S"), indexes=[("by_day", ("day", "S"), None)])

    world.run({"put": {"pk": "a", "day": "x"}}, {"put": {"pk": "b", "day": 5}}, {"put": {"pk": "c"}})

    assert keys(world) == {"a", "c"}
    assert world.reasons() == ["RejectedByDynamoDB"]


@pytest.mark.parametrize("poisoned", [2, 25, 99])
def test_many_items_that_only_the_service_refuses_are_told_apart(poisoned: int) -> None:
    world = World()
    world.db.reject_if(holds("poison"))
    bodies = puts(100)
    for n in range(poisoned):
        bodies[n * 100 // poisoned] = {"put": {"pk": f"poison{n}"}}

    outcome = world.run(*bodies)

    assert len(keys(world)) == 100 - poisoned
    assert world.reasons() == ["RejectedByDynamoDB"] * poisoned
    assert outcome.item_failures == []


def test_items_are_told_apart_while_the_table_throttles() -> None:
    world = World()
    world.db.reject_if(holds("poison"))
    world.db.script(None, Throttle(), None, ServerError(), Unprocessed(1), ConnectionLost(applied=True))

    outcome = world.run(*puts(24), {"put": {"pk": "poison"}})

    assert len(keys(world)) == 24
    assert world.reasons() == ["RejectedByDynamoDB"]
    assert outcome.item_failures == []


def test_a_rejected_item_is_not_dead_lettered_before_it_was_told_apart() -> None:
    world = World()
    world.db.reject_if(holds("poison"))
    world.db.script(None)
    world.db.always(ServerError())  # What is wrong is known, but not yet with which item.
    ids = world.send(*puts(24), {"put": {"pk": "poison"}})

    outcome = world.invoke(world.receive())

    assert world.letters() == []
    assert fates(outcome)["returned"] == ids


# Visibility


def visibility_after(receive_count: int, chance: float) -> int:
    world = World(chance=lambda: chance)
    world.db.always(Delay(1, world.clock, Throttle()))  # With no chance at all, only the calls take time.
    world.send({"put": {"pk": "a"}})
    [record] = world.receive()
    record["attributes"]["ApproximateReceiveCount"] = str(receive_count)

    world.invoke([record])

    [(receipt_handle, seconds)] = world.sqs.visibility_changes
    assert receipt_handle == record["receiptHandle"]
    return seconds


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(
    ("receive_count", "most"), [(1, 5), (2, 10), (5, 80), (8, 640), (9, 900), (20, 900), (1000, 900)]
)
def test_visibility_lies_between_1_and_twice_as_much_each_time(receive_count: int, most: int, chance: float) -> None:
    seconds = visibility_after(receive_count, chance)

    assert 1 <= seconds <= most
    assert abs(seconds - chance * most) <= 1


def test_visibility_reaches_both_ends() -> None:
    assert visibility_after(1, 0.0) == 1
    assert visibility_after(1, 0.999) == 5
    assert visibility_after(20, 0.0) == 1
    assert visibility_after(20, 0.9999) == 900


def test_every_returned_message_gets_its_visibility_set_and_no_other() -> None:
    world = World()
    world.db.always(UnprocessedIf(holds("busy")))
    world.send(*puts(25, "busy"), *puts(25, "good"))
    records = world.receive()

    world.invoke(records)

    assert {handle for handle, _ in world.sqs.visibility_changes} == {
        record["receiptHandle"] for record in records[:25]
    }
    assert len(world.sqs.visibility_changes) == 25


def test_visibilities_of_several_messages_differ() -> None:
    chances = iter(range(1_000_000))
    world = World(chance=lambda: next(chances) * 0.037 % 1)
    world.db.always(Throttle())
    world.send(*puts(50))
    records = world.receive()
    for record in records:
        record["attributes"]["ApproximateReceiveCount"] = "8"

    world.invoke(records)

    assert len({seconds for _, seconds in world.sqs.visibility_changes}) > 10


@pytest.mark.parametrize(
    "fault", [Refusal("AccessDenied", "no"), Throttle("RequestThrottled"), ConnectionLost(), Timeout()], ids=repr
)
def test_a_failure_to_set_visibilities_changes_nothing_else(fault: Fault) -> None:
    world = World()
    world.db.always(UnprocessedIf(holds("busy")))
    world.sqs.always(fault, "ChangeMessageVisibilityBatch")
    good, busy, bad = world.send({"put": {"pk": "a"}}, {"put": {"pk": "busy"}}, BAD)

    outcome = world.invoke(world.receive())

    assert fates(outcome) == {"written": [good], "dead-lettered": [bad], "returned": [busy]}
    assert outcome.error is None
    assert outcome.failures


def test_one_visibility_that_is_not_set_does_not_stop_the_others() -> None:
    world = World()
    world.db.always(Throttle())
    world.sqs.fail_entries("ChangeMessageVisibilityBatch", lambda entry: entry["ReceiptHandle"].startswith(first))
    first, *others = world.send(*puts(12))

    outcome = world.invoke(world.receive())

    assert {handle.split(":")[0] for handle, _ in world.sqs.visibility_changes} == set(others)
    assert len(outcome.returned) == 12


def test_messages_of_two_queues_get_their_visibility_set_in_their_own() -> None:
    world = World()
    other = world.sqs.create_queue("other-work")
    world.db.always(Throttle())
    world.send({"put": {"pk": "a"}})
    world.sqs.send_message(QueueUrl=other, MessageBody='{"put": {"pk": "b"}}')

    outcome = world.invoke(world.receive() + world.sqs.event(other)["Records"])

    assert len(world.sqs.visibility_changes) == 2
    assert outcome.failures == []


def test_a_returned_message_comes_again_and_is_written() -> None:
    world = World()
    world.db.always(Throttle())
    world.send(*puts(30))
    world.invoke(world.receive())
    world.db.always(None)
    assert world.receive() == []
    world.clock.sleep(6)

    outcome = world.invoke(world.receive())

    assert len(keys(world)) == 30
    assert outcome.item_failures == []
    assert on_queue(world) == []
