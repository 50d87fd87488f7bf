"""A partition key that is throttled by itself holds back no other; where the whole table is, none is singled out."""

from __future__ import annotations

from functions.batch_writer.heat import Heat
from functions.batch_writer.operation import Operation, Source
from tests.fakes import UnprocessedIf
from tests.world import EVENTS, World

SOURCE = Source("m", False, 0)


def operations(partition: str, count: int) -> list[Operation]:
    return [Operation(("t", partition, f"{n}"), "batch_write_item", SOURCE, b"{}") for n in range(count)]


def others(count: int) -> list[Operation]:
    return [Operation(("t", f"other{n}", "0"), "batch_write_item", SOURCE, b"{}") for n in range(count)]


def test_a_partition_that_loses_what_others_do_not_is_hot() -> None:
    heat = Heat()
    hot = operations("hot", 5)

    found = [set(heat.learn([*others(24), lost], {lost}, [], now=0.1 * n)) for n, lost in enumerate(hot)]

    assert found == [set(), set(), set(), set(), {("t", "hot")}]


def test_no_partition_is_hot_where_others_lose_as_much() -> None:
    heat = Heat()
    for n, lost in enumerate(operations("p", 50)):
        rest = others(24)

        assert set(heat.learn([*rest, lost], {lost, *rest[:20]}, [], now=0.01 * n)) == set()


def test_an_item_that_is_lost_again_and_again_makes_no_partition_hot() -> None:
    heat = Heat()
    (lost,) = operations("p", 1)
    for n in range(10):
        repeated = [lost] if n else []

        assert set(heat.learn([*others(24), lost], {lost}, repeated, now=0.1 * n)) == set()


def test_losses_of_long_ago_do_not_count() -> None:
    heat = Heat()
    for n, lost in enumerate(operations("p", 20)):
        assert set(heat.learn([*others(24), lost], {lost}, [], now=1.0 * n)) == set()


def test_what_is_lost_again_beside_others_that_are_not_is_no_sign_of_the_table() -> None:
    heat, even = Heat(), Heat()
    for n in range(12):
        again, rest = operations(f"p{n}", 1), others(24)
        list(heat.learn([*rest, *again], set(again), again, now=0.1 * n))
        list(even.learn([*rest, *again], {*rest[:2]}, again, now=0.1 * n))

    assert heat.is_uneven()
    assert not even.is_uneven()


def test_other_keys_are_written_at_once_while_one_is_stuck() -> None:
    world = World()
    world.db.always(UnprocessedIf(lambda _, request: "'stuck'" in str(request)))
    bodies = [{"put": {"pk": "stuck", "sk": n}, "table": EVENTS.alias} for n in range(100)]
    bodies += [{"put": {"pk": f"free{n}", "sk": 0}, "table": EVENTS.alias} for n in range(2000)]
    written_at: list[float] = []
    world.db.reject_if(lambda _, request: bool("'free" in str(request) and written_at.append(world.clock())))  # type: ignore[func-returns-value]

    outcome = world.run(*bodies)

    assert len(outcome.written) == 2000
    assert [message.operations[0].key[1] for message in outcome.returned] == ["stuck"] * 100
    assert max(written_at) < 1.0
