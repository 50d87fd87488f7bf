"""`sluice local` from the user's shell, where no playground has to start: what it refuses, and what it says."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice.cli import main
from sluice.local import aws
from sluice.local.aws import LocalAws, LocalError
from sluice.local.playground import actions, first_cli, keeper
from sluice.local.playground.actions import variables
from sluice.local.playground.keeper import Options
from sluice.local.playground.place import Place, State
from sluice.local.playground.settings import differing

RUNNING = Options("d", {"pk": "S", "at": "N"}, {"timeout": "30", "batchSize": "5"}, faults="busy")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that name a place whose playground is ready."""
    place = Place(tmp_path)
    place.run.mkdir()
    place.write(State("ready", port=4567, options={**vars_of(RUNNING)}, differences={"timeout": [30, 60]}))
    monkeypatch.setattr(Place, "keeper", lambda _: 1)
    return ["--directory", str(tmp_path)]


def vars_of(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--faults", "hostile"], "--faults"),
        (["--write-units", "5"], "--write-units"),
        (["--key", "id:S"], "--key"),
        (["--key", "pk:S"], "--key"),
        (["--set", "batchSize=6"], "--set"),
        (["--set", "memory=512"], "--set"),
        (["--seed", "2"], "--seed"),
        (["--port", "4568"], "--port"),
        (["--foreground"], "--foreground"),
        (["--faults", "busy", "--seed", "3"], "--seed"),
    ],
)
def test_what_a_running_playground_cannot_become_is_refused(
    given: list[str], named: str, running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local", "up", *given, *running]) == 1

    said = capsys.readouterr()
    assert f"already, and {named} cannot be applied" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    "given",
    [[], ["--faults", "busy", "--set", "batchSize=5"], ["--key", "pk:S,at:N", "--seed", "1"], ["--port", "4567"]],
)
def test_a_running_playground_with_the_same_options_gives_its_variables(
    given: list[str], running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local", "up", *given, *running]) == 0

    said = capsys.readouterr()
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:4567" in said.out
    assert "Unlike a stack's: timeout 30 (60)" in said.err
    assert all(len(line) <= 80 for line in said.err.splitlines() if str(running[1]) not in line)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("batchSize=0", "batchSize must be"),
        ("batchSiz=5", "did you mean batchSize?"),
        ("deadlineMargin=30", "deadlineMargin"),
    ],
)
def test_a_setting_is_checked_before_anything_starts(
    setting: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local", "up", "--set", setting, "--directory", str(tmp_path / "new")]) == 2

    assert why in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_settings_of_a_playground_that_are_not_the_stacks_are_known() -> None:
    options = Options("d", {"pk": "S"}, {"memory": "512"})

    found = differing(options.context, options.own_context)

    assert found == {
        "timeout": [20, 60],
        "batchSize": [20, 1000],
        "batchingWindow": [1, 5],
        "maxReceiveCount": [30, 27],
    }


def test_disk_that_is_kept_is_told_and_removed_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    (place / "jsii").mkdir(parents=True)
    (place / "jsii" / "package").write_bytes(b"x" * 3_000_000)
    (place / "notes.txt").write_text("somebody else's")
    monkeypatch.chdir(tmp_path)

    assert main(["local", "down", "--directory", "place"]) == 0
    assert "keeps 3 MB" in capsys.readouterr().err
    assert main(["local", "down", "--all", "--directory", "place"]) == 0

    assert "3 MB" in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == ["notes.txt"]
    assert main(["local", "down", "--directory", "place"]) == 0
    assert "keeps" not in capsys.readouterr().err


# Why it has ended


def ended_after(answers: int) -> Callable[[], int | None]:
    """A local AWS that has ended by its so many-th question."""
    asked = iter(range(10_000))
    return lambda: -9 if next(asked) >= answers else None


def test_whatever_fails_because_the_local_aws_has_ended_is_told_as_that() -> None:
    gone = LocalAws(1, exit_status=ended_after(3))

    with pytest.raises(LocalError, match=r"^the local AWS \(moto\) has ended with status -9$"), keeper._blaming(gone):
        raise ConnectionResetError("whatever botocore says")


def test_a_failure_of_its_own_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ENDING", 0.0)

    with pytest.raises(ConnectionResetError, match="its own"), keeper._blaming(LocalAws(1)):
        raise ConnectionResetError("its own")


def test_a_local_aws_tells_the_status_that_it_has_ended_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Event()
    monkeypatch.setattr(aws, "_answers", lambda _: True)
    monkeypatch.setattr(sys, "executable", "/bin/sh")  # `sh -m moto.server …` knows no such file.

    with aws.local_aws(tmp_path) as local:
        while local.exit_status() is None:
            ready.wait(0.01)

        with pytest.raises(LocalError, match="has ended with status"):
            local.require_running()


@pytest.mark.parametrize("command", [["status"], ["wait"], ["watch"]])
def test_who_looks_is_told_why_it_has_ended(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    place.run.mkdir()
    place.write(State("ready", port=1))

    def ask(_state: State, _page: str) -> None:  # Between two looks the keeper has ended.
        monkeypatch.setattr(Place, "keeper", lambda _: None)
        place.change(status="failed", error="the local AWS (moto) has ended with status -9")

    monkeypatch.setattr(Place, "keeper", lambda _: 1 if place.read().status == "ready" else None)
    monkeypatch.setattr(actions, "_ask", ask)
    if command == ["status"]:
        ask(place.read(), "")

    assert main(["local", *command, "--directory", str(tmp_path)]) == 1
    assert "the local AWS (moto) has ended with status -9" in capsys.readouterr().err


def test_a_keeper_that_does_not_answer_is_not_called_stopped(
    running: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_ask", lambda *_: None)
    monkeypatch.setattr(actions, "STOP_SECONDS", 0.0)

    assert main(["local", "wait", *running]) == 1

    assert "does not answer" in capsys.readouterr().err


# The AWS CLI


def cli(directory: Path, version: str) -> None:
    """An `aws` on the PATH that says its version, or what it is asked."""
    command = directory / "aws"
    command.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" || echo "$@"\n')
    command.chmod(0o755)


def test_version_1_of_the_aws_cli_gets_the_endpoint_in_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli(tmp_path, "aws-cli/1.46.3 Python/3.11.7")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    script = (
        "\n".join(variables(State("ready", port=4567))) + "\naws sqs list-queues; unset AWS_ENDPOINT_URL; aws s3 ls"
    )

    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    assert first_cli.first_aws_cli()
    assert done.stdout == "--endpoint-url http://127.0.0.1:4567 sqs list-queues\ns3 ls\n"


@pytest.mark.parametrize("version", ["aws-cli/2.31.0 Python/3.13", None])
def test_no_other_gets_a_shell_function(version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if version is not None:
        cli(tmp_path, version)

    assert not any("aws()" in line for line in variables(State("ready", port=4567)))


def test_a_state_is_json(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run.mkdir()
    place.write(State("ready", options=vars_of(RUNNING)))

    assert json.loads(json.dumps(place.read().options))["settings"]["batchSize"] == "5"


# --output json

LOOK = {"at": 0.0, "waiting": 0, "in_flight": 0, "items": 7}


def printed(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """The objects on standard output, of which each has a line; nothing is said besides."""
    said = capsys.readouterr()
    assert said.err == ""
    return [json.loads(line) for line in said.out.splitlines()]


def test_the_variables_are_an_object(running: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["local", "env", "--output", "json", *running]) == 0

    (values,) = printed(capsys)
    assert values["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4567"
    assert values.keys() >= {"QUEUE_URL", "TABLE_NAME", "AWS_SECRET_ACCESS_KEY"}


def test_what_down_has_done_is_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jsii").mkdir()
    (tmp_path / "jsii" / "package").write_bytes(b"x" * 1000)

    for more in ([], ["--all"]):
        assert main(["local", "down", "--json", *more, "--directory", str(tmp_path)]) == 0

    kept, removed = printed(capsys)
    assert kept == {"was_running": False, "removed_bytes": 0, "kept_bytes": kept["kept_bytes"]}
    assert kept["kept_bytes"] >= 1000
    assert (removed["removed_bytes"], removed["kept_bytes"]) == (kept["kept_bytes"], 0)


@pytest.mark.parametrize(("waiting", "timeout", "status"), [(0, "60", 0), (1, "0.001", 1)])
def test_whether_the_queue_is_empty_is_an_object(
    waiting: int,
    timeout: str,
    status: int,
    running: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(actions, "_look", lambda _: [{**LOOK, "waiting": waiting, "at": 1e12}] * 2)

    assert main(["local", "wait", "--json", "--timeout", timeout, *running]) == status

    (said,) = printed(capsys)
    assert said["empty"] is (status == 0)


def test_each_look_is_an_object_on_a_line(
    running: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    third, fourth = {**LOOK, "at": 3.0}, {**LOOK, "at": 4.0}
    looks = iter(
        [[], [{**LOOK, "at": 0.0}, {**LOOK, "at": 1.0}], [{**LOOK, "at": 1.0}, third, fourth], [third, fourth], None]
    )
    monkeypatch.setattr(actions, "_look", lambda _: next(looks))
    monkeypatch.setattr(actions, "_ask", lambda *_: [{"name": "DeadLetters"}])
    monkeypatch.setattr(actions, "_why_gone", lambda _: "it has stopped")
    monkeypatch.setattr("time.monotonic", itertools.count().__next__)
    monkeypatch.setattr("time.sleep", lambda _: None)

    assert main(["local", "watch", "--json", *running]) == 1

    said = capsys.readouterr()
    told = [json.loads(line) for line in said.out.splitlines()]
    assert [one["at"] for one in told] == [1.0, 3.0, 4.0]
    assert told[0] == {**LOOK, "at": 1.0, "alarms": [{"name": "DeadLetters"}]}
    assert said.err == "sluice local: it has stopped\n"


def test_each_whole_line_of_a_log_is_an_object(
    running: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path)
    place.log("function-1").write_text('first\n{"level": "INFO"}\nhal')
    place.log("function-2").write_text("second\n")
    looks = iter([1, None])

    def grown(_: Place) -> int | None:
        place.log("function-1").write_text('first\n{"level": "INFO"}\nhalf a line\nand')
        return next(looks)

    monkeypatch.setattr(Place, "keeper", grown)
    monkeypatch.setattr("time.sleep", lambda _: None)

    assert main(["local", "logs", "--json", "--lines", "1", "--follow", *running]) == 0

    assert printed(capsys) == [
        {"log": "function-1", "line": '{"level": "INFO"}'},
        {"log": "function-2", "line": "second"},
        {"log": "function-1", "line": "half a line"},
    ]
