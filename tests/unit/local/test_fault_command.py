"""`python -m sluice.local.faults` by itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from sluice.local.faults.__main__ import main


def test_it_serves_until_ctrl_c_and_says_what_it_did() -> None:
    command = [sys.executable, "-m", "sluice.local.faults", "--upstream", "http://127.0.0.1:9", "--profile", "flaky"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, arrow, rest = process.stdout.readline().split(" ", 2)
        request = urllib.request.Request(
            url, b'{"TableName": "t"}', {"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "text/plain"}
        )
        with pytest.raises(OSError):  # noqa: PT011  # Nobody answers behind it, or the fault resets the connection.
            urllib.request.urlopen(request, timeout=600)
        with urllib.request.urlopen(f"{url}/faults", timeout=600) as response:
            counts = json.load(response)
        process.send_signal(signal.SIGINT)
        output = process.stdout.read()

    assert (arrow, rest.split(",")[1:2]) == ("→", [" profile flaky"])
    assert counts["writes"] == 1
    assert "       1  writes" in output
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "calm"], "--upstream"),
        (["--upstream", "https://dynamodb.us-east-1.amazonaws.com"], "http://"),
        (["--upstream", "http://127.0.0.1:9", "--write-units", "0"], "'0'"),
        (["--upstream", "http://127.0.0.1:9", "--profile", "gentle"], "'gentle'"),
        (["--upstream", "http://"], "'http://'"),
        (["--upstream", "http://127.0.0.1:70000"], "out of range"),
        (["--upstream", "http://127.0.0.1:9", "--port", "70000"], "'70000'"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_help_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])

    assert stopped.value.code == 0
    assert "--write-units" in capsys.readouterr().out
