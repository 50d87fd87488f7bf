"""What can be chosen of each table: one that the stack makes, or one that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from functions.batch_writer.settings import KeyAttribute
from infra.capacity import Capacity, OnDemand, Provisioned
from infra.context import (
    KMS_KEY_ARN,
    attribute_name,
    choice,
    flag,
    key_attribute,
    matching,
    one_of_or,
    optional,
    setting,
    whole,
)

DEFAULT_ALIAS = "records"
PROVISIONED_READS = 5
"""Read units of a provisioned table that names none: the function reads nothing."""
NEW_TABLE_READS, NEW_TABLE_WRITES = 12_000, 4_000
"""Units per second that a new on-demand table takes at once.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
"""
MAX_UNITS = 10_000_000  # More than any quota that AWS has said it would raise to; a slip of the pen above it.


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """One table; `infra.table_reading` checks its settings, each by itself and all of them together."""

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
        optional(whole(1, MAX_UNITS, "write units per second")),
        "On demand: a bound on what can be spent. Provisioned: the top of autoscaling.",
    )
    min_write_units: int | None = setting(
        None,
        optional(whole(1, MAX_UNITS, "write units per second")),
        "Provisioned alone: where autoscaling starts. Without one there is none, and the top is what there is.",
    )
    max_read_units: int | None = setting(
        None,
        optional(whole(1, MAX_UNITS, "read units per second")),
        f"As maxWriteUnits. The function reads nothing; {PROVISIONED_READS} provisioned are for a look at it.",
    )
    min_read_units: int | None = setting(
        None, optional(whole(1, MAX_UNITS, "read units per second")), "As minWriteUnits."
    )
    target_utilization: int = setting(
        70, whole(20, 90, "percent"), "Of the provisioned units; AWS's own default. The rest is for while it scales."
    )
    warm_write_units: int | None = setting(
        None,
        optional(whole(NEW_TABLE_WRITES, MAX_UNITS, "write units per second")),
        f"A new table takes {NEW_TABLE_WRITES:,} and grows with its load. To start with more; paid once, for good.",
    )
    warm_read_units: int | None = setting(
        None, optional(whole(NEW_TABLE_READS, MAX_UNITS, "read units per second")), "The same for those who read."
    )

    @property
    def key_names(self) -> list[str]:
        return [key.name for key in (self.partition_key, self.sort_key) if key is not None]

    @property
    def key_arn(self) -> str | None:
        """The customer's own KMS key."""
        return self.table_encryption if self.table_encryption.startswith("arn:") else None

    @property
    def capacity(self) -> Capacity:
        if self.billing == "on-demand":
            return OnDemand(max_write_units=self.max_write_units, max_read_units=self.max_read_units)
        max_writes = self.max_write_units or 1
        max_reads = self.max_read_units or max(PROVISIONED_READS, self.min_read_units or 0)
        return Provisioned(
            write_units=(self.min_write_units or max_writes, max_writes),
            read_units=(self.min_read_units or max_reads, max_reads),
            target_utilization=self.target_utilization,
        )
