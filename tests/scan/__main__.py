"""checkov on the hardened example, `stages/example.json`: `make scan`.

Exit status 1 for any finding that is not excepted, with its reason, where the construct makes the resource.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from infra import stages
from tests.infra import cdk

ROOT = Path(__file__).parents[2]


def main(checkov: str) -> int:
    """`checkov` is the program; nothing is looked up in the network or in an account."""
    with tempfile.TemporaryDirectory() as directory:
        flags = json.loads((ROOT / "cdk.json").read_text())["context"]
        app = cdk.App(outdir=directory, context={**flags, "aws:cdk:bundling-stacks": []})
        stack = cdk.SluiceStack(app, stages.read({"stage": "example"}))
        app.synth()
        template = Path(directory) / f"{stack.stack_name}.template.json"
        command = [
            checkov,
            "--file",
            str(template),
            "--framework",
            "cloudformation",
            "--compact",
            "--quiet",
            "--skip-download",
        ]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
