"""One seed of the simulation: producers, a queue, environments of Lambda side by side, weather, and the end.

Everything that can happen is drawn from the seed, and happens in virtual time: the same seed is the same simulation,
to the last byte.
"""

from __future__ import annotations

import time as real_time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from msgspec.structs import replace

from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import NothingWrittenError
from sluice.message.settings import Settings, Table

from . import network, queues, service
from .chance import Chance
from .dynamodb import DynamoDB
from .model import Invocation, Model, Trace, ViolationError
from .network import Network
from .process import KilledError, Process
from .queues import FifoQueue, Queue, StandardQueue
from .sqs import Sqs
from .tables import FastTables, StrictTables, Tables
from .virtual_time import Context, DeadlockError, Time
from .workload import TABLES, Load, Message, Place, Workload

TIMEOUT = 30.0
"""Seconds that an invocation may take."""
DLQ_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters"
MAX_WEATHER_CALLS, MAX_WEATHER_SECONDS = 300, 60.0
"""Weather lasts for so many calls, or seconds where there are fewer: bad weather must not mean little work."""
LAST_WEATHER = 60.0
"""Seconds after the last message was sent until there are no faults any more."""
MAX_DRAIN = 6 * 3600.0
"""Seconds after which whatever is still on the queue is lost."""
MAX_IDLE = 5.0
STRICT_EVERY = 5
"""Of so many seeds one has the strict fake of DynamoDB."""
MAX_JUMP = 900.0
MAX_FREEZE = 900.0

