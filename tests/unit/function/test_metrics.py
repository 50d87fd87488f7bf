"""Metrics, as CloudWatch reads them from standard output: they say what happened, and they add up."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics
from msgspec.structs import replace

from functions.batch_writer import metrics
from functions.batch_writer.metrics import MAX_AGE, EmfProvider, by_rank, sent_to_written
from sluice.message.decoder import Message
from tests.fakes import Fault, Refusal, ServerError, Throttle, Timeout, Unprocessed, UnprocessedIf
from tests.world import ORDERS, World

NAMES = {
    *("MessagesReceived", "MessagesWritten", "MessagesReturned", "MessagesDeadLettered", "OperationsWritten"),
    *("OperationsSuperseded", "OperationsRejected", "ConditionsFailed", "BatchWrites", "BatchFill", "UnprocessedItems"),
    *("ThrottledCalls", "ConsumedWriteUnits", "WriteLatency", "BackoffTime", "OperationsUnchanged", "SentToWritten"),
}
BAD: dict[str, Any] = {"put": {}}
Numbers = dict[str, list[float]]


def emitted(outcome: Any, capsys: pytest.CaptureFixture[str], now: float = 0.0) -> Numbers:
    """The values of each metric in the EMF documents of one invocation that ends at `now`."""
    emf = Metrics(namespace="Test", service="test")
    emf.clear_metrics()
    capsys.readouterr()
    metrics.count(emf, outcome, now)
    emf.flush_metrics()
    numbers: Numbers = {}
    for line in capsys.readouterr().out.splitlines():
        document = json.loads(line)
        for definition in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            value = document[definition["Name"]]
            numbers.setdefault(definition["Name"], []).extend(value if isinstance(value, list) else [value])
    return numbers


def line_of(emf: metrics.Emitter, capsys: pytest.CaptureFixture[str]) -> str:
    """What is written of an invocation without messages."""
    emf.clear_metrics()
    capsys.readouterr()
    metrics.count(emf, World().run(), 0.0)
    emf.flush_metrics()
    return capsys.readouterr().out


def puts(count: int, prefix: str = "a") -> list[Any]:
    return [{"put": {"pk": f"{prefix}{n}"}} for n in range(count)]


def holds(text: str) -> Callable[[str, Any], bool]:
    return lambda _table, request: text in str(request)


def world_with(
    *script: Fault | None, always: Fault | None = None, dead_letters: bool = True, sqs: Fault | None = None
) -> World:
    world = World(dead_letters=dead_letters)
    world.db.script(*script)
    world.db.always(always)
    for operation in ("SendMessageBatch", "ChangeMessageVisibilityBatch"):
        world.sqs.always(sqs, operation)
    world.db.reject_if(holds("poison"))
    return world


BUSY = UnprocessedIf(holds("busy"))
MIXED = [*puts(30), *puts(2, "poison"), *puts(3, "busy"), BAD, "{", [*puts(2, "b"), BAD], [BAD, *puts(1, "busy-too")]]
DENIED = Refusal("AccessDenied", "no")

# World, bodies → messages received, written, returned, dead-lettered.
SCENARIOS: dict[str, tuple[Callable[[], World], list[Any], tuple[int, int, int, int]]] = {
    "nothing": (world_with, [], (0, 0, 0, 0)),
    "all written": (world_with, puts(60), (60, 60, 0, 0)),
    "superseded": (world_with, [*puts(10), *puts(10)], (20, 20, 0, 0)),
    "all bad": (world_with, [BAD, "{"], (2, 0, 0, 2)),
    "all bad without dead letters": (lambda: world_with(dead_letters=False), [BAD, "{"], (2, 0, 2, 0)),
    "dead letters refused": (lambda: world_with(sqs=DENIED), [BAD, *puts(1)], (2, 1, 1, 0)),
    "throttled for a while": (lambda: world_with(Throttle(), Throttle()), puts(60), (60, 60, 0, 0)),
    "throttled to the end": (lambda: world_with(always=Throttle()), [*puts(60), BAD], (61, 0, 60, 1)),
    "unprocessed for a while": (lambda: world_with(Unprocessed(25), Unprocessed(3)), puts(60), (60, 60, 0, 0)),
    "of everything something": (lambda: world_with(always=BUSY), MIXED, (39, 30, 4, 5)),
    "of everything something, SQS down": (lambda: world_with(always=BUSY, sqs=Timeout()), MIXED, (39, 30, 9, 0)),
    "server errors": (lambda: world_with(always=ServerError(applied=True)), puts(5), (5, 0, 5, 0)),
    "access denied": (lambda: world_with(always=Refusal("AccessDeniedException")), [*puts(60), BAD], (61, 0, 61, 0)),
    "access denied to some": (
        lambda: world_with(None, always=Refusal("AccessDeniedException")),
        [*puts(60), BAD],
        (61, 25, 35, 1),
    ),
}


@pytest.mark.parametrize(("world", "bodies", "expected"), SCENARIOS.values(), ids=SCENARIOS)
def test_messages_add_up(
    world: Callable[[], World],
    bodies: list[Any],
    expected: tuple[int, int, int, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = world().run(*bodies)

    numbers = emitted(outcome, capsys)

    received, written, returned, dead_lettered = expected
    assert numbers["MessagesReceived"] == [received]
    assert numbers["MessagesWritten"] == [written]
    assert numbers["MessagesReturned"] == [returned]
    assert numbers["MessagesDeadLettered"] == [dead_lettered]
    assert received == written + returned + dead_lettered
    assert len(outcome.received) == received


def test_every_metric_is_emitted_under_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = world_with(Throttle()).run(*puts(5))

    assert emitted(outcome, capsys).keys() == NAMES


def test_operations_are_counted_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with(always=BUSY)

    numbers = emitted(world.run([*puts(4), *puts(3), BAD, BAD], "{", *puts(2, "poison"), *puts(1, "busy")), capsys)

    assert numbers["OperationsWritten"] == [4]
    assert numbers["OperationsSuperseded"] == [3]
    assert numbers["OperationsRejected"] == [2 + 1 + 2]  # A body that cannot be parsed counts as one.
    assert numbers["ConditionsFailed"] == [0]


def test_what_stands_in_the_table_already_counts_as_written_and_as_unchanged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(tables=(replace(ORDERS, skip_unchanged=True),))
    world.run(*puts(3))

    numbers = emitted(world.run(*puts(2), {"put": {"pk": "a2", "n": 1}}), capsys)

    assert numbers["OperationsUnchanged"] == [2]
    assert numbers["OperationsWritten"] == [3]
    assert numbers["ConsumedWriteUnits"] == [1]


def test_calls_and_their_fill_are_those_that_the_service_saw(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with(None, Unprocessed(4), Throttle(), Throttle("ThrottlingException"))

    numbers = emitted(world.run(*puts(60)), capsys)

    fills = [len(call.kwargs["RequestItems"]["orders-table"]) for call in world.db.calls]
    assert numbers["BatchWrites"] == [len(fills)]
    assert sorted(numbers["BatchFill"]) == sorted(fills)
    assert numbers["UnprocessedItems"] == [4]
    assert numbers["ThrottledCalls"] == [2]
    assert len(numbers["WriteLatency"]) == len(fills)


def test_more_calls_than_one_emf_document_holds_lose_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """A metric takes no more than 100 values in one document: CloudWatch's EMF specification."""
    world = world_with()

    numbers = emitted(world.run(*(puts(500, f"m{n}-") for n in range(11))), capsys)

    assert numbers["BatchWrites"] == [220]
    assert numbers["BatchFill"] == [25] * 220
    assert len(numbers["WriteLatency"]) == 100
    assert numbers["OperationsWritten"] == [5500]
    assert numbers["MessagesReceived"] == [11]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 201, 10_000])
