"""Calls in threads: what is over is seen, what hangs is left behind, and nothing is kept."""

import gc
import threading
import weakref
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED

import pytest

from functions.batch_writer.threads import Threads, wait

LONG = 30.0  # Seconds that no test takes.


def test_calls_run_side_by_side_and_give_their_results() -> None:
    together = threading.Barrier(3)
    executor = Threads()(3)

    calls = [executor.submit(lambda n: (together.wait(LONG), n)[1], number) for number in range(3)]
    done, late = wait(calls, LONG, ALL_COMPLETED)

    assert sorted(call.result() for call in done) == [0, 1, 2]
    assert late == []


def test_the_first_that_is_over_is_not_kept_waiting_for_the_others() -> None:
    hold = threading.Event()
    executor = Threads()(2)
    held, quick = executor.submit(hold.wait, LONG), executor.submit(int, "7")

    done, late = wait([held, quick], LONG, FIRST_COMPLETED)

    assert done == [quick]
    assert late == [held]
    hold.set()
    assert wait([held], LONG)[0] == [held]


def test_what_a_call_raises_is_raised_with_its_result() -> None:
    call = Threads()(1).submit(int, "no number")
    wait([call], LONG)

    with pytest.raises(ValueError, match="no number"):
        call.result()


def test_a_call_that_hangs_is_waited_for_no_longer_than_asked() -> None:
    hold = threading.Event()
    call = Threads()(1).submit(hold.wait, LONG)

    done, late = wait([call], 0.0)

    assert (done, late) == ([], [call])
    hold.set()


def test_threads_are_used_again_by_the_next_invocation_but_not_one_that_hangs() -> None:
    threads, hold = Threads(), threading.Event()
    first = threads(2)
    hanging = first.submit(hold.wait, LONG)
    quick = first.submit(threading.get_ident)
    wait([hanging, quick], LONG, FIRST_COMPLETED)
    first.shutdown(wait=False, cancel_futures=True)

    again = threads(2).submit(threading.get_ident)
    wait([again], LONG)

    assert again.result() == quick.result()
    hold.set()


def test_the_end_of_an_abandoned_call_is_none_of_the_next_invocation() -> None:
    threads, hold, hold_next = Threads(), threading.Event(), threading.Event()
    abandoned = threads(1).submit(hold.wait, LONG)
    following = threads(1).submit(hold_next.wait, LONG)

    hold.set()
    wait([abandoned], LONG)

    assert wait([following], 0.0) == ([], [following])
    hold_next.set()


def test_an_idle_thread_holds_nothing_of_the_call_before() -> None:
    class Item:
        pass

    item = Item()
    seen = weakref.ref(item)
    call = Threads()(1).submit(id, item)
    wait([call], LONG)
    wait([call], LONG)

    del call, item
    gc.collect()

    assert seen() is None
