"""A soak: the real function under faults, SIGKILL and redelivery, and the proof of its promise.

A real SQS API and DynamoDB (moto), the injector between the function and its tables, the function's own code in real
processes under AWS's runtime client, pollers with the semantics of an event source mapping. While a seeded producer
sends, processes are killed at random moments, messages are delivered twice, acknowledgements get lost. In the end
the queue is drained and everything is compared with the model, read from the tables around the injector.
"""

from __future__ import annotations

import json
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from sluice.local.aws import LocalAws, LocalError, local_aws
from sluice.local.faults.injector import Injector
from sluice.local.faults.profiles import PROFILES
from sluice.local.faults.requests import Write
from sluice.local.faults.server import serve
from sluice.local.poller import EventSourceMapping, FunctionResult, Invocation, Poller
from sluice.local.runtime import ExecutionEnvironment, FunctionCode
from sluice.local.sources import link_sources

from .enough import happened, missing
from .model import Ledger
from .operations import TableOf
from .ordered import OrderedWorkload
from .report import Report
from .stage import HELD, Stage
from .watched_queue import WatchedQueue
from .workload import CHAINS, TABLES, Workload, state_of

DEADLINE_MARGIN = 1
BATCH_SIZE = 10
"""Messages of an invocation; without a batching window, so that there are many invocations."""
MAX_UNACKNOWLEDGED = 120
"""Messages on the queue, at most; moto's queues become slow when they are deep."""
MAX_PAUSE = 0.3
"""Seconds, at most, that a poller backs off after a function error; Lambda's own backing off takes minutes."""
KILL_EVERY = 2.5
"""Seconds between kills, on average."""
IMPATIENCE = 3
"""Seconds, at most, after which a returned message is made visible again; four in five are."""
MIN_HELD = 0.3
"""Seconds that a returned message of a FIFO queue is kept invisible at least."""
STALLED, MAX_TIMEOUT = 30.0, 300
"""Seconds in which no message was acknowledged before the function gets twice as long, and how long at most."""
TICK = 0.02
LOOK_EVERY = 0.25
"""Seconds between two looks for dead letters."""
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a soak is to do."""

    profile: str = "hostile"
    seconds: float = 60.0
    """How long the producer sends; with `until`, how long at most."""
    until: Mapping[str, int] = field(default_factory=dict)
    """What must have happened, and how often, before the producer stops; by the names of `enough.NAMES`."""
    seed: int = 1
    drain_seconds: float = 90.0
    """How long the queue may take to become empty after that."""
    faults_to_the_end: bool = False
    """Whether the faults go on while the queue is drained."""
    fifo: bool = False
    """Whether the queue is a FIFO queue."""
    on_condition_failed: str = "skip"
    """The function's setting of that name."""
    timeout: int = 5
    """The function's timeout in seconds: short, so that calls that hang reach it often. Where nothing gets done in it,
    as on a very busy machine, it is doubled."""
    workers: int = 3
    """Processes of the function."""
    task_root: Path | None = None
    """The unpacked package of the function; None takes the sources, and what they require from this Python."""


class Worker(ExecutionEnvironment):
    """A process of the function of which one can see whether it works."""

    is_busy = False

    def give_time(self, seconds: int) -> None:
        """Set the timeout of all invocations from now on."""
        self._code = replace(self._code, timeout=seconds)

    def invoke(self, event: bytes) -> FunctionResult:
        self.is_busy = True
        try:
            return super().invoke(event)
        finally:
            self.is_busy = False


