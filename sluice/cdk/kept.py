"""What a running stack keeps: CloudFormation refuses a deployment that has forgotten or changed it.

A key, a table's name and a queue's type cannot be changed in place. CloudFormation would make a new, empty table or
queue beside the old one, and the function would go over to it. So each stands in the template as a parameter that
takes one value, the present one. The CDK command line passes on the value that a stack has already
(`--previous-parameters`, its default), and CloudFormation refuses one that is not allowed, before it touches anything.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

from __future__ import annotations

from aws_cdk import CfnParameter, CfnResource
from constructs import Construct


def keep(scope: Construct, construct_id: str, value: str, *, of: CfnResource, what: str) -> None:
    """Refuse a deployment under which the stack's `value` would be another; `of` tells the value in its metadata."""
    parameter = CfnParameter(
        scope,
        construct_id,
        default=value,
        allowed_values=[value],
        description=f"{what}. It stays as it was at the first deployment; a deployment with another one is refused.",
        constraint_description=(
            f"{value!r}, as the settings of this deployment say, but the stack has another one. Find the stack's"
            " settings (docs/settings.md, Where settings stand); a change on purpose is in docs/sizing.md"
        ),
    )
    of.add_metadata(f"sluice:{construct_id}", parameter.value_as_string)
