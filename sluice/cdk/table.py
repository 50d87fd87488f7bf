"""Where the records end up: a table of the stack's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from sluice.message.settings import KeyAttribute

from .capacity import Capacity, Provisioned
from .nag import acknowledge, acknowledge_regulated
from .table_index import TableIndex

TYPES = {
    "S": dynamodb.AttributeType.STRING,
    "N": dynamodb.AttributeType.NUMBER,
    "B": dynamodb.AttributeType.BINARY,
}
ENCRYPTION = {
    "owned": None,
    "managed": dynamodb.TableEncryption.AWS_MANAGED,
}


class RecordTable(Construct):
    """A table that the function writes to, encrypted and, unless that is turned off, recoverable."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table_name: str | None,
        partition_key: KeyAttribute,
        sort_key: KeyAttribute | None,
        capacity: Capacity,
        warm_write_units: int | None,
        warm_read_units: int | None,
        ttl_attribute: str | None,
        indexes: Sequence[TableIndex],
        stream: str | None,
        encryption: str,
        key: kms.IKey | None,
        recovery_days: int,
        deletion_protection: bool,
        removal_policy: RemovalPolicy,
    ) -> None:
        """CloudFormation refuses to replace a table with a `table_name`; without one it makes up a name.

        `encryption` is `owned`, `managed` or anything else for the customer's own `key`.
        """
        super().__init__(scope, construct_id)
        is_warm = warm_write_units is not None or warm_read_units is not None
        # `Table`, not `TableV2`: the latter is a global table to CloudFormation, which local AWSs do not know.
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=table_name,
            partition_key=_attribute(partition_key),
            sort_key=_attribute(sort_key) if sort_key is not None else None,
            warm_throughput=dynamodb.WarmThroughput(
                write_units_per_second=warm_write_units, read_units_per_second=warm_read_units
            )
            if is_warm
            else None,
            time_to_live_attribute=ttl_attribute,
            stream=dynamodb.StreamViewType[stream] if stream is not None else None,
            encryption=ENCRYPTION.get(encryption, dynamodb.TableEncryption.CUSTOMER_MANAGED),
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=recovery_days > 0, recovery_period_in_days=recovery_days or None
            ),
            deletion_protection=deletion_protection,
            removal_policy=removal_policy,
            **_throughput(capacity),
        )
        acknowledge_regulated(
            self.table,
            "DynamoDBInBackupPlan",
            "Point-in-time recovery is on unless it is turned off; a plan of AWS Backup is the account's to make.",
        )
        if recovery_days == 0:
            acknowledge(
                self.table,
                "AwsSolutions-DDB3",
                "pointInTimeRecovery 0 was chosen: the data can be created again.",
            )
        for index in indexes:
            self._add(index)
        if isinstance(capacity, Provisioned):
            _scale(self.table.auto_scale_write_capacity, capacity.write_units, capacity.target_utilization)
            _scale(self.table.auto_scale_read_capacity, capacity.read_units, capacity.target_utilization)

    def _add(self, index: TableIndex) -> None:
        name, capacity = index.key.name, index.capacity
        partition_key, sort_key = map(_attributes, (index.key.partition_key, index.key.sort_key))
        if index.is_local:
            [key] = sort_key
            self.table.add_local_secondary_index(index_name=name, sort_key=key, **_projected(index.projection))
            return
        self.table.add_global_secondary_index(
            index_name=name,
            partition_keys=partition_key,
            sort_keys=sort_key or None,
            **_projected(index.projection),
            **{name: value for name, value in _throughput(capacity).items() if name != "billing_mode"},
        )
        if isinstance(capacity, Provisioned):
            scale_writes = partial(self.table.auto_scale_global_secondary_index_write_capacity, name)
            scale_reads = partial(self.table.auto_scale_global_secondary_index_read_capacity, name)
            _scale(scale_writes, capacity.write_units, capacity.target_utilization)
            _scale(scale_reads, capacity.read_units, capacity.target_utilization)


def _projected(projection: tuple[str, ...] | str) -> dict[str, Any]:
    if isinstance(projection, str):
        kinds = {"all": dynamodb.ProjectionType.ALL, "keys": dynamodb.ProjectionType.KEYS_ONLY}
        return {"projection_type": kinds[projection]}
    return {"projection_type": dynamodb.ProjectionType.INCLUDE, "non_key_attributes": list(projection)}


def _attributes(key: Iterable[KeyAttribute]) -> list[dynamodb.Attribute]:
    return [_attribute(attribute) for attribute in key]


def _throughput(capacity: Capacity) -> dict[str, Any]:
    if isinstance(capacity, Provisioned):
        return {
            "billing_mode": dynamodb.BillingMode.PROVISIONED,
            "write_capacity": capacity.write_units[0],
            "read_capacity": capacity.read_units[0],
        }
    return {
        "billing_mode": dynamodb.BillingMode.PAY_PER_REQUEST,
        "max_write_request_units": capacity.max_write_units,
        "max_read_request_units": capacity.max_read_units,
    }


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
