"""Records per second of one invocation, against a table that takes 5 ms to answer."""

from __future__ import annotations

from contextlib import ExitStack

from sluice.message.settings import Settings
from tests.benchmarks.processes import Round, ServerProcess, WriterProcess
from tests.benchmarks.records import SMALL, Load
from tests.benchmarks.report import Section, Table, at_least
from tests.benchmarks.rounds import Job, Scale, interleaved, prove, round_seconds

LATENCY = 5.0  # Milliseconds.
GOAL = 6.0
RECORDS = 5_000
"""An invocation long enough that starting up its rate does not decide."""
CONNECTIONS = (8, 16, 32)
THREADS = (1, 2, 4, 8, 16)
HEADROOM = 3.0
OURS, PEER = "sluice", "boto3 batch_writer in threads"
HEADER = ("writer", "in parallel", "records/s", "µs of CPU per record")


def measure(scale: Scale) -> Section:
    """This project by MAX_CONNECTIONS, batch_writer by threads, interleaved; the best of each are compared."""
    default: int = Settings(tables=()).max_connections
    load = Load(RECORDS if scale.rounds > 1 else 500, SMALL)
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess(LATENCY))
        counts = sorted({default, *CONNECTIONS})
        ours = {count: _writer(stack, server, OURS, MAX_CONNECTIONS=count) for count in counts}
        theirs = {count: _writer(stack, server, PEER, THREADS=count) for count in THREADS}
        jobs = {(OURS, count): Job(writer, load) for count, writer in ours.items()}
        jobs |= {(PEER, count): Job(writer, load) for count, writer in theirs.items()}
        medians = interleaved(jobs, scale.rounds, round_seconds(scale))
        busiest = max(_busy(server, writer, load) for writer in ours.values())
        told = server.control("/counts")
        answered = told["waited"] / sum(told["calls"].values()) * 1000
    taken = {count: medians[OURS, count] for count in ours}
    peers = {count: medians[PEER, count] for count in theirs}
    rates = {count: load.records / median.wall for count, median in taken.items()}
    peer_rates = {count: load.records / median.wall for count, median in peers.items()}
    best, best_peer = max(rates, key=rates.__getitem__), max(peer_rates, key=peer_rates.__getitem__)
    rows = [
        ["sluice", f"{count} connections{' (default)' if count == default else ''}", *_cells(median, load)]
        for count, median in taken.items()
    ]
    rows += [["boto3 batch_writer", f"{count} threads", *_cells(median, load)] for count, median in peers.items()]
    return Section(
        title=f"Throughput of one invocation, {LATENCY:g} ms an answer",
        targets=[
            at_least(
                "records/s with the best number of connections: more than batch_writer with its best number of threads",
                rates[best] / peer_rates[best_peer],
                GOAL,
                f"{rates[best]:,.0f} ({best}) and {peer_rates[best_peer]:,.0f} ({best_peer})",
            ),
            at_least(
                "the server can answer more than the fastest client asked",
                1 / busiest,
                HEADROOM,
                f"its process was busy {busiest:.0%} of the time",
            ),
        ],
        tables=[Table(f"{load.records:,} records of {SMALL} B, one a message", HEADER, rows)],
        notes=[
            f"Answers took {answered:.1f} ms on average; much more than {LATENCY:g} means that the machine was busy.",
            f"With the default of {default} connections no client can write more than "
            f"{default * 25 / LATENCY * 1000:,.0f} records/s to such a table: 25 a call.",
        ],
        data={"sluice": rates, "batch_writer": peer_rates, "server busy": busiest, "answered in ms": answered},
    )


def _cells(taken: Round, load: Load) -> list[str]:
    return [f"{load.records / taken.wall:,.0f}", f"{taken.cpu / load.records * 1e6:.1f}"]


def _writer(stack: ExitStack, server: ServerProcess, name: str, **environ: int) -> WriterProcess:
    variables = {variable: str(value) for variable, value in environ.items()}
    writer: WriterProcess = stack.enter_context(WriterProcess(name, server.port, **variables))
    prove(writer, server)
    return writer


def _busy(server: ServerProcess, writer: WriterProcess, load: Load) -> float:
    """The share of the time that the server needed a core while the writer was at work."""
    server.control("/reset")
    taken = writer.invoke(load, 3)
    busy: float = server.control("/counts")["cpu"] / (taken.wall * 3)
    return busy
