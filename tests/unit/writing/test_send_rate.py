import itertools
import math
import statistics

import pytest
from msgspec.structs import replace

from sluice.message.redelivery import visibility
from sluice.writing.send_rate import (
    CALL_SECONDS,
    FAIRNESS,
    PAUSE,
    REACTION_SECONDS,
    SEEK_GROWTH,
    SEEK_RATE,
    TARGET_LOSS,
    TRUST_SECONDS,
    Bucket,
    SendRate,
    State,
    backoff,
)
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


def held(rate: float = 100.0, now: float = 0.0, closed: float = 0.0) -> SendRate:
    """A rate that has just found its limit."""
    bucket, until = Bucket(rate, at=now), now + 2 * TRUST_SECONDS
    return SendRate(
        bucket, State.HOLD, since=now, lost_at=now, judged_at=now, at=now, closed=closed, trusted_until=until
    )


def watched(send_rate: SendRate, share: float, seconds: float, now: float = 0.0) -> tuple[SendRate, float]:
    """Sends for so many seconds at the rate, and loses that share of each call; the rate, and the time."""
    until = now + seconds
    while now < until:
        units = min(25.0, send_rate.most_units())
        now += units / min(send_rate.rate, 10_000.0)
        send_rate = send_rate.spend(units, now).learn(units, units * share, now, now)
    return send_rate, now


# OPEN


def test_an_open_rate_limits_nothing_until_something_is_refused() -> None:
    send_rate, now = watched(SendRate(), 0.0, 10.0)

    assert send_rate.state is State.OPEN
    assert not send_rate.is_limited
    assert send_rate.wait(now) == 0.0
    assert send_rate.most_units() == math.inf


def test_a_full_call_refused_whole_stops_the_rest() -> None:
    stopped = SendRate().learn(25.0, 0.0, 0.0, 0.1).learn(25.0, 25.0, 0.1, 0.2)

    assert stopped.state is State.SEEK
    assert stopped.rate == SEEK_RATE
    assert stopped.wait(0.2) > 0


def test_full_calls_refused_nearly_whole_stop_the_rest_only_in_a_row() -> None:
    once = SendRate().learn(25.0, 0.0, 0.0, 0.1).learn(25.0, 23.0, 0.1, 0.2)

    assert once.state is State.OPEN
    assert once.learn(25.0, 23.0, 0.2, 0.3).state is State.SEEK
    assert once.learn(25.0, 0.0, 0.2, 0.3).learn(25.0, 23.0, 0.3, 0.4).state is State.OPEN


def test_a_single_write_that_is_refused_does_not_stop_the_rest_but_a_hundred_in_a_row_do() -> None:
    send_rate = SendRate().learn(1.0, 1.0, 0.0, 0.1)
    assert send_rate.state is State.OPEN

    for number in range(100):
        send_rate = send_rate.learn(1.0, 1.0, 0.1 + number / 1000, 0.2 + number / 1000)

    assert send_rate.state is State.SEEK


def test_where_much_is_lost_anyway_one_refused_call_is_chance() -> None:
    send_rate = SendRate()
    for number in range(8):
        send_rate = send_rate.learn(25.0, 15.0, number / 100, number / 100)

    assert send_rate.learn(25.0, 25.0, 0.1, 0.1).state is State.OPEN


def test_a_small_loss_leaves_a_rate_open() -> None:
    assert watched(SendRate(), 0.06, 10.0)[0].state is State.OPEN


# TRIAL


def test_an_open_rate_that_loses_falls_on_trial_to_what_was_taken_or_to_half() -> None:
    for share, cut, seconds in ((0.1, 0.5, 1.0), (0.2, 0.5, 1.0), (0.7, 0.3, REACTION_SECONDS)):
        send_rate, now = SendRate(), 0.0
        while not send_rate.is_limited:
            now += 0.01
            send_rate = send_rate.learn(100.0, 100.0 * share, now, now)

        assert now == pytest.approx(seconds + 0.01, abs=0.02)  # A large loss is not waited out.
        assert send_rate.state is State.TRIAL
        assert send_rate.rate == pytest.approx(10_000.0 * cut, rel=0.05)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
