"""What `cdk` runs: one stack, made from the settings in cdk.json, a stage's file and `-c name=value`.

cdk.json runs it by the Python of `.venv`, which `make venv` creates, or else by that of the active environment.
Version reporting, telemetry and notices are off there: a synthesis needs no network and tells nobody what is deployed.
"""

from __future__ import annotations

import sys

from aws_cdk import Annotations, App

from infra import nag, stages
from infra.stack import SluiceStack
from sluice.cdk.context import ConfigError


def main() -> None:
    """Write the cloud assembly; a bad setting ends the program with one sentence."""
    app = App()
    context = app.node.get_all_context()
    try:
        config = stages.read(context)
    except ConfigError as error:
        sys.exit(f"sluice: {error}")
    stack = SluiceStack(app, config)
    if not config.is_temporary and (names := stages.in_no_file(context)):
        Annotations.of(stack).add_warning_v2(
            "sluice:settings-in-no-file",
            f"{', '.join(names)}: given on the command line alone, so that the next deployment may forget it. Write it"
            " to stages/<stage>.json, or under context in cdk.json.",
        )
    nag.add_checks(app)
    app.synth()


if __name__ == "__main__":
    main()
