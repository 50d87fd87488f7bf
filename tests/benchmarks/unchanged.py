"""Reading before writing: what a million records cost where a share of them stands in the table already.

The dollars are the read and write units that the strict fake counts, at the default prices. The CPU time is that of the
whole pipeline and the understanding of answers, without a socket.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

import msgspec
from boto3.dynamodb.types import TypeSerializer
from msgspec.structs import replace

from functions.batch_writer.pipeline import Pipeline
from sluice.aws.http import Request
from sluice.aws.http_parser import HttpResponse
from sluice.aws.in_flight import Running, Submit
from sluice.aws.queue import Queue
from sluice.aws.reads import Reads
from sluice.aws.route import Route
from sluice.aws.signature import Credentials
from sluice.aws.tables import PREFIX, Tables
from sluice.cost import Prices
from sluice.message.settings import KeyAttribute, Settings
from sluice.message.settings import Table as WrittenTable
from tests.benchmarks.records import LARGE, MEDIUM, SMALL, TABLE, encoded, order
from tests.benchmarks.report import Section, Table, Target, at_most
from tests.benchmarks.rounds import Scale
from tests.world import Inline, World

T = TypeVar("T")
SHARES = (0.0, 0.2, 0.5, 0.9, 0.99)
SIZES = (SMALL, MEDIUM, LARGE, 20 * 1024)
EVENT, MESSAGES_OF_A_CELL = 250, 2_000
MAX_AT_90, MAX_AT_0, MAX_CPU = 0.35, 1.03, 2.0
PLAIN = WrittenTable("bench", TABLE, KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
SKIPPING = replace(PLAIN, skip_unchanged=True)


def measure(scale: Scale) -> Section:
    """Dollars by share and size, and the CPU time of a record at both ends."""
    prices = Prices.load()
    is_full = scale.rounds > 1
    events = MESSAGES_OF_A_CELL // EVENT if is_full else 2
    sizes, shares = (SIZES, SHARES) if is_full else ((MEDIUM,), (0.0, 0.9))
    always = {size: dollars(PLAIN, size, 0.0, 1, prices) for size in sizes}
    costs = {
        (size, share): (dollars(SKIPPING, size, share, events, prices), always[size])
        for size in sizes
        for share in shares
    }
    cpu = {share: _cpu_of_plain(share, scale.rounds) for share in (0.0, 0.9, 1.0)}
    return Section(
        title="What stands in the table already",
        targets=[*_targets(costs), *_cpu_targets(cpu)],
        tables=[
            Table(
                f"DynamoDB's dollars per million records, {events} invocations of {EVENT} from a cold start",
                ("record", "written always", *(f"{share:.0%} unchanged" for share in shares)),
                [
                    [
                        f"{size / 1024:.1f} KB",
                        f"${costs[size, 0.0][1]:.3f}",
                        *(f"${costs[size, share][0]:.3f} ({_ratio(costs[size, share]):.2f}x)" for share in shares),
                    ]
                    for size in sizes
                ],
            )
        ],
        data={
            "dollars": {f"{size} {share}": list(each) for (size, share), each in costs.items()},
            "cpu": {str(share): list(each) for share, each in cpu.items()},
        },
    )


def _targets(costs: Mapping[tuple[int, float], tuple[float, float]]) -> Sequence[Target]:
    at_90, worst = costs[MEDIUM, 0.9], max((cost for (_, share), cost in costs.items() if share == 0.0), key=_ratio)
    return [
        at_most("dollars, 90 % unchanged, 1 KB: of always writing", _ratio(at_90), MAX_AT_90, _words(at_90)),
        at_most(
            "dollars, nothing unchanged, the worst size: of always writing", _ratio(worst), MAX_AT_0, _words(worst)
        ),
    ]


def _cpu_targets(cpu: Mapping[float, tuple[float, float]]) -> Sequence[Target]:
    return [
        at_most(
            f"CPU time of a record of 1 KB, {share:.0%} unchanged: of a plain put",
            _ratio(each),
            MAX_CPU,
            f"{each[0] * 1e6:.1f} and {each[1] * 1e6:.1f} us",
        )
        for share, each in cpu.items()
    ]


def _ratio(each: tuple[float, float]) -> float:
    return each[0] / each[1]


def _words(each: tuple[float, float]) -> str:
    return f"${each[0]:.4f} and ${each[1]:.4f} a million"


def orders(size: int, event: int, share: float) -> list[dict[str, Any]]:
    """The records of an event: the same in each, but for those that change."""
    records = [order(Random(number), number, size) for number in range(EVENT)]
    for number in Random(0).sample(range(EVENT), round(EVENT * (1 - share))):
        records[number]["quantity"] = 10_000 + event  # As long as the others'.
    return records


def dollars(table: WrittenTable, size: int, share: float, events: int, prices: Prices) -> float:
    """Per million records, by the units that the strict fake counts."""
    world = World(tables=(table,))
    for record in orders(size, 0, share):
        world.db.put_item(TableName=TABLE, Item=native(record))
    world.db.consumed[TABLE] = 0.0
    for event in range(1, events + 1):
        outcome = world.run(*(f'{{"put":{encoded(record)}}}' for record in orders(size, event, share)))
        assert len(outcome.written) == EVENT
    paid = world.db.consumed[TABLE] * prices.write_request_unit + world.db.consumed_by_reads[TABLE] * prices.read_unit
    return paid / (events * EVENT) * 1e6


def native(record: Any) -> dict[str, Any]:
    """The record in DynamoDB JSON, as boto3 takes it."""
    exact = json.loads(encoded(record), parse_float=Decimal, parse_int=Decimal)
    item: dict[str, Any] = TypeSerializer().serialize(exact)["M"]
    return item


# CPU time


class Wire:
    """Answers at once, as a table in which these items stand; what that takes is not counted."""

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        self._stored = stored
        self.seconds = 0.0

    def begin(
        self, request: Request, seconds: float, then: Callable[[HttpResponse | OSError], T], submit: Submit
    ) -> Running[T]:
        began = time.process_time()
        assert seconds > 0
        response = HttpResponse(200, {}, self._answer(request))
        self.seconds += time.process_time() - began
        return submit(then, response)

    def _answer(self, request: Request) -> bytes:
        if request.target.endswith("BatchWriteItem"):
            return (
                b'{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"%b","CapacityUnits":25.0}]}' % TABLE.encode()
            )
        keys = msgspec.json.decode(request.body)["RequestItems"][TABLE]["Keys"]
        found = b",".join([self._stored[key["sk"]["S"]] for key in keys])
        return (
            b'{"Responses":{"%b":[%b]},"UnprocessedKeys":{},"ConsumedCapacity":[{"TableName":"%b","CapacityUnits":%d}]}'
            % (TABLE.encode(), found, TABLE.encode(), len(keys))
        )

    def post(self, request: Request, seconds: float) -> HttpResponse:
        raise AssertionError(f"{request.target} is posted, within {seconds} s")

    def has_room(self) -> bool:
        return True

    def correct_clock(self, date: str) -> None:
        """There is none."""


def _cpu_of_plain(share: float, rounds: int) -> tuple[float, float]:
    """Seconds of a record with reads, and without."""
    before = {record["sk"]: msgspec.json.encode(native(record)) for record in orders(MEDIUM, 0, share)}
    records = [_record(number, record) for number, record in enumerate(orders(MEDIUM, 1, share))]
    both = [_pipeline(table, before) for table in (SKIPPING, PLAIN)]
    pairs = [[_seconds(pipeline, wire, records) for pipeline, wire in both] for _ in range(max(3, 3 * rounds))]
    with_reads, without = (statistics.median(times) for times in zip(*pairs[1:], strict=True))
    return with_reads, without


def _pipeline(table: WrittenTable, stored: Mapping[str, bytes]) -> tuple[Pipeline, Wire]:
    wire = Wire(stored)
    route = Route(_no_boto3, wire, lambda: Credentials("key", "secret"), prefix=PREFIX, connections=8)
    queue = Queue(route, lambda: "http://localhost")
    settings = Settings((table,))
    return Pipeline(
        settings, Tables(settings.tables, route), queue, reads=Reads(settings.tables, route), executor=Inline
    ), wire


def _no_boto3() -> Any:
    raise AssertionError("boto3 is asked for")


def _seconds(pipeline: Pipeline, wire: Wire, records: Sequence[Any], times: int = 8) -> float:
    began, wire.seconds = time.process_time(), 0.0
    for _ in range(times):
        outcome = pipeline.run(records, 60.0)
        assert len(outcome.written) == EVENT
    return (time.process_time() - began - wire.seconds) / (times * EVENT)


def _record(number: int, record: Any) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": f'{{"put":{encoded(record)}}}',
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1790000000000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work",
    }