def test_a_fall_that_does_not_help_is_undone_and_that_loss_no_longer_counts(share: float) -> None:
    send_rate, _ = watched(SendRate(), share, 4.0)

    assert send_rate.state is State.OPEN
    assert not send_rate.is_limited
    assert send_rate.background == pytest.approx(share)


def on_trial(rate: float = 5_000.0) -> SendRate:
    return replace(held(rate), state=State.TRIAL, before=2 * rate, passed=0.7)


def test_a_fall_that_helps_is_kept() -> None:
    send_rate, _ = watched(on_trial(), 0.0, 0.3)

    assert send_rate.state is State.HOLD
    assert send_rate.rate == 5_000.0
    assert send_rate.background == 0.0


def test_a_trial_is_judged_by_many_units_and_not_before_the_fall_can_show() -> None:
    assert watched(on_trial(rate=100.0), 0.3, 3.5)[0].state is State.TRIAL
    assert watched(on_trial(rate=100.0), 0.3, 4.5)[0].state is State.OPEN
    assert watched(on_trial(rate=10_000.0), 0.3, 0.2)[0].state is State.TRIAL


def test_a_loss_that_was_found_not_to_be_its_own_is_tried_again_later_and_later() -> None:
    send_rate, now, tried = SendRate(), 0.0, list[float]()
    while now < 70.0:
        was, now = send_rate.state, now + 0.01
        send_rate = send_rate.learn(100.0, 30.0, now, now)
        if send_rate.state is State.TRIAL and was is State.OPEN:
            tried.append(now)

    gaps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert gaps == pytest.approx([9.0, 17.0, 33.0], abs=1.5)


def test_a_loss_that_has_ended_is_forgotten() -> None:
    lossy, now = watched(SendRate(), 0.5, 4.0)

    assert watched(lossy, 0.0, 2.2, now)[0].background == 0.0


def test_a_trial_that_was_not_judged_is_undone_for_the_next_invocation() -> None:
    resumed = on_trial().resumed(1.0)

    assert resumed.state is State.OPEN
    assert resumed.background == pytest.approx(0.3)


# SEEK and FALL


def test_a_rate_that_seeks_grows_twentyfold_a_second() -> None:
    grown, _ = watched(SendRate().restarted(0.1), 0.0, 1.0, now=0.1)

    assert grown.state is State.SEEK
    assert 150 < grown.rate < 250


def test_a_table_that_is_closed_when_seeking_begins_says_nothing_of_its_rate() -> None:
    assert watched(SendRate().restarted(0.0), 1.0, 1.0)[0].state is State.SEEK


def test_seeking_ends_with_a_large_loss_only() -> None:
    sought, now = watched(SendRate().restarted(0.0), 0.0, 1.0)

    assert watched(sought, 0.2, 0.2, now)[0].state is State.SEEK
    ended = sought.learn(10.0, 3.0, now, now)
    assert ended.state is State.FALL
    given = (sought.sent + 10.0 - 3.0) / (now - sought.since)
    assert given < ended.rate < sought.rate / 2  # Between what it was given while it sought, and half of the rate.
    assert ended.rate == pytest.approx(math.sqrt(given * sought.rate / 2))


def test_a_seek_that_has_just_begun_does_not_end_in_a_wild_guess() -> None:
    ended = SendRate().restarted(0.0).learn(25.0, 10.0, 0.01, 0.01)

    assert ended.state is State.FALL
    assert ended.rate == pytest.approx(math.sqrt(15.0 / REACTION_SECONDS * SEEK_RATE / 2))


