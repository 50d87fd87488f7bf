"""cdk-nag: the rules that check every synthesis of this app; `sluice.cdk.nag` has the exemptions."""

from __future__ import annotations

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks


def add_checks(app: App) -> None:
    """Have `app.synth()` fail on what AWS Solutions and the Serverless Lens find; costs a few tenths of a second."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(), ServerlessChecks())
