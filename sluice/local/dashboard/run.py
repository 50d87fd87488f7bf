"""A run to be drawn: the deployed stack under a steady load, while its table is limited in one way after the other."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice.local.aws import LocalAws, LocalError, local_aws
from sluice.local.demo import weather
from sluice.local.deploy import Cdk, Deployment, disable, found, template
from sluice.local.faults.profiles import PROFILES, Profile
from sluice.local.faults.server import serve
from sluice.local.poller import Invocation, Polling, polling
from sluice.local.processes import tail
from sluice.local.runtime import ExecutionEnvironment, link_runtime_client, start_all

from .alarms import Resource, resources
from .recording import Recording, read_logs
from .sampling import Notes, WatchedFunction, WatchedInjector, WatchedQueue

SETTINGS = {
    "partitionKey": "origin:S",
    "sortKey": "time_hour:S",
    "tableRemoval": "destroy",
    # Short invocations of few messages, for a run takes minutes and not days.
    "timeout": "12",
    "deadlineMargin": "2",
    "batchSize": "40",
    "batchingWindow": "1",
}
ENVIRONMENTS = 2
RECORDS, MESSAGES_A_SECOND = 25, 6
"""Records of a message, and messages sent each second."""
BAD_EVERY = 24
"""Messages between two that hold a bad record."""
DRAIN_SECONDS = 60
"""How long the queue may take to become empty in the end."""
SAMPLE = 1.0
"""Seconds between looks at what is there."""
TICK = 0.05
SEED = 1


CALM = PROFILES["calm"]


@dataclass(frozen=True, slots=True)
class Phase:
    """So many seconds of a load, with a table that is limited in at most one way."""

    seconds: float
    profile: Profile = CALM
    cause: str = ""
    """The metric in which DynamoDB counts what it refuses because of that limit."""


PHASES = (
    Phase(25),
    # 150 records a second from three airports: each of their partitions would have to take 50.
    Phase(25, Profile(partition_write_units=25), "WriteKeyRangeThroughputThrottleEvents"),
    Phase(20),
    Phase(20, Profile(write_units=75), "WriteAccountLimitThrottleEvents"),
    Phase(20),
)


@dataclass(frozen=True, slots=True)
class Run:
    """A recording, and the deployed dashboard that it belongs to."""

    body: str
    """The DashboardBody, as the local CloudWatch has it."""
    alarms: Sequence[Resource]
    recording: Recording


def run(directory: Path, check: Callable[[], None] = lambda: None, phases: Sequence[Phase] = PHASES) -> Run:
    """Deploy the stack to a local AWS and load it; raises `LocalError` where that fails, or what `check` raises."""
    with ExitStack() as parts:
        aws = parts.enter_context(local_aws(directory, check=check))
        cdk = Cdk(aws, directory, directory, check)
        cdk.bootstrap(SETTINGS)
        outputs = cdk.deploy(SETTINGS)
        deployment = found(aws, outputs, weather.KEYS, directory / "function")
        disable(aws, deployment)
        body = aws.client("cloudwatch").get_dashboard(DashboardName=outputs.dashboard_name)["DashboardBody"]
        injector = WatchedInjector(f"http://127.0.0.1:{aws.port}", phases[0].profile, SEED)
        stage = parts.enter_context(_Stage(aws, deployment, directory, injector, check))
        return Run(body, resources(*template(aws)), stage.play(phases))


class _Stage:
    """Queue, function and table of one deployment, each watched."""

    def __init__(
        self,
        aws: LocalAws,
        deployment: Deployment,
        directory: Path,
        injector: WatchedInjector,
        check: Callable[[], None],
    ) -> None:
        now = time.time()
        self._outputs = deployment.outputs
        self._mapping = deployment.mapping
        self._code = deployment.function
        self._aws, self._directory, self._check = aws, directory, check
        self._stopping = threading.Event()
        self._recording = Recording(now, now)
        notes = Notes(self._recording)
        url = self._outputs.queue_url
        self._queue = WatchedQueue(aws.client("sqs"), self._stopping, notes, url, _name(url))
        self._function = WatchedFunction(notes, self._outputs.function_name)
        self._injector = injector
        injector.notes = notes
        self._environments: list[ExecutionEnvironment] = []
        self._parts = ExitStack()

    def __enter__(self) -> _Stage:
        runtime_client = self._directory / "runtime-client"
        link_runtime_client(runtime_client)
        table = self._parts.enter_context(serve(self._injector))
        code = dataclasses.replace(self._code, environ={**self._code.environ, "AWS_ENDPOINT_URL_DYNAMODB": table})
        for number in range(1, ENVIRONMENTS + 1):
            log = self._directory / f"function-{number}.log"
            environment = ExecutionEnvironment(code, self._aws, runtime_client, log, self._stopping)
            self._environments.append(self._parts.enter_context(environment))
        start_all(self._environments, self._check)
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def play(self, phases: Sequence[Phase]) -> Recording:
        """Send through all phases, wait for the queue to become empty, and return what has been reported."""
        functions = [self._function.watched(environment.invoke) for environment in self._environments]
        finished: deque[Invocation] = deque(maxlen=1)
        with polling(self._queue, self._mapping, functions, finished.append, self._stopping) as pollers:
            self._recording.start = time.time()
            start = time.monotonic()
            with self._sampling():
                messages = _messages()
                for phase in phases:
                    self._injector.cause = phase.cause
                    self._injector.switch(phase.profile)
                    self._send(messages, time.monotonic() + phase.seconds, pollers)
                self._drain(pollers)
            self._recording.end = self._recording.start + time.monotonic() - start
        read_logs(self._recording, [environment.log for environment in self._environments])
        return self._recording

    def _send(self, messages: Iterator[str], until: float, pollers: Polling) -> None:
        next_send = time.monotonic()
        while (now := time.monotonic()) < until:
            self._go_on(pollers)
            if now < next_send:
                continue
            next_send += 0.5
            bodies = itertools.islice(messages, MESSAGES_A_SECOND // 2)
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
            self._queue.send_message_batch(QueueUrl=self._outputs.queue_url, Entries=entries)

    def _drain(self, pollers: Polling) -> None:
        until = time.monotonic() + DRAIN_SECONDS
        while not self._queue.is_empty and time.monotonic() < until:
            self._go_on(pollers)

    def _go_on(self, pollers: Polling) -> None:
        self._check()
        if pollers.failure is not None:
            log = self._environments[0].log
            raise LocalError(f"The poller failed: {pollers.failure}; {log} ends:\n{tail(log)}") from pollers.failure
        time.sleep(TICK)

    @contextmanager
    def _sampling(self) -> Iterator[None]:
        """Take samples in a thread of its own, at even distances whatever else happens."""
        over = threading.Event()

        def sample() -> None:
            dead_letters = self._outputs.dead_letter_queue_url
            while not over.wait(SAMPLE):
                self._queue.sample()
                self._queue.sample_other(dead_letters, _name(dead_letters))
                self._function.sample()

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _messages() -> Iterator[str]:
    """Bodies of a live feed without end: records in the order of time, now and then one that cannot be written."""
    records = itertools.cycle(weather.put(item) for item in weather.read())
    bad = itertools.cycle(weather.bad_records())
    for number in itertools.count(1):
        yield next(bad).text if number % BAD_EVERY == 0 else f"[{','.join(itertools.islice(records, RECORDS))}]"


def _name(queue_url: str) -> str:
    return queue_url.rsplit("/", 1)[1]