def test_a_fall_goes_on_by_the_share_that_is_lost_and_ends_where_little_is() -> None:
    falling = replace(held(1000.0), state=State.FALL)

    fallen, now = watched(falling, 0.2, 0.3)
    assert fallen.state is State.FALL
    assert fallen.rate == pytest.approx(800.0, rel=0.01)
    ended, _ = watched(fallen, 0.05, 0.3, now)
    assert ended.state is State.HOLD
    assert ended.rate == fallen.rate


def test_a_fall_goes_on_at_once_where_two_full_calls_have_lost_much() -> None:
    falling = replace(held(1000.0), state=State.FALL)

    assert falling.learn(25.0, 10.0, 0.01, 0.01).rate == 1000.0  # One call may be chance.
    fallen = falling.learn(25.0, 10.0, 0.01, 0.01).learn(25.0, 10.0, 0.02, 0.02)
    assert fallen.state is State.FALL
    assert fallen.rate == pytest.approx(600.0)
    assert falling.learn(25.0, 5.0, 0.01, 0.01).learn(25.0, 5.0, 0.02, 0.02).rate == 1000.0


def test_a_fall_waits_while_the_table_takes_nothing_at_all_but_not_for_ever() -> None:
    closed, now = watched(replace(held(1000.0), state=State.FALL), 1.0, 1.9)
    assert closed.state is State.FALL
    assert closed.rate == 1000.0

    restarted, _ = watched(closed, 1.0, 0.2, now)
    assert restarted.state is State.SEEK
    assert restarted.rate == SEEK_RATE


def test_calls_that_were_in_flight_together_are_one_piece_of_news() -> None:
    stopped = SendRate().learn(25.0, 25.0, sent_at=0.0, now=0.1)

    assert stopped.learn(25.0, 25.0, sent_at=0.05, now=0.11).rate == stopped.rate
    assert stopped.learn(25.0, 25.0, sent_at=0.05, now=0.11).bucket == stopped.bucket


# HOLD


def test_the_rate_rests_at_the_loss_it_aims_at() -> None:
    target = TARGET_LOSS / 60.0**FAIRNESS

    assert target == pytest.approx(0.011, abs=0.0005)
    assert watched(held(60.0), target, 10.0)[0].rate == pytest.approx(60.0, rel=0.01)
    assert watched(held(60.0), 0.5 * target, 10.0)[0].rate > 60.0
    assert watched(held(60.0), 2 * target, 10.0)[0].rate < 60.0


def test_of_two_writers_with_the_same_loss_the_slower_one_grows_faster() -> None:
    slow, _ = watched(held(100.0), 0.011, 20.0)
    fast, _ = watched(held(1000.0), 0.011, 20.0)

    assert slow.rate / 100.0 > 1.05 * fast.rate / 1000.0


def test_a_large_loss_is_not_waited_out() -> None:
    send_rate = held(1000.0).learn(25.0, 10.0, 0.01, 0.01)

    assert send_rate.state is State.FALL
    assert send_rate.rate == pytest.approx(600.0)


def test_a_table_that_closes_to_the_end_of_a_second_is_judged_by_a_whole_one() -> None:
    send_rate, now = held(1000.0, closed=1.0), 0.0
    while send_rate.rate == 1000.0:
        now += 0.025
        send_rate = send_rate.learn(25.0, 25.0 if now > 0.6 else 0.0, now, now)

    assert now == pytest.approx(1.0, abs=0.05)
    assert send_rate.state is State.HOLD
    assert send_rate.rate == pytest.approx(math.sqrt(1000.0 * 600.0), rel=0.05)


def test_a_table_that_loses_whole_calls_closes() -> None:
    whole, parts = held(), held(closed=1.0)
    for number in range(1, 5):
        whole = whole.learn(20.0, 20.0, number / 10, number / 10)
        parts = parts.learn(25.0, 20.0, number / 10, number / 10)

    assert whole.closes
    assert whole.most_units() == whole.rate * CALL_SECONDS / 2
    assert not parts.closes
    assert parts.most_units() == parts.rate * CALL_SECONDS


