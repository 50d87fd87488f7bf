"""Producers as IAM knows them: the statement of a resource policy that lets one in."""

from __future__ import annotations

from aws_cdk import aws_iam as iam

from .producers import AllowedProducer

SERVICES = {"events": "events.amazonaws.com", "sns": "sns.amazonaws.com"}


def statement(producer: AllowedProducer, *actions: str, resource: str) -> iam.PolicyStatement:
    """A resource policy's statement that allows the actions.

    A service may act only for this one rule or topic, and only for its own account.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    conditions = {
        "ArnEquals": {"aws:SourceArn": producer.name},
        "StringEquals": {"aws:SourceAccount": producer.account},
    }
    return iam.PolicyStatement(
        principals=[_principal(producer)],
        actions=list(actions),
        resources=[resource],
        conditions=conditions if producer.kind in SERVICES else {},
    )


def _principal(producer: AllowedProducer) -> iam.IPrincipal:
    if producer.kind == "account":
        return iam.AccountPrincipal(producer.name)
    if producer.kind == "iam":
        return iam.ArnPrincipal(producer.name)
    return iam.ServicePrincipal(SERVICES[producer.kind])
