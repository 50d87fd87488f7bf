"""Batches: as full as the limits allow, never beyond them, with nothing lost and nothing twice."""

import json
from collections import Counter, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from sluice.aws.meanings import Meaning
from sluice.aws.route import Route
from sluice.aws.signature import Credentials
from sluice.aws.tables import PREFIX, Tables
from sluice.message.decoder import Decoder
from sluice.message.operation import BatchWrite, Operation, Source
from sluice.message.settings import Settings
from sluice.writing import plan
from tests.fakes import FakeDynamoDB
from tests.fakes.dynamodb import wire_bytes
from tests.fakes.protocol import FakeWire
from tests.property.model import requests_of
from tests.strategies import TABLES, Intent, as_json, drafts, examples, until_seen
from tests.world import EVENTS, ORDERS, FakeBoto, Inline, World, batch_writes

# API_BatchWriteItem
REQUESTS, REQUEST_BYTES = 25, 16 * 1024 * 1024


def test_distinct_items_fill_batches_of_25() -> None:
    seen: Counter[str] = Counter()

    @examples(0.4)
    @given(st.lists(st.tuples(st.sampled_from(TABLES[:2]), st.integers(1, 60)), max_size=6), st.sampled_from([1, 3, 8]))
    def holds(messages: list[tuple[Any, int]], connections: int) -> None:
        world = World(settings={"max_connections": connections})
        bodies = [
            [{"put": {"pk": f"{number}", "sk": position} if table is EVENTS else {"pk": f"{number}-{position}"},
              "table": table.alias} for position in range(count)]
            for number, (table, count) in enumerate(messages)
        ]  # fmt: skip
        operations = sum(count for _, count in messages)

        outcome = world.run(*bodies)

        fills = [len(requests_of(call)) for call in world.db.calls]
        assert len(fills) == -(-operations // REQUESTS)
        assert sum(fills) == operations
        assert outcome.item_failures == []
        seen["five batches"] += len(fills) > 4
        seen["two tables in a call"] += any(len(call.kwargs["RequestItems"]) == 2 for call in world.db.calls)

    until_seen(holds, seen, {"five batches", "two tables in a call"})


# A quotation mark has 1 byte in an item and 2 in JSON; of plain text 25 items do not make 16 MB.
TEXTS = ('"', '"', '"', "é")
BYTES = (400_000,) * 8 + (390_000, 100)


def test_large_items_fill_batches_of_16_mb_and_no_more() -> None:
    seen: Counter[str] = Counter()

    @examples(0.06)
    @given(st.lists(st.sampled_from(BYTES), min_size=20, max_size=40), st.sampled_from(TEXTS))
    def holds(sizes: list[int], text: str) -> None:
        world = World(settings={"max_connections": 1})
        items = [{"pk": f"{number}", "text": text * (size // len(text.encode()))} for number, size in enumerate(sizes)]
        bodies = [json.dumps({"put": item}, ensure_ascii=False) for item in items]

        outcome = world.run(*bodies)

        assert [call.error for call in world.db.calls] == [None] * len(world.db.calls)
        assert outcome.item_failures == []
        batches = [call.kwargs["RequestItems"]["orders-table"] for call in world.db.calls]
        assert sum(map(len, batches)) == len(sizes)
        for batch, following in pairwise(batches):
            one_more = wire_bytes({"RequestItems": {"orders-table": [*batch, following[0]]}})
            assert len(batch) == REQUESTS or one_more > 0.99 * REQUEST_BYTES, "another item would have fitted"
            seen["closed by size"] += len(batch) < REQUESTS
            seen["closed by count"] += len(batch) == REQUESTS
        seen["large"] += any(wire_bytes(call.kwargs) > 0.9 * REQUEST_BYTES for call in world.db.calls)

    until_seen(holds, seen, {"closed by size", "closed by count", "large"})


# The pure functions


def put(key: Any, text: str) -> BatchWrite:
    body = json.dumps({"PutRequest": {"Item": {"pk": {"S": text}}}}).encode()
    return BatchWrite(key=key, source=Source("m", False, 0), body=body)


partitions = st.tuples(st.sampled_from(TABLES[:2]), st.integers(0, 5), st.integers(0, 3))


def operation_of(table: Any, partition: int, sort: int, size: int = 100) -> Operation:
    key = (table.name, f"p{partition}", sort)
    return put(key, "x" * size)


operations = st.lists(partitions, max_size=90).map(lambda keys: [operation_of(*key) for key in keys])


@given(operations)
def test_the_last_operation_on_an_item_supersedes_those_before_in_order_of_arrival(arrived: list[Operation]) -> None:
    lanes = plan.lanes(arrived)

    for key, lane in lanes.items():
        [step] = lane
        assert [*step.superseded, step.operation] == [operation for operation in arrived if operation.key == key]
    assert lanes.keys() == {operation.key for operation in arrived}


@given(operations)
def test_interleaving_keeps_each_partition_in_order_and_spreads_them(arrived: list[Operation]) -> None:
    order = plan.interleave(arrived)

    assert sorted(map(id, order)) == sorted(map(id, arrived))
    partitions_of = [operation.key[:2] for operation in arrived]
    for partition in set(partitions_of):
        assert [o for o in order if o.key[:2] == partition] == [o for o in arrived if o.key[:2] == partition]
    # As long as all partitions have something left, each comes once before any comes again.
    width, turns = len(set(partitions_of)), min(Counter(partitions_of).values(), default=0)
    for turn in range(turns):
        row = [operation.key[:2] for operation in order[turn * width : (turn + 1) * width]]
        assert len(set(row)) == width


many_partitions = st.tuples(st.just(ORDERS), st.integers(0, 3) | st.integers(0, 60), st.integers(0, 3))


@given(st.lists(many_partitions, min_size=60, max_size=200).map(lambda keys: [operation_of(*key) for key in keys]))
def test_interleaving_many_partitions_keeps_each_in_order(arrived: list[Operation]) -> None:
    order = plan.interleave(arrived)

    assert sorted(map(id, order)) == sorted(map(id, arrived))
    for partition in {operation.key[:2] for operation in arrived}:
        assert [o for o in order if o.key[:2] == partition] == [o for o in arrived if o.key[:2] == partition]


@examples(0.5)
@given(st.lists(st.lists(st.sampled_from([1, 1, 1, 100_000, 400_000]), max_size=40), max_size=4))
def test_taking_batches_until_nothing_is_left_loses_nothing(sizes: list[list[int]]) -> None:
    queues = [
        deque(batch_writes(operation_of(ORDERS, n, m, size) for m, size in enumerate(queue)))
        for n, queue in enumerate(sizes)
    ]
    queued = [list(queue) for queue in queues]
    batches = []

    while batch := plan.take(queues):
        batches.append(batch)

    taken = [operation for batch in batches for operation in batch]
    assert taken == [operation for queue in queued for operation in queue]
    assert not any(queues)
    assert all(len(batch) <= REQUESTS for batch in batches)
    assert all(len(batch) == REQUESTS for batch in batches[:-1])  # 25 times 400 KB of ASCII are no 16 MB.
    event(f"{len(batches)} batches")


@examples(0.2)
@given(st.lists(st.sampled_from([1_000_000, 5_000_000, 3_300_000, 17_000_000]), min_size=1, max_size=9))
def test_a_batch_has_16_mb_at_most_or_a_single_request(sizes: list[int]) -> None:
    texts = {size: "x" * size for size in set(sizes)}
    queue = deque(put(("t", f"{n}", None), texts[size]) for n, size in enumerate(sizes))

    while batch := batch_writes(plan.take([queue])):
        bytes_of_batch = sum(len(operation.body) for operation in batch)
        assert bytes_of_batch <= REQUEST_BYTES or len(batch) == 1
        if queue:
            assert bytes_of_batch + len(queue[0].body) > 0.99 * REQUEST_BYTES


# What comes back


class Stub(FakeDynamoDB):
    """A DynamoDB that answers a call with these UnprocessedItems."""

    def __init__(self, unprocessed: dict[str, list[Any]]) -> None:
        super().__init__()
        self.unprocessed = unprocessed

    def batch_write_item(self, **_: Any) -> dict[str, Any]:
        return {"UnprocessedItems": self.unprocessed}


STRANGERS: Sequence[tuple[str, Any]] = (
    ("orders-table", {"PutRequest": {"Item": {"pk": {"S": "nobody's"}}}}),
    ("orders-table", {"DeleteRequest": {"Key": {"id": {"S": "a"}}}}),
    ("strangers-table", {"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}),
    ("counts-table", {"DeleteRequest": {"Key": {"n": {"N": "12"}}}}),
)


@given(
    st.lists(drafts("put", "delete"), min_size=1, max_size=20, unique_by=lambda draft: (draft.table, draft.key % 4)),
    st.data(),
)
def test_what_comes_back_unprocessed_counts_as_unwritten_and_in_doubt_all_of_it(drawn: list[Any], data: Any) -> None:
    decoder = Decoder(Settings(TABLES))
    intents = [draft.intent("1") for draft in drawn]
    batch = {intent.key: draft_operation(decoder, intent) for intent in intents}
    unprocessed = data.draw(st.lists(st.sampled_from(list(batch.values())), unique=True))
    returned: dict[str, list[Any]] = {}
    for operation in unprocessed:
        returned.setdefault(operation.table, []).append(respelled(operation.request))
    stranger = data.draw(st.one_of(st.none(), st.sampled_from(STRANGERS)), "stranger")
    if stranger:
        table, request = stranger
        requests = returned.setdefault(table, [])
        requests.insert(data.draw(st.integers(0, len(requests))), request)

    stub = Stub(returned)
    http = FakeWire(stub) if data.draw(st.booleans(), "by HTTP") else None
    signs = Credentials("key", "secret")
    dynamodb = Route(lambda: FakeBoto(stub), http, lambda: signs, prefix=PREFIX, connections=8)
    tables, operations = Tables(TABLES, dynamodb), list(batch.values())
    reply = tables.reply(operations, tables.begin(operations, 1.0, Inline().submit).result())

    assert reply.meaning is Meaning.ACCEPTED
    assert set(reply.unwritten) == set(batch.values() if stranger else unprocessed)


def respelled(request: dict[str, Any]) -> dict[str, Any]:
    """The request with its numbers in another spelling, as a service that keeps values and not texts may return it."""
    [(action, inner)] = request.items()
    [(name, attributes)] = inner.items()
    spelled = {
        key: {"N": f"{value['N']}E0"} if value.get("N", "e").isdigit() else value for key, value in attributes.items()
    }
    return {action: {name: spelled}}


def draft_operation(decoder: Decoder, intent: Intent) -> Operation:
    element = intent.json
    if isinstance(element, tuple):
        element = {"RequestItems": {element[0]: [element[1]]}}
    [operation] = decoder.decode({"messageId": "m", "body": as_json(element)}).operations
    return operation
