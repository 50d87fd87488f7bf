"""`python -m tests.simulation --seeds 1-20 --messages 50000`: every seed with so many messages, and what happened.

A seed that breaks the contract is run again, and the trace of the message that shows it is printed. Exit status 1 then,
and where a long run has not reached every kind of fault.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import Counter
from collections.abc import Sequence

from .run import KINDS, Result, simulate

MIN_TO_REACH_ALL = 200_000
"""Messages with which every kind of fault must have happened."""
MAX_LINES = 200
"""Of a trace; its end tells most."""


def seeds_of(text: str) -> Sequence[int]:
    """ "1-20", "17" or "3,5,8-9"."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default="1-20")
    parser.add_argument("--messages", type=int, default=50_000, help="of each seed")
    options = parser.parse_args(arguments)
    gc.set_threshold(100_000)  # What a seed keeps for its model is not worth looking at again and again.
    results: list[Result] = []
    for seed in options.seeds:
        results.append(simulate(seed, options.messages))
        _say(_line(results[-1]))
        if results[-1].violation is not None:
            _explain(results[-1], results)
            return 1
    return _summary(results)


def _line(result: Result) -> str:
    counts = result.counts
    per_message = result.cpu_seconds / max(1, counts["messages sent"]) * 1e6
    return (
        f"seed {result.seed:4}  {counts['messages sent']:8,} messages  {counts['invocations']:7,} invocations  "
        f"{result.seen.total():8,} faults  {result.virtual_seconds:9,.0f} s in {result.cpu_seconds:6.1f} s "
        f"({per_message:4.0f} us a message)  trace {result.checksum:08x}"
    )


def _explain(failed: Result, results: Sequence[Result]) -> None:
    violation = failed.violation
    assert violation is not None
    total = sum(result.counts["messages sent"] for result in results)
    _say(f"\nFOUND after {total:,} messages, by seed {failed.seed}: {violation}")
    if violation.message_id:
        again = simulate(failed.seed, failed.messages, watched_id=violation.message_id)
        _say("\n".join(again.lines[-MAX_LINES:]))
        if again.checksum != failed.checksum:
            _say("The seed did not replay exactly.")
    _say(f"\nTo see it again: make simulate SEEDS={failed.seed} MESSAGES={failed.messages}")


def _summary(results: Sequence[Result]) -> int:
    seen, counts, checked = Counter[str](), Counter[str](), Counter[str]()
    for result in results:
        seen.update(result.seen)
        counts.update(result.counts)
        checked.update(result.checked)
    messages, cpu = counts["messages sent"], sum(result.cpu_seconds for result in results)
    for title, table in (("faults", seen), ("what happened", counts), ("compared at the end", checked)):
        _say(f"\n{title}")
        for name in sorted(table):
            _say(f"  {name:40} {table[name]:12,}")
    _say(
        f"\n{messages:,} messages: lost 0, acknowledged unwritten 0; {cpu:.0f} s of CPU time, "
        f"{cpu / messages * 1e5:.1f} s for 100,000 messages"
    )
    missing = [kind for kind in KINDS if not seen[kind]]
    if missing:
        _say(f"not reached: {', '.join(missing)}")
    return 1 if missing and messages >= MIN_TO_REACH_ALL else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
