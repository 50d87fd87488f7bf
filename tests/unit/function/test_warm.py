"""What one invocation leaves to the next: how fast each table may be written, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sluice.writing.send_rate import STALE_SECONDS, SendRate
from tests.fakes import Throttle
from tests.world import World


def puts(count: int, prefix: str) -> list[dict[str, Any]]:
    return [{"put": {"pk": f"{prefix}{n}"}} for n in range(count)]


def fills_after(world: World, idle: float) -> list[int]:
    """The calls of an invocation so many seconds after one that was throttled for a while."""
    world.db.script(Throttle())
    first = world.run(*puts(30, "a"))
    assert first.item_failures == []
    world.clock.sleep(idle)
    return world.run(*puts(30, "b")).operations.batch_fills


def test_a_recent_limit_is_kept() -> None:
    assert fills_after(World(), idle=1.0)[0] < 25


def test_an_old_limit_is_forgotten() -> None:
    assert fills_after(World(), idle=STALE_SECONDS + 1) == [25, 5]


def test_a_table_that_never_throttled_leaves_no_limit() -> None:
    world = World()
    world.run(*puts(100, "a"))

    assert world.run(*puts(100, "b")).operations.batch_fills == [25] * 4


def test_the_limit_of_one_table_is_not_that_of_another() -> None:
    world = World()
    world.db.script(Throttle())
    world.run(*puts(30, "a"))

    outcome = world.run(*({"put": {"pk": f"e{n}", "sk": n}, "table": "events"} for n in range(50)))

    assert outcome.operations.batch_fills == [25, 25]


def test_nothing_but_paces_by_table_is_kept() -> None:
    world = World()
    before = {name: id(value) for name, value in vars(world.pipeline).items()}
    fills_after(world, idle=1.0)

    kept: dict[str, SendRate] = vars(world.pipeline)["_send_rates"]

    assert {name: id(value) for name, value in vars(world.pipeline).items()} == before
    assert set(kept) == {"orders-table"}
    assert all(isinstance(rate, SendRate) and rate.rate < math.inf for rate in kept.values())
    fields = [getattr(rate, name) for rate in kept.values() for name in rate.__struct_fields__]
    assert not [value for value in fields if isinstance(value, str | bytes | list | dict | set | tuple)]


@pytest.mark.parametrize("count", [1, 24, 25, 26, 100, 1001])
def test_distinct_records_take_no_call_more_than_needed(count: int) -> None:
    world = World()

    outcome = world.run(*puts(count, "a"))

    assert len(outcome.operations.batch_fills) == len(world.db.calls) == math.ceil(count / 25)
