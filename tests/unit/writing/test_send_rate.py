import itertools
import math

import pytest

from sluice.message.redelivery import visibility
from sluice.writing.send_rate import TARGET_LOSS, Bucket, SendRate, backoff
from tests.benchmarks.simulation import Scenario, simulate, simulate_hot


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


def limited(rate: float = 100.0, now: float = 0.0) -> SendRate:
    """A pace that has found its limit."""
    return SendRate(bucket=Bucket(rate, at=now), since=now, lost_at=now, judged_at=now, used_at=now)


def watched(pace: SendRate, share: float, seconds: float, now: float = 0.0) -> tuple[SendRate, float]:
    """Sends for so many seconds at the pace's rate, and loses that share of each call; the pace, and the time."""
    until = now + seconds
    while now < until:
        units = min(25.0, pace.most_units())
        now += units / pace.rate
        pace = pace.learn(units, units * share, now, now)
    return pace, now


def test_a_pace_limits_nothing_until_something_is_refused() -> None:
    pace = SendRate()
    for tenth in range(100):
        pace = pace.spend(1000.0, tenth / 10).learn(1000.0, 0.0, tenth / 10, tenth / 10)

    assert not pace.is_limited
    assert pace.wait(10.0) == 0.0


def test_a_refused_call_stops_the_rest_and_then_the_rate_grows_tenfold_a_second() -> None:
    stopped = SendRate().learn(25.0, 25.0, sent_at=0.0, now=0.1)
    grown, _ = watched(stopped, 0.0, 1.0, now=0.1)

    assert stopped.is_probing
    assert stopped.rate == 10.0
    assert stopped.wait(0.1) > 0
    assert 80 < grown.rate < 120


def test_a_few_lost_of_many_leave_a_table_unlimited_for_a_second_and_then_cut_by_what_was_lost() -> None:
    pace, now = SendRate(), 0.0
    while not pace.is_limited:
        now += 0.01
        pace = pace.learn(100.0, 4.0, now, now)

    assert now == pytest.approx(1.01, abs=0.02)
    assert not pace.is_probing
    assert pace.rate == pytest.approx(9600.0, rel=0.03)


def test_calls_that_were_in_flight_together_are_one_piece_of_news() -> None:
    stopped = SendRate().learn(25.0, 25.0, sent_at=0.0, now=0.1)

    assert stopped.learn(25.0, 25.0, sent_at=0.05, now=0.11).rate == stopped.rate
    assert stopped.learn(25.0, 25.0, sent_at=0.05, now=0.11).bucket == stopped.bucket


def test_the_rate_rests_at_the_loss_it_aims_at() -> None:
    assert watched(limited(60.0), TARGET_LOSS, 10.0)[0].rate == pytest.approx(60.0, rel=0.01)
    assert watched(limited(60.0), 0.5 * TARGET_LOSS, 10.0)[0].rate > 60.0
    assert watched(limited(60.0), 2 * TARGET_LOSS, 10.0)[0].rate < 60.0


def test_of_two_writers_with_the_same_loss_the_slower_one_grows_faster() -> None:
    slow, _ = watched(limited(100.0), TARGET_LOSS, 20.0)
    fast, _ = watched(limited(1000.0), TARGET_LOSS, 20.0)

    assert slow.rate / 100.0 > 1.05 * fast.rate / 1000.0


@pytest.mark.parametrize(("share", "rate"), [(0.4, 600.0), (0.9, 500.0)])
def test_a_large_loss_brings_the_rate_down_to_what_was_taken_or_to_half_at_once(share: float, rate: float) -> None:
    pace, _ = watched(limited(1000.0), share, 1.05)

    assert pace.rate == pytest.approx(rate, rel=0.05)


def test_silence_after_refusals_does_not_hide_how_much_too_high_the_rate_is() -> None:
    pace, now = limited(1000.0), 0.0
    while pace.judged_at < 1.0:
        now += 0.05  # Half of the rate is sent.
        pace = pace.learn(25.0, 1.0, now, now)

    assert pace.rate == pytest.approx(500.0, rel=0.06)


def cut_by_a_tenth_lost(rate: float) -> float:
    """By how much one look at the loss moves the logarithm of a rate, a second."""
    pace, now, units = limited(rate), 0.0, 0
    while pace.judged_at == 0.0:
        now, units = now + 1 / rate, units + 1
        pace = pace.learn(1.0, 1.0 if units % 10 == 0 else 0.0, now, now)
    return math.log(pace.rate / rate) / now


def test_the_few_units_of_a_slow_writer_move_its_rate_less_than_the_many_of_a_fast_one() -> None:
    assert -0.1 < cut_by_a_tenth_lost(1000.0) < -0.09
    assert -0.04 < cut_by_a_tenth_lost(6.0) < -0.02


def test_a_rate_grows_by_a_third_at_most_at_each_look() -> None:
    pace, now, rates = limited(10.0), 0.0, [10.0]
    while len(rates) < 80 and pace.rate < 1e6:
        pace, now = watched(pace, 0.0, 0.5, now)
        rates.append(pace.rate)

    assert 1.2 < max(later / earlier for earlier, later in itertools.pairwise(rates)) < 4 / 3


