"""From CDK context to the configuration of each table; contradictions within one table are refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from . import index_config
from .context import ConfigError, camel_case, read, settings_of
from .parsers import from_json
from .table_config import TableConfig


def from_context(context: Mapping[str, Any], where: str = "") -> TableConfig:
    """Read one table's settings. Raises `ConfigError`, whose message begins with `where`."""
    given = read(TableConfig, context, where)
    table = TableConfig(**given)
    for contradiction in (*_of_existing(table, set(given)), *_contradictions(table)):
        raise ConfigError(f"{where}{contradiction}")
    return table


def tables(value: Any) -> tuple[TableConfig, ...]:
    """Read the setting `tables`. Raises `ValueError` with what it must be, `ConfigError` for what is in it."""
    found = from_json(value)
    if not isinstance(found, list) or not found or not all(isinstance(table, dict) for table in found):
        raise ValueError("a JSON array of one or more tables, each an object of the settings of a table")
    configs = tuple(_one_of_several(table, f"tables[{position}]") for position, table in enumerate(found))
    for name in ("alias", "existing_name", "table_name"):
        _refuse_duplicates(name, [getattr(config, name) for config in configs])
    return configs


def refuse_contradictions(tables: Collection[TableConfig], existing: Collection[str]) -> None:
    """Raise `ConfigError` for what cannot be, of tables described in Python; `existing` are aliases of the app's."""
    for table in tables:
        for contradiction in _contradictions(table):
            raise ConfigError(f"table {table.alias}: {contradiction}")
    _refuse_duplicates("alias", [table.alias for table in tables])
    _refuse_duplicates("existing_name", [table.existing_name for table in tables if table.alias not in existing])


def _contradictions(table: TableConfig) -> list[str]:
    found = [
        *_of_keys(table),
        *_of_capacity(table),
        *index_config.contradictions(table.indexes, table.key, table.billing),
    ]
    if table.deletion_protection and table.table_removal == "destroy":
        found.append(
            "deletionProtection true contradicts tableRemoval destroy, as nothing can delete a protected table:"
            " leave one of them out"
        )
    return found


def _one_of_several(table: dict[str, Any], place: str) -> TableConfig:
    known = settings_of(TableConfig)
    for key in table:
        if key not in known:
            raise ConfigError(f"{place} has no setting {key!r}; there are {', '.join(known)}")
    return from_context(table, where=f"{place}: ")


def _refuse_duplicates(name: str, values: list[str | None]) -> None:
    for value in dict.fromkeys(values):
        if value is not None and values.count(value) > 1:
            shown = "existingTable" if name == "existing_name" else camel_case(name)
            raise ConfigError(f"{shown} {value!r} appears {values.count(value)} times in tables")


_ALLOWED_FOR_EXISTING = {
    "alias",
    "existing_table",
    "partition_key",
    "sort_key",
    "indexes",
    "version_attribute",
    "skip_unchanged",
    "table_encryption",
}


def _of_existing(table: TableConfig, given: set[str]) -> list[str]:
    if table.existing_table is None:
        return []
    name = f"existingTable {table.existing_table!r}"
    found = []
    if "partition_key" not in given:
        found.append(
            f"{name} needs its partitionKey given, and its sortKey if it has one: nothing is looked up in the account"
        )
    if of_new := sorted(camel_case(field) for field in given - _ALLOWED_FOR_EXISTING):
        found.append(f"{name} is not created here, so {', '.join(of_new)} cannot be set: leave it out")
    found += [
        f"{name} is not created here, so {camel_case(field)} of its index {index.name!r} cannot be set: leave it out"
        for index in table.indexes
        for field in index.of_new
    ]
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
            f"ttlAttribute {table.ttl_attribute!r} must not have another use, got partitionKey or sortKey {keys}"
            f" and versionAttribute {table.version_attribute}"
        )
    return found


def _of_capacity(table: TableConfig) -> list[str]:
    found = [
        *_of_units(table, "Write", table.min_write_units, table.max_write_units, table.warm_write_units),
        *_of_units(table, "Read", table.min_read_units, table.max_read_units, table.warm_read_units),
    ]
    if table.billing == "provisioned" and table.max_write_units is None:
        found.append("billing provisioned needs maxWriteUnits, got none: DynamoDB must know how much to provide")
    if table.billing == "provisioned" and table.skip_unchanged and table.max_read_units is None:
        found.append(
            "skipUnchanged true with billing provisioned needs maxReadUnits, got none: each item is read before it is"
            " written, and what cannot be read is written"
        )
    return found


def _of_units(table: TableConfig, kind: str, low: int | None, high: int | None, warm: int | None) -> list[str]:
    found = []
    if low is not None and high is not None and low > high:
        found.append(f"min{kind}Units {low} must not be more than max{kind}Units {high}")
    if low is not None and table.billing == "on-demand":
        found.append(f"min{kind}Units {low} needs billing provisioned, got {table.billing}, which has no minimum")
    if warm is not None and high is not None and warm > high:
        found.append(f"warm{kind}Units {warm} must not be more than max{kind}Units {high}, which it may never use")
    return found
