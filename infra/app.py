"""What `cdk` runs: one stack, made from the settings in cdk.json and `-c name=value`.

cdk.json runs it by the Python of `.venv`, which `make venv` creates, or else by that of the active environment.
Version reporting, telemetry and notices are off there: a synthesis needs no network and tells nobody what is deployed.
"""

from __future__ import annotations

import sys

from aws_cdk import App

from infra import nag, reading
from infra.stack import SluiceStack
from sluice.cdk.context import ConfigError


def main() -> None:
    """Write the cloud assembly; a bad setting ends the program with one sentence."""
    app = App()
    try:
        config = reading.from_context(app.node.get_all_context())
    except ConfigError as error:
        sys.exit(f"sluice: {error}")
    SluiceStack(app, config)
    nag.add_checks(app)
    app.synth()


if __name__ == "__main__":
    main()
