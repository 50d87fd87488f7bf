"""CPU time per record of the whole handler, SQS event in to report out, against its peers."""

from __future__ import annotations

from contextlib import ExitStack

from tests.benchmarks import instructions
from tests.benchmarks.processes import ServerProcess
from tests.benchmarks.records import MEDIUM, SMALL, Load
from tests.benchmarks.report import Chart, Section, Table, Target, at_least, microseconds
from tests.benchmarks.rounds import Job, Scale, interleaved, round_seconds, started
from tests.benchmarks.svg import bars

ONE_BY_ONE = ("boto3 put_item", "sample: put_item, log")
"""A record costs these the same whatever else is in the invocation: a tenth of the records is enough."""
PEERS = (
    "boto3 batch_writer",
    "awswrangler put_items",
    "PynamoDB batch_write",
    "boto3 put_item",
    "sample: put_item, log",
)
GOALS = {"boto3 batch_writer": 8.0, "awswrangler put_items": 6.0, "PynamoDB batch_write": 6.0}
SIZES = {SMALL: "300 B", MEDIUM: "1 KB"}
PACKINGS = {1: "one record a message", 100: "100 records a message"}


def measure(scale: Scale) -> Section:
    """Every writer with every size and packing; seconds of CPU per record."""
    seconds: dict[tuple[int, int], dict[str, float]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess())
        writers, notes = started(stack, ["sluice", *PEERS], server)
        for size in SIZES:
            for packing in PACKINGS:
                counts = {w.name: scale.records // 10 if w.name in ONE_BY_ONE else scale.records for w in writers}
                jobs = {w.name: Job(w, Load(counts[w.name], size, packing)) for w in writers}
                medians = interleaved(jobs, scale.rounds, round_seconds(scale))
                seconds[size, packing] = {name: taken.cpu / counts[name] for name, taken in medians.items()}
        counted = instructions.measure(server, scale)
    targets = [_target(seconds, size, packing, peer) for size, packing in seconds for peer in PEERS if peer in GOALS]
    return Section(
        title="CPU time of the whole handler",
        targets=[target for target in targets if target is not None] + counted.targets,
        tables=[_table(seconds), *counted.tables],
        charts=[_chart(seconds)],
        notes=[
            f"User and system time of the client's process, {scale.records:,} records an invocation, 25 a call; "
            f"median of {scale.rounds} interleaved rounds. "
            "awswrangler makes a client and describes the table in every call.",
            *notes,
            *counted.notes,
        ],
        data={
            f"{size} B, {packing} a message": {name: value * 1e6 for name, value in by_writer.items()}
            for (size, packing), by_writer in seconds.items()
        },
    )


def _target(seconds: dict[tuple[int, int], dict[str, float]], size: int, packing: int, peer: str) -> Target | None:
    by_writer = seconds[size, packing]
    if peer not in by_writer:
        return None
    return at_least(
        f"CPU per record, {SIZES[size]}, {PACKINGS[packing]}: less than {peer}",
        by_writer[peer] / by_writer["sluice"],
        GOALS[peer],
        f"{microseconds(by_writer['sluice'])} and {microseconds(by_writer[peer])} µs",
    )


def _table(seconds: dict[tuple[int, int], dict[str, float]]) -> Table:
    names = list(next(iter(seconds.values())))
    return Table(
        "µs of CPU per record (times as much as sluice)",
        ["writer", *(f"{SIZES[size]}, {PACKINGS[packing]}" for size, packing in seconds)],
        [
            [name, *(f"{microseconds(by[name])} ({by[name] / by['sluice']:.1f})" for by in seconds.values())]
            for name in names
        ],
    )


def _chart(seconds: dict[tuple[int, int], dict[str, float]]) -> Chart:
    groups = {
        f"{SIZES[size]}, {PACKINGS[packing]}": {name: value * 1e6 for name, value in by_writer.items()}
        for (size, packing), by_writer in seconds.items()
        if packing == 1
    }
    title = "CPU time to write one record"
    return Chart("cpu.svg", title, bars(title, "µs of CPU per record", groups, ours="sluice"))
