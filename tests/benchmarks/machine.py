"""Where and when a run was made."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    date: str
    cores: int
    model: str
    python: str
    system: str

    def __str__(self) -> str:
        return f"{self.date}, {self.cores} cores of {self.model}, Python {self.python}, {self.system}"


def this_machine() -> Machine:
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        cores=os.cpu_count() or 1,
        model=_model(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # Not Linux.
        return platform.processor() or "an unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
