"""How operations are packed into BatchWriteItem calls: 25 requests, 16 MB, several tables, keys interleaved."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sluice.message.operation import BatchWrite, Operation, Source
from sluice.message.settings import KeyAttribute, Table
from sluice.writing import plan
from tests.fakes import ServerError, Unprocessed
from tests.fakes.dynamodb import wire_bytes
from tests.world import World

SOURCE = Source("m", False, 0)

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""API_BatchWriteItem, of the body on the wire: JSON in UTF-8, binary as base64."""


def requests(call: Any) -> list[dict[str, Any]]:
    return [request for of_table in call.kwargs["RequestItems"].values() for request in of_table]


def partition_key(request: dict[str, Any]) -> str:
    [action] = request.values()
    key: str = (action.get("Item") or action.get("Key"))["pk"]["S"]
    return key


@pytest.mark.parametrize("in_one_message", [True, False], ids=["one message", "a message each"])
@pytest.mark.parametrize(
    ("count", "fills"), [(1, [1]), (24, [24]), (25, [25]), (26, [25, 1]), (50, [25] * 2), (1000, [25] * 40)]
)
def test_distinct_items_fill_batches_of_25(count: int, fills: list[int], in_one_message: bool) -> None:
    world = World()
    puts = [{"put": {"pk": f"a{n}"}} for n in range(count)]

    outcome = world.run(puts) if in_one_message else world.run(*puts)

    assert sorted((len(requests(call)) for call in world.db.calls), reverse=True) == fills
    assert sorted(outcome.operations.batch_fills, reverse=True) == fills
    assert len(world.db.items("orders-table")) == count


def test_puts_and_deletes_share_a_batch() -> None:
    world = World()

    world.run(*({"put": {"pk": f"a{n}"}} for n in range(12)), *({"delete": {"pk": f"b{n}"}} for n in range(13)))

    assert [len(requests(call)) for call in world.db.calls] == [25]


def test_superseded_operations_take_no_room() -> None:
    world = World()

    world.run(*({"put": {"pk": f"a{n % 25}", "n": n}} for n in range(100)))

    assert [len(requests(call)) for call in world.db.calls] == [25]
    assert {int(item["n"]["N"]) for item in world.db.items("orders-table")} == set(range(75, 100))


def test_rejected_operations_take_no_room() -> None:
    world = World()

    world.run(*({"put": {"pk": f"a{n}"}} if n % 2 else {"put": {}} for n in range(50)))

    assert [len(requests(call)) for call in world.db.calls] == [25]


def test_one_call_writes_to_several_tables() -> None:
    world = World()

    orders = [{"put": {"pk": f"a{n}"}} for n in range(10)]
    events = [{"put": {"pk": f"a{n}", "sk": n}, "table": "events"} for n in range(10)]
    blobs = [{"Put": {"TableName": "blobs", "Item": {"id": {"B": "AAA" + letter}}}} for letter in "ABCDE"]
    world.run(*orders, *events, *blobs)

    assert [len(requests(call)) for call in world.db.calls] == [25]
    assert set(world.db.calls[0].kwargs["RequestItems"]) == {"orders-table", "events-table", "blobs-table"}


def test_calls_name_tables_by_name_however_messages_named_them() -> None:
    world = World()

    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/orders-table"
    world.run(*({"put": {"pk": name}, "table": name} for name in ("orders", "orders-table", arn)))

    assert [list(call.kwargs["RequestItems"]) for call in world.db.calls] == [["orders-table"]]


