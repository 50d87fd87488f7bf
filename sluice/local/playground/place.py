"""Where a playground keeps what it knows of itself, and how others tell whether it is running."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from sluice.local.aws import LocalError
from sluice.local.sources import ROOT

DEFAULT = Path(os.environ.get("SLUICE_LOCAL_DIRECTORY") or ROOT / ".sluice-local")
"""Everything that a playground leaves behind is in here."""

KEPT = ("run", "cdk", "cdk.out", "jsii")
"""The directories in it."""

Status = Literal["starting", "ready", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class State:
    """What the keeper of a playground tells of it."""

    status: Status = "starting"
    step: str = ""
    """What it is doing while it starts."""
    error: str = ""
    port: int = 0
    """Where everything answers, on 127.0.0.1."""
    local_aws: tuple[int, str] | None = None
    """Process id and mark of moto, for those who tidy up after a keeper that was killed."""
    region: str = "us-east-1"
    account: str = ""
    queue_url: str = ""
    dead_letter_queue_url: str = ""
    table_name: str = ""
    function_name: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """What it was started with."""
    differences: dict[str, list[Any]] = field(default_factory=dict)
    """Settings that are others than a stack's → value here, value of the stack."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """A directory for one playground."""

    directory: Path

    @property
    def run(self) -> Path:
        """The files of this run; those beside it are kept from run to run."""
        return self.directory / "run"

    def disk_bytes(self) -> int:
        """What a playground has written here, without what links lead to."""
        kept = (self.directory / each for each in KEPT)
        files = (Path(root, name) for each in kept for root, _, names in os.walk(each) for name in names)
        total = 0
        for file in files:
            with suppress(FileNotFoundError):  # A log that a new run has just removed.
                total += file.lstat().st_size
        return total

    def clear(self) -> None:
        """Remove what is kept from run to run; the directory itself only where nothing of somebody else's is in it."""
        for kept in KEPT:
            shutil.rmtree(self.directory / kept, ignore_errors=True)
        (self.directory / "lock").unlink(missing_ok=True)
        with suppress(OSError):
            self.directory.rmdir()

    def log(self, name: str) -> Path:
        return self.run / f"{name}.log"

    def read(self) -> State:
        """The newest state; one that is stopped where there is none."""
        try:
            return State(**json.loads((self.run / "state.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return State("stopped")

    def write(self, state: State) -> None:
        """Replaced in one step, for others read it meanwhile."""
        new = self.run / "state.json.new"
        new.write_text(json.dumps(asdict(state)))
        new.replace(self.run / "state.json")

    def change(self, **changes: Any) -> State:
        state = replace(self.read(), **changes)
        self.write(state)
        return state

    def keeper(self) -> int | None:
        """The process that keeps the playground; None where it is not running.

        Told by a lock, which the system takes back from a process that ends: a process id alone may be somebody else's
        by now.
        """
        try:
            file = (self.directory / "lock").open("r+")
        except FileNotFoundError:
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
                return int(text) if text.isdecimal() else None
            return None

    def hold(self) -> IO[str]:
        """Be the keeper until this is closed, or the process ends. Raises `LocalError` while another one is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = (self.directory / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise LocalError(f"A playground is running in {self.directory} already.") from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        return file
