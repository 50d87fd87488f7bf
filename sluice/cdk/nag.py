"""Exemptions from the rules of cdk-nag and checkov with their reasons, for apps that are checked by them."""

from __future__ import annotations

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct

REGULATED = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
"""cdk-nag's packs for regulated users."""


def acknowledge_regulated(construct: IConstruct, rule: str, reason: str) -> None:
    """Exempt one construct from a rule that stands in each of the packs for regulated users."""
    for pack in REGULATED:
        acknowledge(construct, f"{pack}-{rule}", reason)


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Exempt one construct from one rule."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def skip(construct: IConstruct, check: str, reason: str) -> None:
    """Exempt the resource of one construct from one of checkov's checks, by metadata that checkov reads."""
    resource = construct.node.default_child
    assert isinstance(resource, CfnResource)
    resource.add_metadata("checkov", {"skip": [{"id": check, "comment": reason}]})
