"""The loop that moves calls on: by what is ready, by what is due, and never past one that is done."""

from __future__ import annotations

import math
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from sluice.aws.in_flight import Loop, wait
from sluice.aws.threads import Threads, _Bell

LONG = 600.0  # Seconds that no test takes.
SHORT = 0.02  # Seconds that pass where nothing is to happen.


class Step:
    """A call on a pipe: it goes on by one step each time that its descriptor is ready."""

    def __init__(self, steps: int = 1, due: float = math.inf) -> None:
        self.heard, self.rung = os.pipe()
        os.set_blocking(self.heard, False)
        self.events, self.due = select.POLLIN, due
        self.left, self.moved = steps, 0
        self.is_given_up = False

    def __del__(self) -> None:
        for number in (self.heard, self.rung):
            with suppress(OSError):
                os.close(number)

    def fileno(self) -> int:
        return self.heard

    def ring(self) -> None:
        os.write(self.rung, b"x")

    def hear(self) -> None:
        """Each step takes what has been rung for it."""

    def go_on(self) -> None:
        os.read(self.heard, 1)
        self.moved += 1
        self.left -= 1

    def give_up(self) -> None:
        self.is_given_up, self.left = True, 0

    def done(self) -> bool:
        return self.left <= 0

    def result(self) -> bool:
        return not self.is_given_up

    def cancel(self) -> None:
        """Nobody waits for it any more."""


class After(Step):
    """A call that does something first, each time that it goes on."""

    def __init__(self, then: Callable[[], object], steps: int = 1) -> None:
        super().__init__(steps)
        self.then = then

    def go_on(self) -> None:
        self.then()
        super().go_on()


# Which are done


def test_of_many_calls_just_those_that_are_ready_go_on() -> None:
    loop, calls = Loop(), [Step() for _ in range(50)]
    for call in calls[::5]:
        call.ring()

    done = loop.wait(calls, LONG)

    assert set(done) == set(calls[::5])
    assert [call.moved for call in calls] == [1, 0, 0, 0, 0] * 10


def test_what_is_done_already_is_told_without_a_look_at_the_others() -> None:
    over, open_ = Step(steps=0), Step()
    open_.ring()

    assert Loop().wait([over, open_], LONG) == [over]
    assert open_.moved == 0


def test_without_time_there_is_one_look_all_the_same() -> None:
    loop, call = Loop(), Step()
    assert loop.wait([call], 0.0) == []
    call.ring()

    assert loop.wait([call], -1.0) == [call]


def test_a_call_of_several_steps_is_done_after_the_last() -> None:
    loop, call = Loop(), Step(steps=3)
    for _ in range(3):
        call.ring()

    assert loop.wait([call], LONG) == [call]
    assert call.moved == 3


def test_all_are_waited_for_where_that_is_asked() -> None:
    first = Step()
    second = After(lambda: third.ring())
    third = After(lambda: first.ring())
    second.ring()

    done = Loop().wait([first, second, third], LONG, for_all=True)

    assert done == [second, third, first]


def test_where_all_are_asked_for_and_the_time_is_over_it_is_those_that_are_done() -> None:
    quick, slow = Step(), Step()
    quick.ring()
    loop = Loop()

    assert loop.wait([quick, slow], SHORT, for_all=True) == [quick]
    slow.ring()
    assert loop.wait([quick, slow], SHORT, for_all=True) == [quick, slow]


def test_a_loop_remembers_its_calls_from_one_wait_to_the_next() -> None:
    loop, calls = Loop(), [Step() for _ in range(3)]
    order: list[object] = []
    for call in calls:
        call.ring()
        order.extend(loop.wait([each for each in calls if each not in order], LONG))

    assert order == calls
    assert [call.moved for call in calls] == [1, 1, 1]


def test_of_no_call_nothing_is_waited_for() -> None:
    assert Loop().wait([], LONG) == []
    assert wait([], LONG) == []


# Calls that share a descriptor


