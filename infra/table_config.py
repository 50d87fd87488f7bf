"""What can be chosen of each table: one that the stack makes, or one that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from functions.batch_writer.settings import KeyAttribute
from infra.context import (
    KMS_KEY_ARN,
    ConfigError,
    attribute_name,
    camel_case,
    choice,
    flag,
    from_json,
    key_attribute,
    matching,
    one_of_or,
    optional,
    read,
    setting,
    settings_of,
    whole,
)

DEFAULT_ALIAS = "records"
PROVISIONED_READS = 5
"""Read units of a provisioned table that names none: the function reads nothing."""
NEW_TABLE_READS, NEW_TABLE_WRITES = 12_000, 4_000
"""Units per second that a new on-demand table takes at once.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
"""
MOST_UNITS = 10_000_000  # More than any quota that AWS has said it would raise to; a slip of the pen above it.


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """One table; `from_context` checks its settings by themselves and against each other."""

    alias: str = setting(
        DEFAULT_ALIAS,
        matching(r"[A-Za-z][A-Za-z0-9_-]{0,63}", "1 to 64 letters, digits, _ and -, beginning with a letter"),
        "Messages name the table by it. Renamed, it is a new, empty table; the old one goes as tableRemoval says.",
    )
    existing_table: str | None = setting(
        None,
        optional(matching(r"[A-Za-z0-9_.-]{3,255}", "the name of a table of this account and region")),
        "For a table that something else makes. Its key has to be told, as nothing is looked up in the account.",
    )
    partition_key: KeyAttribute = setting(  # noqa: RUF009  # A field, made anew for each.
        KeyAttribute("pk", "S"),
        key_attribute,
        "A table's key cannot be changed later: choose it before the first deploy.",
    )
    sort_key: KeyAttribute | None = setting(  # noqa: RUF009
        None, optional(key_attribute), "Without one a message has the least to bring. As final as the partition key."
    )
    version_attribute: str | None = setting(
        None,
        optional(attribute_name(65_535)),
        "With one the newest version wins, whatever order messages come in; such writes go one by one.",
    )
    ttl_attribute: str | None = setting(
        None,
        optional(attribute_name(255)),
        "Items stay until they are deleted, unless this attribute tells their end in seconds since 1970.",
    )
    table_removal: Literal["retain", "destroy"] = setting(
        "retain",
        choice(("retain", "destroy")),
        "Data outlives the stack and is protected from deletion; `destroy` is for stacks to be thrown away.",
    )
    deletion_protection: bool = setting(
        True, flag, "Nobody deletes the table by a slip.", "true, but false with tableRemoval destroy"
    )
    point_in_time_recovery: int = setting(
        35,
        whole(0, 35, "days (0: none)"),
        "The most there is: a producer that has written nonsense is often found out late. It is billed by size,"
        " not by days.",
    )
    table_encryption: str = setting(
        "owned",
        one_of_or(("owned", "managed"), KMS_KEY_ARN),
        "Always encrypted: by a key of DynamoDB's own, free; by the account's aws/dynamodb; or by yours."
        " Of an existing table only a key of yours has to be named, so that the function may use it.",
    )
    billing: Literal["on-demand", "provisioned"] = setting(
        "on-demand",
        choice(("on-demand", "provisioned")),
        "Nothing to foresee. Provisioned pays off under a load that is steady (docs/sizing.md).",
    )
    max_write_units: int | None = setting(
        None,
        optional(whole(1, MOST_UNITS, "write units per second")),
        "On demand: a bound on what can be spent. Provisioned: the top of autoscaling.",
    )
    min_write_units: int | None = setting(
        None,
        optional(whole(1, MOST_UNITS, "write units per second")),
        "Provisioned alone: where autoscaling starts. Without one there is none, and the top is what there is.",
    )
    max_read_units: int | None = setting(
        None,
        optional(whole(1, MOST_UNITS, "read units per second")),
        f"As maxWriteUnits. The function reads nothing; {PROVISIONED_READS} provisioned are for a look at it.",
    )
    min_read_units: int | None = setting(
        None, optional(whole(1, MOST_UNITS, "read units per second")), "As minWriteUnits."
    )
    target_utilization: int = setting(
        70, whole(20, 90, "percent"), "Of the provisioned units; AWS's own default. The rest is for while it scales."
    )
    warm_write_units: int | None = setting(
        None,
        optional(whole(NEW_TABLE_WRITES, MOST_UNITS, "write units per second")),
        f"A new table takes {NEW_TABLE_WRITES:,} and grows with its load. To start with more; paid once, for good.",
    )
    warm_read_units: int | None = setting(
        None, optional(whole(NEW_TABLE_READS, MOST_UNITS, "read units per second")), "The same for those who read."
    )

    @classmethod
    def from_context(cls, context: Mapping[str, Any], where: str = "") -> TableConfig:
        """Read one table's settings. Raises `ConfigError`, its words after `where`."""
        given = read(cls, context, where)
        if given.get("table_removal") == "destroy":
            given.setdefault("deletion_protection", False)
        table = cls(**given)
        for contradiction in (*_of_existing(table, set(given)), *_of_keys(table), *_of_capacity(table)):
            raise ConfigError(f"{where}{contradiction}")
        if table.deletion_protection and table.table_removal == "destroy":
            raise ConfigError(f"{where}deletionProtection true keeps tableRemoval destroy from doing what it says")
        return table

    @property
    def key_names(self) -> list[str]:
        return [key.name for key in (self.partition_key, self.sort_key) if key is not None]

    @property
    def key_arn(self) -> str | None:
        """The customer's own KMS key."""
        return self.table_encryption if self.table_encryption.startswith("arn:") else None

    @property
    def write_range(self) -> tuple[int, int]:
        """Least and most write units of a provisioned table; equal where nothing scales."""
        most = self.max_write_units or 1
        return self.min_write_units or most, most

    @property
    def read_range(self) -> tuple[int, int]:
        """Least and most read units of a provisioned table; equal where nothing scales."""
        most = self.max_read_units or max(PROVISIONED_READS, self.min_read_units or 0)
        return self.min_read_units or most, most


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
    read_tables = tuple(
        TableConfig.from_context(table, where=f"tables[{position}]: ") for position, table in enumerate(found)
    )
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
