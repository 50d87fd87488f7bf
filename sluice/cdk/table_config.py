"""Everything about one table that can be chosen, be it a new one or one that exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sluice.message.settings import Index, KeyAttribute

from .capacity import Capacity, OnDemand, Provisioned
from .context import DERIVED, check_values, setting
from .index_config import MAX_UNITS, IndexConfig, indexes
from .parsers import (
    KMS_KEY_ARN,
    attribute_name,
    choice,
    flag,
    key_attribute,
    matching,
    one_of_or,
    optional,
    whole,
)
from .table_index import TableIndex

DEFAULT_ALIAS = "records"
PROVISIONED_READS = 5
"""Read units of a provisioned table by default: without skipUnchanged the function reads nothing."""
NEW_TABLE_READS, NEW_TABLE_WRITES = 12_000, 4_000
"""Units per second that a new on-demand table takes at once.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """One table; `sluice.cdk.table_reading` checks its settings, each by itself and all of them together."""

    alias: str = setting(
        DEFAULT_ALIAS,
        matching(r"[A-Za-z][A-Za-z0-9_-]{0,63}", "1 to 64 letters, digits, _ and -, beginning with a letter"),
        "Messages name the table by it. A new alias means a new, empty table; tableRemoval is for the old one.",
    )
    existing_table: str | None = setting(
        None,
        optional(
            matching(
                r"(arn:[a-z-]+:dynamodb:[a-z0-9-]+:\d{12}:table/)?[A-Za-z0-9_.-]{3,255}",
                "the name or the ARN of a table of this account and region",
            )
        ),
        "For a table that something else created. Its keys must be given too: nothing is looked up in the account.",
    )
    table_name: str | None = setting(
        None,
        optional(matching(r"[A-Za-z0-9_.-]{3,255}", "3 to 255 letters, digits, _, - and .")),
        "CloudFormation refuses to replace a table that has a name of yours. Name it before the first deploy; by"
        " default CloudFormation makes up a name.",
    )
    partition_key: KeyAttribute = setting(  # noqa: RUF009  # It returns a dataclass field.
        KeyAttribute("pk", "S"),
        key_attribute,
        "A table's key cannot be changed later: choose it before the first deploy.",
    )
    sort_key: KeyAttribute | None = setting(  # noqa: RUF009
        None,
        optional(key_attribute),
        "Without one, messages need only the partition key. It cannot be changed later either.",
    )
    indexes: tuple[IndexConfig, ...] = setting(
        (),
        indexes,
        "Secondary indexes. The function checks the keys that items have in them, so that a wrong one costs no call.",
    )
    version_attribute: str | None = setting(
        None,
        optional(attribute_name(65_535)),
        "With one, the newest version wins in whatever order messages come; such writes go one by one, not in batches.",
    )
    skip_unchanged: bool = setting(
        False,
        flag,
        "Reads items before it writes them, and writes none that stands there already: for feeds that send again what"
        " has not changed (docs/unchanged.md).",
    )
    ttl_attribute: str | None = setting(
        None,
        optional(attribute_name(255)),
        "Without one, items stay until they are deleted. With one, they expire at its value, in seconds since 1970.",
    )
    stream: Literal["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"] | None = setting(
        None,
        optional(choice(("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"))),
        "What DynamoDB Streams tells of each change, for 24 hours. To change it, deploy without one in between.",
    )
    table_removal: Literal["retain", "destroy"] = setting(
        "retain",
        choice(("retain", "destroy")),
        "The data outlives the stack; `destroy` is for temporary stacks.",
    )
    deletion_protection: bool = setting(
        DERIVED, flag, "Nobody can delete the table by mistake.", "true; false with tableRemoval destroy"
    )
    point_in_time_recovery: int = setting(
        35,
        whole(0, 35, "days (0: none)"),
        "The maximum: bad data is often noticed late. It is billed by the table's size, not by days.",
    )
    table_encryption: str = setting(
        "owned",
        one_of_or(("owned", "managed"), KMS_KEY_ARN),
        "`owned` is DynamoDB's own key, free; `managed` is the account's aws/dynamodb; or name a key of yours."
        " For an existing table, name only a key of yours, so that the function is allowed to use it.",
    )
    billing: Literal["on-demand", "provisioned"] = setting(
        "on-demand",
        choice(("on-demand", "provisioned")),
        "Needs no planning. Provisioned is cheaper under a steady load (docs/sizing.md).",
    )
    max_write_units: int | None = setting(
        None,
        optional(whole(1, MAX_UNITS, "write units per second")),
        "On demand: a limit on what can be spent. Provisioned: the maximum of autoscaling.",
    )
    min_write_units: int | None = setting(
        None,
        optional(whole(1, MAX_UNITS, "write units per second")),
        "Provisioned only: the minimum of autoscaling. Without one, the table has maxWriteUnits all the time.",
    )
    max_read_units: int | None = setting(
        None,
        optional(whole(1, MAX_UNITS, "read units per second")),
        "Like maxWriteUnits. The function reads nothing without skipUnchanged; by default a provisioned table has"
        f" {PROVISIONED_READS}.",
    )
    min_read_units: int | None = setting(
        None, optional(whole(1, MAX_UNITS, "read units per second")), "Like minWriteUnits."
    )
    target_utilization: int = setting(
        70,
        whole(20, 90, "percent"),
        "Of the provisioned units; AWS's default. The rest serves the load while the table scales.",
    )
    warm_write_units: int | None = setting(
        None,
        optional(whole(NEW_TABLE_WRITES, MAX_UNITS, "write units per second")),
        f"A new table takes {NEW_TABLE_WRITES:,} and grows with its load. With this it starts with more, paid once.",
    )
    warm_read_units: int | None = setting(
        None,
        optional(whole(NEW_TABLE_READS, MAX_UNITS, "read units per second")),
        f"The same for reads, of which a new table takes {NEW_TABLE_READS:,}.",
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.deletion_protection is DERIVED:
            object.__setattr__(self, "deletion_protection", self.table_removal == "retain")

    @property
    def identity(self) -> str:
        """Alias, key and name in one line: what cannot be changed without another table in its place."""
        keys = ",".join(f"{key.name}:{key.type}" for key in self.key)
        name = self.existing_name or self.table_name
        local = [f"{index.name} by {key.name}:{key.type}" for index in self._local_indexes for key in index.key]
        return " ".join(
            [self.alias, keys, *([f"in {name}"] if name is not None else []), *(f"with {index}" for index in local)]
        )

    @property
    def _local_indexes(self) -> list[Index]:
        """Those that are made here, by name: DynamoDB makes them with the table only."""
        made = [] if self.existing_table is not None else [index for index in self.indexes if index.is_local]
        return sorted((index.as_setting for index in made), key=lambda index: index.name)

    @property
    def existing_name(self) -> str | None:
        """The name of `existing_table`, where that is an ARN too."""
        return None if self.existing_table is None else self.existing_table.rpartition("/")[2]

    @property
    def key(self) -> list[KeyAttribute]:
        return [key for key in (self.partition_key, self.sort_key) if key is not None]

    @property
    def key_names(self) -> list[str]:
        return [key.name for key in self.key]

    @property
    def key_arn(self) -> str | None:
        """The customer's own KMS key."""
        return self.table_encryption if self.table_encryption.startswith("arn:") else None

    @property
    def made_indexes(self) -> list[TableIndex]:
        return [index.of(self.capacity) for index in self.indexes]

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
