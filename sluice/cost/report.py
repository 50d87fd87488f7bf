"""The table of `sluice cost`: this project packed and unpacked, a Lambda of one PutItem a message, DynamoDB's floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measured import Measured, Size, Work
from .model import FULL_VCPU_MB, Cost, Workload, estimate
from .prices import Prices

PLATFORM_LOG_BYTES = 500
"""Lambda's own START, END and REPORT lines of an invocation, as text."""
CONNECTIONS = 8
PUT_ITEM_MEMORY_MB = 256
"""Waiting for one answer at a time is paid by memory, so a small function is the cheap one."""

PACKED = "sluice, packed messages"
SINGLE = "sluice, one record a message"
PUT_ITEM = "one PutItem a message"
FLOOR = "DynamoDB's write units alone"

Name = Callable[[int], str]
"""How a size in bytes is shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way of writing records of one size."""

    design: str
    record_bytes: int
    cost: Cost


def designs(size: Size, *, memory_mb: int = FULL_VCPU_MB, latency: float = 0.005) -> dict[str, Workload]:
    """The ways of writing a record of this size; `latency` in seconds, `memory_mb` for sluice's function."""

    def workload(work: Work, at_once: int, memory: int) -> Workload:
        return Workload(
            record_bytes=size.record_bytes,
            item_bytes=size.item_bytes,
            records_per_message=work.records_per_message,
            records_per_invocation=work.records_per_invocation,
            records_per_call=work.records_per_call,
            calls_at_once=at_once,
            cpu_seconds=work.cpu_seconds,
            log_bytes=work.log_bytes + PLATFORM_LOG_BYTES,
            memory_mb=memory,
            latency=latency,
        )

    return {
        PACKED: workload(size.packed, CONNECTIONS, memory_mb),
        SINGLE: workload(size.single, CONNECTIONS, memory_mb),
        PUT_ITEM: workload(size.put_item, 1, PUT_ITEM_MEMORY_MB),
    }


def table(
    prices: Prices, measured: Measured, *, memory_mb: int = FULL_VCPU_MB, latency: float = 0.005
) -> Sequence[Row]:
    """Dollars per million records for each measured size and each way of writing; DynamoDB's own price comes last."""
    rows = []
    for size in measured.sizes:
        costs = {
            design: estimate(workload, prices)
            for design, workload in designs(size, memory_mb=memory_mb, latency=latency).items()
        }
        costs[FLOOR] = Cost(costs[PACKED].dynamodb, 0.0, 0.0, 0.0, 0.0)
        rows += [Row(design, size.record_bytes, cost) for design, cost in costs.items()]
    return rows


def size_name(record_bytes: int) -> str:
    return f"{record_bytes / 1024:.1f} KB".replace(".0 ", " ")


def exact_name(record_bytes: int) -> str:
    return f"{record_bytes:,} bytes"


def dollars(amount: float, digits: int = 4) -> str:
    return f"${amount:,.{digits}f}"


def assumptions(*, memory_mb: int = FULL_VCPU_MB, latency: float = 0.005) -> Sequence[str]:
    """What the numbers hold for, a sentence or two each; the arguments as for `table`."""
    whole = " (a whole vCPU)" if memory_mb == FULL_VCPU_MB else ""
    return (
        "Messages go in SendMessageBatch requests of up to 10; Lambda receives and deletes up to 10 at a time. "
        "SQS bills each 64 KB begun of a request.",
        "Invocations are full: about 1,000 records for sluice, Lambda's default of 10 messages for PutItem. "
        "Nothing is throttled or delivered twice.",
        f"Memory: {memory_mb:,} MB{whole} for sluice, {PUT_ITEM_MEMORY_MB} MB and so much less CPU for PutItem.",
        "CPU time as measured on the machine named above; Lambda's arm64 may be faster or slower.",
        f"DynamoDB: on-demand, no secondary index, no global table; it answers in {1000 * latency:g} ms.",
        "Not in it, as they do not grow with the records: CloudWatch's metrics and alarms, "
        "and the pollers' requests while a queue is empty (`sluice cost --fixed`).",
    )


def markdown(rows: Sequence[Row], name: Name = size_name) -> str:
    """Rows as a table."""
    lines = [
        "| record | written by | DynamoDB | SQS | Lambda | logs | total | of DynamoDB's own |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cost = row.cost
        cells = [cost.dynamodb, cost.sqs, cost.lambda_duration + cost.lambda_requests, cost.logs, cost.total]
        columns = " | ".join(dollars(cell) for cell in cells)
        lines.append(f"| {name(row.record_bytes)} | {row.design} | {columns} | {cost.over_floor:.3f}x |")
    return "\n".join(lines)


ASSUMPTIONS = assumptions()
"""Those of the default table."""