def cut_by_a_tenth_lost(rate: float) -> float:
    """By how much one look at the loss moves the logarithm of a rate, a second."""
    send_rate, now, units = held(rate), 0.0, 0
    while send_rate.judged_at == 0.0:
        now, units = now + 1 / rate, units + 1
        send_rate = send_rate.learn(1.0, 1.0 if units % 10 == 0 else 0.0, now, now)
    return math.log(send_rate.rate / rate) / now


def test_the_few_units_of_a_slow_writer_move_its_rate_less_than_the_many_of_a_fast_one() -> None:
    assert -0.1 < cut_by_a_tenth_lost(1000.0) < -0.09
    assert -0.065 < cut_by_a_tenth_lost(6.0) < -0.02


def test_a_call_of_which_nothing_was_taken_is_followed_by_silence() -> None:
    send_rate = held(1000.0).spend(100.0, 0.5).learn(5.0, 5.0, 0.5, 0.5)

    assert send_rate.wait(0.5) == pytest.approx(PAUSE)
    in_flight_with_it = send_rate.learn(5.0, 5.0, 0.4, 0.5)
    assert in_flight_with_it.wait(0.5) == send_rate.wait(0.5)


# PUSH


def pushed(share: float, rate: float = 10.0) -> tuple[SendRate, float]:
    """A rate that has been held down for so long that it is pushed, and loses that share from then on."""
    send_rate, now = held(rate), 0.0
    while send_rate.state is State.HOLD:
        send_rate, now, was = *watched(send_rate, TARGET_LOSS / rate**FAIRNESS, 0.1, now), send_rate
        assert was.rate == pytest.approx(rate, rel=0.05)
    while send_rate.state is State.PUSH:
        if (units := send_rate.most_units()) == 1.0:
            send_rate, now = watched(send_rate, share, 0.01, now)
        else:
            send_rate = send_rate.learn(units, units / 2, now, now)
    return send_rate, now


def test_a_low_rate_that_loses_no_more_sixteen_times_as_fast_stays_there_for_a_minute() -> None:
    send_rate, now = pushed(0.05)

    assert send_rate.state is State.HOLD
    assert send_rate.rate == pytest.approx(160.0, rel=0.05)
    kept, now = watched(send_rate, 0.05, 55.0, now)
    assert kept.rate == send_rate.rate
    assert kept.most_units() == 1.0
    fallen, _ = watched(kept, 0.05, 10.0, now)
    assert fallen.rate < kept.rate


def test_a_push_that_loses_is_undone_and_tried_again_after_a_minute() -> None:
    send_rate, now, tried = held(10.0), 0.0, list[float]()
    while now < 200.0:
        was = send_rate
        share = 0.5 if was.state is State.PUSH else TARGET_LOSS / was.rate**FAIRNESS
        send_rate, now = watched(was, share, 0.01, now)
        if send_rate.state is State.PUSH is not was.state:
            tried.append(now)
            assert send_rate.rate == pytest.approx(16 * send_rate.before)
        if was.state is State.PUSH is not send_rate.state:
            assert send_rate.state is State.HOLD
            assert send_rate.rate == was.before
            assert now - tried[-1] < 0.2

    assert [later - sooner for sooner, later in itertools.pairwise(tried)] == pytest.approx([60, 60], abs=4)


def test_two_lost_writes_do_not_end_a_push() -> None:
    send_rate = replace(held(12.0), state=State.PUSH, before=12.0, bucket=Bucket(192.0))

    lost_two = send_rate.learn(1.0, 1.0, 0.1, 0.1).learn(1.0, 1.0, 0.2, 0.2)

    assert lost_two.state is State.PUSH
    assert lost_two.learn(1.0, 1.0, 0.3, 0.3).state is State.HOLD


def asking() -> tuple[SendRate, float]:
    """A push that has sent half of a full call, write by write."""
    send_rate, now = replace(held(20.0), state=State.PUSH, before=20.0, bucket=Bucket(320.0)), 0.0
    while send_rate.most_units() == 1.0:
        now += 0.005
        send_rate = send_rate.learn(1.0, 0.0, now, now)
    return send_rate, now


