"""The app, run in a process of its own as `cdk` runs it."""

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
"""Context with which the function's package is not made."""


def run_app(directory: Path, context: Mapping[str, Any], **environ: str) -> subprocess.CompletedProcess[str]:
    """Write the cloud assembly into `directory`, with the context of cdk.json and this besides."""
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
