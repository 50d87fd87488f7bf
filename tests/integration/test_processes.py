"""No child process outlives its owner, whatever it does; signals stop the owner only where it asks."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sluice.interrupt import Interrupt, Interrupted
from sluice.local.processes import child, end_group, signal_group, tail

SLEEPER = """
import signal, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(3600)
"""
SECONDS = 300  # For any one wait, on a busy machine.


def wait_for(text: str, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.01)


@pytest.mark.parametrize("trait", ["ordinary", "stubborn"])
def test_a_child_is_ended_on_exit_even_if_it_ignores_term(tmp_path: Path, trait: str) -> None:
    log = tmp_path / "log"

    with child([sys.executable, "-c", SLEEPER, trait], environ=os.environ, directory=tmp_path, log=log) as process:
        wait_for("ready", log)
        # The ordinary one dies at once, unless the machine is very busy; the other is not given much time.
        end_group(process, grace=0.2 if trait == "stubborn" else SECONDS)

    assert process.returncode == (-signal.SIGKILL if trait == "stubborn" else -signal.SIGTERM)
    assert not signal_group(process.pid, 0)


def test_what_a_child_has_started_ends_with_it_even_when_the_child_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
    command = [sys.executable, "-c", script, SLEEPER]

    with child(command, environ=os.environ, directory=tmp_path, log=log) as process:
        assert process.wait(timeout=SECONDS) == 0
        wait_for("ready", log)
        assert signal_group(process.pid, 0)

    assert not signal_group(process.pid, 0)


def test_a_child_is_ended_when_its_owner_fails(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def fail() -> None:
        with child([sys.executable, "-c", SLEEPER], environ=os.environ, directory=tmp_path, log=log) as process:
            pids.append(process.pid)
            wait_for("ready", log)
            raise KeyError

    pids: list[int] = []
    with pytest.raises(KeyError):
        fail()

    assert not signal_group(pids[0], 0)


def test_a_signal_is_noted_and_raised_only_where_it_is_asked_for() -> None:
    before = signal.getsignal(signal.SIGINT)

    with Interrupt() as interrupt:
        interrupt.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted) as caught:
            interrupt.check()

    assert caught.value.exit_status == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(30)) + b"\xff\n")

    assert tail(log, 2) == "    line 29\n    \ufffd"
    assert tail(tmp_path / "nowhere") == ""
