"""Exemptions from the rules of cdk-nag with their reasons, for apps that are checked by it."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Exempt one construct from one rule."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