# Long: it sets everything in motion and holds what the threads share; what has an idea of its own has left it.
class Soak:
    """One run. `check` is called many times a second and may raise."""

    def __init__(self, plan: Plan, directory: Path, check: Callable[[], None] = lambda: None) -> None:
        self._plan = plan
        self._directory = directory
        self._check = check
        self._ledger = Ledger()
        workload = OrderedWorkload if plan.fifo else Workload
        self._workload = workload(plan.seed, reports_conditions=plan.on_condition_failed == "dead-letter")
        self._chance = Random(f"soak {plan.seed}")
        self._is_rough = plan.profile != "calm"
        """Whether processes are killed, messages duplicated and acknowledgements lost."""
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._events = Counter[str]()
        self._errors = Counter[str]()
        self._failure: Exception | None = None
        self._queues: list[WatchedQueue] = []
        self._held: list[tuple[float, list[int]]] = []
        """Messages of a FIFO queue that were returned, and when."""
        self._threads: list[threading.Thread] = []
        self._workers: list[Worker] = []
        self._timeout = plan.timeout
        self._next_look = 0.0
        """When dead letters are looked for again."""
        self._progress = (0, time.monotonic())
        """How many messages were acknowledged, and when that changed last."""

    def run(self) -> Report:
        """Send, disturb, drain and judge, once; raises `LocalError` if something else than the function fails."""
        with ExitStack() as parts:
            aws = parts.enter_context(local_aws(self._directory, check=self._check))
            self._stage = Stage(aws, is_fifo=self._plan.fifo)
            self._injector = Injector(
                f"http://127.0.0.1:{aws.port}",
                PROFILES[self._plan.profile],
                self._plan.seed,
                # Nobody could keep an order in which what was given up long ago is still applied.
                drops_given_up=self._plan.fifo,
                wrote=self._note_states,
            )
            url = parts.enter_context(serve(self._injector))
            workers = [self._worker(aws, url, number) for number in range(self._plan.workers)]
            for worker in workers:
                parts.enter_context(worker)
                worker.start(self._check)
            self._workers = workers
            parts.callback(self._stop)
            for number, worker in enumerate(workers):
                self._start_poller(number, worker)
            start = time.monotonic()
            self._send(workers, until=start + self._plan.seconds)
            self._drain(until=time.monotonic() + self._plan.drain_seconds)
            seconds = time.monotonic() - start
            self._stop()
            self._note_dead_letters()
            verdict = self._ledger.close(self._stage.read_all())
            counts, faults = self._happened(), self._injector.counts()
            writes, unprocessed = faults.pop("writes", 0), faults.pop("unprocessed-items", 0)
            reads = faults.pop("reads", 0)
            return Report(
                self._ledger,
                verdict,
                self._events,
                self._errors,
                faults,
                self._workload.kinds,
                writes,
                unprocessed,
                reads,
                seconds,
                missing=missing(self._plan.until, counts),
            )

    def _send(self, workers: Sequence[Worker], until: float) -> None:
        """Keep the queue filled and the workers in danger."""
        next_kill = time.monotonic() + self._chance.expovariate(1 / KILL_EVERY)
        while time.monotonic() < until and not self._is_enough():
            self._go_on()
            if self._ledger.unacknowledged < MAX_UNACKNOWLEDGED:
                self._send_round(with_new=True)
            busy = [worker for worker in workers if worker.is_busy]
            if busy and self._is_rough and time.monotonic() > next_kill:
                if self._chance.choice(busy).kill():
                    self._note("kills")
                next_kill = time.monotonic() + self._chance.expovariate(1 / KILL_EVERY)

    def _is_enough(self) -> bool:
        return bool(self._plan.until) and not missing(self._plan.until, self._happened())

    def _happened(self) -> Counter[str]:
        with self._lock:
            return happened(self._ledger, self._events, self._errors, self._injector.counts())

    def _drain(self, until: float) -> None:
        """Send the last states of all items, and wait until everything is acknowledged."""
        if not self._plan.faults_to_the_end:
            self._injector.switch(PROFILES["calm"])
            self._is_rough = False
        next_push = 0.0
        while not self._ledger.is_finished and time.monotonic() < until:
            self._go_on()
            self._send_round(with_new=False)
            if time.monotonic() > next_push and not self._plan.fifo:
                # The function lets them wait for minutes if they have come often; there is no time for that here.
                self._stage.delay(dict.fromkeys(self._ledger.idle(), 0))
                next_push = time.monotonic() + 1

    def _send_round(self, *, with_new: bool) -> None:
        messages = self._workload.messages(self._ledger.take_ready(CHAINS), with_new=with_new)
        self._ledger.sending(messages)
        self._stage.send(messages)

    def _go_on(self) -> None:
        """Between two looks; raises what must end the run."""
        self._check()
        if self._failure is not None:
            raise LocalError(f"The poller failed: {self._failure!r}") from self._failure
        if self._plan.fifo:
            self._release()
        elif time.monotonic() > self._next_look:
            self._note_dead_letters()
            self._next_look = time.monotonic() + LOOK_EVERY
        self._ledger.settle(self._busy_since())
        self._give_time()
        self._stopping.wait(TICK)

    def _give_time(self) -> None:
        """If nothing gets done, let invocations take longer."""
        now, done = time.monotonic(), self._ledger.messages() - self._ledger.unacknowledged
        if done != self._progress[0]:
            self._progress = (done, now)
        elif self._ledger.unacknowledged and now - self._progress[1] > STALLED and self._timeout < MAX_TIMEOUT:
            self._progress = (done, now)
            self._timeout = min(2 * self._timeout, MAX_TIMEOUT)
            for worker in self._workers:
                worker.give_time(self._timeout)

    def _busy_since(self) -> float:
        """When the oldest of all the calls that are under way began."""
        calls = [self._injector.in_flight_since(), *(queue.receiving_since for queue in self._queues)]
        return min([since for since in calls if since is not None], default=_NEVER)

    def _note_dead_letters(self) -> None:
        for number, error_code, body in self._stage.dead_letters():
            self._ledger.dead_letter(number, error_code, body)

    def _start_poller(self, number: int, worker: Worker) -> None:
        chance = Random(f"poller {number} {self._plan.seed}")
        queue = WatchedQueue(
            self._stage,
            self._ledger,
            verify=self._verify,
            note=self._note,
            # Neither must happen on a FIFO queue: what came later in the group may be done already.
            happens=lambda share: self._is_rough and not self._plan.fifo and chance.random() < share,
            wait=self._stopping.wait,
        )
        thread = threading.Thread(target=self._poll, args=(queue, worker, chance))
        self._queues.append(queue)
        self._threads.append(thread)
        thread.start()

    def _poll(self, queue: WatchedQueue, worker: Worker, chance: Random) -> None:
        """The work of a thread: batch after batch through one worker."""
        mapping = EventSourceMapping(
            self._stage.queue_url, self._stage.queue_arn, BATCH_SIZE, report_batch_item_failures=True
        )
        poller = Poller(
            queue,
            mapping,
            worker.invoke,
            sleep=lambda seconds: self._stopping.wait(min(seconds, MAX_PAUSE)),
            is_stopping=self._stopping.is_set,
        )
        try:
            while not self._stopping.is_set():
                if invocation := poller.poll():
                    self._note_invocation(invocation)
                    queue.let_go(invocation.deleted)
                    returned = queue.let_go(invocation.returned)
                    if self._plan.fifo:
                        self._hold(returned)
                        continue
                    # One in five waits as long as the function has decided, or the queue.
                    hurried = [number for number in returned if chance.random() < 0.8]
                    self._stage.delay({number: chance.randint(0, IMPATIENCE) for number in hurried})
        except Exception as error:  # noqa: BLE001  # A thread's failure is the run's to report.
            self._failure = error

    def _hold(self, numbers: list[int]) -> None:
        """Keep returned messages of a FIFO queue from coming back by themselves: moto would mix up their order."""
        self._stage.delay(dict.fromkeys(numbers, HELD))
        with self._lock:
            self._held.append((time.monotonic(), numbers))

    def _release(self) -> None:
        """Let returned messages come back, a whole group at once, when no call can still write what they hold."""
        now = time.monotonic()
        due = min(now - MIN_HELD, self._injector.in_flight_since() or now)
        with self._lock:
            released = [numbers for since, numbers in self._held if since < due]
            self._held = [(since, numbers) for since, numbers in self._held if since >= due]
        for numbers in released:
            self._stage.delay(dict.fromkeys(numbers, 0))

    def _verify(self, numbers: Sequence[int], in_hand: Sequence[int], since: float) -> None:
        """These messages are about to be acknowledged: is what they write in the tables?"""
        keys = {chain.key: self._workload.key_attributes(chain.key) for chain in self._ledger.effects(numbers)}
        # On a FIFO queue messages do not supersede each other.
        beside = () if self._plan.fifo else in_hand
        self._ledger.check(numbers, self._stage.read(keys), in_hand=beside, since=since)

    def _note_states(self, writes: Sequence[Write], began: float) -> None:
        """These writes have just been applied."""
        tables = {table.name: table for table in TABLES if table.skips}
        for write in writes:
            if (table := tables.get(write.table.name)) is not None:
                key = table.key_of(write.key_attributes)
                is_update = "UpdateExpression" in write.request
                state = self._stage.read({key: write.key_attributes}).get(key) if is_update else state_of(write.item)
                self._ledger.past.wrote(key, state, began, time.monotonic())

    def _note(self, event: str) -> None:
        with self._lock:
            self._events[event] += 1

    def _note_invocation(self, invocation: Invocation) -> None:
        self._note("invocations")
        if invocation.answer.error is not None:
            with self._lock:
                self._errors[invocation.answer.error.split(":")[0].split(";")[0]] += 1

    def _worker(self, aws: LocalAws, dynamodb: str, number: int) -> Worker:
        code = FunctionCode(
            task_root=self._plan.task_root or link_sources(self._directory / "function"),
            handler="batch_writer.handler.lambda_handler",
            name="sluice-soak",
            arn=f"arn:aws:lambda:{aws.region}:{aws.account}:function:sluice-soak",
            timeout=self._plan.timeout,
            memory=512,
            environ={
                "TABLES": json.dumps([_setting(table) for table in TABLES]),
                "DEAD_LETTER_QUEUE_URL": self._stage.dead_letter_url,
                "DEADLINE_MARGIN": str(DEADLINE_MARGIN),
                "ON_CONDITION_FAILED": self._plan.on_condition_failed,
                "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
            },
        )
        packages = Path(sysconfig.get_paths()["purelib"])
        return Worker(code, aws, packages, self._directory / f"function-{number}.log", self._stopping)

    def _stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def _setting(table: TableOf) -> dict[str, Any]:
    """The table's entry in the function's variable TABLES."""
    keys = [{"name": name, "type": kind} for name, kind in table.key]
    setting: dict[str, Any] = {"alias": table.alias, "name": table.name, "partition_key": keys[0]}
    if len(keys) > 1:
        setting["sort_key"] = keys[1]
    if table.version:
        setting["version"] = table.version
    return setting | ({"skip_unchanged": True} if table.skips else {})
