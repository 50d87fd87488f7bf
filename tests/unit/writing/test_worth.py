"""Reading before writing: a sample where it does not pay, everything where it does, whatever the sizes."""

from __future__ import annotations

from random import Random

import pytest

from sluice.writing.worth import (
    CREDIT,
    MAX_AHEAD,
    MAX_PAUSE,
    MIN_PAUSE,
    READ_PRICE,
    Gate,
    Judgement,
    Ledger,
    State,
    read_cost,
)

SIZES = {"0.3 KB": 1, "1 KB": 1, "4 KB": 4, "20 KB": 20}
"""Write units."""


def paid(units: int, share: float, count: int, ledger: Ledger | None = None, ahead: int = 1) -> tuple[float, int]:
    """The write units' worth of so many puts, of which a share is unchanged, and how many were read.

    Up to `ahead` reads are on their way before their answers are known.
    """
    ledger, random, cost = ledger or Ledger(), Random(7), read_cost(units)
    total, reads, flying = 0.0, 0, 0

    def land() -> None:
        nonlocal total, flying
        unchanged = sum(random.random() < share for _ in range(flying))
        ledger.release(flying * cost, flying)
        ledger.settle(flying * cost, unchanged * units, flying)
        total += flying * cost + (flying - unchanged) * units
        flying = 0

    for _ in range(count):
        ledger.earn(units, cost)
        judgement = ledger.judge(cost)
        if judgement is Judgement.WAIT:
            land()
            judgement = ledger.judge(cost)
        if judgement is Judgement.READ:
            reads += 1
            flying += 1
            if flying == ahead:
                land()
        else:
            total += units
    if flying:
        land()
    return total, reads


@pytest.mark.parametrize("ahead", [1, 25, 400])
@pytest.mark.parametrize("units", SIZES.values(), ids=SIZES)
def test_where_nothing_is_unchanged_reads_cost_less_than_three_percent(units: int, ahead: int) -> None:
    total, reads = paid(units, 0.0, 20_000, ahead=ahead)

    assert total <= 1.03 * units * 20_000
    assert reads >= 400  # It still looks.


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.15, 0.2, 0.25])
@pytest.mark.parametrize("units", SIZES.values(), ids=SIZES)
def test_near_the_price_of_a_read_it_never_costs_three_percent_more(units: int, share: float) -> None:
    total, _ = paid(units, share, 20_000, ahead=100)

    assert total <= 1.03 * units * 20_000


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("units", SIZES.values(), ids=SIZES)
def test_where_most_is_unchanged_nearly_all_is_read(units: int, share: float) -> None:
    _, reads = paid(units, share, 20_000, ahead=400)

    assert reads >= 0.98 * 20_000


def test_of_large_items_fewer_need_be_unchanged() -> None:
    _, of_small = paid(1, 0.1, 20_000, ahead=100)
    _, of_large = paid(20, 0.1, 20_000, ahead=100)

    assert of_small < 0.5 * 20_000
    assert of_large > 0.98 * 20_000


def test_a_feed_that_changes_is_noticed_both_ways() -> None:
    ledger = Ledger()
    paid(1, 0.9, 5_000, ledger, ahead=400)
    after_change, _ = paid(1, 0.0, 2_000, ledger, ahead=400)
    _, reads = paid(1, 0.9, 5_000, ledger, ahead=25)

    assert after_change <= 2_000 + (MAX_AHEAD + 1) * READ_PRICE + CREDIT * 2_000
    assert reads > 4_000


def test_while_nothing_is_known_the_others_wait_for_the_first_reads() -> None:
    ledger = Ledger()

    def judged() -> Judgement:
        ledger.earn(1, READ_PRICE)
        return ledger.judge(READ_PRICE)

    judgements = [judged() for _ in range(100)]

    assert judgements[0] is Judgement.READ
    assert judgements[-1] is Judgement.WAIT
    assert Judgement.WRITE not in judgements


def test_what_hardly_ever_pays_never_waits() -> None:
    ledger = Ledger()
    paid(1, 0.0, 1_000, ledger)
    assert ledger.state is State.SAMPLED

    judgements = []
    for _ in range(1_000):
        ledger.earn(1, READ_PRICE)
        judgements.append(ledger.judge(READ_PRICE))

    assert Judgement.WAIT not in judgements
    assert 0 < judgements.count(Judgement.READ) <= 1_000 * (CREDIT / READ_PRICE) + 25


def test_a_wait_always_has_a_read_on_its_way() -> None:
    ledger, cost = Ledger(), read_cost(3)
    for _ in range(1_000):
        ledger.earn(3, cost)
        ledger.judge(cost)
    for _ in range(ledger.on_their_way):
        ledger.release(cost, 1)  # As floats go, their sum need not be zero again.

    assert ledger.judge(1000 * cost) is Judgement.WRITE


def test_a_table_that_cannot_be_read_is_left_alone_for_longer_and_longer() -> None:
    gate, now, pauses = Gate(), 100.0, []
    for _ in range(10):
        gate.failed(now)
        gate.failed(now)  # In flight with it.
        pauses.append(gate.opens - now)
        assert not gate.is_open(now)
        now = gate.opens
        assert gate.is_open(now)
    gate.succeeded()
    gate.failed(now)

    assert pauses[:3] == [MIN_PAUSE, 2 * MIN_PAUSE, 4 * MIN_PAUSE]
    assert pauses[-1] == MAX_PAUSE
    assert gate.opens - now == MIN_PAUSE