def test_a_push_ends_in_a_rise_where_half_of_a_full_call_is_taken() -> None:
    send_rate, now = asking()
    assert send_rate.sent == 13.0
    assert send_rate.most_units() == 12.5

    answered = send_rate.learn(13.0, 0.0, now, now)

    assert answered.state is State.RISE
    assert answered.rate == answered.before == 20.0
    assert answered.trusted_until == now + TRUST_SECONDS


def test_what_such_a_call_loses_is_not_held_against_the_push() -> None:
    send_rate, now = asking()

    answered = send_rate.learn(13.0, 13.0, now, now)

    assert answered.state is State.PUSH
    assert answered.lost == 0.0
    assert answered.most_units() == 1.0


def test_items_as_large_as_such_a_call_are_lost_like_any_others() -> None:
    send_rate, now = replace(held(12.0), state=State.PUSH, before=12.0, bucket=Bucket(192.0)), 0.0
    while send_rate.state is State.PUSH:
        now += 0.07
        send_rate = send_rate.learn(13.0, 13.0, now, now)

    assert now < 0.3
    assert send_rate.rate == 12.0


def test_a_push_lasts_longer_than_what_a_table_has_saved() -> None:
    send_rate, now = asking()
    begun, now = watched(send_rate.learn(13.0, 5.0, now, now), 0.0, 0.5, now)

    assert begun.state is State.PUSH
    ended, _ = watched(begun, 0.9, 0.35, now)
    assert ended.state is State.HOLD
    assert ended.rate == 20.0


def test_a_rate_below_half_a_call_a_second_is_pushed_in_single_writes_only() -> None:
    send_rate, now = replace(held(12.0), state=State.PUSH, before=12.0, bucket=Bucket(192.0)), 0.0
    while now < 0.9:
        assert send_rate.most_units() == 1.0
        now += 1 / 192
        send_rate = send_rate.learn(1.0, 0.0, now, now)

    assert send_rate.state is State.PUSH


def test_a_rate_of_half_a_call_a_second_is_pushed_later() -> None:
    send_rate, now = held(20.0), 0.0
    while send_rate.state is State.HOLD:
        send_rate, now = watched(send_rate, TARGET_LOSS / send_rate.rate**FAIRNESS, 0.1, now)

    assert send_rate.state is State.PUSH
    assert now == pytest.approx(4 * TRUST_SECONDS, abs=2.0)


@pytest.mark.parametrize("rate", [26.0, 60.0, 1000.0])
def test_a_rate_of_a_full_call_a_second_is_never_pushed(rate: float) -> None:
    send_rate, now = held(rate), 0.0
    while now < 60.0:
        send_rate, now = watched(send_rate, TARGET_LOSS / rate**FAIRNESS, 1.0, now)
        assert send_rate.state is State.HOLD


def test_whoever_did_not_give_way_has_gone_where_a_rise_doubles_the_rate() -> None:
    send_rate, now = pushed(0.05)
    loud = watched(send_rate, 0.0, 1.5, now)[0]
    assert loud.state is State.RISE
    assert loud.background > 0

    risen, _ = watched(send_rate, 0.0, 4.0, now)

    assert risen.rate > 320.0
    assert risen.background == 0.0


def test_beside_one_that_does_not_give_way_a_lost_write_says_nothing_of_the_next_moment() -> None:
    beside, alone = replace(held(160.0), background=0.08), held(160.0)

    assert beside.spend(1.0, 0.5).learn(1.0, 1.0, 0.5, 0.5).wait(0.5) == beside.spend(1.0, 0.5).wait(0.5)
    assert alone.spend(1.0, 0.5).learn(1.0, 1.0, 0.5, 0.5).wait(0.5) > alone.spend(1.0, 0.5).wait(0.5)


