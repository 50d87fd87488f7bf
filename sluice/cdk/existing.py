"""A table that the app has already, with what the function must know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jsii
from aws_cdk import Stack, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct, IValidation

from sluice.message.settings import KeyAttribute

from .context import ConfigError
from .index_config import IndexConfig
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
    indexes: Sequence[IndexConfig] = ()
    """Secondary indexes; only for an imported table."""
    version_attribute: str | None = None
    """With one, the newest version wins in whatever order messages come."""
    skip_unchanged: bool = False
    """Items that stand in the table already are read, and not written again."""

    def config(self) -> TableConfig:
        """The table's settings. Raises `ConfigError` if its key is neither known nor given."""
        given = self._given_key()
        if given is None and self.indexes:
            raise ConfigError(f"the indexes of table {self.alias!r} are read from it: leave them out")
        partition_key, sort_key = given or self._own_key()
        return TableConfig(
            alias=self.alias,
            partition_key=partition_key,
            sort_key=sort_key,
            indexes=self._own_indexes() if given is None else tuple(self.indexes),
            version_attribute=self.version_attribute,
            skip_unchanged=self.skip_unchanged,
        )

    def check_later(self, scope: Construct) -> None:
        """Have the synthesis fail if the table of the app gets an index that the function does not know."""
        if self.partition_key is None and self.table.node.default_child is not None:
            scope.node.add_validation(_SameIndexes(self.alias, self._own_indexes(), self._own_indexes))

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
        types, stack = self._types(resource), Stack.of(self.table)
        keys = {k["keyType"]: k["attributeName"] for k in _listed(stack, resource.key_schema)}
        sort_key = KeyAttribute(keys["RANGE"], types[keys["RANGE"]]) if "RANGE" in keys else None
        return KeyAttribute(keys["HASH"], types[keys["HASH"]]), sort_key

    def _own_indexes(self) -> tuple[IndexConfig, ...]:
        resource = self.table.node.default_child
        assert isinstance(resource, (dynamodb.CfnTable, dynamodb.CfnGlobalTable))
        types, stack, found = self._types(resource), Stack.of(self.table), []
        for given, is_local in (
            (resource.global_secondary_indexes, False),
            (resource.local_secondary_indexes, True),
        ):
            for index in _listed(stack, given):
                keys: dict[str, list[KeyAttribute]] = {"HASH": [], "RANGE": []}
                for key in _listed(stack, index["keySchema"]):
                    keys[key["keyType"]].append(KeyAttribute(key["attributeName"], types[key["attributeName"]]))
                partition_key = () if is_local else tuple(keys["HASH"])
                found.append(
                    IndexConfig(name=index["indexName"], partition_key=partition_key, sort_key=tuple(keys["RANGE"]))
                )
        return tuple(found)

    def _types(self, resource: dynamodb.CfnTable | dynamodb.CfnGlobalTable) -> dict[str, Any]:
        definitions = _listed(Stack.of(self.table), resource.attribute_definitions)
        return {each["attributeName"]: each["attributeType"] for each in definitions}


@jsii.implements(IValidation)
class _SameIndexes:
    """Compares the indexes that a table has at the synthesis with those that it had when the function was made."""

    def __init__(self, alias: str, known: Sequence[IndexConfig], present: Callable[[], Sequence[IndexConfig]]) -> None:
        self._alias, self._known, self._present = alias, known, present

    def validate(self) -> list[str]:
        known = {index.name for index in self._known}
        return [
            f"table {self._alias!r} got the index {index.name!r} after Sluice was made, which does not know it: add it"
            " before"
            for index in self._present()
            if index.name not in known
        ]


def existing_table(scope: Construct, construct_id: str, name_or_arn: str, key: kms.IKey | None) -> dynamodb.ITable:
    """A table that something else has made, by its name or its ARN, under its owner's key where there is one.

    Raises `ConfigError` for an ARN of another account or region than the stack's, where those are known. The function
    names a table by its name, and would find none.
    """
    if not name_or_arn.startswith("arn:"):
        return dynamodb.Table.from_table_attributes(scope, construct_id, table_name=name_or_arn, encryption_key=key)
    stack = Stack.of(scope)
    region, account = name_or_arn.split(":")[3:5]
    for what, own, given in (("region", stack.region, region), ("account", stack.account, account)):
        if not Token.is_unresolved(own) and own != given:
            raise ConfigError(f"existingTable {name_or_arn!r} is of {what} {given}, the stack of {what} {own}")
    return dynamodb.Table.from_table_attributes(scope, construct_id, table_arn=name_or_arn, encryption_key=key)


def _listed(stack: Stack, value: Any) -> Iterable[dict[str, Any]]:
    """What CDK may hold as objects or as what they resolve to."""
    for each in stack.resolve(value) or []:
        yield each if isinstance(each, dict) else stack.resolve(each)
