"""Everything about the stack that can be chosen: what the construct takes, and what only a stack has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.cdk.config import Config
from sluice.cdk.context import Setting, setting
from sluice.cdk.parsers import KMS_KEY_ARN, flag, ids, matching, optional, tags


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig(Config):
    """The stack's settings; `infra.reading` checks each by itself and all of them together."""

    stack_name: str = setting(
        "Sluice",
        matching(r"[A-Za-z][A-Za-z0-9-]{0,127}", "1 to 128 letters, digits and hyphens, beginning with a letter"),
        "CloudFormation's rule for names. The dashboard has this name too, and the metrics have it as their `service`.",
    )
    stage: str | None = setting(
        None,
        optional(matching(r"[A-Za-z0-9-]{1,32}", "1 to 32 letters, digits and hyphens")),
        "Appended to stackName, so that test and production can live in one account and region.",
    )
    tags: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "setting": Setting(
                tags, "For cost allocation and your own policies; CloudFormation puts them on every resource."
            )
        },
    )

    termination_protection: bool = setting(
        False, flag, "With it `cdk destroy` is refused until it is set to false and deployed."
    )

    permissions_boundary: str | None = setting(
        None,
        optional(matching(r"arn:[a-z-]+:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", "the ARN of an IAM policy")),
        "For the function's role, where the account asks for one. It must allow what the role does.",
    )
    log_key: str | None = setting(
        None,
        optional(KMS_KEY_ARN),
        "Encrypts the function's log. The key's policy must let in CloudWatch Logs for this log group.",
    )
    variables_key: str | None = setting(
        None, optional(KMS_KEY_ARN), "Encrypts the function's variables, which hold names and no secrets."
    )
    alarm_topic_key: str | None = setting(
        None,
        optional(KMS_KEY_ARN),
        "Encrypts the topic that the stack makes. The key's policy must let CloudWatch use it. With queueEncryption"
        " kms the stack's own key does, unless this names another.",
    )
    function_vpc: str | None = setting(
        None,
        optional(matching(r"vpc-[0-9a-f]+", "the id of a VPC (vpc-…)")),
        "For a function that must be in one. It then needs ways to DynamoDB and SQS (docs/operations.md).",
    )
    function_subnets: tuple[str, ...] = setting(
        (), ids("subnet"), "With functionVpc: the function's subnets, best in two availability zones or more."
    )
    function_security_groups: tuple[str, ...] = setting(
        (), ids("sg"), "With functionVpc: they must let out HTTPS. Without one, the stack makes one that lets out all."
    )

    @property
    def full_name(self) -> str:
        """The stack's name with its stage, where there is one."""
        return self.stack_name if self.stage is None else f"{self.stack_name}-{self.stage}"

    @property
    def is_temporary(self) -> bool:
        """Whether the stack takes its tables with it when it goes."""
        made = [table for table in self.tables if table.existing_table is None]
        return bool(made) and all(table.table_removal == "destroy" for table in made)
