"""A process of its own for one writer: `python -m tests.benchmarks.child WRITER`, driven over standard input.

A line in, a `Load` and `"times"` as JSON, is one round: so many invocations with one event.
A line out tells what they took together: `{"cpu", "wall"}` in seconds, user and system time of the whole process.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import sys
import time

from tests.benchmarks.lanes import bodies, writers
from tests.benchmarks.records import Load, event
from tests.benchmarks.writers import WRITERS


@functools.lru_cache(maxsize=1)  # As in Lambda, no other event burdens the garbage collector.
def event_of(load: Load) -> dict[str, object]:
    return bodies.event(load) if load.form else event(load)


def main() -> None:
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.environ.get("OUTPUT", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)  # Metrics.
    write = {**WRITERS, **writers.WRITERS}[sys.argv[1]]()
    told.write("{}\n")
    told.flush()
    for line in sys.stdin:
        task = json.loads(line)
        times = task.pop("times")
        given = event_of(Load(**task))
        gc.collect()  # What an earlier round left is not this one's work; within it the collector runs as always.
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            answer = write(given)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if answer.get("batchItemFailures"):
            raise RuntimeError(f"{sys.argv[1]} did not write everything")
        sys.stdout.flush()
        told.write(json.dumps({"cpu": cpu, "wall": wall}) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
