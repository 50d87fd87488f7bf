"""How many calls an invocation begins at once, by what the one before it has found."""

from __future__ import annotations

import itertools

from tests.fakes import Delay, Unprocessed
from tests.world import Overlapping, World


class Warm:
    """A function that is invoked again and again, on a table that takes 10 ms to answer."""

    def __init__(self) -> None:
        self._calls = Overlapping()
        self._numbers = itertools.count()
        self.world = World(clock=self._calls.clock, executor=self._calls.executor, settings={"max_connections": 8})
        self.world.db.always(Delay(0.01, self._calls))

    def begins(self, count: int = 1000, table: str = "orders") -> int:
        """How many calls it begins with when it puts so many items."""
        begun, before = self._calls.clock(), len(self.world.allowed)
        puts = ({"put": {"pk": f"k{next(self._numbers)}", "sk": 0}, "table": table} for _ in range(count))

        outcome = self.world.run(*puts)

        assert outcome.written == outcome.received
        return sum(at == begun for at, _ in self.world.allowed[before:])

    def waits(self, seconds: float) -> None:
        self._calls.clock.sleep(seconds)


def test_a_cold_one_begins_with_one_call_and_a_warm_one_with_half_as_many_as_were_taken() -> None:
    warm = Warm()

    first, *others = [warm.begins() for _ in range(5)]

    assert first == 1
    assert others == sorted(others)
    assert 3 <= others[0] < others[-1] <= 8


def test_an_invocation_with_little_to_do_leaves_little() -> None:
    warm = Warm()
    warm.begins()

    assert warm.begins(count=25) == 1  # All that it has.
    assert warm.begins() <= 3


def test_after_something_came_back_the_next_one_begins_with_one_call() -> None:
    warm = Warm()
    warm.begins()
    warm.world.db.script(Unprocessed(1))

    assert warm.begins() > 1
    assert warm.begins() == 1


def test_what_was_found_is_forgotten_after_a_minute() -> None:
    warm = Warm()
    warm.begins()
    warm.waits(61.0)

    assert warm.begins() == 1


def test_a_table_that_was_not_written_before_is_begun_with_one_call() -> None:
    warm = Warm()
    warm.begins()

    assert warm.begins(table="events") == 1
    assert warm.begins(table="events") > 1
