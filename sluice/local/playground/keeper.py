"""The process that keeps a playground running, with its local AWS, its stack and its poller, until it is to stop.

`python -m sluice.local.playground.keeper OPTIONS` (as JSON) is how `sluice local up` starts it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.interrupt import Interrupt, Interrupted
from sluice.local.aws import LocalAws, LocalError, local_aws
from sluice.local.dashboard.alarms import resources
from sluice.local.dashboard.recording import Recording
from sluice.local.dashboard.sampling import Notes, WatchedFunction, WatchedInjector
from sluice.local.deploy import Cdk, Deployment, Outputs, disable, found, template
from sluice.local.faults.profiles import PROFILES
from sluice.local.faults.server import serve
from sluice.local.poller import polling
from sluice.local.runtime import ExecutionEnvironment, link_runtime_client, start_all

from .front import Front
from .leftover import own_child
from .mapping import Mapping as SourceMapping
from .numbers import Watch
from .page import NO_DASHBOARD, alarms_on, page
from .place import Place

_HELD: list[Any] = []
"""The lock of the place, never closed: whoever waits for it to be free waits for the end of this process."""
ENVIRONMENTS = 2
"""Function processes at once; the local AWS, a process itself, keeps no more of them busy."""
HOT_KEYS = "WriteKeyRangeThroughputThrottleEvents"
"""What refusals without a limit count as: a partition may refuse at any rate of the table."""
ENDING = 1.0
"""Seconds that a process may take from its last answer to its end."""
SAMPLE = 1.0
"""Seconds between looks at what happens."""
SETTINGS = {
    "tableRemoval": "destroy",
    # Answers soon, and what a killed process had in hand comes back soon.
    "timeout": "20",
    "batchSize": "20",
    "batchingWindow": "1",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What `sluice local up` was told."""

    directory: str
    keys: dict[str, str]
    """Key attributes of the table and their types, in the order HASH, RANGE."""
    settings: dict[str, str]
    """More of the stack's settings (CDK context)."""
    port: int = 0
    faults: str = "calm"
    write_units: float | None = None
    seed: int = 1

    @property
    def context(self) -> dict[str, str]:
        defaults = dict(SETTINGS)
        if self.settings.get("queueType") == "fifo":  # It has batches of ten at most, and no batching window.
            del defaults["batchSize"], defaults["batchingWindow"]
        return {**defaults, **self.own_context}

    @property
    def own_context(self) -> dict[str, str]:
        """What was told, without what a playground has by itself."""
        names = ("partitionKey", "sortKey")
        keys = {name: f"{key}:{kind}" for name, (key, kind) in zip(names, self.keys.items(), strict=False)}
        return {**keys, **self.settings}

    @property
    def has_faults(self) -> bool:
        return self.faults != "calm" or self.write_units is not None


def main(arguments: Sequence[str]) -> int:
    """Keep a playground until SIGTERM; returns the exit status: 0, or 1 where it could not start or go on."""
    options = Options(**json.loads(arguments[0]))
    place = Place(Path(options.directory))
    with Interrupt() as interrupt:
        _HELD.append(place.hold())
        place.change(status="starting", options=dataclasses.asdict(options))
        try:
            with ExitStack() as parts:
                _Keeper(options, place, parts, interrupt.check).keep()
        except Interrupted:
            place.change(status="stopped")
            return 0
        except (LocalError, BotoCoreError, ClientError, OSError) as error:
            place.change(status="failed", error=str(error).rstrip("."))
            return 1
    raise AssertionError