def test_beside_one_that_does_not_give_way_a_second_in_which_little_was_sent_says_nothing() -> None:
    def interrupted(send_rate: SendRate) -> SendRate:
        times = [number / 160 for number in range(1, 26)] + [0.8] * 20 + [0.8 + number / 160 for number in range(50)]
        for number, now in enumerate(times):
            send_rate = send_rate.spend(1.0, now).learn(1.0, float(number % 10 == 0), now, now)
        return send_rate

    beside = replace(held(160.0), background=0.16)

    assert interrupted(beside).rate == 160.0
    assert interrupted(replace(beside, background=0.0)).rate < 140.0


def test_the_next_invocation_begins_with_the_rate_before_a_push_that_was_not_judged() -> None:
    send_rate = replace(held(12.0), state=State.PUSH, before=12.0, bucket=Bucket(192.0))

    assert send_rate.resumed(0.5).state is State.HOLD
    assert send_rate.resumed(0.5).rate == 12.0


# RISE


def test_a_rate_rises_after_a_second_without_a_loss_and_faster_and_faster() -> None:
    quiet, now = watched(held(1000.0), 0.0, 1.03)
    assert quiet.state is State.RISE
    assert quiet.rate == pytest.approx(1000.0, rel=0.02)

    risen, now = watched(quiet, 0.0, 0.5, now)
    assert 1050.0 < risen.rate < 1200.0
    risen, _ = watched(risen, 0.0, 1.0, now)
    assert 4000.0 < risen.rate < 9000.0


def test_of_two_that_rise_the_slower_one_rises_faster() -> None:
    def risen(rate: float) -> float:
        return watched(replace(held(rate), state=State.RISE, before=rate), 0.0, 0.5)[0].rate / rate

    assert risen(60.0) > 1.05 * risen(1000.0) > 1.05


def test_a_slow_writer_is_quiet_for_longer_before_it_rises() -> None:
    assert watched(held(10.0), 0.0, 5.3)[0].state is State.HOLD
    assert watched(held(10.0), 0.0, 6.4)[0].state is State.RISE


def test_a_table_that_closes_must_be_quiet_for_more_than_two_seconds() -> None:
    assert watched(held(1000.0, closed=1.0), 0.0, 2.4)[0].state is State.HOLD
    assert watched(held(1000.0, closed=1.0), 0.0, 2.6)[0].state is State.RISE


def test_a_rise_is_slower_where_the_table_closes() -> None:
    def risen(closed: float) -> float:
        quiet = replace(held(1000.0, closed=closed), state=State.RISE, before=1000.0)
        return math.log(watched(quiet, 0.0, 2.0)[0].rate / 1000.0)

    assert risen(0.0) > 1.5 * risen(1.0) > 0.5


def test_the_first_loss_undoes_the_end_of_a_rise() -> None:
    risen, now = watched(held(1000.0), 0.0, 2.5)

    fallen = risen.learn(25.0, 1.0, now, now)

    assert fallen.state is State.FALL
    assert fallen.rate == pytest.approx(risen.rate * math.exp(-SEEK_GROWTH * REACTION_SECONDS), rel=0.01)
    hardly_risen, now = watched(held(1000.0), 0.0, 1.1)
    assert hardly_risen.learn(25.0, 1.0, now, now).rate >= 1000.0


def kept_trickling(send_rate: SendRate) -> SendRate:
    """After half an hour in which 250 units a second were sent, and all taken."""
    for tenth in range(1, 18_001):
        now = tenth / 10
        send_rate = send_rate.spend(25.0, now).learn(25.0, 0.0, now - 0.005, now)
    return send_rate


def test_a_rate_that_is_not_used_does_not_rise() -> None:
    assert kept_trickling(held(1000.0)).rate == pytest.approx(1000.0, rel=0.01)


def test_nor_does_it_grow_where_something_is_lost_now_and_then() -> None:
    send_rate = held(1000.0)
    for tenth in range(1, 1_000):
        now = tenth / 10
        send_rate = send_rate.spend(25.0, now).learn(25.0, 0.0 if tenth % 9 else 0.1, now - 0.005, now)

    assert send_rate.rate == 1000.0


