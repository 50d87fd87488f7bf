"""Real data from a file to the table and back by the commands: interrupted, throttled, dead-lettered, repaired."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.local.aws import LocalError
from sluice.local.demo.weather import DATA
from sluice.local.deploy import cdk_command
from tests.integration.gate import gate, noted

pytestmark = pytest.mark.xdist_group("pipeline")

ROOT = Path(__file__).parents[2]
SECONDS = 1800  # For any one step, on a busy machine.
RECORDS = 52_230
BROKEN_EVERY = 1_000
"""Records between two that have lost a key attribute."""
COLUMNS = ("origin", "time_hour", "temp", "wind_speed")
"""Few of those that there are: what takes time here is moto, for each attribute."""
TYPES = "temp=N,wind_speed=N"
REPAIR = """
import json, sys
for line in sys.stdin:
    letter = json.loads(line)
    operations = json.loads(letter["Body"])
    assert letter["ErrorCode"] == "MissingKey", letter["ErrorCode"]
    for operation in operations:
        operation["put"]["time_hour"] = operation["put"].pop("lost")
    letter["Body"] = json.dumps(operations)
    print(json.dumps(letter))
"""


class Shell:
    """The commands as somebody types them, with the playground's variables."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def start(self, *arguments: str | Path, **more: str) -> subprocess.Popen[str]:
        """A command under way, with `more` variables."""
        return subprocess.Popen(
            [sys.executable, "-m", "sluice", *map(str, arguments)],
            cwd=ROOT,
            env=self.environ | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path, status: int = 0) -> str:
        """Standard output of a command that must end with this status."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == status, f"{arguments}: {output}\n{errors}"
        return output

    def json(self, *arguments: str | Path, status: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", status=status))

    def local(self, action: str, *arguments: str) -> Any:
        return self.json("local", action, "--directory", self.directory, *arguments)

    def drained(self) -> Any:
        """What is in queues and table once nothing is on its way any more."""
        self.run("local", "wait", "--directory", self.directory, "--timeout", str(SECONDS))
        return self.local("status")["now"]


@pytest.fixture
def shell(tmp_path: Path, with_package: Callable[[Path], Path]) -> Iterator[Shell]:
    try:
        cdk_command()
    except LocalError as missing:
        pytest.fail(str(missing))
    shell = Shell(with_package(tmp_path / "playground"))
    try:
        # Some items come back unprocessed, however slow moto is; and a busy machine has time for whole messages.
        state = shell.local("up", "--key", "origin:S,time_hour:S", "--faults", "busy", "--set", "timeout=60")
        shell.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{state['port']}",
            "AWS_REGION": state["region"],
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "QUEUE_URL": state["queue_url"],
            "TABLE_NAME": state["table_name"],
        }
        yield shell
    finally:
        shell.run("local", "down", "--directory", shell.directory)


def files(directory: Path) -> tuple[Path, Path, Path, int]:
    """A year's weather, twice under different keys: as it should be, the same with some keys lost, and the lost alone.

    And how many are lost.
    """
    with DATA.open(newline="") as file:
        rows = [{name: row[name].replace("NA", "") for name in COLUMNS} for row in csv.DictReader(file)]
    good = [{**row, "origin": f"{row['origin']}{copy}", "lost": ""} for copy in ("", "-again") for row in rows]
    assert len(good) == RECORDS
    lost = good[BROKEN_EVERY - 1 :: BROKEN_EVERY]
    broken = list(good)
    broken[BROKEN_EVERY - 1 :: BROKEN_EVERY] = [{**row, "time_hour": "", "lost": row["time_hour"]} for row in lost]
    paths = [directory / name for name in ("good.csv", "weather.csv", "lost.csv")]
    for path, content in zip(paths, (good, broken, lost), strict=True):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*COLUMNS, "lost"])
            writer.writeheader()
            writer.writerows(content)
    return paths[0], paths[1], paths[2], len(lost)


def interrupted(shell: Shell, number: signal.Signals, records: int, *send: str | Path) -> None:
    """Start to send, and send a signal as soon as so many records have been accepted."""
    port = int(shell.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
    with gate(port, lambda: noted(Path(send[1])) > records) as between:
        process = shell.start(*send, AWS_ENDPOINT_URL=between.url)
        between.wait_until_something_is_held()
        process.send_signal(number)
        between.open()
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == (130 if number == signal.SIGINT else -number), errors


def test_a_file_arrives_whole_though_everything_is_in_its_way(shell: Shell, tmp_path: Path) -> None:
    good, weather, lost, count = files(tmp_path)
    # The table's key is not told, so that records without it get as far as the function.
    send = ("send", weather, "--queue-url", shell.environ["QUEUE_URL"], "--types", TYPES, "--connections", "2")
    table = ("--table-name", shell.environ["TABLE_NAME"], "--types", TYPES)
    dlq = ("--queue-url", shell.environ["QUEUE_URL"])

    # Sent in three parts: killed, interrupted, resumed.
    interrupted(shell, signal.SIGKILL, RECORDS // 10, *send)
    interrupted(shell, signal.SIGINT, RECORDS // 2, *send, "--resume")
    sent = shell.json(*send, "--resume")
    assert sent["records"] == RECORDS
    assert RECORDS // 2 < sent["resumed_after_line"] < RECORDS

    # WriteOutcome, but for what has lost its key; that is dead-lettered.
    now = shell.drained()
    assert now["items"] == RECORDS - count
    assert now["faults"]["unprocessed-items"] > 0
    assert now["totals"]["UnprocessedItems"] > 0
    found = shell.json("verify", lost, *table, status=1)
    assert (found["equal"], found["missing"]) == (0, count)
    letters = shell.json("dlq", "show", *dlq)
    assert list(letters["codes"]) == ["MissingKey"]

    # Repaired and sent again: nothing is missing.
    repair = tmp_path / "repair.py"
    repair.write_text(REPAIR)
    redriven = shell.json("dlq", "redrive", *dlq, "--through", f"{sys.executable} {repair}", "--yes")
    assert redriven["sent"] == letters["codes"]["MissingKey"]["count"]
    now = shell.drained()
    assert now["dead_letters"] == 0
    found = shell.json("verify", good, *table)
    assert (found["equal"], found["missing"], found["different"]) == (RECORDS, 0, 0)
