"""The local AWS of a keeper that was killed; the function's processes end by themselves when the keeper is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from sluice.local.processes import GRACE


def own_child(ending: str) -> tuple[int, str] | None:
    """Id and mark of the child of this process whose command ends so."""
    for line in _ps("-A", "-o", "pid=,ppid=,command="):
        pid, parent, command = line.split(maxsplit=2)
        if int(parent) == os.getpid() and command.endswith(ending):
            return int(pid), mark(int(pid))
    return None


def mark(pid: int) -> str:
    """Start and command of a process: with its id they tell it from any other. Empty where there is none."""
    return " ".join(_ps("-p", str(pid), "-o", "lstart=,command="))


def end(process: Sequence[int | str] | None) -> None:
    """End what `own_child` told, if it is still the same."""
    if process is None:
        return
    pid, known = int(process[0]), process[1]
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE
        while known and mark(pid) == known and time.monotonic() < until:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            time.sleep(0.1)


def _ps(*arguments: str) -> list[str]:
    try:
        done = subprocess.run(["ps", "-ww", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:  # As in a slim image: nothing can be told of processes, so nothing is tidied up.
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
