"""One environment of Lambda: the real function on simulated sockets and clocks; it is frozen and killed at any time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar, cast

from functions.batch_writer.pipeline import Outcome, Pipeline
from sluice.aws import queue as sqs
from sluice.aws import tables as dynamodb
from sluice.aws.endpoint import Endpoint, Service
from sluice.aws.http import HttpClient
from sluice.aws.in_flight import Executor, Loop, Polled, Running
from sluice.aws.queue import Queue
from sluice.aws.reads import Reads
from sluice.aws.route import BotoCalls, Route
from sluice.aws.signature import Credentials
from sluice.aws.tables import Tables
from sluice.message.settings import Settings

from . import service
from .model import Invocation, ViolationError
from .network import Bell, Network, Poller, SimulatedSocket, Submitted
from .virtual_time import Context

T = TypeVar("T")
ACCOUNT, REGION = "123456789012", "us-east-1"
BOOTED = 1_000.0
"""What the clock that only goes forward shows at the beginning; no two clocks begin alike."""


class KilledError(BaseException):
    """The process is no more: nothing catches it."""


class Process:
    def __init__(
        self, net: Network, context: Context, settings: Settings, services: tuple[service.Service, service.Service]
    ) -> None:
        self.net, self.context = net, context
        self._services = services
        self.invocation: Invocation | None = None
        self.skew = 0.0
        """Seconds that its wall clock is ahead."""
        self.frozen = 0.0
        """Seconds that its other clock has stood still."""
        self.is_slowed = False
        """A table has refused something for going too fast."""
        self.sends_left: int | None = None
        """Until it is killed while it sends."""
        self._credentials = Credentials("key", "secret", services[0].token)
        connections = settings.max_connections
        route = self._route(services[0], dynamodb.PREFIX, connections * 8)
        self._pipeline = Pipeline(
            settings,
            Tables(settings.tables, route),
            Queue(self._route(services[1], sqs.PREFIX, connections), lambda: f"https://sqs.{REGION}.amazonaws.com",
                  connections=connections, clock=self.clock, executor=self._executor),
            reads=Reads(settings.tables, route),
            region=REGION,
            clock=self.clock,
            sleep=self.sleep,
            random=net.random.random,
            executor=self._executor,
        )  # fmt: skip

    def run(self, invocation: Invocation, event: Sequence[dict[str, object]], seconds: float) -> Outcome:
        """Raises `KilledError` where it does not come back."""
        self.invocation = invocation
        try:
            return self._pipeline.run(event, seconds, ACCOUNT)
        finally:
            self.invocation, self.sends_left = None, None
            invocation.is_over = True

    def kill(self, invocation: Invocation, error: BaseException) -> None:
        if self.invocation is invocation:
            self.context.doom = error
            self.net.time.wake(self.context)

    def close(self) -> None:
        """The kernel closes what a dead process had open."""
        for end in list(self.net.watched.values()):
            if isinstance(end, SimulatedSocket) and end.owner is self:
                end.close()

    # What the function takes for time, chance and the network

    def clock(self) -> float:
        return BOOTED + self.net.time.now - self.frozen

    def now(self) -> float:
        return service.EPOCH + self.net.time.now + self.skew

    def sleep(self, seconds: float) -> None:
        self.net.time.sleep(self.context, seconds)

    def before_send(self) -> None:
        if self.invocation is None:
            raise ViolationError("something is sent after the handler has answered")
        if self.sends_left is not None:
            self.sends_left -= 1
            if self.sends_left < 0:
                raise KilledError

    def _executor(self, workers: int) -> Executor:  # noqa: ARG002  # As many as there are calls at a time.
        return _Executor(self)

    def _renew(self) -> None:
        self._credentials = Credentials("key", "secret", self._services[0].token)

    def _route(self, of: service.Service, prefix: str, connections: int) -> Route:
        name = cast("Service", of.name)
        endpoint = Endpoint(name, "https", f"{name}.{REGION}.amazonaws.com", 443, REGION, "", lambda: self._credentials)
        client = HttpClient(
            endpoint,
            connections,
            connect=lambda seconds: self.net.connect(self, seconds, of.accept),
            clock=self.clock,
            now=self.now,
        )
        return Route(
            _no_boto3,
            client,
            lambda: self._credentials,
            prefix=prefix,
            connections=connections,
            renew=self._renew,
            host=endpoint.authority,
            clock=self.clock,
        )


def _no_boto3() -> BotoCalls:
    raise AssertionError("boto3 is asked for")


class _Executor:
    """As `sluice.aws.threads` gives one invocation, with the real loop."""

    def __init__(self, process: Process) -> None:
        self._net = process.net
        self._bell: Bell | None = None
        self._loop = Loop(Poller(process.net, process.context), process.clock)

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Running[T]:
        if self._bell is None:
            self._bell = Bell(self._net)
        return Submitted(self._net, self._bell, fn, args)

    def wait(self, calls: Collection[Running[T]], seconds: float, *, for_all: bool = False) -> Sequence[Running[T]]:
        return self._loop.wait(cast("Collection[Polled[T]]", calls), seconds, for_all=for_all)
