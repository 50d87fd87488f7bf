"""What a soak says in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .model import Ledger, Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a soak."""

    ledger: Ledger
    verdict: Verdict
    events: Mapping[str, int]
    """What the pollers and the killer did."""
    errors: Mapping[str, int]
    """Function errors by type."""
    faults: Mapping[str, int]
    """What was injected, by kind."""
    kinds: Mapping[str, int]
    """What was sent: good operations by kind."""
    writes: int
    """Calls of the function that write."""
    unprocessed: int
    """Requests in them that came back unprocessed."""
    reads: int
    """Calls of the function that read what is to be written."""
    seconds: float
    """From the first message sent to the queue drained."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """What was to happen and did not happen often enough, with `2 of 3` for how often it did."""

    def lines(self) -> Iterator[str]:
        ledger, events = self.ledger, self.events
        receives = ledger.receives()
        again = sum(receives) - len(receives)
        yield _line(len(receives), f"messages sent, {ledger.bad_messages():,} of them with something bad in them")
        yield _line(ledger.operations(), f"operations in them, on {ledger.items():,} items; of those that are to last:")
        yield from _counts(self.kinds)
        yield _line(events.get("invocations", 0), f"invocations of the function, in {self.seconds:.0f} s")
        yield _line(self.writes, f"calls that write; {self.unprocessed:,} requests came back unprocessed")
        of_reads = {name: count for name, count in self.faults.items() if name.startswith("read-")}
        yield from _table("faults injected into them", {n: c for n, c in self.faults.items() if n not in of_reads})
        yield _line(
            self.reads, f"reads before them; {ledger.unchanged:,} operations were left out as their items stood there"
        )
        yield from _table("faults injected into reads", of_reads)
        yield _line(events.get("kills", 0), "kills of the function's processes while they worked (SIGKILL)")
        yield from _table("function errors", self.errors)
        yield _line(events.get("duplicates", 0), "messages delivered to two receivers at the same time")
        yield _line(events.get("forgotten", 0), "acknowledgements lost")
        yield _line(again, f"redeliveries; one message was received {max(receives, default=0)} times")
        yield from _table("dead letters", ledger.error_codes)
        yield from (f"  too few:   {count} {name}" for name, count in self.missing.items())
        yield "  verdict"
        for name, violations in self.verdict.rows().items():
            yield f"  {violations.count:>9,}    {name}"
            yield from (f"{'':16}{example}" for example in violations.examples)


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield _line(sum(counts.values()), title)
    yield from _counts(counts)


def _counts(counts: Mapping[str, int]) -> Iterator[str]:
    yield from (f"  {count:>9,}    {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))


def _line(number: float, text: str) -> str:
    return f"  {number:>9,.0f}  {text}"
