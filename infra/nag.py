"""cdk-nag: the rules that check every synthesis, and exemptions from them with their reasons."""

from __future__ import annotations

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks
from constructs import IConstruct


def add_checks(app: App) -> None:
    """Have `app.synth()` fail on what AWS Solutions and the Serverless Lens find; costs a few tenths of a second."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(), ServerlessChecks())


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Exempt one construct from one rule."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