def test_of_many_values_a_hundred_stand_for_all_by_rank(count: int) -> None:
    values = [float(value * 7919 % count) for value in range(count)]  # 0 to count - 1, in some order.

    kept = by_rank(values)

    if count <= 100:
        assert kept == values
    else:
        assert len(kept) == 100
        assert (kept[0], kept[-1]) == (0.0, count - 1)
        steps = [later - earlier for earlier, later in pairwise(kept)]
        assert max(steps) - min(steps) <= 1


def test_the_time_from_sent_to_written_is_that_of_each_written_message(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with(always=BUSY)
    world.send(*puts(2))
    world.clock.sleep(5)

    outcome = world.run(*puts(3, "later"), *puts(2, "busy"), BAD)

    numbers = emitted(outcome, capsys, world.clock() + 1.25)
    took = world.clock() + 1.25 - 5
    assert len(numbers["MessagesReturned"]) == len(numbers["MessagesDeadLettered"]) == 1
    assert sorted(numbers["SentToWritten"]) == pytest.approx([1000 * took] * 3 + [1000 * (took + 5)] * 2, abs=1)


def sent(*times: Any) -> list[Message]:
    """Messages with these SentTimestamps."""
    return [Message({"attributes": {"SentTimestamp": time}}, (), None) for time in times]


def test_a_clock_that_is_ahead_counts_as_no_time() -> None:
    assert sent_to_written(sent("1700000000000", "1700000009000"), now=1_700_000_002.0) == [2000, 0]


@pytest.mark.parametrize(
    "odd",
    ["", "soon", "12.5", "9" * 5000, "-1", "0", None, [], {}, True, float("inf"), float("nan"), "1545082650636"],
    ids=str,
)
def test_a_time_that_sqs_cannot_have_sent_is_left_out(odd: Any) -> None:
    messages = [*sent("1700000000000", odd), *(Message(record, (), None) for record in ({}, {"attributes": odd}))]

    assert sent_to_written(messages, now=1_700_000_001.0) == [1000]


def test_as_old_as_sqs_keeps_a_message_is_no_error() -> None:
    assert sent_to_written(sent("1000"), now=14 * 86_400 + 1.0) == [14 * 86_400_000]
    assert MAX_AGE > 14 * 86_400_000


def test_of_many_messages_the_percentiles_hold(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = world_with().run(*puts(1000))
    for number, message in enumerate(outcome.written):
        message.record["attributes"]["SentTimestamp"] = str(1_700_000_000_000 - (number * 7919 % 1000) * 10)

    taken = emitted(outcome, capsys, now=1_700_000_000.0)["SentToWritten"]

    assert len(taken) == 100
    assert (taken[0], taken[-1]) == (0, 9990)
    for share in (50, 90, 99):
        assert sorted(taken)[share - 1] == pytest.approx(9990 * share / 100, abs=100)


def test_consumed_write_units_are_those_that_the_service_charged(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with(Unprocessed(1))
    world.run({"put": {"pk": "a0", "v": "x" * 5000}})

    numbers = emitted(
        world.run(*puts(30), {"put": {"pk": "big", "v": "x" * 2000}}, {"put": {"pk": "e", "sk": 1}, "table": "events"}),
        capsys,
    )

    # a0 replaces an item of 5 units, big takes 2; each of the other 30 takes 1.
    assert numbers["ConsumedWriteUnits"] == [5 + 2 + 30]
    assert sum(world.db.consumed.values()) == 5 + 5 + 2 + 30


def test_backoff_is_the_time_spent_waiting_in_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with(Throttle(), Throttle(), Throttle())

    numbers = emitted(world.run(*puts(1)), capsys)

    [milliseconds] = numbers["BackoffTime"]
    assert milliseconds == pytest.approx(sum(world.clock.slept) * 1000, abs=1)
    assert milliseconds > 0


def test_an_undisturbed_invocation_waits_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with()

    numbers = emitted(world.run(*puts(100)), capsys)

    assert numbers["BackoffTime"] == [0]
    assert world.clock.slept == []


def test_the_log_line_counts_the_limits_that_throttled_calls_met(capsys: pytest.CaptureFixture[str]) -> None:
    world = world_with(
        None, Throttle(), Throttle(), Throttle("ThrottlingException", "TableWriteKeyRangeThroughputExceeded")
    )
    outcome = world.run(*puts(60))
    capsys.readouterr()

    metrics.log(Logger(service="test"), outcome)

    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["message"] == "batch handled"
    assert line["throttling"] == {
        "TableWriteProvisionedThroughputExceeded": 2,
        "TableWriteKeyRangeThroughputExceeded": 1,
    }


def test_a_line_of_metrics_is_as_powertools_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    ours = json.loads(line_of(EmfProvider(namespace="Test", service="tést"), capsys))
    theirs = json.loads(line_of(Metrics(namespace="Test", service="tést"), capsys))

    assert ours["_aws"].pop("Timestamp") - theirs["_aws"].pop("Timestamp") < 60_000
    assert ours == theirs
    assert ours["service"] == "tést"


def test_metrics_that_are_disabled_are_not_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emf = EmfProvider(namespace="Test", service="test")
    assert line_of(emf, capsys)

    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")

    assert not line_of(emf, capsys)


def test_a_log_line_says_what_json_does_not_know_as_text() -> None:
    assert metrics.encoded({"a": 1.5, "b": "é", "c": [None, ValueError("no")]}) == '{"a":1.5,"b":"é","c":[null,"no"]}'


def test_a_log_line_with_half_a_character_is_a_line() -> None:
    assert json.loads(metrics.encoded({"message": "\ud800"})) == {"message": "\ud800"}
