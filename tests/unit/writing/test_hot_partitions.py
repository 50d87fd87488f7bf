"""A range of keys that is throttled by itself holds back no other; a table that is throttled is told from it."""

from __future__ import annotations

import itertools
import math

import pytest

from sluice.message.operation import BatchWrite, Operation, Source
from sluice.writing.hot_keys import MIN_FRESH, MIN_REPEATED, HotKeys
from sluice.writing.pending import Pending, Sending
from sluice.writing.plan import MAX_REQUESTS
from sluice.writing.send_rate import SendRate
from tests.fakes import UnprocessedIf
from tests.world import EVENTS, World

SOURCE = Source("m", False, 0)


def operations(prefix: str, count: int) -> list[Operation]:
    return [BatchWrite(key=("t", f"{prefix}{n}", None), source=SOURCE, body=b"{}") for n in range(count)]


def learned(calls: int, *, repeated_lost: int, fresh_lost: int) -> HotKeys:
    """Of calls with five operations that came back, and twenty fresh ones."""
    hot_keys = HotKeys()
    for _ in range(calls):
        hot_keys.learn(5, repeated_lost, 20, fresh_lost)
    return hot_keys


def test_what_is_lost_again_beside_others_that_are_not_is_a_range_of_keys() -> None:
    assert learned(4, repeated_lost=4, fresh_lost=2).is_uneven
    assert not learned(4, repeated_lost=1, fresh_lost=0).is_uneven


def test_what_is_lost_as_others_are_is_the_table() -> None:
    assert not learned(4, repeated_lost=4, fresh_lost=16).is_uneven
    assert not learned(4, repeated_lost=0, fresh_lost=10).is_uneven


def test_a_few_operations_tell_nothing() -> None:
    assert not learned(1, repeated_lost=5, fresh_lost=0).is_uneven
    assert 5 < MIN_REPEATED <= 10
    assert MIN_FRESH <= 20


def test_a_range_that_is_hot_no_more_is_told_from_one_that_is() -> None:
    hot_keys = learned(10, repeated_lost=5, fresh_lost=0)
    for _ in range(20):
        hot_keys.learn(5, 0, 20, 1)

    assert not hot_keys.is_uneven


@pytest.mark.parametrize("call", [(5, 5, 20, 20), (5, 0, 20, 0), (25, 20, 0, 0), (0, 0, 25, 5)])
def test_a_call_of_one_kind_or_with_one_outcome_compares_nothing(call: tuple[int, int, int, int]) -> None:
    hot_keys = HotKeys()
    for _ in range(100):
        hot_keys.learn(*call)

    assert not hot_keys.is_uneven


def sent_at(pending: Pending, now: float) -> list[Sending]:
    return list(iter(lambda: pending.next(now), None))


def test_what_came_back_takes_half_of_a_call_at_most_while_there_is_something_fresh() -> None:
    pending = Pending({}, write_units_per_second=math.inf, now=0.0)
    again = operations("again", 30)
    pending.try_later(again, False, 0.0, 0.0)
    pending.extend(operations("fresh", 30))

    batches = [sending.batch for sending in sent_at(pending, 1.0)]

    assert [len(batch) for batch in batches] == [25, 25, 10]
    assert [len(set(batch).intersection(again)) for batch in batches] == [12, 12, 6]


def test_a_hot_range_limits_what_came_back_and_not_the_table() -> None:
    paces: dict[str, SendRate] = {}
    pending = Pending(paces, write_units_per_second=math.inf, now=0.0)
    hot = operations("hot", 100)
    pending.try_later(hot, False, 0.0, 0.0)
    pending.extend(operations("fresh", 10_000))
    counts = []
    for tick in itertools.count():
        now = tick / 1000
        sending = pending.next(now)
        if sending is None or now > 3:
            break
        lost = [operation for operation in sending.batch if operation in set(hot)]
        counts.append(len(lost))
        pending.answered(sending, {"t": float(len(sending.batch) - len(lost))}, lost, now)
        if lost:
            pending.try_later(lost, False, now, 0.0)

    assert len(counts) >= 10_000 / 25
    assert counts[0] == MAX_REQUESTS // 2
    assert sum(counts) < 60
    assert not paces["t"].is_limited


def test_a_table_that_loses_fresh_and_repeated_alike_is_limited() -> None:
    paces: dict[str, SendRate] = {}
    pending = Pending(paces, write_units_per_second=math.inf, now=0.0)
    pending.extend(operations("any", 10_000))
    for tick in range(2000):
        now = tick / 1000
        sending = pending.next(now)
        if sending is None:
            continue
        lost = sending.batch[::5]
        pending.answered(sending, {"t": float(len(sending.batch) - len(lost))}, lost, now)
        pending.try_later(lost, False, now, 0.0)

    assert paces["t"].is_limited


def test_other_keys_are_written_at_once_while_one_is_stuck() -> None:
    world = World()
    world.db.always(UnprocessedIf(lambda _, request: "'stuck'" in str(request)))
    bodies = [{"put": {"pk": "stuck", "sk": n}, "table": EVENTS.alias} for n in range(100)]
    bodies += [{"put": {"pk": f"free{n}", "sk": 0}, "table": EVENTS.alias} for n in range(2000)]
    written_at: list[float] = []
    world.db.reject_if(lambda _, request: bool("'free" in str(request) and written_at.append(world.clock())))  # type: ignore[func-returns-value]

    outcome = world.run(*bodies)

    assert len(outcome.written) == 2000
    assert [message.operations[0].key[1] for message in outcome.returned] == ["stuck"] * 100
    assert max(written_at) < 1.0
