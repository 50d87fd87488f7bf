"""The frame of the command line: which command, which exit status, what is said."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoRegionError

from sluice import __version__, cli
from sluice.cli import CommandError, UsageError, main

Outcome = int | BaseException | Callable[[argparse.Namespace], int]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcome], None]:
    """Makes `sluice probe` a command that ends in a certain way."""
    module: Any = ModuleType("sluice.probe.command", "Look and tell.")
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("sluice.probe.command", "look"))
    monkeypatch.setitem(sys.modules, "sluice.probe.command", module)

    def configure(parser: argparse.ArgumentParser) -> None:
        cli.add_aws_options(parser)
        cli.add_json_option(parser)

    def ends(outcome: Outcome) -> None:
        def run(options: argparse.Namespace) -> int:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome if isinstance(outcome, int) else outcome(options)

        module.configure, module.run = configure, run

    return ends


REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessage")


@pytest.mark.parametrize(
    ("outcome", "status", "said"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (UsageError("these exclude each other"), 2, "sluice probe: these exclude each other\n"),
        (CommandError("it is broken"), 1, "sluice probe: it is broken\n"),
        (REFUSED, 1, "sluice probe: An error occurred (AccessDenied) when calling the SendMessage operation: no\n"),
        (OSError(28, "No space left on device"), 1, "sluice probe: [Errno 28] No space left on device\n"),
        (NoRegionError(), 1, "sluice probe: You must specify a region.\n"),
        (KeyboardInterrupt(), 130, "\nStopped.\n"),
        (
            ModuleNotFoundError(name="moto"),
            1,
            "sluice probe needs the Python package moto: pip install 'sluice[local]'\n",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exit_status_tells_how_it_ended(
    probe: Any, capsys: pytest.CaptureFixture[str], outcome: Outcome, status: int, said: str
) -> None:
    probe(outcome)

    assert main(["probe"]) == status
    assert capsys.readouterr().err == said


def test_a_bug_shows_itself(probe: Any) -> None:
    probe(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        main(["probe"])


@pytest.mark.parametrize("arguments", [["dance"], ["probe", "--dance"]])
def test_what_is_no_command_or_option_is_usage(probe: Any, arguments: list[str]) -> None:
    probe(0)

    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("arguments", [[], ["dlq"], ["local"]])
def test_where_a_command_is_missing_the_help_lists_them(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    helped = capsys.readouterr().out

    status = main(arguments)

    assert status == 2
    assert capsys.readouterr().err == helped


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 letters"), (1, "1 letter"), (2, "2 letters"), (12_345, "12,345 letters")]
)
def test_what_is_counted_is_one_or_several(number: int, said: str) -> None:
    assert cli.counted(number, "letter") == said


def test_help_lists_the_commands_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])

    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert all(command.summary in output for command in cli.COMMANDS.values())


def test_the_aws_options_make_the_client(probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clients: list[Any] = []

    def run(options: argparse.Namespace) -> int:
        clients.append(cli.client(options, "sqs"))
        return 0

    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    probe(run)

    main(["probe"])
    main(["probe", "--region", "sa-east-1", "--endpoint-url", "http://127.0.0.1:1"])

    assert [client.meta.region_name for client in clients] == ["eu-west-1", "sa-east-1"]
    assert clients[1].meta.endpoint_url == "http://127.0.0.1:1"


@pytest.mark.parametrize("service", ["sqs", "dynamodb"])
def test_an_endpoint_that_is_no_url_is_a_usage_error(
    probe: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    probe(lambda options: cli.client(options, service))

    assert main(["probe", "--endpoint-url", "localhost:4566"]) == 2
    assert capsys.readouterr().err == "sluice probe: Invalid endpoint: localhost:4566\n"


def test_progress_is_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, 1.0, 6.0, 9.0])
    monkeypatch.setattr("sluice.cli.time.monotonic", lambda: next(times))

    with cli.progress("sent", 2000, "records") as show:
        show(10)
        show(1000, "well")
        show(1500)

    captured = capsys.readouterr()
    assert captured.err == "sent: 1,000 of 2,000 records, well, 165 records/s, 6 s left\n"
    assert captured.out == ""


def test_options_may_stand_before_the_command_and_the_same_everywhere(
    probe: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[argparse.Namespace] = []

    def run(options: argparse.Namespace) -> int:
        seen.append(options)
        cli.say("hello")
        with cli.progress("sent", 1, "records", every=0) as show:
            show(1)
        cli.put_out("result")
        return 0

    probe(run)
    for arguments in (
        ["--region", "eu-west-1", "--json", "probe", "--quiet"],
        ["-q", "probe", "--output", "json", "--region=eu-west-1"],
        ["probe", "--region", "eu-west-1", "--output=json", "-q"],
    ):
        assert main(arguments) == 0
    assert capsys.readouterr() == ("result\n" * 3, "")
    assert {(one.region, one.json) for one in seen} == {("eu-west-1", True)}

    assert main(["probe", "--output", "text"]) == 0
    assert not seen[-1].json
    assert capsys.readouterr().err.startswith("hello\n")


def test_every_command_tells_its_version(probe: Any, capsys: pytest.CaptureFixture[str]) -> None:
    probe(0)

    with pytest.raises(SystemExit) as caught:
        main(["probe", "--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"sluice {__version__}\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    with cli.progress("sent", 2, "records") as show:
        show(1)
        show(2, "well")

    assert "2/2" in capsys.readouterr().err