class Shared(Step):
    """A call that is rung by a bell that others have as well."""

    def __init__(self, bell: _Bell, then: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.bell, self.then = bell, then

    def fileno(self) -> int:
        return self.bell.fileno()

    def end(self) -> None:
        self.left = 0
        self.bell.ring()

    def hear(self) -> None:
        self.bell.silence()

    def go_on(self) -> None:
        self.moved += 1
        self.then()


def test_many_calls_on_one_bell_are_told_apart() -> None:
    bell, loop = _Bell(), Loop()
    calls = [Shared(bell) for _ in range(20)]
    for call in calls[3:7]:
        call.end()

    assert loop.wait(calls, LONG) == calls[3:7]
    rest = [*calls[:3], *calls[7:]]
    rest[-1].end()
    assert loop.wait(rest, LONG) == [rest[-1]]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_rings_while_the_others_are_looked_at_is_not_slept_over(place: int) -> None:
    """A bell is silenced before anybody is asked: silenced later it would be for that one as well."""
    bell = _Bell()
    others = [Shared(bell), Shared(bell)]
    ending = Shared(bell)
    late = Shared(bell, then=ending.end)
    calls = [*others[:place], ending, *others[place:], late]
    bell.ring()

    assert Loop().wait(calls, 10.0) == [ending]


def test_threads_that_ring_at_any_moment_are_all_heard() -> None:
    for _ in range(50):
        start = threading.Barrier(4)
        executor = Threads()(4)
        calls = [executor.submit(start.wait, LONG) for _ in range(4)]

        assert len(executor.wait(calls, LONG, for_all=True)) == 4


def test_a_bell_may_go_when_the_last_of_its_calls_is_done() -> None:
    loop = Loop()
    bell = _Bell()
    last = Shared(bell)
    last.end()
    assert loop.wait([last], LONG) == [last]
    number = bell.fileno()
    del bell, last

    following = Step()  # It may get the same number.
    following.ring()

    assert loop.wait([following], LONG) == [following]
    assert number not in loop._by_number


# Calls that wait for something else than before


class Moving(Step):
    """A call that begins on one descriptor and goes on with another, as one that was connected by a thread."""

    def __init__(self, first: Step) -> None:
        super().__init__(steps=2)
        self.first = first

    def fileno(self) -> int:
        return self.first.heard if self.moved == 0 else self.heard

    def go_on(self) -> None:
        os.read(self.fileno(), 1)
        self.moved += 1
        self.left -= 1


def test_a_call_that_changes_its_descriptor_is_heard_by_the_new_one() -> None:
    loop, before = Loop(), Step()
    call = Moving(before)
    before.ring()
    assert loop.wait([call], SHORT) == []
    assert call.moved == 1

    before.ring()
    assert loop.wait([call], SHORT) == []
    assert call.moved == 1  # The old one is none of its business any more.
    call.ring()

    assert loop.wait([call], LONG) == [call]


def test_the_others_on_the_old_descriptor_are_still_heard_by_it() -> None:
    loop, bell = Loop(), _Bell()
    staying = Shared(bell)

    class Leaving(Shared):
        def fileno(self) -> int:
            return self.heard if self.moved else self.bell.fileno()

    leaving = Leaving(bell)
    bell.ring()
    assert loop.wait([leaving, staying], SHORT) == []
    staying.end()

    assert loop.wait([leaving, staying], LONG) == [staying]


def test_a_call_may_wait_to_write_and_then_to_read() -> None:
    class Writing(Step):
        def __init__(self) -> None:
            super().__init__(steps=2)
            self.events = select.POLLOUT

        def fileno(self) -> int:
            return self.rung if self.moved == 0 else self.heard

        def go_on(self) -> None:
            if self.moved == 0:
                os.write(self.rung, b"x")
                self.events = select.POLLIN
            else:
                os.read(self.heard, 1)
            self.moved += 1
            self.left -= 1

    call = Writing()

    assert Loop().wait([call], LONG) == [call]


def test_a_call_that_goes_on_by_the_same_descriptor_but_for_another_event_is_not_woken_in_vain() -> None:
    """A socket is nearly always ready to be written to: who waits to read from it must not spin."""
    ours, theirs = socket.socketpair()
    loop = Loop()

    class Turning(Step):
        def __init__(self) -> None:
            super().__init__(steps=2)
            self.events = select.POLLOUT

        def fileno(self) -> int:
            return ours.fileno()

        def go_on(self) -> None:
            self.moved += 1
            self.left -= 1
            self.events = select.POLLIN

    call = Turning()
    with ours, theirs:
        assert loop.wait([call], SHORT) == []
        assert call.moved == 1
        theirs.send(b"x")

        assert loop.wait([call], LONG) == [call]


# Calls that are given up


def test_what_is_due_is_given_up_and_nothing_else() -> None:
    soon, later, never = Step(due=0.0), Step(due=math.inf), Step()

    done = Loop().wait([soon, later, never], LONG)

    assert done == [soon]
    assert [each.is_given_up for each in (soon, later, never)] == [True, False, False]


def test_what_is_ready_when_it_is_due_goes_on_first() -> None:
    call = Step(due=0.0)
    call.ring()

    assert Loop().wait([call], LONG) == [call]
    assert call.result()


def test_a_wait_for_all_gives_up_each_as_it_is_due() -> None:
    calls = [Step(due=0.0), Step(due=1.0), Step()]
    calls[2].ring()

    done = Loop().wait(calls, LONG, for_all=True)

    assert set(done) == set(calls)
    assert [call.result() for call in calls] == [False, False, True]


def test_a_call_that_is_due_later_than_before_is_not_given_up() -> None:
    """An answer that arrives puts the end of the silence off."""
    call = After(lambda: setattr(call, "due", math.inf), steps=2)
    call.due = 0.0
    call.ring()
    call.ring()

    assert Loop().wait([call], LONG) == [call]
    assert call.result()


# Calls that nobody waits for any more


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_call_that_is_not_waited_for_any_more_is_left_alone(others: int) -> None:
    loop, forgotten, calls = Loop(), Step(), [Step() for _ in range(others)]
    assert loop.wait([forgotten], 0.0) == []
    forgotten.ring()
    for call in calls:
        call.ring()

    assert set(loop.wait(calls, LONG)) == set(calls)
    assert forgotten.moved == 0
    assert loop.wait([forgotten], LONG) == [forgotten]


@pytest.mark.parametrize("others", [1, 2])
def test_the_descriptor_of_a_call_that_was_abandoned_may_be_anothers(others: int) -> None:
    loop, abandoned = Loop(), Step()
    loop.wait([abandoned], 0.0)
    os.close(abandoned.heard)
    calls = [Step() for _ in range(others)]
    assert calls[0].heard == abandoned.heard  # The lowest that is free.
    abandoned.heard = -1
    calls[0].ring()

    assert loop.wait(calls, LONG) == [calls[0]]
    assert abandoned.moved == 0


def test_a_call_whose_descriptor_is_closed_goes_on_and_finds_out() -> None:
    class Closed(Step):
        def go_on(self) -> None:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.read(self.heard, 1)
            self.left = 0

    call = Closed()
    loop = Loop()
    loop.wait([call], 0.0)
    os.close(call.heard)

    assert loop.wait([call], LONG) == [call]