def test_seeking_that_meets_no_limit_ends_in_none() -> None:
    found = kept_trickling(SendRate().restarted(0.0))

    assert found.state is State.OPEN
    assert not found.is_limited


# Between calls and invocations


def test_what_was_written_is_paid_by_what_it_consumed() -> None:
    send_rate = held(100.0).spend(25.0, now=1.0).correct(25.0, 75.0, sent_at=1.0, now=1.0)

    assert send_rate.wait(1.0) == pytest.approx(0.65)


def test_a_call_is_of_one_write_unit_at_least() -> None:
    assert held(1.0).most_units() == 1.0


@pytest.mark.parametrize("state", [State.SEEK, State.FALL, State.HOLD])
def test_the_next_invocation_goes_on_from_a_rate_of_the_last_minute(state: State) -> None:
    send_rate = replace(held(321.0, now=10.0), state=state)

    assert send_rate.resumed(69.0).state is state
    assert send_rate.resumed(69.0).rate == 321.0
    assert send_rate.resumed(71.0) == SendRate()


def test_a_rise_is_not_resumed_as_it_was_since_nothing_is_known_of_the_time_between() -> None:
    resumed = replace(held(321.0), state=State.RISE).resumed(30.0)

    assert resumed.state is State.HOLD
    assert resumed.rate == 321.0


def test_an_open_rate_is_resumed_open_with_what_it_knows_of_losses() -> None:
    resumed = SendRate(background=0.3, at=5.0).resumed(10.0)

    assert not resumed.is_limited
    assert resumed.background == 0.3
    assert SendRate(background=0.3, at=5.0).resumed(70.0) == SendRate()


def test_a_table_that_takes_nothing_is_still_tried_twice_a_second_and_no_more_often_than_that() -> None:
    send_rate, now = SendRate().learn(25.0, 0.0, 0.0, 0.0).learn(25.0, 25.0, 0.0, 0.0), 0.0
    tried: list[float] = []
    while now < 60.0:
        now += max(0.001, send_rate.wait(now))
        tried.append(now)
        send_rate = send_rate.spend(send_rate.most_units(), now)
        send_rate = send_rate.learn(send_rate.most_units(), send_rate.most_units(), now, now)

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
    found = [simulate(scenario, seed=seed, settle=6.0) for seed in range(3)]

    assert statistics.mean(figures.use for figures in found) > 0.94
    assert statistics.mean(figures.waste for figures in found) < 0.05
    assert max(figures.slowest for figures in found) < 1.5


def test_sixteen_writers_share_a_table() -> None:
    figures = simulate(Scenario(1000.0, 1.0, False, writers=16, seconds=15.0), settle=6.0)

    assert figures.use > 0.96
    assert figures.waste < 0.07
    assert figures.slowest < 1.5


def test_the_next_invocations_of_a_warm_writer_waste_nothing_at_their_beginning() -> None:
    scenario = Scenario(1000.0, 1.0, False, writers=1, seconds=16.0, rounds=4)

    figures = simulate(scenario, settle=5.0)

    assert figures.use > 0.95
    assert figures.waste < 0.03


@pytest.mark.parametrize("keys", [1, 20])
def test_a_hot_range_of_keys_does_not_hold_back_the_others(keys: int) -> None:
    figures = simulate_hot(4000.0, 100.0, keys, seconds=3.0)

    assert figures.others_slower < 1.5
    assert figures.hot_use > 0.2


def test_a_hot_range_in_which_each_item_has_its_own_key_hardly_holds_back_the_others() -> None:
    found = [simulate_hot(1000.0, 50.0, 0, seconds=3.0, seed=seed) for seed in range(8)]

    assert statistics.mean(figures.others_slower for figures in found) < 1.4
    assert min(figures.hot_use for figures in found) > 0.2
