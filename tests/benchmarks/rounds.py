"""Interleaved rounds: every writer once, then every writer again, so that a slow minute hits all alike."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tests.benchmarks.processes import Round, ServerProcess, WriterProcess
from tests.benchmarks.records import Load

K = TypeVar("K")

ROUND_SECONDS = 0.1
"""CPU time below which a round repeats its invocation."""
MAX_STEAL = 0.02
MAX_REPEATS = 3
MIN_ROUNDS = 3
MAX_SECONDS = 60


class Measured(Protocol):
    """A writer that can be given events."""

    @property
    def name(self) -> str: ...
    def invoke(self, load: Load, times: int = 1) -> Round: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One writer and what it is given."""

    writer: Measured
    load: Load


@dataclass(frozen=True, slots=True)
class Scale:
    """How long to measure: `--quick` is for trying the benchmarks out, not for their numbers."""

    rounds: int
    records: int
    """Records of an event, where the section does not choose its own."""
    peers: bool = False
    """Build the peers in other languages, which fetches their SDKs."""


FULL = Scale(rounds=5, records=1000)
QUICK = Scale(rounds=1, records=100)


def stolen() -> float:
    """Seconds that the hypervisor has taken from this machine so far; process CPU time contains some of them."""
    # https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
    try:
        return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / 100
    except (OSError, IndexError):  # Not Linux.
        return 0.0


def undisturbed(measure: Callable[[], Round]) -> Round:
    """Measured again, up to three times, while more than 2 % of the time was stolen."""
    for _ in range(MAX_REPEATS):
        before = stolen()
        measured = measure()
        if stolen() - before <= max(MAX_STEAL * measured.wall, 0.01):
            break
    return measured


def interleaved(jobs: Mapping[K, Job], rounds: int, round_seconds: float) -> dict[K, Round]:
    """The median invocation of each job, each round of `round_seconds` of CPU time or one invocation.

    On a busy machine fewer rounds, three at least, so that the whole stays within its time.
    """
    began = time.monotonic()
    times = {}
    for name, job in jobs.items():
        job.writer.invoke(job.load)  # Warm: connections and caches.
        times[name] = 1
        if round_seconds:
            times[name] = max(1, min(50, math.ceil(round_seconds / job.writer.invoke(job.load).cpu)))
    measured: dict[K, list[Round]] = {name: [] for name in jobs}
    for number in range(rounds):
        if number >= MIN_ROUNDS and time.monotonic() - began > MAX_SECONDS:
            break
        for name, job in jobs.items():
            measured[name].append(undisturbed(functools.partial(job.writer.invoke, job.load, times[name])))
    return {name: median(taken) for name, taken in measured.items()}


def round_seconds(scale: Scale) -> float:
    """CPU time of a round: of a quick run one invocation, whatever it takes."""
    return ROUND_SECONDS if scale.rounds > 1 else 0.0


def median(rounds: Sequence[Round]) -> Round:
    return Round(statistics.median(r.cpu for r in rounds), statistics.median(r.wall for r in rounds))


def started(
    stack: ExitStack, names: Sequence[str], server: ServerProcess, **environ: str
) -> tuple[list[WriterProcess], list[str]]:
    """A process for each writer, and a note for each one whose library is not installed here.

    Before it is measured a writer proves that it writes: 50 records arrive as 50 distinct items.
    """
    writers, notes = [], []
    for name in names:
        try:
            writer = stack.enter_context(WriterProcess(name, server.port, **environ))
        except RuntimeError as error:
            notes.append(f"{name} is left out: {error}")
            continue
        prove(writer, server)
        writers.append(writer)
    return writers, notes


def prove(writer: WriterProcess, server: ServerProcess) -> Mapping[str, object]:
    server.control("/check")
    writer.invoke(Load(records=50, record_bytes=300))
    counts: Mapping[str, object] = server.control("/counts")
    server.control("/reset")
    if counts["items"] != 50 or counts["distinct"] != 50:
        raise RuntimeError(f"{writer.name} wrote {counts} where 50 records were given")
    return counts
