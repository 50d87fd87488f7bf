"""Where the records end up: a table that can be put back to any second of the last 35 days, or one that exists."""

from __future__ import annotations

from collections.abc import Callable

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from functions.batch_writer.settings import KeyAttribute
from infra.nag import acknowledge
from infra.table_config import DEFAULT_ALIAS, TableConfig

TYPES = {
    "S": dynamodb.AttributeType.STRING,
    "N": dynamodb.AttributeType.NUMBER,
    "B": dynamodb.AttributeType.BINARY,
}
ENCRYPTION = {
    "owned": None,
    "managed": dynamodb.TableEncryption.AWS_MANAGED,
}


def construct_id(config: TableConfig) -> str:
    """By alias, not by position: tables may be put in another order, and keep their logical ids and data."""
    return "Records" if config.alias == DEFAULT_ALIAS else f"Records-{config.alias}"


class RecordTable(Construct):
    """A table that the function writes to; `table` is the same for one that is made and one that exists."""

    def __init__(self, scope: Construct, construct_id: str, *, config: TableConfig) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key.from_key_arn(self, "Key", config.key_arn) if config.key_arn is not None else None
        if config.existing_table is not None:
            self.table: dynamodb.ITable = dynamodb.Table.from_table_attributes(
                self, "Table", table_name=config.existing_table, encryption_key=self.key
            )
        else:
            self.table = self._made(config)

    def _made(self, config: TableConfig) -> dynamodb.Table:
        is_provisioned = config.billing == "provisioned"
        is_warm = config.warm_write_units is not None or config.warm_read_units is not None
        days = config.point_in_time_recovery
        # `Table`, not `TableV2`: the latter is a global table to CloudFormation, which local AWSs do not know.
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=_attribute(config.partition_key),
            sort_key=_attribute(config.sort_key) if config.sort_key is not None else None,
            billing_mode=dynamodb.BillingMode.PROVISIONED if is_provisioned else dynamodb.BillingMode.PAY_PER_REQUEST,
            max_write_request_units=None if is_provisioned else config.max_write_units,
            max_read_request_units=None if is_provisioned else config.max_read_units,
            write_capacity=config.write_range[0] if is_provisioned else None,
            read_capacity=config.read_range[0] if is_provisioned else None,
            warm_throughput=dynamodb.WarmThroughput(
                write_units_per_second=config.warm_write_units, read_units_per_second=config.warm_read_units
            )
            if is_warm
            else None,
            time_to_live_attribute=config.ttl_attribute,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if self.key else ENCRYPTION[config.table_encryption],
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=days > 0, recovery_period_in_days=days or None
            ),
            deletion_protection=config.deletion_protection,
            removal_policy=RemovalPolicy.RETAIN if config.table_removal == "retain" else RemovalPolicy.DESTROY,
        )
        if days == 0:
            acknowledge(table, "AwsSolutions-DDB3", "pointInTimeRecovery 0 was chosen: the data can be made again.")
        if is_provisioned:
            _scale(table.auto_scale_write_capacity, config.write_range, config.target_utilization)
            _scale(table.auto_scale_read_capacity, config.read_range, config.target_utilization)
        return table


def _scale(
    auto_scale: Callable[..., dynamodb.IScalableTableAttribute], units: tuple[int, int], target_utilization: int
) -> None:
    low, high = units
    if low < high:
        auto_scale(min_capacity=low, max_capacity=high).scale_on_utilization(
            target_utilization_percent=target_utilization
        )


def _attribute(key: KeyAttribute) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=key.name, type=TYPES[key.type])
