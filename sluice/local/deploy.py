"""The real stack, deployed to the local AWS by the real CDK command line, and the proof that it is there."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

from . import native_packages
from .aws import LocalAws, LocalError
from .poller import EventSourceMapping
from .processes import child, tail
from .runtime import FunctionCode
from .sources import REQUIREMENTS, ROOT

STACK = "Sluice"
_JSII_CACHE = "JSII_RUNTIME_PACKAGE_CACHE_ROOT"
APP_SAYS = "sluice: "
"""What lines of the app itself begin with, among those of the CDK command line."""
CDK_SECONDS = 1800
"""For any one command; on an idle machine the longest takes some 20."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The stack's outputs, by which its resources are found."""

    queue_url: str
    queue_arn: str
    dead_letter_queue_url: str
    table_name: str
    function_name: str
    dashboard_name: str
    """Empty where the stack has none."""
    alarm_topic_arn: str

    @classmethod
    def from_file(cls, path: Path) -> Outputs:
        """Read the file that `cdk deploy --outputs-file` wrote; raises `LocalError` if one is missing."""
        names = {name: "".join(part.capitalize() for part in name.split("_")) for name in cls.__slots__}
        try:
            values = {names["dashboard_name"]: "", **json.loads(path.read_text())[STACK]}
            return cls(**{name: values[output] for name, output in names.items()})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LocalError(f"The stack's outputs in {path} are not complete: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack, found by looking at each resource and not by what the CDK command line said."""

    outputs: Outputs
    mapping_id: str
    mapping: EventSourceMapping
    is_enabled: bool
    """Whether the stack wants the mapping to poll."""
    function: FunctionCode
    bundle_bytes: int
    """Size of the deployed ZIP archive."""
    runtime: str
    """The Python that the function is deployed for, such as `python3.14`."""
    native: Sequence[str]
    """Packages that come from this Python instead of the bundle, such as `msgspec 0.22.0`."""


def cdk_command() -> list[str]:
    """How to call the pinned CDK command line; raises `LocalError` if it, or Node, is not there."""
    cdk = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    beside = Path(sys.executable).parent / "node"
    node = str(beside) if beside.exists() else shutil.which("node")
    if not cdk.exists() or node is None:
        missing = "Node" if cdk.exists() else f"The CDK command line ({cdk})"
        raise LocalError(f"{missing} is not installed; `make venv` installs it.")
    return [node, str(cdk)]


class Cdk:
    """The CDK command line, pointed at the local AWS.

    Keeps the files of one deployment in `directory` and what serves the next one as well in `cache`. Calls
    `check`, which may raise, many times a second while it waits, and tells `on_say` what the app says of its progress.
    """

    def __init__(
        self,
        aws: LocalAws,
        directory: Path,
        cache: Path,
        check: Callable[[], None] = lambda: None,
        on_say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._aws = aws
        self._on_say = on_say
        self._directory = directory
        self._cache = cache
        self._check = check
        self._synthesised: Mapping[str, str] | None = None
        self.log = directory / "cdk.log"

    def bootstrap(self, then: Mapping[str, str] | None = None) -> None:
        """Make the bucket and the roles that every deployment needs. A second time on one moto server fails.

        Meanwhile synthesise the stack, where the settings are told with which it will be deployed.
        """
        # No app: it is not needed, as the environment is named, and takes seconds to synthesise.
        bootstrap = ("bootstrap", f"aws://{self._aws.account}/{self._aws.region}", "--app", "")
        synths = [] if then is None else [("synth", STACK, "--quiet", *self._source(then))]
        self._run_at_once(bootstrap, *synths)
        self._synthesised = then

    def deploy(self, context: Mapping[str, str]) -> Outputs:
        """Deploy the stack with these settings."""
        outputs = self._directory / "outputs.json"
        outputs.unlink(missing_ok=True)
        is_there = self._synthesised is not None and dict(context) == dict(self._synthesised)
        self._run(
            *("deploy", STACK, "--require-approval", "never"),
            *(("--app", str(self._cloud_assembly)) if is_there else self._source(context)),
            *("--method", "direct"),  # moto gives no outputs for a stack made by a change set.
            *("--outputs-file", str(outputs)),
        )
        return Outputs.from_file(outputs)

    @property
    def _cloud_assembly(self) -> Path:
        return self._cache / "cdk.out"  # Kept: what is bundled in there need not be bundled again.

    def _source(self, context: Mapping[str, str]) -> list[str]:
        settings = [part for name, value in context.items() for part in ("--context", f"{name}={value}")]
        return ["--output", str(self._cloud_assembly), *settings]

    def _run(self, *arguments: str) -> None:
        self._run_at_once(arguments)

    def _run_at_once(self, *commands: Sequence[str]) -> None:
        begin = self.log.stat().st_size if self.log.exists() else 0
        with ExitStack() as parts:
            processes = [parts.enter_context(self._started(arguments)) for arguments in commands]
            end = time.monotonic() + CDK_SECONDS
            with self.log.open("rb") as output:
                output.seek(begin)
                while None in (statuses := [process.poll() for process in processes]) and time.monotonic() < end:
                    self._check()
                    self._pass_on(output)
                    time.sleep(0.02)
                self._pass_on(output)
        for arguments, status in zip(commands, statuses, strict=True):
            if status != 0:
                what = f"took more than {CDK_SECONDS} seconds" if status is None else "failed"
                raise LocalError(f"`cdk {arguments[0]}` {what}; {self.log} ends:\n{tail(self.log)}")

    def _started(self, arguments: Sequence[str]) -> AbstractContextManager[subprocess.Popen[bytes]]:
        command = [*cdk_command(), *arguments, "--no-notices", "--no-color"]
        return child(command, environ=self._environ(), directory=ROOT, log=self.log)

    def _pass_on(self, output: IO[bytes]) -> None:
        """What the app itself has added to the log; a line that is not yet whole comes next time."""
        while line := output.readline():
            if not line.endswith(b"\n"):
                output.seek(-len(line), os.SEEK_CUR)
                return
            text = line.decode(errors="replace").strip()
            if text.startswith(APP_SAYS):
                self._on_say(text.removeprefix(APP_SAYS))

    def _environ(self) -> dict[str, str]:
        beside = str(Path(sys.executable).parent)
        return self._aws.environ() | {
            # The app runs with this very Python, and jsii finds Node.
            "PATH": os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": "",
            # 200 MB that take seconds to unpack: once for all, and whoever has chosen a place for them, keeps it.
            _JSII_CACHE: os.environ.get(_JSII_CACHE, str(self._jsii_cache())),
            "CDK_HOME": str(self._cache / "cdk"),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            # CDK checks templates by rules whose loading takes longer than all else of a synthesis. `make synth`, the
            # tests of the stack and a deployment to AWS check them.
            "CDK_VALIDATION": "false",
        }

    def _jsii_cache(self) -> Path:
        own = Path(sys.prefix)
        is_ours = own.is_relative_to(ROOT) and os.access(own, os.W_OK)  # As `make venv` makes it, and has filled it.
        return (own if is_ours else self._cache) / "jsii"


def found(aws: LocalAws, outputs: Outputs, keys: Mapping[str, str], directory: Path) -> Deployment:
    """Look at every resource of the stack and unpack the function's bundle into `directory`.

    In the unpacked bundle native packages are replaced, see `native_packages`. `keys` are the names of the key
    attributes the table must have, in the order HASH, RANGE. Raises `LocalError` if anything is missing: against
    moto the CDK command line reports success for stacks that are not there.
    """
    try:
        _look_at_queues(aws, outputs)
        _look_at_table(aws, outputs, keys)
        if outputs.dashboard_name:
            aws.client("cloudwatch").get_dashboard(DashboardName=outputs.dashboard_name)
        aws.client("sns").get_topic_attributes(TopicArn=outputs.alarm_topic_arn)
        functions = aws.client("lambda")
        configuration = functions.get_function_configuration(FunctionName=outputs.function_name)
        mappings = functions.list_event_source_mappings(FunctionName=outputs.function_name)
        bundle = _bundle(aws, outputs.function_name)
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"The stack was deployed, but something of it is not there: {error}") from error
    sources = [m for m in mappings["EventSourceMappings"] if m["EventSourceArn"] == outputs.queue_arn]
    _expect("event source mappings from queue to function", len(sources), 1)
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        archive.extractall(directory)
    native = native_packages.link(directory, REQUIREMENTS)
    return Deployment(
        outputs=outputs,
        mapping_id=sources[0]["UUID"],
        mapping=EventSourceMapping.from_description(outputs.queue_url, sources[0]),
        is_enabled=sources[0]["State"] == "Enabled",
        function=FunctionCode(
            task_root=directory,
            handler=configuration["Handler"],
            name=outputs.function_name,
            arn=configuration["FunctionArn"],
            timeout=configuration["Timeout"],
            memory=configuration["MemorySize"],
            environ=configuration.get("Environment", {}).get("Variables", {}),
        ),
        bundle_bytes=len(bundle),
        runtime=configuration["Runtime"],
        native=native,
    )


def disable(aws: LocalAws, deployment: Deployment) -> None:
    """Keep moto itself from consuming the queue, which it would do through Docker and in its own way."""
    functions = aws.client("lambda")
    functions.update_event_source_mapping(UUID=deployment.mapping_id, Enabled=False)


def _look_at_queues(aws: LocalAws, outputs: Outputs) -> None:
    sqs = aws.client("sqs")

    def attributes(url: str) -> Any:
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    queue, dead_letters = attributes(outputs.queue_url), attributes(outputs.dead_letter_queue_url)
    _expect("queue's ARN", queue["QueueArn"], outputs.queue_arn)
    redrive = json.loads(queue.get("RedrivePolicy", "{}"))
    _expect("queue's dead-letter queue", redrive.get("deadLetterTargetArn"), dead_letters["QueueArn"])


def _look_at_table(aws: LocalAws, outputs: Outputs, keys: Mapping[str, str]) -> None:
    table = aws.client("dynamodb").describe_table(TableName=outputs.table_name)["Table"]
    types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
    schema = sorted(table["KeySchema"], key=lambda key: str(key["KeyType"]))
    _expect("table's key", {key["AttributeName"]: types[key["AttributeName"]] for key in schema}, dict(keys))


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise LocalError(f"The stack was deployed, but the {what} should be {expected}; found {found}.")


def template(aws: LocalAws) -> tuple[dict[str, Any], dict[str, str]]:
    """The deployed template, and the physical ids of what moto has made of it by logical ids."""
    cloudformation = aws.client("cloudformation")
    made = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    body: dict[str, Any] = cloudformation.get_template(StackName=STACK)["TemplateBody"]
    return body, {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in made
        if "LogicalResourceId" in each and "PhysicalResourceId" in each
    }


def _bundle(aws: LocalAws, function_name: str) -> bytes:
    """The function's ZIP archive, from the bucket that the deployed template names."""
    body, physical = template(aws)
    logical_id = next(logical for logical, each in physical.items() if each == function_name)
    code = body["Resources"][logical_id]["Properties"]["Code"]
    bucket = code["S3Bucket"]
    if isinstance(bucket, dict):
        bucket = bucket["Fn::Sub"]
        bucket = bucket.replace("${AWS::AccountId}", aws.account).replace("${AWS::Region}", aws.region)
    return bytes(aws.client("s3").get_object(Bucket=bucket, Key=code["S3Key"])["Body"].read())
