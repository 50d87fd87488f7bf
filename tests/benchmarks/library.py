"""`sluice.Writer` beside boto3's `batch_writer`: items that are Python objects, without a queue or a function."""

from __future__ import annotations

from contextlib import ExitStack

from tests.benchmarks.processes import Round, ServerProcess
from tests.benchmarks.records import MEDIUM, SMALL, Load
from tests.benchmarks.report import Section, Table, at_least, microseconds
from tests.benchmarks.rounds import Job, Scale, interleaved, round_seconds, started

OURS, PEER = "sluice.Writer", "batch_writer of Python objects"
CPU_GOAL, RATE_GOAL = 8.0, 6.0
LATENCY = 5.0  # Milliseconds.
RECORDS = 10_000
"""Of one block, so that its start does not decide: a load of a file has more."""
SIZES = {SMALL: "300 B", MEDIUM: "1 KB"}


def measure(scale: Scale) -> Section:
    """A `with` block of either, interleaved: CPU where answers come at once, and records a second at 5 ms."""
    records = RECORDS if scale.rounds > 1 else 500
    cpu: dict[int, dict[str, Round]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess())
        writers, _ = started(stack, (OURS, PEER), server)
        for size in SIZES:
            jobs = {writer.name: Job(writer, Load(records, size)) for writer in writers}
            cpu[size] = interleaved(jobs, scale.rounds, round_seconds(scale))
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess(LATENCY))
        writers, _ = started(stack, (OURS, PEER), server)
        load = Load(records, SMALL)
        waited = interleaved({writer.name: Job(writer, load) for writer in writers}, scale.rounds, 0.0)
    rates = {name: records / taken.wall for name, taken in waited.items()}
    return Section(
        title="The writer as a library",
        targets=[
            *(
                at_least(
                    f"CPU per item, {SIZES[size]}, from Python objects: less than batch_writer",
                    taken[PEER].cpu / taken[OURS].cpu,
                    CPU_GOAL,
                    f"{microseconds(taken[OURS].cpu / records)} and {microseconds(taken[PEER].cpu / records)} µs",
                )
                for size, taken in cpu.items()
            ),
            at_least(
                f"items/s, {LATENCY:g} ms an answer: more than batch_writer",
                rates[OURS] / rates[PEER],
                RATE_GOAL,
                f"{rates[OURS]:,.0f} and {rates[PEER]:,.0f}",
            ),
        ],
        tables=[
            Table(
                f"{records:,} items in one block",
                ["writer", *(f"µs of CPU, {size}" for size in SIZES.values()), f"items/s at {LATENCY:g} ms"],
                [
                    [
                        name,
                        *(microseconds(taken[name].cpu / records) for taken in cpu.values()),
                        f"{rates[name]:,.0f}",
                    ]
                    for name in (OURS, PEER)
                ],
            )
        ],
        notes=[
            "The items have strings, integers, Decimals, lists, maps, a set and bytes. "
            "Each block makes a new `Writer`, with its thread and its connections; "
            "`batch_writer` keeps its client and its one connection.",
        ],
        data={
            "cpu": {SIZES[size]: {n: t.cpu / records * 1e6 for n, t in by.items()} for size, by in cpu.items()},
            "rates": rates,
        },
    )
