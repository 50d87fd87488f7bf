"""When each alarm begins and when it ends: values played through its definition as synthesised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.infra.cloudwatch import Alarm, Point, State, changes
from tests.infra.template import Template, synthesise
from tests.infra.watching import alarms_of

pytestmark = pytest.mark.xdist_group("synth")

INDEXED = {
    "stage": "indexed",
    "partitionKey": "customer:S",
    "sortKey": "time:N",
    "maxWriteUnits": 500,
    "indexes": [
        {"name": "by-status", "partitionKey": "status:S", "sortKey": "time:N"},
        {"name": "by-amount", "sortKey": "amount:N"},
    ],
}


@pytest.fixture(scope="module")
def alarms(templates: Mapping[str, Template], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Alarm]:
    """Every alarm of stacks that differ as much as they can, by its construct id."""
    indexed = synthesise(tmp_path_factory.mktemp("indexed"), INDEXED)
    found = {}
    for template in (*templates.values(), indexed):
        found.update(alarms_of(template))
    return {name: Alarm(definition) for name, definition in found.items()}


def at(minutes: Iterable[int], value: float = 1) -> list[Point]:
    """The same value in each of the minutes."""
    return [(minute, value) for minute in minutes]


def steps(*values: tuple[int, float]) -> list[Point]:
    """A value for each minute: each of those given from its minute on, until the next; the last ends it."""
    return [(minute, value) for (start, value), (end, _) in pairwise(values) for minute in range(start, end)]


# Name → values that make the alarm begin and end, and values that are no reason for one.

Values = Mapping[str, Sequence[Point]]
THROTTLED: tuple[Values, Values] = ({"refused": at(range(10, 16))}, {"refused": at((10, 12, 14, 16, 18, 20))})
PLAYED: Mapping[str, tuple[Values, Values]] = {
    "DeadLetters": (
        {"waiting": steps((0, 0), (10, 1), (40, 0), (90, 0)), "flying": []},
        {"waiting": steps((0, 0), (90, 0)), "flying": []},
    ),
    "NewDeadLetters": (
        {"dead": at([10]), "waiting": [], "flying": []},
        {"dead": at(range(90), 0), "waiting": steps((0, 7), (30, 2), (90, 0)), "flying": []},
    ),
    "ExpiringDeadLetters": (
        {"metric": [(minute, 12 * 86_400 - 3_600 + 60 * minute) for minute in range(100)]},
        {"metric": [(minute, 7 * 86_400 + 60 * minute) for minute in range(400)]},
    ),
    "MessageAge": (
        {"metric": steps((0, 10), (10, 1000), (30, 10), (90, 0))},
        {"metric": steps((0, 10), (10, 1000), (14, 10), (90, 0))},
    ),
    "NoProgress": (
        {"deleted": steps((0, 9), (10, 0), (60, 9), (90, 0)), "waiting": steps((0, 5), (90, 0)), "flying": []},
        {"deleted": at(range(0, 90, 10)), "waiting": steps((0, 5), (90, 0)), "flying": []},
    ),
    "Returned": (
        {
            "sent": steps((0, 10), (90, 0)),
            "deleted": steps((0, 10), (10, 4), (40, 10), (90, 0)),
            "received": steps((0, 10), (90, 0)),
            "returned": steps((0, 0), (10, 6), (40, 0), (90, 0)),
        },
        {
            "sent": steps((0, 10), (90, 0)),
            "deleted": steps((0, 10), (90, 0)),
            "received": steps((0, 20), (90, 0)),
            "returned": steps((0, 15), (90, 0)),
        },
    ),
    "ReportFailures": ({"metric": at([2, 7])}, {"metric": at([2, 33])}),
    "FunctionErrors": ({"metric": at([10, 16, 22])}, {"metric": at([10, 17, 40])}),
    "FunctionThrottles": ({"metric": at(range(10, 15))}, {"metric": at(range(10, 14))}),
    "FunctionDuration": (
        {"metric": steps((0, 900), (10, 59_000), (20, 900), (90, 0))},
        {"metric": steps((0, 57_000), (90, 0))},
    ),
    "SystemErrors": (
        {"putItem0": at([10, 13]), "batchWriteItem0": at([16, 19, 22]), "deleteItem0": [], "updateItem0": []},
        {"putItem0": at([10, 13]), "batchWriteItem0": at([13, 13, 19]), "deleteItem0": [], "updateItem0": []},
    ),
    "ReadThrottlesevents": ({"refused": at(range(10, 22))}, {"refused": at(range(10, 60, 2))}),
    **dict.fromkeys(("HotKeys", "AccountLimit", "OnDemandMaximum", "ProvisionedCapacity"), THROTTLED),
    **dict.fromkeys(("IndexHotKeysbystatus", "IndexAccountLimitbystatus", "IndexOnDemandMaximumbystatus"), THROTTLED),
}

OTHERS_OF_DYNAMODB = ("SystemErrors", "ReadThrottlesevents")
OF_DYNAMODB = [name for name, played in PLAYED.items() if played is THROTTLED or name in OTHERS_OF_DYNAMODB]


def test_every_alarm_is_played(alarms: dict[str, Alarm]) -> None:
    of_other_tables = {name for name in alarms if name.endswith(("old", "events", "fixed"))} - PLAYED.keys()

    of_freshness = {name for name in alarms if name.startswith("LateIn")}  # test_freshness plays them together.

    assert alarms.keys() - of_other_tables - of_freshness == PLAYED.keys()
    for name in of_other_tables:
        (like,) = (each for each in PLAYED if name.startswith(each) and name[len(each) :] in ("old", "events", "fixed"))
        shape = {"Dimensions", "Metrics", "AlarmDescription", "AlarmActions", "OKActions"}
        assert {key: alarms[name].definition[key] for key in alarms[name].definition.keys() - shape} == {
            key: alarms[like].definition[key] for key in alarms[like].definition.keys() - shape
        }


# Of alarms on DynamoDB's metrics AWS says two things where data is missing: they are told what that means, or not.
@pytest.mark.parametrize(
    ("name", "keeps_state"), [*((name, False) for name in PLAYED), *((name, True) for name in OF_DYNAMODB)]
)
def test_an_alarm_begins_and_ends(alarms: dict[str, Alarm], name: str, keeps_state: bool) -> None:
    values = {id: [*PLAYED[name][0][id]] for id in alarms[name].names}

    states = alarms[name].states(values, minutes=400, keeps_state=keeps_state)

    assert changes(states) == ["ALARM", "OK"]


@pytest.mark.parametrize("name", PLAYED)
def test_an_alarm_rests(alarms: dict[str, Alarm], name: str) -> None:
    values = {id: [*PLAYED[name][1][id]] for id in alarms[name].names}

    states = alarms[name].states(values, minutes=400)

    assert changes(states) == []


@pytest.mark.parametrize("name", PLAYED)
def test_an_alarm_is_at_rest_where_nothing_is_reported(alarms: dict[str, Alarm], name: str) -> None:
    values: dict[str, list[Point]] = {id: [] for id in alarms[name].names}

    assert changes(alarms[name].states(values, minutes=120)) == []


@pytest.mark.parametrize("late", [1, 2])
@pytest.mark.parametrize("name", ["HotKeys", "AccountLimit", "IndexHotKeysbystatus", *OTHERS_OF_DYNAMODB])
def test_reports_that_come_late_are_no_reason_to_stay_quiet(alarms: dict[str, Alarm], name: str, late: int) -> None:
    values = {id: at(range(10, 60)) for id in alarms[name].names}

    states = alarms[name].states(values, minutes=120, late=late)

    assert changes(states) == ["ALARM", "OK"]


def first(state: State, states: Sequence[State], alarm: Alarm) -> int:
    """The minute at whose end an alarm is first in this state."""
    return (states.index(state) + 1) * alarm.period


# Dead letters


def play(alarm: Alarm, **values: Sequence[Point]) -> list[State]:
    return changes(alarm.states({id: [*values.get(id, [])] for id in alarm.names}, minutes=300))


def test_the_second_letter_is_told_though_the_first_is_still_there(alarms: dict[str, Alarm]) -> None:
    waiting = steps((0, 0), (10, 1), (60, 2), (300, 0))

    assert play(alarms["NewDeadLetters"], waiting=waiting) == ["ALARM", "OK", "ALARM", "OK"]
    assert play(alarms["DeadLetters"], waiting=waiting) == ["ALARM"]


def test_a_letter_of_the_functions_is_told_once_though_the_queue_shows_it_later(alarms: dict[str, Alarm]) -> None:
    waiting = steps((0, 3), (13, 4), (300, 0))

    assert play(alarms["NewDeadLetters"], dead=at([10]), waiting=waiting) == ["ALARM", "OK"]


def test_a_letter_of_the_functions_is_told_while_others_are_redriven(alarms: dict[str, Alarm]) -> None:
    assert play(alarms["NewDeadLetters"], dead=at([10]), waiting=steps((0, 90), (10, 5), (300, 0))) == ["ALARM", "OK"]


@pytest.mark.parametrize("name", ["NewDeadLetters", "DeadLetters"])
def test_letters_that_somebody_looks_at_change_nothing(alarms: dict[str, Alarm], name: str) -> None:
    # Ten of twelve, then all of them, are received and come back. Where none is in flight, SQS reports nothing.
    waiting = steps((0, 12), (20, 2), (25, 12), (60, 0), (70, 12), (300, 0))
    flying = [*at(range(20, 25), 10), *at(range(60, 70), 12)]

    told = play(alarms[name], waiting=waiting, flying=flying)

    assert told == (["ALARM"] if name == "DeadLetters" else [])


def test_a_first_letter_that_wakes_its_queue_is_told_though_nothing_was_reported_before(
    alarms: dict[str, Alarm],
) -> None:
    waiting = steps((10, 1), (300, 0))

    assert play(alarms["DeadLetters"], waiting=waiting) == ["ALARM"]


def test_a_gap_in_the_reports_is_no_end_of_the_letters(alarms: dict[str, Alarm]) -> None:
    waiting = [*steps((0, 5), (20, 0)), *steps((80, 5), (300, 0))]

    assert play(alarms["DeadLetters"], waiting=waiting) == ["ALARM"]
    assert play(alarms["NewDeadLetters"], waiting=waiting) == []


@pytest.mark.parametrize(
    ("context", "days"),
    # Of SQS's 14 days a letter may have used up those that the queue kept it for, and two are left to act.
    [({}, 8), ({"queueRetention": 1}, 11), ({"queueType": "fifo"}, 12), ({"queueRetention": 13}, 1)],
)
def test_letters_are_told_two_days_before_their_end(tmp_path: Path, context: dict[str, Any], days: int) -> None:
    alarm = Alarm(alarms_of(synthesise(tmp_path, context))["ExpiringDeadLetters"])
    ages = [(minute, days * 86_400 - 3_600 + 60 * minute) for minute in range(200)]

    states = alarm.states({"metric": ages}, minutes=200)

    assert 60 <= first("ALARM", states, alarm) <= 70


# Errors


@pytest.mark.parametrize(("timeout", "window"), [(10, 5), (60, 5), (300, 0), (900, 300)])
def test_one_message_that_fails_at_each_receive_is_told_on_a_quiet_queue(
    tmp_path: Path, timeout: int, window: int
) -> None:
    context = {"timeout": timeout, "batchingWindow": window, "batchSize": 10}
    alarm = Alarm(alarms_of(synthesise(tmp_path, context))["FunctionErrors"])
    hidden = 6 * timeout + window  # Seconds; what raises leaves its messages hidden for so long.
    failures = [(number * hidden / 60, 1.0) for number in range(12)]

    states = alarm.states({"metric": failures}, minutes=12 * hidden // 60 + 60)

    assert "ALARM" in states
    assert first("ALARM", states, alarm) * 60 <= 2 * hidden + 2 * alarm.period * 60


def test_a_busy_function_that_fails_once_is_not_told(alarms: dict[str, Alarm]) -> None:
    errors = [(minute, 1.0 if minute == 100 else 0.0) for minute in range(300)]

    assert play(alarms["FunctionErrors"], metric=errors) == []