def big_put(key: str, character: str, size: int) -> str:
    """A put whose text has `size` bytes, as the character itself."""
    text = character * (size // len(character.encode()))
    return json.dumps({"put": {"pk": key, "v": text}}, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    ("character", "least_calls"),
    # On the wire é and 😀 take the 2 and 4 bytes that they have in the item, 10 MB in all; a quotation mark 2 for 1.
    [pytest.param("x", 1, id="ASCII"), pytest.param("é", 1, id="é"), pytest.param("😀", 1, id="😀"), ('"', 2)],
)
def test_no_call_is_larger_than_16_mb_on_the_wire(character: str, least_calls: int) -> None:
    world = World()

    outcome = world.run(*(big_put(f"a{n}", character, 400_000) for n in range(25)))

    assert [call.error for call in world.db.calls] == [None] * least_calls
    assert max(wire_bytes(call.kwargs) for call in world.db.calls) <= MAX_REQUEST_BYTES
    assert len(world.db.items("orders-table")) == 25
    assert outcome.item_failures == []


def test_no_call_with_big_binary_items_is_larger_than_16_mb_on_the_wire() -> None:
    world = World(tables=(Table("blobs", "blobs-table", KeyAttribute("pk", "S")),))
    data = "A" * 4 * 60_000  # 180,000 bytes, that take 240,000 on the wire

    items = ({"pk": {"S": str(n)}, "b": {"B": data}, "s": {"S": '"' * 220_000}} for n in range(50))
    world.run(*(json.dumps({"PutRequest": {"Item": item}}, ensure_ascii=False) for item in items))

    assert {call.error for call in world.db.calls} == {None}
    assert len(world.db.calls) == 3  # 25 of 680 KB are 17 MB
    assert len(world.db.items("blobs-table")) == 50


def test_a_small_item_still_fits_beside_big_ones() -> None:
    """Big items do not end a batch for the small ones behind them: ceil(n / 25) calls where bytes allow."""
    world = World()

    world.run(*(big_put(f"a{n}", "é", 400_000) for n in range(13)), *({"put": {"pk": f"b{n}"}} for n in range(37)))

    assert {call.error for call in world.db.calls} == {None}
    assert len(world.db.calls) == 2


def test_partition_keys_are_interleaved() -> None:
    world = World(tables=(Table("events", "events-table", KeyAttribute("pk", "S"), KeyAttribute("sk", "N")),))

    world.run(*({"put": {"pk": key, "sk": n}} for key in ("a", "b", "c", "d", "e") for n in range(50)))

    shares = [Counter(map(partition_key, requests(call))) for call in world.db.calls]
    assert len(shares) == 10
    assert all(set(share) == set("abcde") and max(share.values()) <= 6 for share in shares)


def test_one_hot_partition_key_does_not_hold_the_others_back() -> None:
    world = World(tables=(Table("events", "events-table", KeyAttribute("pk", "S"), KeyAttribute("sk", "N")),))

    world.run(
        *({"put": {"pk": "hot", "sk": n}} for n in range(100)), *({"put": {"pk": f"k{n}", "sk": 0}} for n in range(20))
    )

    keys = [partition_key(request) for call in world.db.calls for request in requests(call)]
    assert len(keys) == 120
    assert {f"k{n}" for n in range(20)} <= set(keys[:25])


def test_hot_partition_keys_come_twice_in_a_call_as_long_as_there_are_others() -> None:
    counts = {"hot": 60, "warm": 20, **{f"k{n}": 2 for n in range(60)}}
    arrived: list[Operation] = [
        BatchWrite(key=("t", key, f"{n}"), source=SOURCE, body=b"{}")
        for key, count in counts.items()
        for n in range(count)
    ]

    keys = [operation.key[1] for operation in plan.interleave(arrived)]

    is_hot = [key in ("hot", "warm") for key in keys]
    assert [place for place, hot in enumerate(is_hot[:130]) if hot] == [12 + 13 * n for n in range(10)]
    assert all(is_hot[130:])
    assert [key for key in keys if key in ("hot", "warm")][:6] == ["hot", "warm"] * 3
    others = [key for key in keys if key not in ("hot", "warm")]
    assert len(set(others[:60])) == len(set(others[60:])) == 60


def test_no_call_holds_an_item_twice_even_when_unprocessed_items_come_again() -> None:
    world = World()
    world.db.respell = True
    world.db.script(*(Unprocessed(n) for n in (7, 25, 3, 12, 1)))

    world.run(*({"put": {"pk": "a", "sk": n % 40, "v": n}, "table": "events"} for n in range(120)))

    assert {call.error for call in world.db.calls} <= {None}
    assert {item["v"]["N"] for item in world.db.items("events-table")} == {str(n) for n in range(80, 120)}


def test_items_that_differ_only_in_the_sort_key_share_a_batch() -> None:
    world = World()

    world.run(*({"put": {"pk": "a", "sk": n}, "table": "events"} for n in range(25)))

    assert [len(requests(call)) for call in world.db.calls] == [25]


# MAX_WRITE_UNITS_PER_SECOND


def test_the_share_of_write_capacity_is_kept() -> None:
    world = World(settings={"max_write_units_per_second": 100.0})

    outcome = world.run(*({"put": {"pk": f"a{n}"}} for n in range(1000)))

    assert outcome.item_failures == []
    assert world.db.consumed["orders-table"] == 1000
    assert 8 <= world.clock() <= 12


def test_the_share_is_paid_by_what_was_consumed_and_not_by_the_estimate() -> None:
    """A put pays for the larger of the old item and the new one, and only the answer tells of the old one."""
    world = World(settings={"max_write_units_per_second": 100.0})
    old = [{"PutRequest": {"Item": {"pk": {"S": f"a{n}"}, "v": {"S": "x" * 9000}}}} for n in range(100)]
    for start in range(0, 100, 25):
        world.db.batch_write_item(RequestItems={"orders-table": old[start : start + 25]})

    outcome = world.run(*({"put": {"pk": f"a{n}"}} for n in range(100)))

    assert outcome.item_failures == []
    assert outcome.operations.consumed == 100 * 9
    assert 4 <= world.clock() <= 12  # 900 units; the last call's are never waited for


def test_a_condition_that_fails_is_paid_for_like_a_write() -> None:
    """It consumes as much, and its answer does not say so."""
    world = World(settings={"max_write_units_per_second": 100.0})

    outcome = world.run(*({"put": {"pk": f"a{n}"}, "condition": "attribute_exists(pk)"} for n in range(1000)))

    assert len(outcome.operations.conditions_failed) == 1000
    assert 8 <= world.clock() <= 12


def test_a_transaction_whose_condition_fails_is_paid_for_twice() -> None:
    world = World(settings={"max_write_units_per_second": 100.0, "update_once": True})
    update = {"expression": "SET v = :v", "values": {":v": 1}, "condition": "attribute_exists(pk)"}

    outcome = world.run(*({"update": {"pk": f"a{n}"}, **update} for n in range(500)))

    assert len(outcome.operations.conditions_failed) == 500
    assert 8 <= world.clock() <= 12


def test_a_call_of_unknown_outcome_is_paid_for_as_if_it_had_written() -> None:
    world = World(settings={"max_write_units_per_second": 100.0})
    world.db.script(*[ServerError(applied=True)] * 20)

    outcome = world.run(*({"put": {"pk": f"a{n}"}} for n in range(500)))

    assert outcome.item_failures == []
    assert world.db.consumed["orders-table"] == 1000
    assert 8 <= world.clock() <= 12


def test_without_a_share_nothing_is_waited_for() -> None:
    world = World()

    world.run(*({"put": {"pk": f"a{n}", "v": "x" * 5000}} for n in range(1000)))

    assert world.clock() == 0
