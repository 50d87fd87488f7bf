"""The real writer and its real send rate against tables of limited capacity, in virtual time.

`python -m tests.benchmarks.simulation [--seconds 30] [--only NAME]` prints how much of the capacity was used, what was
wasted, and how evenly the invocations got on. Nothing waits: half a minute of a table takes a second or two.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from sluice.aws.in_flight import Running, Submit
from sluice.aws.meanings import Meaning, Reply
from sluice.message.operation import BatchWrite, Operation, Source
from sluice.writing import plan
from sluice.writing.send_rate import SendRate
from sluice.writing.writer import Writer
from tests.benchmarks.actors import Actor, Calls, Time

TABLE = "t"
LATENCY = 0.006
"""Seconds of a call; each takes between 0.8 and 1.2 of it."""


@dataclass(slots=True)
class Capacity:
    """Write units a second: a bucket that holds `burst` seconds of them, or as many in each second of the clock.

    Infinite: it takes whatever comes.
    """

    rate: float
    burst: float = 1.0
    per_second: bool = False
    tokens: float = 0.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = 0.0 if self.per_second else self.rate * self.burst
        self.at = -1.0 if self.per_second else 0.0

    def change(self, rate: float) -> None:
        """As autoscaling does it; what is saved beyond what the new rate may save is gone."""
        self.rate, self.tokens = rate, min(self.tokens, rate * self.burst)

    def take(self, now: float) -> bool:
        if self.rate == math.inf:
            return True
        if self.per_second:
            if int(now) > self.at:
                self.tokens, self.at = self.rate, int(now)
        else:
            room = max(1.0, self.rate * self.burst)
            self.tokens, self.at = min(room, self.tokens + (now - self.at) * self.rate), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Arrival:
    """A call as the table saw it."""

    at: float
    writer: int
    sent: int
    taken: int


@dataclass(slots=True)
class Table:
    """Takes what its capacity, and that of the partition, allow; the rest is unprocessed, or all of it throttled."""

    time: Time
    capacity: Capacity
    partitions: dict[str, Capacity] = field(default_factory=dict)
    """By the first letters of the partition key, up to a hyphen."""
    arrivals: list[Arrival] = field(default_factory=list)
    written: dict[str, list[float]] = field(default_factory=dict)
    """When operations of each partition were written."""
    loss: float = 0.0
    """The share that it refuses whatever is sent."""
    lumps: float = 0.0
    """The share of calls of which it refuses a part, up to all but one operation, whatever is sent."""
    chance: Random = field(default_factory=Random)

    def of(self, writer: int) -> Port:
        return Port(self, writer)

    def write(self, batch: Sequence[Operation], writer: int) -> Reply:
        now, unwritten = self.time.now, []
        lump = (
            self.chance.randrange(1, len(batch))
            if self.lumps and len(batch) > 1 and self.chance.random() < self.lumps
            else 0
        )
        for position, operation in enumerate(batch):
            name = str(operation.key[1]).partition("-")[0]
            own = self.partitions.get(name)
            if position < lump or (self.loss and self.chance.random() < self.loss):
                unwritten.append(operation)
            elif (own is None or own.take(now)) and self.capacity.take(now):
                self.written.setdefault(name, []).append(now)
            else:
                unwritten.append(operation)
        taken = len(batch) - len(unwritten)
        self.arrivals.append(Arrival(now, writer, len(batch), taken))
        if not taken:
            return Reply(Meaning.THROTTLED, error="ProvisionedThroughputExceededException")
        return Reply(Meaning.ACCEPTED, unwritten, {TABLE: float(taken)})


class Written(Protocol):
    def write(self, batch: Sequence[Operation], writer: int) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Port:
    table: Written
    writer: int

    def begin(self, batch: Sequence[Operation], seconds: float, submit: Submit) -> Running[Reply]:  # noqa: ARG002
        return submit(self.table.write, batch, self.writer)

    def has_room(self, in_flight: int) -> bool:  # noqa: ARG002
        return True

    def renew(self) -> None:
        """Nothing to do: no credentials are needed."""

    def reply(self, batch: Sequence[Operation], answer: Reply) -> Reply:  # noqa: ARG002
        return answer


def operations(count: int, prefix: str, keys: int = 0, table: str = TABLE) -> list[Operation]:
    """Puts of one write unit, spread over so many partition keys; 0: each has its own."""
    source = Source("m", False, 0)
    return [
        BatchWrite(key=(table, f"{prefix}-{n % (keys or count)}", f"{n}"), source=source, body=b"{}")
        for n in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of 1. Steady: from 5 s on until the first invocation has ended."""

    use: float
    waste: float
    whole_use: float
    whole_waste: float
    slowest: float
    """How long the slowest invocation took, by the mean."""
    calls: float
    """By the least number of calls."""


@dataclass(frozen=True, slots=True)
class Scenario:
    rate: float
    burst: float
    per_second: bool
    writers: int
    seconds: float = 30.0
    stagger: float = 0.0
    """Seconds between the beginnings of two invocations."""
    rounds: int = 1
    """Invocations of each writer, one after the other, warm but for the first."""
    latency: float = LATENCY

    @property
    def name(self) -> str:
        kind = "windows" if self.per_second else f"{self.burst:g} s"
        return f"{self.rate:.0f}/s {kind} W={self.writers}"


