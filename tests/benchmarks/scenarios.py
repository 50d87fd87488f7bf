"""What the send rate is for, as scenarios in virtual time: the real writer against tables that do what tables do.

`python -m tests.benchmarks.scenarios [--only 'leave|step'] [--seeds 201,202] [--set CUT=0.4]` prints each scenario's
figures, the means over the seeds. The same seed gives the same figures. Seeds 1 to 199 are for tuning; judge by others.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from random import Random

from sluice.aws.meanings import Meaning, Reply
from sluice.message.operation import Operation, SingleWrite, Source
from sluice.writing import send_rate as module
from sluice.writing.outcome import WriteOutcome
from sluice.writing.send_rate import SendRate
from sluice.writing.writer import After, Writer
from tests.benchmarks.actors import Actor, Calls, Time
from tests.benchmarks.simulation import (
    LATENCY,
    TABLE,
    Arrival,
    Capacity,
    Port,
    Scenario,
    Table,
    operations,
    simulate,
    simulate_hot,
)

Figures = Mapping[str, float]
STEP = 0.1
"""Seconds between the windows that `seconds_until` looks at."""


class Unpaced(SendRate, frozen=True, gc=False):
    """No rate: what was refused waits for its own backoff alone."""

    def learn(self, sent: float, lost: float, sent_at: float, now: float) -> SendRate:  # noqa: ARG002
        return self

    def resumed(self, now: float) -> SendRate:  # noqa: ARG002
        return self


@dataclass(frozen=True, slots=True)
class Bucket:
    """How a table saves what is not used: so many seconds' worth, or nothing beyond the second of the clock."""

    burst: float
    per_second: bool = False

    @property
    def name(self) -> str:
        return "by the second" if self.per_second else f"{self.burst:g} s"

    def capacity(self, rate: float) -> Capacity:
        return Capacity(rate, self.burst, self.per_second)


BUCKETS = (Bucket(1.0), Bucket(0.1), Bucket(1.0, per_second=True))


class World:
    """One table, one clock, and whoever writes to it."""

    def __init__(self, seed: int, capacity: Capacity, *, loss: float = 0.0, lumps: float = 0.0) -> None:
        self.time, self.chance = Time(), Random(seed)
        self.table = Table(self.time, capacity, loss=loss, lumps=lumps, chance=Random(seed + 1000))

    def invoke(
        self,
        actor: Actor,
        writer: int,
        work: Sequence[Operation],
        send_rates: MutableMapping[str, SendRate],
        seconds: float,
        after: After | None = None,
        write_units_per_second: float = math.inf,
        port: Port | None = None,
    ) -> WriteOutcome:
        """One invocation: to the end of its work, or of so many seconds."""
        made = Writer(
            port or self.table.of(writer),
            deadline=self.time.now + seconds,
            patience=1.0,
            connections=8,
            write_units_per_second=write_units_per_second,
            clock=lambda: self.time.now,
            sleep=actor.sleep,
            random=self.chance.random,
            executor=lambda _: Calls(actor, self.chance, LATENCY),
            send_rates=send_rates,
            after=after,
        )
        return made.write(work)

    def calls(self, begin: float, end: float, *, ours: bool = False) -> Sequence[Arrival]:
        return [call for call in self.table.arrivals if begin <= call.at < end and (call.writer >= 0 or not ours)]

    def taken(self, begin: float, end: float, *, ours: bool = False) -> int:
        return sum(call.taken for call in self.calls(begin, end, ours=ours))

    def wasted(self, begin: float, end: float, *, ours: bool = False) -> float:
        """The share of what was sent."""
        calls = self.calls(begin, end, ours=ours)
        sent = sum(call.sent for call in calls)
        return 1 - sum(call.taken for call in calls) / sent if sent else 0.0

    def seconds_until(
        self,
        begin: float,
        end: float,
        units: float,
        *,
        window: float = 0.5,
        most_waste: float = 1.0,
        ours: bool = False,
    ) -> float:
        """From `begin` to the end of the first window in which so many units a second are taken, and little wasted."""
        for number in range(int((end - begin - window) / STEP) + 1):
            at = begin + number * STEP
            enough = self.taken(at, at + window, ours=ours) >= units * window
            if enough and self.wasted(at, at + window, ours=ours) <= most_waste:
                return at + window - begin
        return math.inf


