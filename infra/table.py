"""Where the records end up: one on-demand table that can be put back to any second of the last 35 days."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from functions.batch_writer.settings import KeyAttribute

TYPES = {
    "S": dynamodb.AttributeType.STRING,
    "N": dynamodb.AttributeType.NUMBER,
    "B": dynamodb.AttributeType.BINARY,
}


class RecordTable(Construct):
    """The table that the function writes to."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        partition_key: KeyAttribute,
        sort_key: KeyAttribute | None,
        retain: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        # `Table`, not `TableV2`: the latter is a global table to CloudFormation, which local AWSs do not know.
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_attribute(partition_key),
            sort_key=_attribute(sort_key) if sort_key is not None else None,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=retain,
            removal_policy=RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY,
        )


def _attribute(key: KeyAttribute) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=key.name, type=TYPES[key.type])
