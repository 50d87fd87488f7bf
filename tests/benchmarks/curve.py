"""Cost per record of one invocation, from 100 messages to SQS's most, 10,000."""

from __future__ import annotations

from contextlib import ExitStack

from tests.benchmarks.processes import ServerProcess
from tests.benchmarks.records import SMALL, Load
from tests.benchmarks.report import Chart, Section, Table, at_most
from tests.benchmarks.rounds import Job, Scale, interleaved, round_seconds, started
from tests.benchmarks.svg import Line, lines

MESSAGES = (100, 200, 500, 1000, 2000, 5000, 10_000)
QUICK_MESSAGES = (100, 500)
WRITERS = ("sluice", "boto3 batch_writer")
GOAL = 1.25


def measure(scale: Scale) -> Section:
    """Flat: the dearest number of messages costs at most a quarter more per record than the cheapest."""
    sizes = MESSAGES if scale.rounds > 1 else QUICK_MESSAGES
    cpu: dict[str, list[float]] = {name: [] for name in WRITERS}
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess())
        writers, _ = started(stack, WRITERS, server)
        jobs = {(w.name, messages): Job(w, Load(messages, SMALL)) for messages in sizes for w in writers}
        medians = interleaved(jobs, scale.rounds, round_seconds(scale))
    for name, messages in jobs:
        cpu[name].append(medians[name, messages].cpu / messages * 1e6)
    ours = cpu["sluice"]
    title = "Cost per record by the size of the invocation"
    series = [Line(name, list(zip(sizes, cpu[name], strict=True)), dashed=name != "sluice") for name in WRITERS]
    chart = lines(title, "messages in the invocation", "µs of CPU per record", series, logarithmic=True)
    rows = [[name, *(f"{value:.1f}" for value in cpu[name])] for name in WRITERS]
    return Section(
        title=title,
        targets=[
            at_most(
                f"dearest of cheapest per record, {sizes[0]:,} to {sizes[-1]:,} messages",
                max(ours) / min(ours),
                GOAL,
                f"{max(ours):.1f} and {min(ours):.1f} µs",
            )
        ],
        tables=[Table("µs of CPU per record, 300 B, one a message", ["messages", *(f"{n:,}" for n in sizes)], rows)],
        charts=[Chart("curve.svg", title, chart)],
        data={"messages": sizes, **cpu},
    )
