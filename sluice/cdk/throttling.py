"""Why a table or an index refuses writes, which of the reasons can apply to it, and the metric that counts each."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb

from .table_index import TableIndex


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a table refuses a write, counted by a metric of its own.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TroubleshootingThrottling-cloudwatch.html
    """

    alarm: str
    """Construct id of its alarm."""
    metric: str
    label: str
    first: str
    """What to do first."""
    heading: str
    """The runbook's."""
    first_of_index: str
    """The same where an index refuses."""


HOT_KEYS = Cause(
    "HotKeys",
    "WriteKeyRangeThroughputThrottleEvents",
    "a partition's limit",
    "Find the partition key that takes most writes, and have its producer mix it with others.",
    "hot-keys",
    "Look for a value of the index's key that most items share, and give the key another attribute.",
)
PROVISIONED = Cause(
    "ProvisionedCapacity",
    "WriteProvisionedThroughputThrottleEvents",
    "provisioned capacity",
    "Raise the table's provisioned write capacity, or the maximum of its autoscaling.",
    "provisioned-capacity",
    "Raise the index's provisioned write capacity, or the maximum of its autoscaling.",
)
ON_DEMAND_MAXIMUM = Cause(
    "OnDemandMaximum",
    "WriteMaxOnDemandThroughputThrottleEvents",
    "on-demand maximum",
    "Raise the table's maximum on-demand throughput, or let the queue wait if it is there to save money.",
    "on-demand-maximum",
    "Raise the index's maximum on-demand throughput to the table's, or let the queue wait.",
)
ACCOUNT_LIMIT = Cause(
    "AccountLimit",
    "WriteAccountLimitThrottleEvents",
    "the account's quota",
    "Ask for a higher write quota of on-demand tables in Service Quotas.",
    "account-limit",
    "Ask for a higher write quota of on-demand tables in Service Quotas, which holds for each index too.",
)


INDEX_HEADING = "index-throttles"
"""The runbook's, whatever the cause."""


def causes_of_index(table: dynamodb.ITable, index: TableIndex) -> tuple[Cause, ...]:
    """What can throttle a global index: it has its table's mode, and may have a maximum of its own."""
    causes = causes_of(table)
    if index.has_maximum and PROVISIONED not in causes and ON_DEMAND_MAXIMUM not in causes:
        return (*causes, ON_DEMAND_MAXIMUM)
    return causes


def causes_of(table: dynamodb.ITable) -> tuple[Cause, ...]:
    """What can throttle the table in its capacity mode; all causes for a table of another stack, of unknown mode."""
    resource = table.node.default_child
    if not isinstance(resource, dynamodb.CfnTable):
        return HOT_KEYS, PROVISIONED, ON_DEMAND_MAXIMUM, ACCOUNT_LIMIT
    if resource.billing_mode != dynamodb.BillingMode.PAY_PER_REQUEST.value:
        return HOT_KEYS, PROVISIONED
    has_maximum = resource.on_demand_throughput is not None
    return (HOT_KEYS, ON_DEMAND_MAXIMUM, ACCOUNT_LIMIT) if has_maximum else (HOT_KEYS, ACCOUNT_LIMIT)
