"""From CDK context to the configuration of tables: what each says, and whether it agrees with itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.context import ConfigError, camel_case, from_json, read, settings_of
from infra.table_config import TableConfig


def from_context(context: Mapping[str, Any], where: str = "") -> TableConfig:
    """Read one table's settings. Raises `ConfigError`, its words after `where`."""
    given = read(TableConfig, context, where)
    if given.get("table_removal") == "destroy":
        given.setdefault("deletion_protection", False)
    table = TableConfig(**given)
    for contradiction in (*_of_existing(table, set(given)), *_of_keys(table), *_of_capacity(table)):
        raise ConfigError(f"{where}{contradiction}")
    if table.deletion_protection and table.table_removal == "destroy":
        raise ConfigError(f"{where}deletionProtection true keeps tableRemoval destroy from doing what it says")
    return table


def tables(value: Any) -> tuple[TableConfig, ...]:
    """Read the setting `tables`. Raises `ValueError` with what it must be, `ConfigError` for what is in it."""
    what = "a JSON array of one or more tables, each an object of the settings of a table"
    found = from_json(value)
    if not isinstance(found, list) or not found or not all(isinstance(table, dict) for table in found):
        raise ValueError(what)
    for position, table in enumerate(found):
        for key in table:
            if key not in settings_of(TableConfig):
                known = ", ".join(settings_of(TableConfig))
                raise ConfigError(f"tables[{position}] has no setting {key!r}; there are {known}")
    read_tables = tuple(from_context(table, where=f"tables[{position}]: ") for position, table in enumerate(found))
    for name in ("alias", "existing_table"):
        names = [getattr(table, name) for table in read_tables if getattr(table, name) is not None]
        for twice in {each for each in names if names.count(each) > 1}:
            raise ConfigError(f"{camel_case(name)} {twice!r} stands in tables {names.count(twice)} times")
    return read_tables


_OF_EXISTING = {"alias", "existing_table", "partition_key", "sort_key", "version_attribute", "table_encryption"}


def _of_existing(table: TableConfig, given: set[str]) -> list[str]:
    if table.existing_table is None:
        return []
    name = f"existingTable {table.existing_table!r}"
    found = []
    if "partition_key" not in given:
        found.append(f"{name} needs its partitionKey told: nothing is looked up in the account")
    if makers := sorted(camel_case(field) for field in given - _OF_EXISTING):
        found.append(f"{name} is not made here, so {', '.join(makers)} cannot be set")
    return found


def _of_keys(table: TableConfig) -> list[str]:
    found = []
    keys = " and ".join(table.key_names)
    if table.sort_key is not None and table.sort_key.name == table.partition_key.name:
        found.append(
            "partitionKey and sortKey must be different attributes,"
            f" got {table.partition_key.name!r} and {table.sort_key.name!r}"
        )
    if table.version_attribute in table.key_names:
        found.append(
            f"versionAttribute {table.version_attribute!r} must not be an attribute of partitionKey or sortKey,"
            f" got {keys}: keys never change"
        )
    if table.ttl_attribute is not None and table.ttl_attribute in (*table.key_names, table.version_attribute):
        found.append(
            f"ttlAttribute {table.ttl_attribute!r} must be an attribute of its own, got partitionKey or sortKey {keys}"
            f" and versionAttribute {table.version_attribute}"
        )
    return found


def _of_capacity(table: TableConfig) -> list[str]:
    found = []
    for kind, low, high, warm in (
        ("Write", table.min_write_units, table.max_write_units, table.warm_write_units),
        ("Read", table.min_read_units, table.max_read_units, table.warm_read_units),
    ):
        if low is not None and high is not None and low > high:
            found.append(f"min{kind}Units {low} must not be more than max{kind}Units {high}")
        if low is not None and table.billing == "on-demand":
            found.append(f"min{kind}Units {low} needs billing provisioned, got {table.billing}: on demand has no least")
        if warm is not None and high is not None and warm > high:
            found.append(f"warm{kind}Units {warm} must not be more than max{kind}Units {high}, which it may never use")
    if table.billing == "provisioned" and table.max_write_units is None:
        found.append("billing provisioned needs maxWriteUnits, got none: DynamoDB has to be told what to provide")
    return found