OF_THE_PROCESS = (
    "killed at some time", "killed while sending", "frozen", "clock jumps forward", "clock jumps back",
    "timed out",
)  # fmt: skip
OUTAGES = (
    "throttled", "unprocessed", "silence, not carried out", "error 500, not carried out", "error 500, carried out",
    "reset, carried out", "connection refused", "name not found",
)  # fmt: skip
"""Kinds of which one alone stops all writing."""
KINDS = (*network.KINDS, *service.KINDS, *queues.KINDS, *OF_THE_PROCESS)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a seed is about."""

    load: Load
    actors: int
    """Environments of Lambda side by side."""
    event: int
    """Messages of an event, at most."""
    update_once: bool
    max_units: float
    is_strict: bool
    skips: bool
    """All tables are read before they are written, not the feed alone."""

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(replace(table, skip_unchanged=self.skips or table.skip_unchanged) for table in TABLES)

    @classmethod
    def drawn(cls, seed: int) -> Scene:
        random = Random(f"scene {seed}")
        load = Load.drawn(random)
        return cls(
            load=load,
            actors=random.choice((1, 2, 3, 4)),
            event=10 if load.groups else random.choice((10, 60, 250, 1000)),
            update_once=random.random() < 0.4,
            max_units=random.choice((float("inf"), float("inf"), float("inf"), 50.0)),
            is_strict=seed % STRICT_EVERY == 0,
            skips=random.random() < 0.5,
        )


@dataclass(slots=True)
class Result:
    """What happened; `checksum` is that of everything, in order."""

    seed: int
    messages: int
    checksum: int
    seen: Counter[str]
    counts: Counter[str]
    checked: Counter[str]
    virtual_seconds: float
    cpu_seconds: float
    violation: ViolationError | None = None
    lines: list[str] = field(default_factory=list)
    """The trace of the message that the violation is about, in a replay."""


# Long: it sets all parts up and hands over between them.
class World:
    def __init__(self, seed: int, messages: int, scene: Scene | None = None) -> None:
        self.scene = scene or Scene.drawn(seed)
        self.time = Time()
        self.chance = Chance(seed, KINDS, OUTAGES)
        self.net = Network(self.time, self.chance)
        self.workload = Workload(Random(f"workload {seed}"), self.scene.load)
        self.trace = Trace()
        self.model = Model(
            self.workload, self.trace, update_once=self.scene.update_once, max_units=self.scene.max_units
        )
        is_fifo = bool(self.scene.load.groups)
        self.queue: Queue = FifoQueue(self.chance) if is_fifo else StandardQueue(self.chance)
        self.queue_arn = f"arn:aws:sqs:us-east-1:123456789012:work{'.fifo' if is_fifo else ''}"
        dlq = f"{DLQ_URL}{'.fifo' if is_fifo else ''}"
        self.tables: Tables = StrictTables(self._now) if self.scene.is_strict else FastTables(self._now)
        self.dynamodb = DynamoDB(self.time, self.chance, self.model, self.workload, self.tables)
        self.dynamodb.skipping = {table.name for table in self.scene.tables if table.skip_unchanged}
        self.sqs = Sqs(self.time, self.chance, self.model, self.workload, self.queue, dlq)
        self.settings = Settings(
            self.scene.tables,
            dead_letter_queue_url=dlq,
            update_once=self.scene.update_once,
            max_write_units_per_second=self.scene.max_units,
        )
        self.watched_id = ""
        self._to_send = messages
        self._total = messages
        self._acknowledged = 0
        self._invocations = 0
        self._sent_all_at = 0.0
        self._tokens = self._weather = 0
        self.dynamodb.calls_are_over = self._change_weather
        self._random = self.chance.random

    def _now(self) -> float:
        return self.time.now

    def run(self) -> None:
        """Raises `ViolationError`."""
        for number in range(self.scene.actors):
            self.time.spawn(lambda context, number=number: self._live(context, number), f"lambda-{number}")  # type: ignore[misc]
        self._change_weather()
        self.time.run()
        self.model.check_end(self.tables.states())

    # The weather

    def _change_weather(self) -> None:
        if self._sent_all_at and self.time.now >= self._sent_all_at + LAST_WEATHER:
            self.chance.clear_up()
            self.dynamodb.capacity, self.dynamodb.hot, self.dynamodb.denied = None, None, None
            self.dynamodb.calls_left = -1
            self._weather += 1
            return
        if self._acknowledged == self._total:
            self._weather += 1
            return
        self.chance.change()
        random, is_bad = self._random, not self.chance.is_calm
        self.dynamodb.capacity = (
            random.choice((20.0, 100.0, 500.0, 2000.0)) if is_bad and random.random() < 0.3 else None
        )
        self.dynamodb.hot = self._one_in_seven() if is_bad and random.random() < 0.2 else None
        self.dynamodb.hot_capacity = random.choice((1.0, 20.0, 200.0))
        self.dynamodb.denied = self._denied() if is_bad and random.random() < 0.2 else None
        if is_bad and random.random() < 0.2:
            self._tokens += 1
            self.model.changes += 1
            self.dynamodb.token = self.sqs.token = f"token{self._tokens}"
        self.dynamodb.calls_left = -1 if self.chance.is_outage else int(random.uniform(5, MAX_WEATHER_CALLS))
        self._weather += 1
        self.time.after(random.uniform(0, MAX_WEATHER_SECONDS), self._end_weather, self._weather)

    def _end_weather(self, number: int) -> None:
        if number == self._weather:
            self._change_weather()

    def _denied(self) -> Callable[[Place], bool]:
        if self._random.random() < 0.2:
            table = self._random.choice(TABLES).name

            def is_of_table(place: Place) -> bool:
                if place[0] != table:
                    return False
                self.chance.count("table denied")
                return True

            return is_of_table
        return self._one_in_seven()

    def _one_in_seven(self) -> Callable[[Place], bool]:
        rest = self._random.randrange(7)
        return lambda place: zlib.crc32(place[1].encode()) % 7 == rest

    # An environment of Lambda

    def _live(self, context: Context, number: int) -> None:
        process = self._start(context)
        while self._acknowledged < self._total:
            messages = self._receive()
            if not messages:
                self._wait(context)
                continue
            is_alive = self._invoke(process, f"lambda-{number}", messages)
            if not is_alive:
                process.close()
                process = self._start(context)
            elif self.chance.hits("frozen", 0.02):
                seconds = self._random.uniform(10, MAX_FREEZE)
                self.time.sleep(context, seconds)
                process.frozen += seconds * self._random.choice((0, 1))
        process.close()

    def _start(self, context: Context) -> Process:
        return Process(self.net, context, self.settings, (self.dynamodb, self.sqs))

    def _receive(self) -> list[Message]:
        wanted = 1 + int(self._random.random() * self.scene.event)
        messages = self.queue.receive(wanted, self.time.now)
        if self._to_send and len(messages) < wanted / 2:
            fresh = min(self._to_send, wanted - len(messages) if not self.scene.load.groups else 3 * wanted)
            for _ in range(fresh):
                self._send()
            messages += self.queue.receive(wanted - len(messages), self.time.now) if not messages else []
        return messages

    def _send(self) -> None:
        message = self.workload.next()
        if message.id == self.watched_id:
            self.trace.watch(message)
        self.trace.note(self.time.now, f"sent: {message.id}", "producer", [message])
        self.queue.send(message, self.time.now)
        self._to_send -= 1
        if not self._to_send:
            self._sent_all_at = max(self.time.now, 1e-9)

    def _wait(self, context: Context) -> None:
        if self._sent_all_at and self.time.now > self._sent_all_at + MAX_DRAIN:
            left = next(message for message in self.workload.messages if not message.is_acknowledged)
            raise ViolationError(f"still on the queue after {MAX_DRAIN:.0f} s", left.id)
        seconds = self.queue.next_visible() - self.time.now
        self.time.sleep(context, max(0.01, min(seconds, MAX_IDLE)))

    def _invoke(self, process: Process, who: str, messages: list[Message]) -> bool:
        """Whether the process is alive afterwards."""
        self._invocations += 1
        now = self.time.now
        invocation = Invocation(self._invocations, f"{who} #{self._invocations}", messages, now, now + TIMEOUT)
        invocation.changes = self.model.changes
        faults, stalls = self._faults(), self.chance.seen["stall"]
        is_calm = self._is_calm()
        self.trace.note(now, f"invoked with {len(messages)} messages", invocation.who, messages)
        self._plan_trouble(process, invocation)
        try:
            outcome = process.run(invocation, queues.events(messages, self.queue_arn), TIMEOUT)
        except KilledError as killed:
            self.trace.note(self.time.now, f"killed {killed}", invocation.who, messages)
            if killed.args and self.chance.seen["stall"] == stalls:
                raise ViolationError("does not answer in time", messages[0].id) from None
            return False
        except ViolationError:
            raise
        except Exception as error:
            raise ViolationError(f"raised {error!r}", messages[0].id) from error
        self._learn(invocation, outcome)
        # A send rate that has fallen rises again, but at its own pace.
        process.is_slowed = process.is_slowed or invocation.is_slowed
        if is_calm and not process.is_slowed and self._is_calm() and faults == self._faults():
            self.model.check_calm(invocation, outcome)
        return True

    def _plan_trouble(self, process: Process, invocation: Invocation) -> None:
        self.time.at(invocation.ends + 1e-3, self._time_out, process, invocation)
        if not self.chance.level:
            return
        if self.chance.hits("killed at some time", 0.03):
            self.time.after(self._random.random() ** 3 * 10, process.kill, invocation, KilledError())
        elif self.chance.hits("killed while sending", 0.03):
            process.sends_left = int(self._random.random() ** 2 * 20)
        if self._random.random() < 0.03 * self.chance.level:
            self.time.after(self._random.random() ** 2 * 5, self._jump, process)

    def _time_out(self, process: Process, invocation: Invocation) -> None:
        if process.invocation is invocation:
            self.chance.count("timed out")
            process.kill(invocation, KilledError("timed out"))

    def _jump(self, process: Process) -> None:
        self.model.changes += 1
        before, process.skew = process.skew, self._random.choice((0.0, self._random.uniform(-MAX_JUMP, MAX_JUMP)))
        self.chance.count("clock jumps forward" if process.skew > before else "clock jumps back")

    def _is_calm(self) -> bool:
        return (
            self.chance.is_calm
            and self.dynamodb.capacity is None
            and not self.dynamodb.hot
            and self.dynamodb.denied is None
        )

    def _faults(self) -> int:
        return self.chance.harmful

    def _learn(self, invocation: Invocation, outcome: Outcome) -> None:
        done = self.model.answered(invocation, outcome, self.time.now)
        counts = self.model.counts
        counts["invocations"] += 1
        operations = outcome.operations
        counts["unchanged by reading"] += len(operations.unchanged)
        counts["stale by reading"] += len(operations.by_reading) - len(operations.unchanged)
        counts["reads that failed"] += len(operations.reads_failed)
        counts["returned"] += len(invocation.messages) - len(done)
        counts["nothing written"] += isinstance(outcome.error, NothingWrittenError)
        counts["raised for a table"] += outcome.error is not None and not isinstance(outcome.error, NothingWrittenError)
        what = type(outcome.error).__name__ if outcome.error else f"{len(done)} done"
        self.trace.note(self.time.now, f"answers: {what}", invocation.who, invocation.messages)
        for message in done:
            if not message.is_acknowledged:
                message.is_acknowledged = True
                self._acknowledged += 1


def simulate(seed: int, messages: int, *, watched_id: str = "", scene: Scene | None = None) -> Result:
    """One seed, with so many messages. `watched_id`: whose trace is kept."""
    started = real_time.process_time()
    world = World(seed, messages, scene)
    world.watched_id = watched_id
    violation = None
    try:
        world.run()
    except ViolationError as found:
        violation = found
    except DeadlockError as found:
        violation = ViolationError(str(found))
    counts = world.model.counts
    counts["calls of DynamoDB"] = world.dynamodb.calls
    counts["calls of SQS"] = world.sqs.calls
    counts["messages sent"] = len(world.workload.messages)
    counts["operations sent"] = len(world.workload.operations)
    return Result(
        seed,
        messages,
        world.trace.checksum,
        world.chance.seen,
        counts,
        world.model.checked,
        world.time.now,
        real_time.process_time() - started,
        violation,
        world.trace.lines,
    )
