"""What the send rate promises, by a few of the benchmarks' scenarios in virtual time, with generous bounds."""

import pytest

from tests.benchmarks.scenarios import BUCKETS, Bucket, bounded, constant, fifo, leave, lumpy, neighbour, step, whole

SAVING, NEARLY_NOT, BY_THE_SECOND = BUCKETS


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.5, 0.7])
def test_a_loss_that_does_not_depend_on_the_rate_starves_no_invocation(loss: float) -> None:
    figures = constant(3, loss, count=2000)

    assert figures["written of unpaced"] > 0.8
    assert figures["the last of three"] > 0.8
    assert figures["calls a write of unpaced"] < 1.2


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_in_lumps_that_does_not_depend_on_the_rate_hardly_slows_it(seed: int) -> None:
    figures = lumpy(seed)

    assert figures["written of unpaced"] > 0.8
    assert figures["the last of three"] > 0.8


def test_a_chain_of_single_writes_is_no_slower_than_plain_backoff() -> None:
    assert fifo(3)["of plain backoff"] < 1.5


@pytest.mark.parametrize("bucket", BUCKETS, ids=lambda bucket: str(bucket.name))
def test_what_other_invocations_leave_is_taken_up(bucket: Bucket) -> None:
    figures = leave(3, bucket)

    assert figures["90 % after s"] < 7.0
    assert figures["wasted after"] < 0.15


@pytest.mark.parametrize("bucket", [SAVING, NEARLY_NOT], ids=lambda bucket: str(bucket.name))
def test_a_table_that_shrinks_and_grows_tenfold_is_followed(bucket: Bucket) -> None:
    figures = step(3, bucket, writers=1)

    assert figures["down after s"] < 4.0
    assert figures["up after s"] < 5.0


def test_a_table_that_counts_by_the_second_is_found_and_little_is_wasted() -> None:
    figures = whole(3, 1000.0, BY_THE_SECOND, writers=4)

    assert figures["used"] > 0.75
    assert figures["steady wasted"] < 0.08


def test_beside_a_neighbour_that_never_backs_off_a_fifth_of_the_table_is_had_and_then_all_of_it() -> None:
    figures = neighbour(3, SAVING, writers=4)

    assert figures["least"] > 0.03
    assert figures["last"] > 0.2
    assert figures["95 % after s"] < 6.0


def test_a_bound_that_was_set_is_kept_in_any_second() -> None:
    assert bounded(3)["most in a second"] <= 1.0
