"""Whatever the services do, the function answers before its timeout, and a warm start knows nothing of the last one."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from functions.batch_writer.pipeline import Outcome
from sluice.aws.dead_letters import DeadLetter, dead_letter
from sluice.message.errors import NothingWrittenError
from sluice.writing.calls import SINGLES_PER_CONNECTION
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
from tests.world import Overlapping, World

FOR_EVER = math.inf
CONDITIONAL = {"condition": "attribute_not_exists(pk)"}
KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "BatchWriteItem": lambda pk: {"put": {"pk": pk}},
    "PutItem": lambda pk: {"put": {"pk": pk}, **CONDITIONAL},
    "UpdateItem": lambda pk: {"update": {"pk": pk}, "expression": "SET v = :v", "values": {":v": 1}},
    "TransactWriteItems": lambda pk: {"update": {"pk": pk}, "expression": "SET v = :v", "values": {":v": 1}},
}
MIXED = ("BatchWriteItem", "PutItem", "UpdateItem")


def bodies(count: int, *operations: str) -> list[dict[str, Any]]:
    """So many messages, each for an item of its own, a0 and on, which take these operations by turns."""
    return [KINDS[operations[n % len(operations)]](f"a{n}") for n in range(count)]


@pytest.fixture
def calls() -> Overlapping:
    return Overlapping()


def world(calls: Overlapping, operation: str = "", chance: Callable[[], float] = lambda: 0.5, **settings: Any) -> World:
    settings = {"update_once": operation == "TransactWriteItems", **settings}
    return World(clock=calls.clock, executor=calls.executor, chance=chance, settings=settings)


def keys(of: World) -> set[str]:
    return {item["pk"]["S"] for item in of.db.items("orders-table")}


def check_proven(here: World, outcome: Outcome) -> None:
    """Every message is acknowledged or returned, and acknowledged only with its items (named by body) in the table."""
    returned = {failure["itemIdentifier"] for failure in outcome.item_failures}
    acknowledged = [message for message in outcome.received if message.id not in returned]
    assert acknowledged == outcome.written
    for message in acknowledged:
        assert {operation.key[1] for operation in message.operations} <= keys(here)


# DynamoDB hangs


@pytest.mark.parametrize("operation", KINDS)
@pytest.mark.parametrize(
    ("time_left", "margin"), [(30.0, 5.0), (6.0, 5.0), (900.0, 5.0), (900.0, 60.0), (3.0, 1.0), (0.6, 0.5)]
)
def test_a_table_that_never_answers_is_not_waited_for(
    calls: Overlapping, operation: str, time_left: float, margin: float
) -> None:
    here = world(calls, operation, deadline_margin=margin)
    here.db.always(Delay(FOR_EVER, calls))

    outcome = here.run(*bodies(300, operation), time_left=time_left)

    assert calls.clock() < time_left
    assert outcome.returned == outcome.received
    assert isinstance(outcome.error, NothingWrittenError)
    changes = here.sqs.calls_of("ChangeMessageVisibilityBatch")
    assert sum(len(call.kwargs["Entries"]) for call in changes) == 300
    assert here.letters() == []


@pytest.mark.parametrize("operation", KINDS)
def test_only_what_hangs_is_returned_though_it_may_have_been_applied(calls: Overlapping, operation: str) -> None:
    here = world(calls, operation)
    here.db.script(Delay(FOR_EVER, calls), None, Delay(FOR_EVER, calls), operation=operation)
    here.db.always(Delay(0.5, calls))

    outcome = here.run(*bodies(100, operation))

    of_a_call = 25 if operation == "BatchWriteItem" else 1
    assert outcome.returned == [*outcome.received[:of_a_call], *outcome.received[2 * of_a_call : 3 * of_a_call]]
    assert len(outcome.written) == 100 - 2 * of_a_call
    assert len(here.db.items("orders-table")) == 100
    assert calls.clock() < 30.0


@pytest.mark.parametrize("operation", KINDS)
@pytest.mark.parametrize(("seconds", "is_proven"), [(24.0, True), (26.0, True), (29.5, False)])
def test_an_answer_counts_when_it_comes_within_the_margin(
    calls: Overlapping, operation: str, seconds: float, is_proven: bool
) -> None:
    here = world(calls, operation, deadline_margin=5.0)
    here.db.always(Delay(seconds, calls))

    outcome = here.run(KINDS[operation]("a"))

    assert (outcome.written if is_proven else outcome.returned) == outcome.received
    assert calls.clock() < 30.0


def test_nothing_new_is_sent_after_the_deadline(calls: Overlapping) -> None:
    here = world(calls, max_connections=1, deadline_margin=5.0)
    sent_at: list[float] = []
    here.db.reject_if(lambda *_: bool(sent_at.append(calls.clock())))  # type: ignore[func-returns-value]
    here.db.always(Delay(2.0, calls))

    outcome = here.run(*bodies(200, "PutItem"))

    assert max(sent_at) < 25.0
    assert len(outcome.written) == len(sent_at) == 13 * SINGLES_PER_CONNECTION
    check_proven(here, outcome)


@pytest.mark.parametrize("operation", KINDS)
def test_no_call_may_take_longer_than_the_time_that_is_left(calls: Overlapping, operation: str) -> None:
    here = world(calls, operation)
    here.db.always(Delay(1.0, calls, then=Timeout()))

    here.run(*bodies(10, operation))

    assert len(here.allowed) > 10
    assert all(0 < seconds < 30.0 - at for at, seconds in here.allowed)


# DynamoDB goes on and on


DRIPS: dict[str, Fault] = {
    **{code: Throttle(code) for code in ("ProvisionedThroughputExceededException", "ThrottlingException")},
    "RequestLimitExceeded": Throttle("RequestLimitExceeded"),
    "all unprocessed": Unprocessed(25),
    "one at a time": Unprocessed(24),
    "500": ServerError(),
    "500 after applying": ServerError(applied=True),
    "lost": ConnectionLost(),
    "lost after applying": ConnectionLost(applied=True),
    "timeout": Timeout(),
    "unknown": Refusal("SomethingNew"),
    "some stuck": UnprocessedIf(lambda _, request: "'a7'" in str(request)),
}


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999999])
@pytest.mark.parametrize("seconds", [0.02, 3.0])
@pytest.mark.parametrize("fault", DRIPS.values(), ids=DRIPS)
def test_trouble_without_end_ends_with_the_deadline(
    calls: Overlapping, fault: Fault, seconds: float, chance: float
) -> None:
    here = world(calls, chance=lambda: chance)
    here.db.always(Delay(seconds, calls, then=fault))

    outcome = here.run(*bodies(90, *MIXED), time_left=10.0)

    assert calls.clock() < 10.0
    assert here.letters() == []
    assert len(outcome.written) + len(outcome.returned) == 90
    check_proven(here, outcome)


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_of_trouble_ends_in_time(calls: Overlapping, seed: int) -> None:
    chance = Random(seed)
    here = world(calls, chance=chance.random, max_connections=chance.choice([1, 3, 8]))
    troubles = [None, None, *DRIPS.values()]
    here.db.script(
        *(Delay(chance.choice([0.01, 0.3, 2.0, FOR_EVER]), calls, then=chance.choice(troubles)) for _ in range(40))
    )
    here.db.always(Delay(0.2, calls))

    outcome = here.run(*(KINDS[chance.choice(MIXED)](f"a{n}") for n in range(120)), time_left=20.0)

    assert calls.clock() < 20.0
    assert here.letters() == []
    check_proven(here, outcome)


def test_what_the_write_units_do_not_last_for_is_returned(calls: Overlapping) -> None:
    here = world(calls, max_write_units_per_second=2.0)
    here.db.always(Delay(0.1, calls))

    outcome = here.run(*bodies(200, "PutItem"))

    assert calls.clock() < 30.0
    assert 40 <= len(outcome.written) <= 60
    check_proven(here, outcome)


def test_a_table_far_too_small_takes_what_it_can_until_the_deadline(calls: Overlapping) -> None:
    here = world(calls)
    here.db.limit("orders-table", Capacity(write_units_per_second=10, burst_seconds=1, clock=calls.clock))
    here.db.always(Delay(0.05, calls))

    outcome = here.run(*(KINDS["BatchWriteItem"](f"a{n}") for n in range(2000)))

    assert calls.clock() < 30.0
    assert 150 <= len(outcome.written) <= 310
    check_proven(here, outcome)


# SQS hangs


@pytest.mark.parametrize("seconds", [0.5, 4.0, FOR_EVER])
def test_dead_letters_that_hang_return_their_messages(calls: Overlapping, seconds: float) -> None:
    here = world(calls)
    here.sqs.always(Delay(seconds, calls), operation="SendMessageBatch")

    outcome = here.run(*({"put": {}} for _ in range(400)), KINDS["BatchWriteItem"]("a"), time_left=7.0)

    sent = {message.id for message in outcome.dead_lettered}
    assert calls.clock() < 7.0
    assert len(sent) + len(outcome.returned) == 400
    assert len(sent) == (400 if seconds == 0.5 else 80 if seconds == 4.0 else 0)
    assert outcome.written == outcome.received[-1:]
    assert {letter["MessageAttributes"]["SourceMessageId"]["StringValue"] for letter in here.letters()} >= sent


@pytest.mark.parametrize("trouble", [None, Throttle(), UnprocessedIf(lambda _, request: "'a1'" in str(request))])
def test_visibilities_that_hang_change_nothing_else(calls: Overlapping, trouble: Fault | None) -> None:
    here, calm = world(calls), World()
    here.sqs.always(Delay(FOR_EVER, calls), operation="ChangeMessageVisibilityBatch")
    for one in (here, calm):
        one.db.always(trouble)

    outcomes = [one.run(*(KINDS["BatchWriteItem"](f"a{n}") for n in range(30)), {"put": {}}) for one in (here, calm)]

    assert calls.clock() < 30.0
    assert outcomes[0].item_failures == outcomes[1].item_failures
    assert len(here.letters()) == len(calm.letters()) == 1


@pytest.mark.parametrize(("time_left", "margin", "left"), [(30.0, 5.0, 0.9), (10.0, 2.0, 0.9), (5.0, 1.0, 0.5)])
@pytest.mark.parametrize("bodies", [[{"put": {}}], [{"put": {"pk": "a"}}], [{"put": {}}, {"put": {"pk": "a"}}]])
def test_there_is_time_to_answer_though_nothing_answers(
    calls: Overlapping, bodies: list[Any], time_left: float, margin: float, left: float
) -> None:
    here = world(calls, deadline_margin=margin)
    here.db.always(Delay(FOR_EVER, calls))
    here.sqs.always(Delay(FOR_EVER, calls))

    outcome = here.run(*bodies, time_left=time_left)

    assert calls.clock() <= time_left - left
    assert outcome.returned == outcome.received


def test_dead_letters_are_made_only_while_there_is_time_to_send_them(
    calls: Overlapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any) -> DeadLetter | None:
        calls.clock.sleep(0.01)  # On a fourteenth of a CPU, the least that Lambda has.
        return dead_letter(*arguments)

    monkeypatch.setattr("functions.batch_writer.notices.dead_letter", slowly)
    here = world(calls)

    outcome = here.run(*({"put": {}} for _ in range(2000)), time_left=7.0)

    assert calls.clock() < 6.5
    assert 80 <= len(outcome.dead_lettered) == len(here.letters()) < 2000
    assert len(outcome.dead_lettered) + len(outcome.returned) == 2000


@pytest.mark.parametrize("operation", ["SendMessageBatch", "ChangeMessageVisibilityBatch"])
def test_both_services_may_hang_at_once(calls: Overlapping, operation: str) -> None:
    here = world(calls)
    here.db.always(Delay(FOR_EVER, calls))
    here.sqs.always(Delay(FOR_EVER, calls), operation=operation)

    outcome = here.run(KINDS["BatchWriteItem"]("a"), {"put": {}})

    assert calls.clock() < 30.0
    assert outcome.received[0] in outcome.returned


# Warm starts


FIRST_RUNS: dict[str, Fault] = {
    "throttled": Throttle(),
    "unprocessed": Unprocessed(13),
    "500": ServerError(applied=True),
    "rejected": Refusal("ValidationException", "words"),
    "denied": Refusal("AccessDeniedException", "words"),
}


@pytest.mark.parametrize("fault", FIRST_RUNS.values(), ids=FIRST_RUNS)
def test_a_warm_start_knows_nothing_of_the_invocation_before(fault: Fault) -> None:
    here, fresh = World(), World()
    here.db.always(fault)
    here.run(*(KINDS["BatchWriteItem"](f"a{n}") for n in range(100)), KINDS["UpdateItem"]("u"), KINDS["PutItem"]("c"))
    here.db.always(None)
    here.sqs.script(*[None] * 50)
    while here.sqs.messages(here.queue_url):
        here.invoke(here.redeliver())
    calls_before, slept_before = len(here.db.calls), len(here.clock.slept)
    bodies = [*(KINDS["BatchWriteItem"](f"b{n}") for n in range(100)), KINDS["UpdateItem"]("v"), KINDS["PutItem"]("d")]

    warm, cold = here.run(*bodies), fresh.run(*bodies)

    assert [call.operation for call in here.db.calls[calls_before:]] == [call.operation for call in fresh.db.calls]
    assert warm.operations.batch_fills == cold.operations.batch_fills == [25] * 4
    assert warm.operations.consumed == cold.operations.consumed == 102
    assert (warm.operations.throttled_calls, warm.operations.unprocessed, warm.operations.backoff) == (0, 0, 0)
    assert (warm.operations.trouble, warm.error, warm.failures, warm.rejections) == ("", None, [], [])
    assert warm.written == warm.received
    assert len(here.clock.slept) == slept_before


def test_doubt_about_one_invocation_does_not_excuse_a_failed_condition_of_the_next() -> None:
    here = World(settings={"on_condition_failed": "dead-letter"})
    here.db.script(ServerError(applied=True))
    first = here.run(KINDS["PutItem"]("a"))

    second = here.run(KINDS["PutItem"]("a"))

    assert first.written == first.received
    assert second.dead_lettered == second.received
    assert here.reasons() == ["ConditionFailed"]


def test_a_call_that_was_abandoned_and_ends_later_changes_no_later_invocation(calls: Overlapping) -> None:
    here = world(calls)
    here.db.script(Delay(40.0, calls), Delay(FOR_EVER, calls))
    first = here.run(KINDS["BatchWriteItem"]("a"), KINDS["PutItem"]("c"))
    calls.clock.sleep(100)

    second = here.run(KINDS["BatchWriteItem"]("b"))

    assert isinstance(first.error, NothingWrittenError)
    assert len(second.received) == 3
    assert second.written == second.received
    assert keys(here) == {"a", "b", "c"}


def test_what_is_in_flight_at_the_end_is_cancelled(calls: Overlapping) -> None:
    here = world(calls)
    here.db.script(Delay(FOR_EVER, calls))

    here.run(KINDS["BatchWriteItem"]("a"))

    assert [call.cancelled() for call in calls.unended] == [True]
