"""One invocation in a fresh process: `python -m tests.benchmarks.memory_child WRITER EVENT`.

Writes the peak so far, in KB, after import, after parsing the event, and at the end, to standard error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks.writers import WRITERS


def peak() -> int:
    """Kilobytes. `ru_maxrss` will not do: it begins with what the parent had."""
    # https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    write = WRITERS[sys.argv[1]]()
    imported = peak()
    event = json.loads(Path(sys.argv[2]).read_bytes())
    parsed = peak()
    if write(event).get("batchItemFailures"):
        raise RuntimeError("not everything was written")
    sys.stderr.write(f"{imported} {parsed} {peak()}\n")


if __name__ == "__main__":
    main()
