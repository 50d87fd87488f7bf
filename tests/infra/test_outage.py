"""maxReceiveCount, compared with the exact distribution of the function's pauses."""

from __future__ import annotations

import itertools

import pytest

from sluice.cdk import outage
from sluice.cdk.config import Config
from sluice.message.redelivery import visibility


def chance_to_be_over_before(seconds: int, receives: int) -> float:
    """The exact probability that the pauses of so many receives add up to less than `seconds`."""
    chances = [1.0] + [0.0] * (seconds - 1)  # Of each sum below `seconds`.
    for receive in range(1, receives + 1):
        longest = min(900, 5 * 2 ** (receive - 1))  # Whole seconds from 1 to this, each as likely.
        before = [0.0, *itertools.accumulate(chances)]
        chances = [(before[total] - before[max(0, total - longest)]) / longest for total in range(seconds)]
    return sum(chances)


def test_the_calculation_knows_the_functions_pauses() -> None:
    for receive in range(1, 30):
        assert visibility(receive, 0.0) == 1
        assert visibility(receive, 1 - 2**-53) == min(900, 5 * 2 ** (receive - 1))


@pytest.mark.parametrize("minutes", [5, 20, 60, 240])
def test_hardly_a_message_is_dead_lettered_within_the_outage(minutes: int) -> None:
    receives = outage.receives_needed(60 * minutes, visibility_timeout=365)

    assert chance_to_be_over_before(60 * minutes, receives) <= 1e-6


@pytest.mark.parametrize("minutes", [20, 60, 240])
def test_the_count_is_not_much_higher_than_it_has_to_be(minutes: int) -> None:
    receives = outage.receives_needed(60 * minutes, visibility_timeout=365)

    assert chance_to_be_over_before(60 * minutes, receives - 4) > 1e-6


# An invocation that raises or times out sets no pauses: its messages are hidden for the visibility timeout.
@pytest.mark.parametrize("visibility_timeout", [6, 30, 120])
def test_invocations_that_raise_do_not_use_up_the_receives_either(visibility_timeout: int) -> None:
    receives = outage.receives_needed(3600, visibility_timeout)

    assert receives * visibility_timeout >= 3600


def test_what_is_needed_is_what_is_survived() -> None:
    for minutes in (0, 1, 10, 60, 600):
        receives = outage.receives_needed(60 * minutes, 365)
        assert outage.outage_survived(receives, 365) >= 60 * minutes
        assert receives == outage.MIN_RECEIVES or outage.outage_survived(receives - 1, 365) < 60 * minutes


def test_an_outage_that_no_receive_count_survives_is_told_from_others() -> None:
    assert outage.receives_needed(10_000, visibility_timeout=6) > outage.MAX_RECEIVES


def test_the_stack_survives_an_hour() -> None:
    config = Config()

    assert config.max_receive_count == outage.receives_needed(3600, config.visibility_timeout) == 27
