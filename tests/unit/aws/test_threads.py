"""Calls in threads: what is over is seen, what hangs is left behind, and nothing is kept."""

import gc
import os
import threading
import weakref

import pytest

from sluice.aws.threads import Threads, _Bell

LONG = 600.0  # Seconds that no test takes.


def test_calls_run_side_by_side_and_give_their_results() -> None:
    together = threading.Barrier(3)
    executor = Threads()(3)

    calls = [executor.submit(lambda n: (together.wait(LONG), n)[1], number) for number in range(3)]
    done = executor.wait(calls, LONG, for_all=True)

    assert sorted(call.result() for call in done) == [0, 1, 2]


def test_the_first_that_is_over_is_not_kept_waiting_for_the_others() -> None:
    hold = threading.Event()
    executor = Threads()(2)
    held, quick = executor.submit(hold.wait, LONG), executor.submit(int, "7")

    assert executor.wait([held, quick], LONG) == [quick]
    hold.set()
    assert executor.wait([held], LONG) == [held]
    assert executor.wait([held, quick], LONG, for_all=True) == [held, quick]


def test_what_a_call_raises_is_raised_with_its_result() -> None:
    executor = Threads()(1)
    call = executor.submit(int, "no number")
    executor.wait([call], LONG)

    with pytest.raises(ValueError, match="no number"):
        call.result()


def test_a_call_that_hangs_is_waited_for_no_longer_than_asked() -> None:
    hold = threading.Event()
    executor = Threads()(2)
    call, quick = executor.submit(hold.wait, LONG), executor.submit(int, "7")
    executor.wait([quick], LONG)

    assert executor.wait([call], 0.0) == []
    assert executor.wait([call, quick], 0.01, for_all=True) == [quick]
    hold.set()


def test_threads_are_used_again_by_the_next_invocation_but_not_one_that_hangs() -> None:
    threads, hold = Threads(), threading.Event()
    first = threads(2)
    hanging = first.submit(hold.wait, LONG)
    quick = first.submit(threading.get_ident)
    first.wait([hanging, quick], LONG)
    hanging.cancel()

    second = threads(2)
    again = second.submit(threading.get_ident)
    second.wait([again], LONG)

    assert again.result() == quick.result()
    hold.set()


def test_the_end_of_an_abandoned_call_is_none_of_the_next_invocation() -> None:
    threads, hold, hold_next = Threads(), threading.Event(), threading.Event()
    first, second = threads(1), threads(1)
    abandoned = first.submit(hold.wait, LONG)
    following = second.submit(hold_next.wait, LONG)

    hold.set()
    first.wait([abandoned], LONG)

    assert second.wait([following], 0.0) == []
    hold_next.set()


def test_an_idle_thread_holds_nothing_of_the_call_before() -> None:
    class Item:
        pass

    item = Item()
    seen = weakref.ref(item)
    threads = Threads()
    executor = threads(1)
    call = executor.submit(id, item)
    executor.wait([call], LONG)
    while not threads._idle:
        executor.wait([executor.submit(int)], LONG)

    del call, item
    gc.collect()

    assert seen() is None


def test_a_bell_is_closed_when_the_invocation_is_over() -> None:
    threads = Threads()
    executor = threads(1)
    executor.wait([executor.submit(int)], LONG)
    bell = weakref.ref(executor._bell)  # type: ignore[attr-defined]
    heard = executor._bell.fileno()  # type: ignore[attr-defined]

    del executor
    while bell() is not None:  # The thread is about to put it down.
        gc.collect()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(heard)


def test_a_bell_may_be_rung_more_often_than_anybody_listens() -> None:
    bell = _Bell()
    for _ in range(100_000):
        bell.ring()

    bell.silence()


def test_calls_that_end_together_are_all_seen() -> None:
    together = threading.Barrier(4)
    executor = Threads()(3)
    late = [executor.submit(together.wait, LONG) for _ in range(3)]
    together.wait(LONG)

    while late:
        for call in executor.wait(late, LONG):
            late.remove(call)


def test_a_call_that_hangs_rings_its_own_bell_even_if_nobody_listens_any_more() -> None:
    threads, hold, over = Threads(), threading.Event(), threading.Event()

    def late() -> None:
        hold.wait(LONG)
        over.set()

    threads(1).submit(late)  # The invocation is over, and gone.
    gc.collect()
    files = [open(os.devnull, "rb") for _ in range(10)]  # noqa: SIM115  # They would get the numbers of closed ones.

    hold.set()
    assert over.wait(LONG)
    executor = threads(1)
    executor.wait([executor.submit(int)], LONG)

    for file in files:
        assert file.read() == b""
        file.close()
