"""CDK and what is made of it, loaded when a test first uses it.

Each process of pytest imports every test file, and CDK takes seconds and starts a Node wherever it is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_cdk import App, CloudFormationValidatePlugin, Duration, Environment, Stack, Stage, Validations
    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sns as sns
    from aws_cdk import aws_sqs as sqs

    from infra import nag
    from infra.stack import SluiceStack
    from sluice.cdk import ExistingTable, FunctionOptions, Sluice

_SERVICES = {name: f"aws_cdk.aws_{name}" for name in ("dynamodb", "ec2", "iam", "kms", "sns", "sqs")}
_MODULES = {**_SERVICES, "nag": "infra.nag"}
_OURS = {
    "SluiceStack": "infra.stack",
    "ExistingTable": "sluice.cdk",
    "FunctionOptions": "sluice.cdk",
    "Sluice": "sluice.cdk",
}

__all__ = [
    "App",
    "CloudFormationValidatePlugin",
    "Duration",
    "Environment",
    "ExistingTable",
    "FunctionOptions",
    "Sluice",
    "SluiceStack",
    "Stack",
    "Stage",
    "Validations",
    "dynamodb",
    "ec2",
    "iam",
    "kms",
    "nag",
    "sns",
    "sqs",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        return import_module(_MODULES[name])
    return getattr(import_module(_OURS.get(name, "aws_cdk")), name)
