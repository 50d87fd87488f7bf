"""Child processes that never outlive their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

GRACE = 3.0
"""Seconds between TERM and KILL."""


@contextmanager
def child(
    command: Sequence[str | Path], *, environ: Mapping[str, str], directory: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in its own process group, output to `log`; on exit end all that is left of the group."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=dict(environ),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """End a child and everything it has started: TERM, and KILL for what is there after `grace` seconds."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        end = time.monotonic() + seconds
        signal_group(process.pid, number)
        while time.monotonic() < end:
            process.poll()  # Reaps the child, which would otherwise count as alive.
            if not signal_group(process.pid, 0):
                return
            time.sleep(0.01)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False if nobody is left in it."""
    # macOS answers "not permitted" for a group in which only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def tail(log: Path, lines: int = 10) -> str:
    """The last lines of a log, indented, to show under an error."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line[:300]}" for line in text.rstrip().splitlines()[-lines:])
