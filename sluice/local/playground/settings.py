"""The stack's settings, checked before anything starts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sluice.cli import UsageError
from sluice.local.sources import ROOT

SECONDS = 300


def differing(context: Mapping[str, str], own: Mapping[str, str]) -> dict[str, list[Any]]:
    """The settings that are others with `context` than with `own`: name → both values. Raises `UsageError`."""
    # A process of its own, as for `cdk deploy`: the library knows nothing of the stack in this checkout.
    command = [sys.executable, "-m", "infra.effective", json.dumps(context), json.dumps(own)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise UsageError(f"--set: {done.stderr.strip().splitlines()[-1]}")
    differences: dict[str, list[Any]] = json.loads(done.stdout)
    return differences
