"""User instructions per record by `perf stat`, which hardly vary between runs; left out where perf cannot count."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.processes import ServerProcess, WriterProcess
from tests.benchmarks.records import MEDIUM, SMALL, Load
from tests.benchmarks.report import Table, Target, at_most
from tests.benchmarks.rounds import FULL, Scale

EVENT = "instructions:u"
GOAL = 0.085
WRITERS = ("sluice", "boto3 batch_writer")


@dataclass(frozen=True, slots=True)
class Counted:
    targets: list[Target] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measure(server: ServerProcess, scale: Scale) -> Counted:
    """Instructions of this project and of batch_writer, one record a message."""
    if not supported():
        return Counted(notes=[f"Instructions per record are left out: `perf stat -e {EVENT}` does not count here."])
    targets, rows = [], []
    for size in (SMALL, MEDIUM):
        counts = {name: per_record(name, server, Load(FULL.records, size), scale) for name in WRITERS}
        ours, peer = (counts[name] for name in WRITERS)
        measured = f"{ours:,.0f} and {peer:,.0f}"
        targets.append(at_most(f"instructions per record, {size} B: of batch_writer's", ours / peer, GOAL, measured))
        rows.append([f"{size} B", f"{ours:,.0f}", f"{peer:,.0f}", f"{ours / peer:.3f}"])
    table = Table("User instructions per record", ["record", *WRITERS, "ratio"], rows)
    return Counted(targets, [table])


def supported() -> bool:
    perf = shutil.which("perf")
    if perf is None:
        return False
    done = subprocess.run(
        [perf, "stat", "-x,", "-e", EVENT, "true"], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    return done.returncode == 0 and counted(done.stderr) is not None


def counted(output: str) -> int | None:
    """The number in what `perf stat -x,` has written; None where it says `<not supported>` or `<not counted>`."""
    for line in output.splitlines():
        if EVENT in line and line.split(",", 1)[0].isdigit():
            return int(line.split(",", 1)[0])
    return None


def per_record(name: str, server: ServerProcess, load: Load, scale: Scale) -> float:
    """Two runs of different length, so that starting up drops out."""
    few, many = 2, 2 + 4 * scale.rounds
    totals = [_total(name, server, load, times) for times in (few, many)]
    return (totals[1] - totals[0]) / (many - few) / load.records


def _total(name: str, server: ServerProcess, load: Load, times: int) -> int:
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "perf"
        perf = shutil.which("perf")
        assert perf is not None
        prefix = [perf, "stat", "-x,", "-e", EVENT, "-o", str(output), "--"]
        with WriterProcess(name, server.port, prefix, PYTHONHASHSEED="0") as writer:
            writer.invoke(load, times)
            assert writer.process.stdin is not None
            writer.process.stdin.close()
            writer.process.wait()
        total = counted(output.read_text())
    if total is None:
        raise RuntimeError(f"perf has counted no {EVENT} of {name}")
    return total
