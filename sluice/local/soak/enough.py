"""How much must have happened before a soak ends: so many messages, kills, faults of a kind, whatever the machine."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping

from sluice.local.faults.kinds import KINDS

from .model import Ledger

NAMES = (
    "messages",
    "bad-messages",
    "operations",
    "dead-letters",
    "redeliveries",
    "acknowledged-unwritten",
    "invocations",
    "kills",
    "duplicates",
    "forgotten",
    "writes",
    "reads",
    "read-faults",
    "unchanged",
    "unprocessed-items",
    "kinds-of-fault",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    *KINDS,
)
"""What can be counted while a soak runs; the last are faults, of writes."""


def happened(
    ledger: Ledger, events: Mapping[str, int], errors: Mapping[str, int], faults: Mapping[str, int]
) -> Counter[str]:
    """How often each of `NAMES` has happened so far."""
    receives = ledger.receives()
    return (
        Counter(events)
        + Counter(errors)
        + Counter(faults)
        + Counter(
            {
                "messages": len(receives),
                "bad-messages": ledger.bad_messages(),
                "operations": ledger.operations(),
                "dead-letters": ledger.error_codes.total(),
                "redeliveries": sum(max(0, count - 1) for count in receives),
                "acknowledged-unwritten": ledger.verdict.acknowledged_unwritten.count,
                "unchanged": ledger.unchanged,
                "kinds-of-fault": len(faults.keys() & KINDS.keys()),
                "read-faults": sum(count for name, count in faults.items() if name.startswith("read-")),
            }
        )
    )


def missing(wanted: Mapping[str, int], counts: Mapping[str, int]) -> dict[str, str]:
    """What has not happened often enough, and `2 of 3` for how often it has."""
    return {
        name: f"{counts.get(name, 0):,} of {times:,}" for name, times in wanted.items() if counts.get(name, 0) < times
    }


def wish(text: str) -> tuple[str, int]:
    """`NAME=N` as an option has it; raises argparse.ArgumentTypeError."""
    name, _, times = text.partition("=")
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of: {', '.join(NAMES)}")
    if not times.isdecimal() or not int(times):
        raise argparse.ArgumentTypeError(f"must be NAME=N with a whole number from 1, got {text!r}")
    return name, int(times)