class _Keeper:
    def __init__(self, options: Options, place: Place, parts: ExitStack, check: Callable[[], None]) -> None:
        self._options, self._place, self._parts, self._check = options, place, parts, check
        self._stopping = threading.Event()

    def keep(self) -> None:
        """Start everything, and watch it until `check` raises."""
        aws = self._started_aws()
        with _blaming(aws):
            self._keep(aws)

    def _keep(self, aws: LocalAws) -> None:
        front = Front(aws.port, self._stopping)
        try:
            port = self._parts.enter_context(front.serve(self._options.port))
        except OSError as error:
            raise LocalError(f"port {self._options.port} cannot be used: {error.strerror}") from None
        self._place.change(port=port, account=aws.account, region=aws.region)
        outputs, deployment = self._deployed(aws)
        now = time.time()
        notes = Notes(Recording(now, now))
        injector = self._injector(aws, notes, outputs)
        environments = self._function(deployment, LocalAws(port), injector)
        logs = [environment.log for environment in environments]
        faults = injector.counts if self._options.has_faults else None
        through = LocalAws(port).client
        watch = Watch(through("sqs"), aws.client("dynamodb"), outputs, logs, self._stopping, notes, faults)
        body = NO_DASHBOARD
        if name := outputs.dashboard_name:
            body = aws.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
        alarms = resources(*template(aws))
        front.on_sent = lambda url, ids: watch.queue.sent(ids) if _is_same(url, outputs.queue_url) else None
        front.pages |= {
            "dashboard": lambda: ("text/html; charset=utf-8", page(body, notes, alarms)),
            "alarms": lambda: ("application/json", alarms_on(notes, alarms)),
            "numbers": lambda: ("application/json", watch.as_json()),
        }
        function = WatchedFunction(notes, outputs.function_name)
        invoke = [function.watched(environment.invoke) for environment in environments]
        mapping = front.mapping = SourceMapping(
            deployment.mapping_id, deployment.mapping, is_enabled=deployment.is_enabled
        )
        with polling(watch.queue, deployment.mapping, invoke, lambda _: None, self._stopping, mapping.now) as pollers:
            self._ready(outputs, port)
            while True:
                if pollers.failure is not None:
                    raise LocalError(f"the poller failed: {pollers.failure!r}") from pollers.failure
                watch.sample(is_enabled=mapping.now() is not None)
                function.sample()
                self._check_often(SAMPLE)

    def _check_often(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._check()
            time.sleep(0.05)

    def _step(self, what: str) -> None:
        self._check()
        self._place.change(step=what)

    def _started_aws(self) -> LocalAws:
        self._step("Starting a local AWS (moto) on 127.0.0.1")
        aws = self._parts.enter_context(local_aws(self._place.run, check=self._check))
        self._place.change(local_aws=own_child(f"-p {aws.port}"))
        return aws

    def _deployed(self, aws: LocalAws) -> tuple[Outputs, Deployment]:
        cdk = Cdk(aws, self._place.run, self._place.directory, self._check, self._step)
        self._step("Preparing it (cdk bootstrap)")
        cdk.bootstrap(self._options.context)
        self._step("Deploying queue, function and table (cdk deploy)")
        outputs = cdk.deploy(self._options.context)
        self._step("Looking at what is deployed")
        deployment = found(aws, outputs, self._options.keys, self._place.run / "function")
        disable(aws, deployment)
        return outputs, deployment

    def _injector(self, aws: LocalAws, notes: Notes, outputs: Outputs) -> WatchedInjector:
        """Between function and table even where nothing is to fail: it also sees what AWS would report of the table."""
        profile = PROFILES[self._options.faults]
        units = self._options.write_units
        if units is not None:
            profile = dataclasses.replace(profile, write_units=units, partition_write_units=math.inf)
        # Units by the new item alone: to look at the old ones takes a read for each write.
        injector = WatchedInjector(f"http://127.0.0.1:{aws.port}", profile, self._options.seed, reads_old=False)
        injector.notes = notes
        table = aws.client("dynamodb").describe_table(TableName=outputs.table_name)["Table"]
        injector.cause = _limit_of(table) if units is not None else HOT_KEYS
        return injector

    def _function(
        self, deployment: Deployment, front: LocalAws, injector: WatchedInjector
    ) -> list[ExecutionEnvironment]:
        self._step(f"Starting {ENVIRONMENTS} processes of the deployed function")
        # Its calls to the queue take turns with all others at the front; those to the table need not.
        table = self._parts.enter_context(serve(injector))
        code = dataclasses.replace(
            deployment.function, environ={**deployment.function.environ, "AWS_ENDPOINT_URL_DYNAMODB": table}
        )
        runtime_client = self._place.run / "runtime-client"
        link_runtime_client(runtime_client)
        environments = [
            self._parts.enter_context(
                ExecutionEnvironment(code, front, runtime_client, self._place.log(f"function-{number}"), self._stopping)
            )
            for number in range(1, ENVIRONMENTS + 1)
        ]
        start_all(environments, self._check)
        return environments

    def _ready(self, outputs: Outputs, port: int) -> None:
        def through_front(url: str) -> str:
            return f"http://127.0.0.1:{port}/{'/'.join(url.rsplit('/', 2)[1:])}"

        self._place.change(
            status="ready",
            step="",
            queue_url=through_front(outputs.queue_url),
            dead_letter_queue_url=through_front(outputs.dead_letter_queue_url),
            table_name=outputs.table_name,
            function_name=outputs.function_name,
        )


@contextmanager
def _blaming(aws: LocalAws) -> Iterator[None]:
    """Whatever goes wrong because the local AWS has ended is told as that."""
    try:
        yield
    except (LocalError, BotoCoreError, ClientError, OSError):
        end = time.monotonic() + ENDING
        while time.monotonic() < end:  # Its connections break a little before it is gone.
            aws.require_running()
            time.sleep(0.05)
        raise


def _limit_of(table: Mapping[str, Any]) -> str:
    """The metric that counts what a table refuses because of its limit.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TroubleshootingThrottling-cloudwatch.html
    """
    if table.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        return "WriteProvisionedThroughputThrottleEvents"
    if table.get("OnDemandThroughput"):
        return "WriteMaxOnDemandThroughputThrottleEvents"
    return "WriteAccountLimitThrottleEvents"


def _is_same(url: str, other: str) -> bool:
    """Whether two URLs name one queue, whatever the address of the endpoint."""
    return url.rsplit("/", 2)[1:] == other.rsplit("/", 2)[1:]


def spawned(options: dict[str, Any]) -> list[str]:
    """The command that starts a keeper with these options."""
    return [sys.executable, "-m", "sluice.local.playground.keeper", json.dumps(options)]


def fresh(place: Place) -> None:
    """Empty the directory of the last run."""
    shutil.rmtree(place.run, ignore_errors=True)
    place.run.mkdir(parents=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
