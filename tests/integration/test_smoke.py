"""The smoke script of CI, on the real stack in a local AWS: it says yes where all is well, and no where it is not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.local.aws import LocalAws, local_aws
from sluice.local.deploy import Cdk, Deployment, disable, found
from sluice.local.poller import polling
from sluice.local.runtime import ExecutionEnvironment, link_runtime_client
from sluice.local.serial_queue import OneAtATime
from sluice.send import command
from tests import smoke

pytestmark = pytest.mark.xdist_group("smoke")

SETTINGS = {"tableRemoval": "destroy", "sortKey": "sk:N", "batchSize": "20", "batchingWindow": "1"}


@dataclass(frozen=True, slots=True)
class Local:
    """The deployed stack; `sqs` is to be shared, for moto's queues take one call at a time."""

    aws: LocalAws
    deployment: Deployment
    outputs: Path
    directory: Path
    sqs: Any

    def arguments(self, *more: str) -> list[str]:
        return ["--stack-outputs", str(self.outputs), "--endpoint-url", self.aws.url, *more]

    @contextmanager
    def function_running(self) -> Iterator[None]:
        """Messages go to the deployed bundle, as the deployed event source mapping has it."""
        stopping = threading.Event()
        with ExitStack() as parts:
            client, log = self.directory / "runtime-client", self.directory / "function.log"
            code = self.deployment.function
            environment = parts.enter_context(ExecutionEnvironment(code, self.aws, client, log, stopping))
            environment.start()
            mapping, functions = self.deployment.mapping, [environment.invoke]
            parts.enter_context(polling(self.sqs, mapping, functions, lambda _: None, stopping))
            yield


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, with_package: Callable[[Path], Path]) -> Iterator[Local]:
    directory = with_package(tmp_path_factory.mktemp("smoke"))
    with local_aws(directory) as aws:
        cdk = Cdk(aws, directory, cache=directory)
        cdk.bootstrap()
        outputs = cdk.deploy(SETTINGS)
        deployment = found(aws, outputs, {"pk": "S", "sk": "N"}, directory / "function")
        disable(aws, deployment)
        link_runtime_client(directory / "runtime-client")
        sqs = OneAtATime(aws.client("sqs"), threading.Event())
        yield Local(aws, deployment, directory / "outputs.json", directory, sqs)


@pytest.fixture(autouse=True)
def users_session(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in local.aws.settings().items():
        monkeypatch.setenv(name, value)
    made = smoke.client
    monkeypatch.setattr(smoke, "client", lambda service, url: local.sqs if service == "sqs" else made(service, url))
    monkeypatch.setattr(command, "client", lambda *_, **__: local.sqs)


def test_a_stack_that_does_not_write_is_found_out(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.main(local.arguments("--seconds", "1")) == 1

    assert "waited 1 seconds for 300 records in Sluice-RecordsTable" in capsys.readouterr().err


def test_a_stack_that_works_is_found_to_work_and_left_as_it_was(
    local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    with local.function_running():
        status = smoke.main(local.arguments())

    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    assert said.out.endswith("smoke: all is well\n")
    # What the first test sent has been written and deleted as well.
    table = local.deployment.outputs.table_name
    assert local.aws.client("dynamodb").scan(TableName=table)["Items"] == []


def test_a_wrong_reason_is_found_out(
    local: Local, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "BAD", {"InvalidNumber": {"upsert": {}}})

    with local.function_running():
        status = smoke.main(local.arguments())

    assert status == 1
    assert "['InvalidNumber'], got ['UnknownOperation']" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"A": {}, "B": {}}', '{"A": {"QueueUrl": "x"}}', '{"A": 1}'])
def test_a_file_that_holds_no_stack_is_refused(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(content)

    assert smoke.main(["--stack-outputs", str(path)]) == 1
    assert "does not hold the outputs of one stack" in capsys.readouterr().err


def test_the_outputs_are_those_that_cdk_wrote(local: Local) -> None:
    (outputs,) = json.loads(local.outputs.read_text()).values()

    assert smoke.Stack.from_file(local.outputs).table_name == outputs["TableName"]
