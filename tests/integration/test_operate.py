"""Commands for operators against a playground: docs/operations.md from top to bottom, and a keeper that is killed."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sluice.cli import COMMANDS
from sluice.local.playground.place import Place

pytestmark = pytest.mark.xdist_group("operate")

ROOT = Path(__file__).parents[2]
SECONDS = 1800  # For any one thing, on a busy machine.
_BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_END = "=== end of block"


def blocks(document: Path) -> list[tuple[str, list[str]]]:
    """The scripts marked `sh run`, each with the lines of the `text` that follows it."""
    found: list[tuple[str, list[str]]] = []
    is_after_run = False
    for match in _BLOCK.finditer(document.read_text()):
        if match["info"] == "sh run":
            found.append((match["text"], []))
        elif match["info"] == "text" and is_after_run:
            found[-1][1].extend(line for line in match["text"].splitlines() if line.strip())
        is_after_run = match["info"] == "sh run"
    return found


_OTHERS = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"\d+ (s|min) old"), "<age> old"),
)
"""What is another one each time."""


def normalized(line: str) -> str:
    """The line without what differs from run to run."""
    line = line.strip()
    for what, name in _OTHERS:
        line = what.sub(name, line)
    return line


def is_said(line: str, output: list[str]) -> bool:
    """Whether a line of a document is among the normalized lines of an output; … stands for anything."""
    documented = re.compile(re.escape(normalized(line)).replace("…", ".*"))
    return any(documented.fullmatch(one) for one in output)


def environ(directory: Path) -> dict[str, str]:
    """Without the user's own AWS account; `sluice` is this one."""
    binaries = directory / "bin"
    binaries.mkdir(exist_ok=True)
    command = binaries / "sluice"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m sluice "$@"\n')
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "PATH": f"{binaries}:{kept['PATH']}",
        "SLUICE_LOCAL_DIRECTORY": str(directory / "playground"),
    }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where the playground of a test is; nothing of it is left."""
    yield Place(tmp_path / "playground")
    sluice(tmp_path, "local", "down")


def sluice(directory: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sluice", *arguments],
        cwd=directory,
        env=environ(directory) | extra,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_document_says_what_the_commands_do(tmp_path: Path, place: Place) -> None:
    documented = blocks(ROOT / "docs" / "operations.md")
    assert len(documented) >= 8
    script = "".join(f"{{\n{text}\n}} 2>&1\nprintf '\\n{_END} %s\\n' $?\n" for text, _ in documented)
    script = script.replace('eval "$(sluice local up)"\n\n} 2>&1', 'eval "$(sluice local up 2>up.err)"\ncat up.err\n}')

    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=environ(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    parts = re.split(rf"\n{_END} (\d+)\n", done.stdout)
    outputs, statuses = parts[0:-1:2], [int(status) for status in parts[1::2]]
    assert len(outputs) == len(documented), done.stdout
    for (text, lines), output, status in zip(documented, outputs, statuses, strict=True):
        assert status in (0, 1), f"{text}\n{output}"
        said = [normalized(one) for one in output.splitlines()]
        for line in lines:
            assert is_said(line, said), f"{line!r} is not in:\n{output}\nof:\n{text}"
    assert place.keeper() is None


def commands(document: Path) -> list[str]:
    """Every `sluice …` of the scripts and tables in a document, whether it is run or not."""
    text = document.read_text()
    scripts = [match["text"] for match in _BLOCK.finditer(text) if match["info"].partition(" ")[0] == "sh"]
    lines = "\n".join(scripts).replace("\\\n", " ").splitlines()
    found = [part for line in lines for part in re.findall(r"\bsluice ([a-z]+ .*)", line)]
    return [*found, *re.findall(r"^\| `sluice ([^`]+)`", text, re.MULTILINE)]


@pytest.mark.parametrize("name", ["operations.md", "messages.md"])
def test_every_command_in_a_document_has_the_options_that_it_uses(name: str) -> None:
    found = commands(ROOT / "docs" / name)

    assert len(found) > 3
    for command in found:
        words = shlex.split(re.split(r" [|&>] ?|\)\"| 2>", command)[0], comments=True)
        parser = argparse.ArgumentParser()
        importlib.import_module(COMMANDS[words[0]].module).configure(parser)
        parser.parse_args(words[1:])  # Exits where the usage is wrong.


def processes(mark: str) -> list[str]:
    """Command lines that hold this mark."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "command="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if mark in line]


