"""Records a second of one invocation whose records go one by one, where each answer takes 5 ms."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.lanes.counted import Counted, Output
from tests.benchmarks.processes import Round, ServerProcess, WriterProcess
from tests.benchmarks.records import SMALL, Load
from tests.benchmarks.report import Table, Target, at_least
from tests.benchmarks.rounds import Job, Scale, interleaved, round_seconds

LATENCY = 5.0  # Milliseconds.
GOAL, AIM = 8.0, 12.0
RECORDS = 2_000
"""An invocation long enough that opening connections does not decide."""
THREADS = (1, 2, 4, 8, 16, 32)
QUICK_RECORDS, QUICK_THREADS = 40, (2,)
HEADER = ("writer", "in parallel", "records/s", "µs of CPU per record")
OURS, PEER = "sluice", "boto3 put_item with a condition, in threads"


@dataclass(frozen=True, slots=True)
class Waited:
    target: Target
    table: Table
    notes: list[str]
    data: dict[str, object]


def measure(scale: Scale) -> Waited:
    """The function with its default settings, and `put_item` with the same condition in its best number of threads."""
    is_full = scale.rounds > 1
    load = Load(RECORDS if is_full else QUICK_RECORDS, SMALL, form="conditional put")
    peers = {f"{count} threads": count for count in (THREADS if is_full else QUICK_THREADS)}
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess(LATENCY))
        outputs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        writers = {OURS: _writer(stack, server, outputs / "ours", OURS)}
        for name, count in peers.items():
            writers[name] = _writer(stack, server, outputs / name, PEER, THREADS=str(count))
        for writer in writers.values():
            writer.prove(load)
        medians = interleaved(
            {name: Job(writer, load) for name, writer in writers.items()}, scale.rounds, round_seconds(scale)
        )
        busy, answered = _server(server, writers[OURS], load)
    rates = {name: load.records / taken.wall for name, taken in medians.items()}
    best = max(peers, key=rates.__getitem__)
    return Waited(
        at_least(
            f"records/s with {LATENCY:g} ms an answer, conditional puts: more than boto3 put_item in its best number "
            "of threads",
            rates[OURS] / rates[best],
            GOAL,
            f"{rates[OURS]:,.0f} and {rates[best]:,.0f} ({best})",
            aim=AIM,
        ),
        Table(f"Conditional puts of {SMALL} B, {LATENCY:g} ms an answer", HEADER, _rows(medians, load)),
        [
            f"While the function was at work, the server's process needed {busy:.0%} of a core, and an answer took "
            f"{answered:.1f} ms on average: near 100 % or far above {LATENCY:g} ms it is the server or the machine "
            "that is measured. The peer gets a client for each thread. Left out: TLS, which takes each connection a "
            "handshake, and throttles.",
        ],
        {"rates": rates, "server busy": busy, "answered in ms": answered},
    )


def _writer(stack: ExitStack, server: ServerProcess, output: Path, name: str, **environ: str) -> Counted:
    process = WriterProcess(name, server.port, OUTPUT=str(output), **environ)
    return Counted(stack.enter_context(process), server, Output(output))


def _server(server: ServerProcess, writer: Counted, load: Load) -> tuple[float, float]:
    """The share of a core that the server needs, and milliseconds until it answers."""
    taken = writer.invoke(load)
    told = server.control("/counts")
    return told["cpu"] / taken.wall, told["waited"] / sum(told["calls"].values()) * 1000


def _rows(medians: Mapping[str, Round], load: Load) -> list[list[str]]:
    return [
        [
            "sluice" if name == OURS else "boto3 put_item",
            "its own" if name == OURS else name,
            f"{load.records / taken.wall:,.0f}",
            f"{taken.cpu / load.records * 1e6:.1f}",
        ]
        for name, taken in medians.items()
    ]
