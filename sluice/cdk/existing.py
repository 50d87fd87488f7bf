"""A table that the app has already, with what the function must know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb

from sluice.message.settings import KeyAttribute

from .context import ConfigError
from .parsers import key_attribute
from .table_config import DEFAULT_ALIAS, TableConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTable:
    """A `Table` or `TableV2` of the app, whose key is read from it, or an imported one, whose key is given."""

    table: dynamodb.ITable
    """An imported one under a customer's key needs `encryption_key` (`from_table_attributes`)."""
    alias: str = DEFAULT_ALIAS
    """By which messages name the table."""
    partition_key: str | None = None
    """Name and type, such as `customer:S`; only for an imported table."""
    sort_key: str | None = None
    version_attribute: str | None = None
    """With one, the newest version wins in whatever order messages come."""
    skip_unchanged: bool = False
    """Items that stand in the table already are read, and not written again."""

    def config(self) -> TableConfig:
        """The table's settings. Raises `ConfigError` if its key is neither known nor given."""
        partition_key, sort_key = self._given_key() or self._own_key()
        return TableConfig(
            alias=self.alias,
            partition_key=partition_key,
            sort_key=sort_key,
            version_attribute=self.version_attribute,
            skip_unchanged=self.skip_unchanged,
        )

    def _given_key(self) -> tuple[KeyAttribute, KeyAttribute | None] | None:
        if self.partition_key is None:
            return None
        try:
            sort_key = key_attribute(self.sort_key) if self.sort_key is not None else None
            return key_attribute(self.partition_key), sort_key
        except ValueError as error:
            raise ConfigError(f"the keys of table {self.alias!r} must be {error}") from None

    def _own_key(self) -> tuple[KeyAttribute, KeyAttribute | None]:
        resource = self.table.node.default_child
        if not isinstance(resource, (dynamodb.CfnTable, dynamodb.CfnGlobalTable)):
            raise ConfigError(
                f"table {self.alias!r} is imported, so nothing here knows its key:"
                " give partition_key, such as 'customer:S', and sort_key if it has one"
            )
        stack = Stack.of(self.table)
        types = {d["attributeName"]: d["attributeType"] for d in _listed(stack, resource.attribute_definitions)}
        keys = {k["keyType"]: k["attributeName"] for k in _listed(stack, resource.key_schema)}
        sort_key = KeyAttribute(keys["RANGE"], types[keys["RANGE"]]) if "RANGE" in keys else None
        return KeyAttribute(keys["HASH"], types[keys["HASH"]]), sort_key


def _listed(stack: Stack, value: Any) -> Iterable[dict[str, Any]]:
    """What CDK may hold as objects or as what they resolve to."""
    for each in stack.resolve(value):
        yield each if isinstance(each, dict) else stack.resolve(each)
