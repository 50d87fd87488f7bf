"""Peak memory of a process that handles one event of 6 MB, the most that Lambda hands over, of every lane."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks.lanes import bodies
from tests.benchmarks.lanes.matrix import LANES
from tests.benchmarks.processes import ROOT, ServerProcess, environment
from tests.benchmarks.records import LARGE, SMALL, Load, event
from tests.benchmarks.report import Section, Table, at_most
from tests.benchmarks.rounds import Scale

EVENT_BYTES = 6_000_000
GOAL = 256.0  # MB.
SLUICE = "sluice"
WRITERS = (SLUICE, "boto3 batch_writer")
PACKINGS = {
    "300 B, one record a message": (SMALL, 1),
    "300 B, 100 records a message": (SMALL, 100),
    "300 B, 3,000 records a message": (SMALL, 3_000),
    "4 KB, one record a message": (LARGE, 1),
}


def as_json(load: Load) -> str:
    """The event as it comes over the wire."""
    return json.dumps(bodies.event(load) if load.form else event(load), ensure_ascii=False)


def filled(size: int, packing: int, form: str = "") -> Load:
    """As many whole messages as 6 MB hold."""
    one = Load(packing, size, packing, form)
    return Load(EVENT_BYTES // len(as_json(one).encode()) * packing, size, packing, form)


def _runs(scale: Scale) -> Iterator[tuple[str, str, Load, Mapping[str, str]]]:
    """Writer, what it is given, and what is set for it."""
    for name, (size, packing) in PACKINGS.items():
        for writer in WRITERS:
            yield writer, name, filled(size, packing), {}
            if scale.rounds == 1:
                return
    for lane in LANES:
        yield SLUICE, lane.name, filled(lane.record_bytes, lane.per_message, lane.form), lane.environ


def measure(scale: Scale) -> Section:
    """`VmHWM` after import, after parsing the event as Lambda's runtime does, and at the end; in MB of 2**20 bytes."""
    rows, peaks = [], {}
    with ServerProcess() as server, tempfile.TemporaryDirectory() as directory:
        for writer, name, load, environ in _runs(scale):
            given = Path(directory) / "event.json"
            given.write_text(as_json(load))
            command = [sys.executable, "-m", "tests.benchmarks.memory_child", writer, str(given)]
            done = subprocess.run(
                command, cwd=ROOT, env=environment(server.port, **environ), capture_output=True, text=True, check=True
            )
            imported, parsed, peak = (int(kilobytes) / 1024 for kilobytes in done.stderr.split()[-3:])
            rows.append(
                [f"{writer}, {name}", f"{given.stat().st_size / 1e6:.1f} MB", f"{load.records:,}"]
                + [f"{megabytes:.0f}" for megabytes in (imported, parsed, peak)]
            )
            peaks[f"{writer}, {name}"] = peak
    of_sluice = {name: peak for name, peak in peaks.items() if name.startswith(SLUICE)}
    worst = max(of_sluice, key=of_sluice.__getitem__)
    return Section(
        title="Memory",
        targets=[at_most("peak RSS with a 6 MB event", of_sluice[worst], GOAL, worst, " MB")],
        tables=[Table("", ["writer", "event", "records", "imported", "event parsed", "peak, MB"], rows)],
        data={"peaks": peaks},
    )