def local_client(service: str, variables: dict[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(proxies={}),
    )


def now_of(directory: Path) -> dict[str, Any]:
    now: dict[str, Any] = json.loads(sluice(directory, "local", "status", "--json").stdout)["now"]
    return now


def test_a_playground_outlives_its_shell_and_leaves_nothing_even_if_it_is_killed(
    tmp_path: Path, place: Place, with_package: Callable[[Path], Path]
) -> None:
    with_package(place.directory)
    up = sluice(tmp_path, "local", "up", "--write-units", "100000", "--json")
    assert up.returncode == 0, up.stderr
    state: dict[str, Any] = json.loads(up.stdout)
    local = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{state['port']}",
        "AWS_REGION": state["region"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    moto, keeper = state["local_aws"][1].split(" -m ", 1)[1], place.keeper()
    assert processes(moto)
    assert keeper is not None

    # It works, with the injector in between, and can be seen.
    records = tmp_path / "records.jsonl"
    records.write_text("".join(f'{{"pk": "k{n}", "n": {n}}}\n' for n in range(2000)))
    sent = sluice(tmp_path, "send", str(records), "--queue-url", state["queue_url"], "--key", "pk:S", **local)
    assert sent.returncode == 0, sent.stderr
    assert sluice(tmp_path, "local", "wait").returncode == 0
    verified = sluice(tmp_path, "verify", str(records), "--table-name", state["table_name"], "--json", **local)
    assert json.loads(verified.stdout)["equal"] == 2000
    now = json.loads(sluice(tmp_path, "local", "status", "--json").stdout)["now"]
    assert now["items"] == now["totals"]["OperationsWritten"] == 2000
    assert now["faults"]["writes"] >= 2000 / 25
    with urllib.request.urlopen(f"{local['AWS_ENDPOINT_URL']}/-/dashboard", timeout=SECONDS) as page:
        drawn = page.read().decode()
    assert drawn.count("<svg") == 1
    assert "NoProgress" in drawn
    assert "no data" not in drawn.partition("Write units a second")[2].partition("Writes refused")[0]
    assert sluice(tmp_path, "local", "up").returncode == 0  # It is there already.
    assert sluice(tmp_path, "local", "up", "--faults", "hostile").returncode == 1
    assert place.keeper() == keeper

    # The runbook's brake: nothing is taken from the queue until it is let go.
    functions, queues = (local_client(service, local) for service in ("lambda", "sqs"))
    [mapping] = functions.list_event_source_mappings(FunctionName=state["function_name"])["EventSourceMappings"]
    assert mapping["State"] == "Enabled"
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    sent_now, now = 0, now_of(tmp_path)
    while now["waiting"] == 0:  # Receives that had begun may still take something.
        assert sent_now < 10
        queues.send_message(QueueUrl=state["queue_url"], MessageBody=f'{{"put": {{"pk": "braked{sent_now}"}}}}')
        sent_now += 1
        before = now["at"]
        while now["at"] < before + 3:
            time.sleep(0.5)  # A process asks each time.
            now = now_of(tmp_path)
    assert not now["is_enabled"]
    assert now["items"] < 2000 + sent_now
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    assert sluice(tmp_path, "local", "wait").returncode == 0
    assert now_of(tmp_path)["items"] == 2000 + sent_now

    # A condition that DynamoDB refuses is refused, to the function too.
    bad = '{"put": {"pk": "k"}, "condition": "attribute_exists(pk) AND foo(pk)"}'
    queues.send_message(QueueUrl=state["queue_url"], MessageBody=bad)
    assert sluice(tmp_path, "local", "wait").returncode == 0
    letters = sluice(tmp_path, "dlq", "show", "--queue-url", state["queue_url"], **local)
    assert "Invalid function name; function: foo" in letters.stdout

    # Killed, it is known to be gone, and what it left is tidied up.
    os.kill(keeper, signal.SIGKILL)
    end = time.monotonic() + SECONDS
    while place.keeper() is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert sluice(tmp_path, "local", "status").returncode == 1
    assert sluice(tmp_path, "local", "down").returncode == 0
    while processes(moto) or processes(str(place.run)):
        assert time.monotonic() < end, processes(str(place.run))
        time.sleep(0.05)


def test_a_stack_that_cannot_be_deployed_is_told_and_nothing_stays(tmp_path: Path, place: Place) -> None:
    up = sluice(tmp_path, "local", "up", "--set", "batchSize=0")

    assert up.returncode == 2
    assert "batchSize" in up.stderr
    assert "Traceback" not in up.stderr
    assert place.keeper() is None
    assert processes(str(tmp_path)) == []
