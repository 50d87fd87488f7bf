"""The demo from outside: its figures, its exit status, and that nothing is left of it whenever it is stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.local.demo import weather
from sluice.local.demo.summary import MAX_WIDTH
from tests import printed

pytestmark = pytest.mark.xdist_group("demo")

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".demo"
SECONDS = 600  # For any one run, on a busy machine.


class Demo:
    """A demo under way in a process of its own; what it starts carries a mark by which it can be found."""

    def __init__(self, *options: str) -> None:
        self.mark = f"SLUICE_DEMO_TEST={uuid.uuid4()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sluice.local.demo", *options],
            cwd=ROOT,
            env={**os.environ, name: value, "COLUMNS": str(MAX_WIDTH)},  # As wide as what the pages quote.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""

    def read_until(self, pattern: str) -> None:
        """Read on until the output matches; fails if it ends before."""
        assert self.process.stdout is not None
        while not re.search(pattern, self.output):
            part = os.read(self.process.stdout.fileno(), 65_536)
            assert part, f"{pattern!r} is not in:\n{self.output}"
            self.output += part.decode()

    def finish(self) -> int:
        output, _ = self.process.communicate(timeout=SECONDS)
        self.output += output.decode()
        return self.process.returncode

    def running(self) -> list[str]:
        """The command lines of all processes that it has started and that are there now."""
        # A function's process has an environment of its own, which names the place of its code.
        marks = (self.mark.encode(), f"LAMBDA_TASK_ROOT={STATE}/".encode())
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environ, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
            except OSError:  # It has ended meanwhile, or is somebody else's.
                continue
            if int(process.name) != self.process.pid and any(mark in environ for mark in marks):
                found.append(command.replace(b"\0", b" ").decode())
        return found


@contextmanager
def demo(*options: str) -> Iterator[Demo]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are looked for in /proc")
    running = Demo(*options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)  # So that it ends what it has started.
            running.process.wait(timeout=SECONDS)


@pytest.mark.parametrize(
    ("point", "number", "child"),
    [
        (r"records: ", signal.SIGHUP, None),
        (r"cdk bootstrap", signal.SIGTERM, "infra.app"),
        (r"Records in the table", signal.SIGINT, "awslambdaric"),
    ],
)
def test_a_signal_ends_it_and_leaves_no_process(point: str, number: signal.Signals, child: str | None) -> None:
    # So many that it is still at them when the signal comes.
    with demo("--records", "20000" if child == "awslambdaric" else "300") as run:
        run.read_until(point)
        end = time.monotonic() + SECONDS
        while child and not any(child in command for command in run.running()):
            assert time.monotonic() < end, run.running()
            time.sleep(0.02)

        run.process.send_signal(number)
        status = run.finish()

        assert status == 128 + number
        assert run.running() == []
        assert f"Stopped (stopped by {number.name})" in run.output
        assert "Traceback" not in run.output


# After the interrupted ones, as nothing that those leave behind may disturb it.
def test_a_whole_demo_accounts_for_every_record() -> None:
    codes = sorted(record.code for record in weather.bad_records())

    with demo("--records", "300") as run:
        status = run.finish()

        assert status == 0, run.output
        assert run.running() == []
    assert figure("sent", run.output) == 300 + len(codes)
    assert figure("written", run.output) == 300
    assert figure("dead-lettered", run.output) == len(codes)
    assert re.findall(r"^ {17}([A-Z]\w+) ", run.output, re.MULTILINE) == codes
    assert figure("missing", run.output) == figure("different", run.output) == 0
    assert 300 / 25 <= figure("batch calls", run.output) <= 300 / 25 + 2
    assert figure("write units", run.output) == 300
    assert figure("invocations", run.output) >= 1
    assert figure("throughput", run.output) > 0
    assert f"{300 + len(codes)} sent = 300 written + {len(codes)} dead-lettered" in run.output
    assert "Traceback" not in run.output
    lines = {printed.alike(line) for line in run.output.splitlines()}
    for page in ("README.md", "docs/guarantees.md"):
        shown = printed.demo_lines((ROOT / page).read_text())
        assert len(shown) >= 5
        assert [line for line in shown if printed.alike(line) not in lines] == [], page


def figure(name: str, output: str) -> int:
    found = re.search(rf"^  {name} +([\d,]+) ", output, re.MULTILINE)
    assert found, f"no figure {name!r} in:\n{output}"
    return int(found[1].replace(",", ""))


def test_a_second_demo_at_the_same_time_is_refused() -> None:
    with demo("--records", "300") as first:
        first.read_until("records: ")

        with demo("--records", "300") as second:
            assert second.finish() == 1
        assert second.output == "Another demo is running in this directory; wait for its end.\n"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with demo("--port", str(port)) as run:
            assert run.finish() == 1
            assert run.running() == []
    assert f"Port {port} is taken by another program; choose another one with --port." in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("options", [("--records", "0"), ("--records", "many"), ("--port", "80"), ("--fast",)])
def test_usage_is_refused_with_status_2(options: tuple[str, ...]) -> None:
    with demo(*options) as run:
        assert run.finish() == 2
    assert "usage: python -m sluice.local.demo" in run.output
    assert options[0] in run.output
