"""BatchWriteItem calls for n distinct records: exactly n / 25, rounded up, when nothing throttles."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.processes import ServerProcess, WriterProcess
from tests.benchmarks.records import SMALL, Load
from tests.benchmarks.report import Section, Table, at_most
from tests.benchmarks.rounds import Scale

COUNTS = (1, 24, 25, 26, 99, 1000, 2501)
PACKINGS = (1, 100)


def measure(scale: Scale, counts: Sequence[int] = COUNTS) -> Section:
    """Counted, and each item looked at, by the server; nothing here is timed."""
    del scale
    rows, calls, ideal = [], 0, 0
    with ServerProcess() as server, WriterProcess("sluice", server.port) as writer:
        for records in counts:
            for packing in PACKINGS:
                server.control("/check")
                writer.invoke(Load(records, SMALL, packing))
                told = server.control("/counts")
                if told["distinct"] != records or told["items"] != records:
                    raise RuntimeError(f"{records} records, but the server saw {told}")
                made, fewest = told["calls"]["BatchWriteItem"], -(-records // 25)
                rows.append([f"{records:,}", str(packing), f"{made:,}", f"{fewest:,}", str(told["largest"])])
                calls, ideal = calls + made, ideal + fewest
    return Section(
        title="Requests",
        targets=[at_most("BatchWriteItem calls: of ⌈n/25⌉", calls / ideal, 1.0, f"{calls:,} and {ideal:,} calls")],
        tables=[Table("", ["records", "a message", "calls", "⌈n/25⌉", "items in the fullest"], rows)],
        data={"calls": calls, "fewest": ideal, "rows": rows},
    )
