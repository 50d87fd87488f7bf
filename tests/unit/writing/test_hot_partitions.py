"""A range of keys that is throttled by itself holds back no other; a table that is throttled is told from it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from random import Random
from typing import Any

import pytest

from sluice.aws.answer import ThrottlingReason
from sluice.message.operation import BatchWrite, Operation, Source
from sluice.writing.hot_keys import MAX_SAVED, HotKeys
from sluice.writing.pending import Pending, Sending
from sluice.writing.plan import MAX_REQUESTS, spread
from sluice.writing.queues import Queues
from sluice.writing.send_rate import SEEK_RATE, Bucket, SendRate
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
    assert learned(2, repeated_lost=4, fresh_lost=2).is_uneven
    assert learned(10, repeated_lost=1, fresh_lost=0).is_uneven


def test_what_is_lost_as_others_are_is_the_table() -> None:
    assert not learned(400, repeated_lost=4, fresh_lost=16).is_uneven
    assert not learned(400, repeated_lost=0, fresh_lost=10).is_uneven


def test_a_few_operations_tell_nothing() -> None:
    assert not learned(1, repeated_lost=5, fresh_lost=0).is_uneven
    assert not learned(4, repeated_lost=1, fresh_lost=0).is_uneven


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_losses_by_chance_seldom_look_like_a_range_of_keys(share: float) -> None:
    chance, found = Random(1), 0
    for _ in range(200):
        hot_keys = HotKeys()
        for _ in range(20):
            lost = [chance.random() < share for _ in range(25)]
            hot_keys.learn(5, sum(lost[:5]), 20, sum(lost[5:]))
        found += hot_keys.is_uneven

    assert found <= 10


def test_a_range_that_is_hot_no_more_is_told_from_one_that_is() -> None:
    hot_keys = learned(10, repeated_lost=5, fresh_lost=0)
    for _ in range(40):
        hot_keys.learn(5, 2, 20, 8)

    assert not hot_keys.is_uneven


def test_a_hot_range_may_lose_a_quarter_and_more_for_a_while() -> None:
    hot_keys = HotKeys()

    assert [hot_keys.beyond(25, 5) for _ in range(40)] == [0] * 40
    assert hot_keys.beyond(25, 18) == 0
    assert hot_keys.beyond(25, 18) == pytest.approx(18 - 0.25 * 25 - (MAX_SAVED + 0.25 * 25 - 18))
    assert hot_keys.beyond(100, 40) == 15


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


def test_neither_what_came_back_nor_what_is_fresh_comes_first_or_last_more_often() -> None:
    fresh, again = operations("fresh", 20), operations("again", 5)
    places = [
        place
        for number in range(1000)
        for place, operation in enumerate(spread(fresh + again, set(again), number / 1000))
        if operation in again
    ]

    counts = Counter(places)
    assert len(counts) == 25
    assert 190 <= min(counts.values()) <= max(counts.values()) <= 210


@pytest.mark.parametrize("count", [0, 1, 2, 12, 13, 24, 25])
def test_a_call_is_spread_without_loss(count: int) -> None:
    batch = operations("o", 25)

    for phase in (0.0, 0.5, 0.999):
        assert sorted(spread(batch, set(batch[:count]), phase), key=batch.index) == batch


def test_a_hot_range_limits_what_came_back_and_not_the_table() -> None:
    send_rates: dict[str, SendRate] = {}
    pending = Pending(send_rates, write_units_per_second=math.inf, now=0.0)
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
    assert len(hot) <= sum(counts) < 1.2 * len(hot)  # Each once more, as it may have been the table.
    assert not send_rates["t"].is_limited


def uneven_queues() -> Queues:
    """Of a table in which a range of keys is hot, as two calls have told."""
    queues = Queues()
    for number in range(2):
        again, fresh = operations(f"again{number}-", 5), operations(f"fresh{number}-", 20)
        queues.learn(again + fresh, set(again), dict.fromkeys(again, 1), 0.0, 0.0)
    assert queues.hot_rate.is_limited
    return queues


def test_what_is_lost_again_while_the_table_has_room_belongs_to_the_hot_range() -> None:
    queues = uneven_queues()
    queues.learn(operations("taken", 25), set(), {}, 0.0, 0.0)
    again, fresh = operations("again", 5), operations("fresh", 20)

    assert queues.learn(again + fresh, {*again, *fresh[:2]}, dict.fromkeys(again, 1), 0.0, 0.0) == (25, 0)

    assert queues.suspected.issuperset(again)
    assert queues.suspected.isdisjoint(fresh)


def test_what_is_lost_while_the_table_loses_more_than_a_hot_range_may_goes_on_with_the_rest() -> None:
    queues = uneven_queues()
    again, fresh = operations("again", 5), operations("fresh", 20)
    before = set(queues.suspected)

    for _ in range(3):
        sent, lost = queues.learn(again + fresh, {*again, *fresh[:15]}, dict.fromkeys(again, 1), 0.0, 0.0)

    assert (sent, lost) == (25, 20 - 0.25 * 25)
    assert queues.suspected == before


def test_a_call_that_is_refused_whole_says_what_it_says_of_the_table() -> None:
    queues = uneven_queues()
    fresh = operations("fresh", 25)

    assert queues.learn(fresh, set(fresh), {}, 0.0, 0.0) == (25, 25)
    assert queues.suspected.isdisjoint(fresh)


def test_the_rate_of_a_hot_range_begins_anew_where_nothing_else_is_left_and_it_is_low() -> None:
    queues = uneven_queues()
    hot, fresh = operations("hot", 5), operations("fresh", 1)
    queues.suspected.update(hot)
    for operation in hot:
        queues.come_back(operation)

    def rate_once_only_hot_ones_are_left(before: float) -> float:
        queues.hot_rate = SendRate(bucket=Bucket(before, -1.0))
        queues.extend(fresh)
        queues.heads(25.0, 0.0)
        assert queues.hot_rate.rate == before
        queues.fresh.clear()
        queues.heads(25.0, 0.0)
        return queues.hot_rate.rate

    assert [rate_once_only_hot_ones_are_left(rate) for rate in (2.0, 300.0, 3.0)] == [SEEK_RATE, 300.0, SEEK_RATE]

    queues.hot_rate = SendRate(bucket=Bucket(2.0, -1.0))
    queues.heads(25.0, 0.0)

    assert queues.hot_rate.rate == 2.0  # It has fallen to that by itself.


def test_what_belonged_to_a_hot_range_is_as_the_rest_once_it_is_hot_no_more() -> None:
    queues = uneven_queues()
    hot = operations("hot", 5)
    queues.suspected.update(hot)
    for operation in hot:
        queues.come_back(operation)
    assert [*queues.hot] == hot

    for number in range(40):
        again, fresh = operations(f"a{number}-", 5), operations(f"f{number}-", 20)
        queues.learn(again + fresh, {*again[:2], *fresh[:8]}, dict.fromkeys(again, 1), 0.0, 0.0)

    assert [*queues.repeated] == hot
    assert not queues.hot
    assert not queues.suspected


def test_a_table_that_loses_fresh_and_repeated_alike_is_limited() -> None:
    send_rates: dict[str, SendRate] = {}
    pending = Pending(send_rates, write_units_per_second=math.inf, now=0.0)
    pending.extend(operations("any", 10_000))
    for tick in range(2000):
        now = tick / 1000
        sending = pending.next(now)
        if sending is None:
            continue
        lost = sending.batch[::5]
        pending.answered(sending, {"t": float(len(sending.batch) - len(lost))}, lost, now)
        pending.try_later(lost, False, now, 0.0)

    assert send_rates["t"].is_limited


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


# Reasons


RANGE = ThrottlingReason("TableWriteKeyRangeThroughputExceeded", "t")
INDEX = ThrottlingReason("IndexWriteProvisionedThroughputExceeded", "t", "by-day")
TABLE = ThrottlingReason("TableWriteProvisionedThroughputExceeded", "t")
ELSEWHERE = ThrottlingReason("TableWriteProvisionedThroughputExceeded", "u")


def after_refusals(count: int, *reasons: ThrottlingReason, taken_before: bool = True) -> SendRate:
    """The rate after a full call that was taken, and so many that were refused whole for these reasons."""
    send_rates: dict[str, SendRate] = {}
    pending = Pending(send_rates, write_units_per_second=math.inf, now=0.0)
    pending.extend(operations("o", 25 * (count + taken_before)))
    for number in range(count + taken_before):
        sending = pending.next(number / 100)
        if sending is None:
            break
        lost = [] if number == 0 and taken_before else sending.batch
        pending.answered(sending, {}, lost, number / 100 + 0.005, reasons if lost else ())
        if lost:
            pending.try_later(sending.batch, False, number / 100, 1.0)
    return send_rates["t"]


@pytest.mark.parametrize("reasons", [(RANGE,), (INDEX,), (RANGE, INDEX)])
def test_a_range_of_keys_or_an_index_that_throttles_does_not_slow_its_table(reasons: Any) -> None:
    assert not after_refusals(1, *reasons).is_limited
    assert not after_refusals(4, *reasons).is_limited


def test_a_range_or_an_index_for_which_everything_is_refused_slows_the_table() -> None:
    assert after_refusals(6, INDEX).is_limited


@pytest.mark.parametrize("reasons", [(), (TABLE,), (RANGE, TABLE), (ThrottlingReason(TABLE.reason),)])
def test_a_table_that_throttles_is_slowed(reasons: Any) -> None:
    assert after_refusals(1, *reasons).is_limited


def test_a_table_that_was_refused_with_another_is_not_slowed() -> None:
    assert not after_refusals(1, ELSEWHERE).is_limited
    assert after_refusals(1, ELSEWHERE, TABLE).is_limited


def test_what_a_hot_range_refused_comes_back_at_a_rate_of_its_own_for_a_while() -> None:
    pending = Pending({}, write_units_per_second=math.inf, now=0.0)
    pending.extend(operations("hot", 25))
    first = pending.next(0.0)
    assert first is not None
    pending.answered(first, {}, first.batch, 0.0, [RANGE])
    pending.try_later(first.batch, False, 0.0, 0.0)
    pending.extend(operations("cool", 100))

    batches = [sending.batch for sending in sent_at(pending, 0.1)]

    assert sum(operation in first.batch for batch in batches for operation in batch) < 5
    assert sum(operation not in first.batch for batch in batches for operation in batch) == 100


def test_calls_too_small_for_both_go_to_what_came_back_and_to_what_is_fresh_by_turns() -> None:
    send_rates = {"t": SendRate(at=0.0).restarted(0.0)}
    pending = Pending(send_rates, write_units_per_second=math.inf, now=0.0)
    again = operations("again", 30)
    pending.try_later(again, False, 0.0, 0.0)
    pending.extend(operations("fresh", 30))

    sent = [pending.next(float(second)) for second in range(1, 7)]

    assert [sending and sending.batch[0] in again for sending in sent] == [True, False] * 3


def test_what_comes_back_again_says_nothing_of_a_table_that_takes_what_is_fresh_by_turns() -> None:
    send_rates = {"t": SendRate(at=0.0).restarted(0.0)}
    pending = Pending(send_rates, write_units_per_second=math.inf, now=0.0)
    again = operations("again", 30)
    pending.try_later(again, False, 0.0, 0.0)
    pending.extend(operations("fresh", 30))

    now = 0.0
    for _ in range(40):
        now += (pending.wait(now) or 0.0) + 0.001
        sending = pending.next(now)
        if sending is None:
            continue
        lost = [operation for operation in sending.batch if operation in again]
        pending.answered(sending, {}, lost, now)
        if lost:
            pending.try_later(lost, False, now, 0.0)

    assert send_rates["t"].rate > 10.0
