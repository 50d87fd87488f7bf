import math

import pytest

from functions.batch_writer.pace import Bucket, Pace, backoff, visibility


@pytest.mark.parametrize(("attempt", "longest"), [(0, 0.05), (1, 0.1), (3, 0.4), (6, 3.2), (7, 5.0), (1000, 5.0)])
def test_backoff_doubles_up_to_its_cap_and_is_jittered_in_full(attempt: int, longest: float) -> None:
    assert backoff(attempt, 0.0) == 0.0
    assert backoff(attempt, 0.5) == pytest.approx(longest / 2)
    assert backoff(attempt, 0.999) < longest


@pytest.mark.parametrize(("receives", "ceiling"), [(0, 5), (1, 5), (2, 10), (5, 80), (8, 640), (9, 900), (10_000, 900)])
def test_visibility_is_a_whole_number_from_1_to_its_ceiling(receives: int, ceiling: int) -> None:
    assert visibility(receives, 0.0) == 1
    assert visibility(receives, 1 - 2**-53) == ceiling


def test_a_bucket_without_a_limit_never_waits() -> None:
    assert Bucket().spend(10_000, now=0.0).wait(now=0.0) == 0.0


def test_a_bucket_is_paid_afterwards_at_its_rate() -> None:
    bucket = Bucket(rate=10.0).spend(25, now=0.0)

    assert bucket.wait(now=0.0) == pytest.approx(2.5)
    assert bucket.wait(now=2.0) == pytest.approx(0.5)
    assert bucket.wait(now=2.5) == pytest.approx(0.0)


def test_what_was_estimated_too_high_is_given_back() -> None:
    bucket = Bucket(rate=10.0).spend(25, now=0.0).spend(-25, now=0.0)

    assert bucket.wait(now=0.0) == 0.0


def test_unspent_units_pile_up_for_a_tenth_of_a_second_only() -> None:
    bucket = Bucket(rate=100.0).spend(0, now=60.0).spend(60, now=60.0)

    assert bucket.wait(now=60.0) == pytest.approx(0.5)


def test_an_hour_at_a_limit_spends_just_the_limit() -> None:
    bucket, now, spent = Bucket(rate=100.0), 0.0, 0
    while now < 3600:
        now += bucket.wait(now)
        bucket, spent = bucket.spend(25, now), spent + 25

    assert spent == pytest.approx(360_000, rel=0.001)


def throttled_table(rate: float, seconds: float) -> tuple[Pace, float, float]:
    """Send 25 units at a time to a table that takes `rate` a second; the pace, what was taken, what was refused."""
    pace, now, taken, refused = Pace(), 0.0, 0.0, 0.0
    room, filled_at = 0.0, 0.0
    while now < seconds:
        now += max(pace.bucket.wait(now), 0.005)
        room, filled_at = min(rate, room + (now - filled_at) * rate), now
        accepted = min(25.0, room)
        room -= accepted
        pace = pace.sent(25, now).answered(25, accepted, now)
        pace = pace.succeeded(now) if accepted == 25 else pace.throttled(now)
        if now > seconds / 2:
            taken, refused = taken + accepted, refused + 25 - accepted
    return pace, taken / (seconds / 2), refused / (seconds / 2)


@pytest.mark.parametrize("rate", [100.0, 1000.0, 4000.0])
def test_the_rate_settles_near_what_the_table_takes(rate: float) -> None:
    _, taken, refused = throttled_table(rate, seconds=120.0)

    assert taken > 0.8 * rate
    assert refused < 0.2 * rate


def test_calls_throttled_together_cut_the_rate_once() -> None:
    pace = Pace().sent(1000, now=0.0).answered(1000, 1000, now=1.0).throttled(now=1.0)

    assert pace.bucket.rate == pytest.approx(1000.0)
    assert pace.throttled(now=1.1).bucket.rate == pace.bucket.rate
    assert pace.throttled(now=1.3).bucket.rate == pytest.approx(850.0)


def test_a_table_that_has_taken_nothing_is_still_tried_once_a_second() -> None:
    pace = Pace()
    for tenth in range(600):
        pace = pace.sent(25, tenth / 10).answered(25, 0, tenth / 10).throttled(tenth / 10)

    assert 0.5 <= 25 / pace.bucket.rate <= 1.0


def test_the_rate_recovers_on_success() -> None:
    pace = Pace().sent(100, now=0.0).answered(100, 100, now=1.0).throttled(now=1.0)

    grown = pace.succeeded(now=2.0)

    assert grown.bucket.rate == pytest.approx(100 * 1.05 + 25)
    assert not math.isinf(grown.bucket.rate)