def simulate(scenario: Scenario, seed: int = 0, settle: float = 5.0) -> Figures:
    """Every writer gets the same share of what the table takes in so many seconds."""
    time, chance = Time(), Random(seed)
    table = Table(time, Capacity(scenario.rate, scenario.burst, scenario.per_second))
    count = int(scenario.rate * scenario.seconds / scenario.writers / scenario.rounds)
    lasted: list[float] = []
    ends: list[float] = []

    def body(writer: int) -> Callable[[Actor], None]:
        def run(actor: Actor) -> None:
            actor.sleep(writer * scenario.stagger + chance.random() * 0.02)
            send_rates: dict[str, SendRate] = {}
            begun = time.now
            for number in range(scenario.rounds):
                _write(actor, table.of(writer), operations(count, f"w{writer}r{number}"), send_rates, chance, scenario)
            lasted.append(time.now - begun)
            ends.append(time.now)

        return run

    time.run(*(body(writer) for writer in range(scenario.writers)))
    begin = settle + scenario.stagger * (scenario.writers - 1)
    return _figures(table, scenario, begin, min(ends), lasted)


def _write(
    actor: Actor, port: Port, work: list[Operation], send_rates: dict[str, SendRate], chance: Random, scenario: Scenario
) -> None:
    writer = Writer(
        port,
        deadline=actor.time.now + 100 * scenario.seconds,
        patience=1.0,
        connections=8,
        write_units_per_second=float("inf"),
        clock=lambda: actor.time.now,
        sleep=actor.sleep,
        random=chance.random,
        executor=lambda _: Calls(actor, chance, scenario.latency),
        send_rates=send_rates,
    )
    written = writer.write(work)
    if written.written != set(work):
        raise AssertionError(f"{len(work) - len(written.written)} of {len(work)} operations not written")


def _figures(table: Table, scenario: Scenario, begin: float, end: float, lasted: Sequence[float]) -> Figures:
    steady = [call for call in table.arrivals if begin <= call.at < end]
    sent, taken = sum(call.sent for call in steady), sum(call.taken for call in steady)
    whole_sent, whole_taken = (
        sum(call.sent for call in table.arrivals),
        sum(call.taken for call in table.arrivals),
    )
    return Figures(
        use=taken / (end - begin) / scenario.rate if end > begin else 0.0,
        waste=1 - taken / sent if sent else 0.0,
        whole_use=whole_taken / table.arrivals[-1].at / scenario.rate,
        whole_waste=1 - whole_taken / whole_sent,
        slowest=max(lasted) / statistics.mean(lasted),
        calls=len(table.arrivals) / (whole_taken / 25),
    )


@dataclass(frozen=True, slots=True)
class HotFigures:
    others_slower: float
    """How long the other keys took, by how long they take where the range has no limit of its own."""
    hot_use: float
    """Of the range's capacity, until all of its operations were written."""
    hot_waste: float


def simulate_hot(
    table_rate: float, hot_rate: float, keys: int, *, seconds: float = 10.0, seed: int = 0, writers: int = 1
) -> HotFigures:
    """A range of so many partition keys (0: each item its own) that takes `hot_rate`, beside others that do not."""
    scenario = Scenario(table_rate, 0.1, False, writers, seconds * 4)

    def run(own_rate: float) -> tuple[Table, float]:
        time, chance = Time(), Random(seed)
        table = Table(time, Capacity(table_rate, 0.1), {"hot": Capacity(own_rate, 0.1)})
        work = operations(int(table_rate * seconds * 0.8), "cool")
        work += operations(int(2 * hot_rate * seconds), "hot", keys)
        chance.shuffle(work)

        def body(writer: int) -> Callable[[Actor], None]:
            share = plan.interleave(work[writer::writers])
            return lambda actor: _write(actor, table.of(writer), share, {}, chance, scenario)

        time.run(*(body(writer) for writer in range(writers)))
        return table, max(table.written["cool"])

    (_, even), (table, beside) = run(10 * table_rate), run(hot_rate)
    hot = table.written["hot"]
    lost = sum(call.sent - call.taken for call in table.arrivals)
    return HotFigures(beside / even, len(hot) / max(hot) / hot_rate, lost / (lost + len(hot)))


BUCKETS = ((0.1, False), (1.0, False), (1.0, True))


def grid(seconds: float) -> list[Scenario]:
    return [
        Scenario(rate, burst, per_second, writers, seconds)
        for rate in (100.0, 1000.0, 4000.0)
        for burst, per_second in BUCKETS
        for writers in (1, 4, 16)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stagger", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    row = "{:26} {:>7} {:>7} {:>10} {:>10} {:>8} {:>6}\n".format
    sys.stdout.write(row("table", "use", "waste", "whole use", "waste", "slowest", "calls"))
    for scenario in grid(options.seconds):
        if options.only not in scenario.name:
            continue
        scenario = Scenario(
            scenario.rate,
            scenario.burst,
            scenario.per_second,
            scenario.writers,
            scenario.seconds,
            options.stagger,
            options.rounds,
        )
        runs = [simulate(scenario, seed) for seed in range(options.seeds)]

        def mean(name: str, runs: list[Figures] = runs) -> float:
            return float(statistics.mean(getattr(run, name) for run in runs))

        sys.stdout.write(
            row(
                scenario.name,
                f"{mean('use'):.1%}",
                f"{mean('waste'):.1%}",
                f"{mean('whole_use'):.1%}",
                f"{mean('whole_waste'):.1%}",
                f"{max(run.slowest for run in runs):.2f}",
                f"{mean('calls'):.2f}",
            )
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