def whole(seed: int, rate: float, bucket: Bucket, writers: int, stagger: float = 0.0, rounds: int = 1) -> Figures:
    """Invocations that begin together and have equal shares, from the first call to the last, and while all run."""
    found = simulate(Scenario(rate, bucket.burst, bucket.per_second, writers, 20.0, stagger, rounds), seed)
    return {
        "used": found.whole_use,
        "wasted": found.whole_waste,
        "steady used": found.use,
        "steady wasted": found.waste,
        "slowest": found.slowest,
        "calls": found.calls,
    }


def whole_singles(seed: int, writers: int, rate: float = 1000.0, seconds: float = 20.0) -> Figures:
    """The same with single writes, each a call of its own."""
    world, ends = World(seed, BUCKETS[0].capacity(rate)), list[float]()
    count = int(rate * seconds / writers)

    def body(writer: int) -> Callable[[Actor], None]:
        def run(actor: Actor) -> None:
            actor.sleep(world.chance.random() * 0.02)
            world.invoke(actor, writer, singles(count, f"w{writer}"), {}, 10 * seconds)
            ends.append(world.time.now)

        return run

    world.time.run(*(body(writer) for writer in range(writers)))
    return {
        "used": world.taken(0.0, math.inf) / max(ends) / rate,
        "wasted": world.wasted(0.0, math.inf),
        "steady wasted": world.wasted(5.0, min(ends)),
        "slowest": max(ends) / statistics.mean(ends),
    }


@dataclass(frozen=True, slots=True)
class TwoTables:
    """A small table beside one without a limit, written to by the same calls."""

    small: Table
    large: Table

    def write(self, batch: Sequence[Operation], writer: int) -> Reply:
        unwritten, consumed = list[Operation](), dict[str, float]()
        for table, name in ((self.small, TABLE), (self.large, LARGE)):
            part = [operation for operation in batch if operation.table == name]
            reply = table.write(part, writer) if part else Reply(Meaning.ACCEPTED)
            unwritten += part if reply.meaning is Meaning.THROTTLED else reply.unwritten
            consumed[name] = float(len(part) - len(reply.unwritten)) if reply.meaning is Meaning.ACCEPTED else 0.0
        if len(unwritten) == len(batch):
            return Reply(Meaning.THROTTLED, error="ProvisionedThroughputExceededException")
        return Reply(Meaning.ACCEPTED, unwritten, consumed)


LARGE = "large"


