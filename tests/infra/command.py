"""The app, run in its own process as `cdk` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.infra.template import ROOT

WITHOUT_PACKAGE: Mapping[str, Any] = {"aws:cdk:bundling-stacks": []}
"""Context that leaves out the function's package."""


def run_app(directory: Path, context: Mapping[str, Any], **environ: str) -> subprocess.CompletedProcess[str]:
    """Write the cloud assembly into `directory`; the context is cdk.json's and `context`."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env={
            **os.environ,
            "CDK_OUTDIR": str(directory),
            "CDK_CONTEXT_JSON": json.dumps({**flags, **context}),
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )
