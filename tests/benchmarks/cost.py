"""Dollars per million records, from the CPU time, the calls and the log lines that are measured here."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from boto3.dynamodb.types import TypeSerializer

from sluice.cost import Measured, Prices, table
from sluice.cost.measured import Size, Work
from sluice.cost.model import PUT_BYTES, SQS_CHUNK_BYTES
from sluice.cost.report import ASSUMPTIONS, FLOOR, PACKED, markdown, size_name
from tests.benchmarks.machine import this_machine
from tests.benchmarks.processes import ServerProcess, WriterProcess
from tests.benchmarks.records import LARGE, MEDIUM, SMALL, Load, encoded, orders
from tests.benchmarks.report import Chart, Section, at_most
from tests.benchmarks.rounds import Job, Scale, interleaved, prove, round_seconds
from tests.benchmarks.svg import bars
from tests.fakes.attribute_values import item_bytes

GOAL = 1.10
INVOCATION = 1000  # Records: the default batch size of the stack, one record a message.
PUT_ITEM_INVOCATION = 10  # Messages: the default batch size of Lambda.


def measure(scale: Scale) -> Section:
    """The work of each size and way of writing, and what it costs at the default prices."""
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess())
        output = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "stdout"
        ours = stack.enter_context(WriterProcess("sluice", server.port, OUTPUT=str(output)))
        peer = stack.enter_context(WriterProcess("boto3 put_item", server.port))
        for writer in (ours, peer):
            prove(writer, server)
        sizes = [_size(scale, server, ours, peer, output, size) for size in (SMALL, MEDIUM, LARGE)]
    measured = Measured(str(this_machine()), sizes)
    rows = table(Prices.load(), measured)
    packed = next(row.cost for row in rows if row.design == PACKED and row.record_bytes == MEDIUM)
    groups: dict[str, dict[str, float]] = {}
    for row in rows:
        groups.setdefault(f"records of {size_name(row.record_bytes)}", {})[row.design] = row.cost.total
    title = "What a million records cost"
    return Section(
        title="Cost",
        targets=[
            at_most(
                f"dollars per million records, {size_name(MEDIUM)}, packed: of DynamoDB's own",
                packed.over_floor,
                GOAL,
                f"${packed.total:.4f} and ${packed.dynamodb:.4f}",
            )
        ],
        charts=[Chart("cost.svg", title, bars(title, "US dollars", groups, ours=PACKED, digits=3))],
        notes=[
            markdown(rows),
            f"{FLOOR} is the floor. `sluice cost` prints this for prices of your own.",
            *ASSUMPTIONS,
        ],
        data={"measured": measured},
    )


def _size(
    scale: Scale, server: ServerProcess, ours: WriterProcess, peer: WriterProcess, output: Path, size: int
) -> Size:
    records = min(INVOCATION, scale.records)
    together = (SQS_CHUNK_BYTES - 1) // (size + PUT_BYTES + 1)
    packed = Load(max(1, records // together) * together, size, together)
    return Size(
        record_bytes=size,
        item_bytes=max(_item_bytes(record) for record in orders(records, size)),
        packed=_work(scale, server, ours, packed, output),
        single=_work(scale, server, ours, Load(records, size), output),
        put_item=_work(scale, server, peer, Load(PUT_ITEM_INVOCATION, size), None),
    )


def _work(scale: Scale, server: ServerProcess, writer: WriterProcess, load: Load, output: Path | None) -> Work:
    cpu = interleaved({"": Job(writer, load)}, min(scale.rounds, 5), round_seconds(scale))[""].cpu / load.records
    before = output.stat().st_size if output else 0
    server.control("/reset")
    writer.invoke(load)
    calls = server.control("/counts")["calls"]
    return Work(
        cpu_seconds=cpu,
        records_per_message=load.per_message,
        records_per_invocation=load.records,
        records_per_call=load.records / sum(calls.values()),
        log_bytes=(output.stat().st_size - before) if output else 0,
    )


def _item_bytes(record: dict[str, object]) -> int:
    """By DynamoDB's size rule, as the strict fake knows it."""
    exact = json.loads(encoded(record), parse_float=Decimal)
    size: int = item_bytes(TypeSerializer().serialize(exact)["M"])
    return size