def two_tables(seed: int, small: float = 100.0, count: int = 10_000) -> Figures:
    """A tenth goes to a table of 100 units/s, the rest to one without a limit: by how much is the rest slowed?"""
    ends = []
    for names in ((LARGE,), (LARGE, TABLE)):
        world = World(seed, BUCKETS[0].capacity(small))
        tables = TwoTables(world.table, Table(world.time, Capacity(math.inf), chance=Random(seed)))
        work = [put for name in names for put in operations(count if name == LARGE else count // 10, name, table=name)]
        world.chance.shuffle(work)

        def run(actor: Actor, world: World = world, tables: TwoTables = tables, work: list[Operation] = work) -> None:
            world.invoke(actor, 0, work, {}, 60.0, port=Port(tables, 0))

        world.time.run(run)
        ends.append(tables.large.arrivals[-1].at)
    calls = world.table.arrivals
    return {
        "time of the rest": ends[1] / ends[0],
        "used of small": sum(call.taken for call in calls) / calls[-1].at / small,
        "wasted of small": world.wasted(0.0, math.inf),
    }


def leave(seed: int, bucket: Bucket, rate: float = 1000.0, leavers: int = 3) -> Figures:
    """All but one of four end after 8 s: how soon has the last one 90 % of the table?"""
    world, ends = World(seed, bucket.capacity(rate)), list[float]()

    def body(writer: int, seconds: float) -> Callable[[Actor], None]:
        def run(actor: Actor) -> None:
            actor.sleep(world.chance.random() * 0.02)
            world.invoke(actor, writer, operations(int(rate * 30), f"w{writer}"), {}, seconds)
            ends.append(world.time.now)

        return run

    world.time.run(body(0, 18.0), *(body(1 + number, 8.0) for number in range(leavers)))
    end = sorted(ends)[-2]
    return {
        "90 % after s": world.seconds_until(end, 18.0, 0.9 * rate),
        "used after": world.taken(end, 18.0) / rate / (18.0 - end),
        "wasted after": world.wasted(end, 18.0),
    }


def step(seed: int, bucket: Bucket, writers: int, low: float = 100.0, high: float = 1000.0) -> Figures:
    """The table falls to a tenth after 8 s, and rises again after 16 s."""
    world = World(seed, bucket.capacity(high))
    world.time.at(8.0, lambda: world.table.capacity.change(low))
    world.time.at(16.0, lambda: world.table.capacity.change(high))

    def body(writer: int) -> Callable[[Actor], None]:
        def run(actor: Actor) -> None:
            actor.sleep(world.chance.random() * 0.02)
            world.invoke(actor, writer, operations(int(high * 24), f"w{writer}"), {}, 24.0)

        return run

    world.time.run(*(body(writer) for writer in range(writers)))
    return {
        "down after s": world.seconds_until(8.0, 16.0, 0.9 * low, window=1.0, most_waste=0.1),
        "wasted in 3 s": world.wasted(8.0, 11.0),
        "up after s": world.seconds_until(16.0, 24.0, 0.9 * high),
        "wasted in 3 s up": world.wasted(16.0, 19.0),
    }


def _constant(
    seed: int, loss: float, send_rate: SendRate, count: int, lumps: float = 0.0, seconds: float = 10.0
) -> tuple[list[int], int]:
    world, written, send_rates = (
        World(seed, Capacity(math.inf), loss=loss, lumps=lumps),
        list[int](),
        {TABLE: send_rate},
    )

    def run(actor: Actor) -> None:
        for number in range(3):
            outcome = world.invoke(actor, 0, operations(count, f"r{number}"), send_rates, seconds)
            written.append(len(outcome.written))

    world.time.run(run)
    return written, len(world.table.arrivals)


def constant(seed: int, loss: float, count: int = 5000) -> Figures:
    """A table without a limit that refuses a share: three warm invocations of 10 s beside a sender without a rate."""
    (written, calls), (unpaced, unpaced_calls) = (
        _constant(seed, loss, send_rate, count) for send_rate in (SendRate(), Unpaced())
    )
    return {
        "written of unpaced": sum(written) / sum(unpaced),
        "the last of three": written[-1] / unpaced[-1],
        "calls a write of unpaced": calls / sum(written) * sum(unpaced) / unpaced_calls,
    }


def lumpy(seed: int, lumps: float = 0.05, count: int = 3000) -> Figures:
    """A table without a limit that refuses a part of a call now and then, in three warm invocations of 1 s each."""
    written, unpaced = (_constant(seed, 0.0, send_rate, count, lumps, 1.0)[0] for send_rate in (SendRate(), Unpaced()))
    return {"written of unpaced": sum(written) / sum(unpaced), "the last of three": written[-1] / unpaced[-1]}


def endless(seed: int, loss: float, seconds: float = 4.0) -> Figures:
    """The same with more work than there is time for."""
    taken = []
    for send_rate in (SendRate(), Unpaced()):
        world = World(seed, Capacity(math.inf), loss=loss)

        def run(actor: Actor, world: World = world, send_rate: SendRate = send_rate) -> None:
            world.invoke(actor, 0, operations(60_000, "e"), {TABLE: send_rate}, seconds)

        world.time.run(run)
        taken.append(world.taken(0.0, seconds))
    return {"written of unpaced": taken[0] / taken[1]}


def singles(count: int, prefix: str) -> list[Operation]:
    """Conditional writes of one write unit."""
    source = Source("m", False, 0)
    return [
        SingleWrite(
            key=(TABLE, f"{prefix}-{n}", f"{n}"),
            source=source,
            call="put_item",
            body=b"{}",
            is_conditional=True,
        )
        for n in range(count)
    ]


def _fifo(seed: int, loss: float, send_rate: SendRate, count: int) -> float:
    world, work, lasted = World(seed, Capacity(math.inf), loss=loss), singles(count, "f"), list[float]()
    following = dict(pairwise(work))

    def after(ended: Sequence[Operation], _: WriteOutcome) -> Sequence[Operation]:
        return [following[done] for done in ended if done in following]

    def run(actor: Actor) -> None:
        world.invoke(actor, 0, work[:1], {TABLE: send_rate}, 60.0, after)
        lasted.append(world.time.now)

    world.time.run(run)
    return lasted[0]


def fifo(seed: int, loss: float = 0.36, count: int = 40) -> Figures:
    """Messages of one group, each a single write after the one before, beside plain backoff."""
    seconds, plain = (_fifo(seed, loss, send_rate, count) for send_rate in (SendRate(), Unpaced()))
    return {"s": seconds, "of plain backoff": seconds / plain}


def neighbour(
    seed: int, bucket: Bucket, writers: int, rate: float = 500.0, offered: float = 1000.0, units: int = 25
) -> Figures:
    """Beside one that offers twice the table and never backs off: ten invocations of 6 s, then alone."""
    seconds, tail, invocations = 6.0, 8.0, 10
    world, stop = World(seed, bucket.capacity(rate)), 60.0
    filler = operations(units, "n")

    def greedy(actor: Actor) -> None:
        while world.time.now < stop:
            world.table.write(filler, -1)
            actor.sleep(units / offered * world.chance.uniform(0.8, 1.2))

    def body(writer: int) -> Callable[[Actor], None]:
        def run(actor: Actor) -> None:
            actor.sleep(world.chance.random() * 0.02)
            send_rates: dict[str, SendRate] = {}
            for number in range(invocations):
                ends = (number + 1) * seconds + (tail if number == invocations - 1 else 0.0)
                work = operations(int(rate * (seconds + tail)), f"w{writer}i{number}")
                world.invoke(actor, writer, work, send_rates, ends - world.time.now)

        return run

    world.time.run(greedy, *(body(writer) for writer in range(writers)))
    shares = [world.taken(n * seconds, (n + 1) * seconds, ours=True) / rate / seconds for n in range(invocations)]
    return {
        "share": statistics.mean(shares),
        "least": min(shares),
        "last": shares[-1],
        "wasted": world.wasted(0.0, stop, ours=True),
        "95 % after s": world.seconds_until(stop, stop + tail, 0.95 * rate, ours=True),
    }


def hot(seed: int, keys: int, writers: int) -> Figures:
    found = simulate_hot(1000.0, 100.0, keys, seed=seed, writers=writers)
    return {"others took": found.others_slower, "used of range": found.hot_use, "wasted": found.hot_waste}


def bounded(seed: int, most: float = 200.0) -> Figures:
    """MAX_WRITE_UNITS_PER_SECOND on a table without a limit."""
    world = World(seed, Capacity(math.inf))

    def run(actor: Actor) -> None:
        world.invoke(actor, 0, operations(2000, "m"), {}, 8.0, write_units_per_second=most)

    world.time.run(run)
    return {
        "most in a second": max(world.taken(n / 10, n / 10 + 1) for n in range(70)) / most,
        "mean": world.taken(1.0, 7.0) / 6 / most,
    }


def _all() -> dict[str, Callable[[int], Figures]]:
    found: dict[str, Callable[[int], Figures]] = {}
    for writers in (1, 4, 16):
        for bucket in BUCKETS:
            for rate in (100.0, 1000.0, 4000.0):
                name = f"whole, {writers} on {rate:,.0f}/s, {bucket.name}"
                found[name] = partial(whole, rate=rate, bucket=bucket, writers=writers)
    for writers in (1, 4):
        found[f"single writes, {writers} on 1,000/s, 1 s"] = partial(whole_singles, writers=writers)
    found["two tables"] = two_tables
    for bucket in BUCKETS:
        found[f"leave, {bucket.name}"] = partial(leave, bucket=bucket)
    for writers in (1, 4):
        for bucket in BUCKETS:
            found[f"step, {writers}, {bucket.name}"] = partial(step, bucket=bucket, writers=writers)
    found["lumps, 5% of calls"] = lumpy
    for loss in (0.1, 0.3, 0.5, 0.7):
        found[f"constant, {loss:.0%}"] = partial(constant, loss=loss)
        found[f"endless, {loss:.0%}"] = partial(endless, loss=loss)
    for writers in (1, 4):
        found[f"neighbour, {writers}"] = partial(neighbour, bucket=BUCKETS[0], writers=writers)
    found["neighbour, 1, 0.1 s"] = partial(neighbour, bucket=BUCKETS[1], writers=1)
    found["neighbour, 1, in single writes"] = partial(neighbour, bucket=BUCKETS[0], writers=1, units=1)
    for keys, writers in ((1, 1), (10, 1), (0, 1), (0, 4)):
        found[f"hot, {keys or 'all'} keys, {writers}"] = partial(hot, keys=keys, writers=writers)
    found["fifo, 36%"] = fifo
    found["join, 4 each 2 s"] = partial(whole, rate=1000.0, bucket=BUCKETS[0], writers=4, stagger=2.0)
    found["warm, 4 three rounds"] = partial(whole, rate=1000.0, bucket=BUCKETS[0], writers=4, rounds=3)
    found["bounded"] = bounded
    return found


SCENARIOS = _all()

GOALS: Sequence[tuple[str, str, bool, float]] = (
    *((f"whole, {writers} on 1,000/s, 1 s", "used", True, 0.97) for writers in (1, 4, 16)),
    ("whole, 1 on 1,000/s, 1 s", "wasted", False, 0.03),
    ("whole, 4 on 1,000/s, 1 s", "wasted", False, 0.06),
    ("whole, 16 on 1,000/s, 1 s", "wasted", False, 0.10),
    *((f"leave, {bucket.name}", "90 % after s", False, 2.5) for bucket in BUCKETS),
    *((f"step, {writers}, 1 s", figure, False, 4.0) for writers in (1, 4) for figure in ("down after s", "up after s")),
    *((f"constant, {loss}", "written of unpaced", True, 0.8) for loss in ("10%", "30%", "50%", "70%")),
    ("fifo, 36%", "of plain backoff", False, 1.5),
    ("neighbour, 1", "share", True, 0.2),
    ("neighbour, 1", "95 % after s", False, 4.0),
    ("bounded", "most in a second", False, 1.0),
)
"""Of a scenario the figure, whether it is to be that much at least (else at most), and how much."""


def run(name: str, seeds: Sequence[int]) -> Figures:
    """The means over the seeds."""
    runs = [SCENARIOS[name](seed) for seed in seeds]
    return {figure: statistics.mean(each[figure] for each in runs) for figure in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="parts of names, any of them: 'leave|step'")
    parser.add_argument("--seeds", default="201,202")
    parser.add_argument("--set", default="", help="constants of send_rate.py to try: 'CUT=0.4,PAUSE=0.2'")
    options = parser.parse_args()
    for name, _, value in (pair.partition("=") for pair in options.set.split(",") if pair):
        if not hasattr(module, name):
            parser.error(f"send_rate.py has no {name}")
        setattr(module, name, float(value))
    seeds = [int(seed) for seed in options.seeds.split(",")]
    for name in SCENARIOS:
        if any(part in name for part in options.only.split("|")):
            figures = "  ".join(f"{figure}={value:.3f}" for figure, value in run(name, seeds).items())
            sys.stdout.write(f"{name:32} {figures}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