def test_growth_gathers_speed_while_nothing_is_lost() -> None:
    after_5, now = watched(limited(1000.0), 0.0, 5.0)
    after_15, _ = watched(after_5, 0.0, 10.0, now)

    assert 1000.0 < after_5.rate < 1300.0
    assert after_15.rate > 3 * after_5.rate


def test_each_refusal_in_a_row_is_followed_by_a_longer_silence() -> None:
    pace, now, waits = limited(1000.0), 0.0, []
    for _ in range(7):
        now += pace.wait(now) + 0.001
        pace = pace.learn(25.0, 25.0, now, now)
        waits.append(pace.pause)

    assert waits == [0.01, 0.02, 0.04, 0.08, 0.16, 0.2, 0.2]


def test_a_limited_rate_goes_out_in_small_calls() -> None:
    assert limited(100.0).most_units() == 5.0
    assert limited(1.0).most_units() == 1.0
    assert SendRate().most_units() == math.inf


def test_what_was_written_is_paid_by_what_it_consumed() -> None:
    pace = limited(100.0).spend(25.0, now=1.0).correct(25.0, 75.0, sent_at=1.0, now=1.0)

    assert pace.wait(1.0) == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("idle", "kept"), [(0.0, "as it is"), (4.9, "as it is"), (5.1, "probed"), (59.0, "probed"), (61.0, "forgotten")]
)
def test_the_next_invocation_goes_on_from_a_recent_pace_only(idle: float, kept: str) -> None:
    resumed = limited(321.0, now=10.0).resumed(10.0 + idle)

    assert resumed.is_limited == (kept != "forgotten")
    assert resumed.is_probing == (kept == "probed")
    assert resumed.rate == (math.inf if kept == "forgotten" else 321.0)


def test_a_pace_that_was_never_limited_leaves_nothing() -> None:
    assert SendRate().learn(25.0, 0.0, 1.0, 1.0).resumed(1.0) == SendRate()


def test_a_table_that_takes_nothing_is_still_tried_once_a_second() -> None:
    pace, now = SendRate().learn(25.0, 25.0, 0.0, 0.0), 0.0
    tried: list[float] = []
    while now < 60.0:
        now += max(0.001, pace.wait(now))
        tried.append(now)
        pace = pace.spend(pace.most_units(), now)
        pace = pace.learn(pace.most_units(), pace.most_units(), now, now)

    gaps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert max(gaps) < 1.5
    assert len(tried) < 1000


# The real writer in virtual time


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(1000.0, 0.1, False, writers=1, seconds=15.0),
        Scenario(1000.0, 1.0, False, writers=4, seconds=15.0),
        Scenario(1000.0, 1.0, True, writers=1, seconds=15.0),
        Scenario(100.0, 1.0, False, writers=1, seconds=20.0),
    ],
    ids=lambda scenario: str(scenario.name),
)
def test_a_table_at_its_limit_is_used_in_full_and_little_is_sent_in_vain(scenario: Scenario) -> None:
    figures = simulate(scenario, settle=6.0)

    assert figures.use > 0.97
    assert figures.waste < 0.03
    assert figures.slowest < 1.5


def test_sixteen_writers_share_a_table() -> None:
    figures = simulate(Scenario(1000.0, 1.0, False, writers=16, seconds=15.0), settle=6.0)

    assert figures.use > 0.97
    assert figures.waste < 0.05
    assert figures.slowest < 1.5


def test_the_next_invocations_of_a_warm_writer_waste_nothing_at_their_beginning() -> None:
    scenario = Scenario(1000.0, 1.0, False, writers=1, seconds=16.0, rounds=4)

    figures = simulate(scenario, settle=5.0)

    assert figures.use > 0.95
    assert figures.waste < 0.03


@pytest.mark.parametrize(
    ("table_rate", "hot_rate", "keys"), [(4000.0, 100.0, 1), (4000.0, 100.0, 20), (1000.0, 50.0, 0)]
)
def test_a_hot_range_of_keys_does_not_hold_back_the_others(table_rate: float, hot_rate: float, keys: int) -> None:
    figures = simulate_hot(table_rate, hot_rate, keys, seconds=3.0)

    assert figures.others_slower < 1.5
    assert figures.hot_use > 0.2


def kept_trickling(pace: SendRate) -> SendRate:
    """After half an hour in which 250 units a second were sent, and all taken."""
    for tenth in range(1, 18_001):
        now = tenth / 10
        pace = pace.spend(25.0, now).learn(25.0, 0.0, now - 0.005, now)
    return pace


def test_a_rate_that_is_not_used_does_not_grow_for_ever() -> None:
    limited = SendRate(bucket=Bucket(1000.0), judged_at=0.0)

    assert 250.0 < kept_trickling(limited).rate < 2_000.0


def test_a_probe_that_meets_no_limit_ends_in_none() -> None:
    found = kept_trickling(SendRate().restarted(0.0))

    assert not found.is_limited
    assert not found.is_probing
