"""Everything about one secondary index that can be chosen, and what cannot be together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.message.settings import Index, KeyAttribute

from .capacity import Capacity, OnDemand, Provisioned
from .context import ConfigError, camel_case, check_values, read, setting, settings_of
from .parsers import from_json, key_attribute, matching, optional, whole
from .table_index import TableIndex

MAX_KEY_ATTRIBUTES = 4
"""Of a global index's partition key, and of its sort key (GlobalSecondaryIndex.KeySchema, API reference)."""
MAX_LOCAL_INDEXES = 5
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
MAX_UNITS = 10_000_000  # More than any quota that AWS speaks of; above it, a typing error.


def key_attributes(value: Any) -> tuple[KeyAttribute, ...]:
    """One key attribute as text, or several that make up the key together."""
    what = "an attribute with its type, such as 'day:S', or an array of up to 4"
    found = from_json(value)
    given = found if isinstance(found, (list, tuple)) else [found]
    if not 1 <= len(given) <= MAX_KEY_ATTRIBUTES:
        raise ValueError(what)
    try:
        return tuple(each if isinstance(each, KeyAttribute) else key_attribute(each) for each in given)
    except ValueError:
        raise ValueError(what) from None


def projection(value: Any) -> tuple[str, ...] | str:
    """`all`, `keys`, or the names of attributes."""
    found = from_json(value)
    if found in ("all", "keys"):
        return str(found)
    # Up to 100 over all indexes of a table (Constraints, Secondary indexes).
    names = found if isinstance(found, (list, tuple)) else ()
    if not 1 <= len(names) <= 100 or not all(
        isinstance(name, str) and 1 <= len(name.encode()) <= 255 for name in names
    ):
        raise ValueError("all, keys or an array of attributes' names")
    return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """One secondary index of a table: a global one, or without a partition key of its own a local one."""

    name: str = setting(
        "",
        matching(r"[A-Za-z0-9_.-]{3,255}", "3 to 255 letters, digits, _, - and ."),
        "A changed key needs a new name. One global index is added or removed by a deployment, not more.",
    )
    partition_key: Sequence[KeyAttribute | str] | str = setting(
        (),
        key_attributes,
        "Of up to four attributes. Without one the index is local: it has the table's, and is made only with it.",
    )
    sort_key: Sequence[KeyAttribute | str] | str = setting(
        (), key_attributes, "Of up to four attributes; of a local index exactly one."
    )
    projection: tuple[str, ...] | str = setting(
        "all", projection, "What is copied to the index. `keys` makes its writes cheaper, and reads may need the table."
    )
    max_write_units: int | None = setting(
        None,
        optional(whole(1, MAX_UNITS, "write units per second")),
        "Of a global index; the table's unless given. An index that takes less than its table holds the table back.",
    )
    min_write_units: int | None = setting(
        None, optional(whole(1, MAX_UNITS, "write units per second")), "Provisioned only; the table's unless given."
    )
    max_read_units: int | None = setting(
        None, optional(whole(1, MAX_UNITS, "read units per second")), "The table's unless given."
    )
    min_read_units: int | None = setting(
        None, optional(whole(1, MAX_UNITS, "read units per second")), "Provisioned only; the table's unless given."
    )

    def __post_init__(self) -> None:
        check_values(self)
        for name in ("partition_key", "sort_key"):
            if getattr(self, name):
                object.__setattr__(self, name, _attributes(name, getattr(self, name)))

    @property
    def is_local(self) -> bool:
        return not self.partition_key

    @property
    def as_setting(self) -> Index:
        """What the function must know of it."""
        partition_key, sort_key = (key_attributes(key) if key else () for key in (self.partition_key, self.sort_key))
        return Index(self.name, partition_key, sort_key)

    @property
    def of_new(self) -> list[str]:
        """The settings given that are for an index that is made here."""
        units = ("max_write_units", "min_write_units", "max_read_units", "min_read_units")
        given = [name for name in units if getattr(self, name) is not None]
        return given if self.projection == "all" else ["projection", *given]

    def of(self, capacity_of_table: Capacity) -> TableIndex:
        """The index of a table with this capacity, which holds where the index has none of its own."""
        capacity = self._capacity(capacity_of_table)
        return TableIndex(key=self.as_setting, projection=projection(self.projection), capacity=capacity)

    def _capacity(self, of_table: Capacity) -> Capacity:
        if isinstance(of_table, OnDemand):
            return OnDemand(
                max_write_units=self.max_write_units or of_table.max_write_units,
                max_read_units=self.max_read_units or of_table.max_read_units,
            )
        return Provisioned(
            write_units=_range(self.min_write_units, self.max_write_units, of_table.write_units),
            read_units=_range(self.min_read_units, self.max_read_units, of_table.read_units),
            target_utilization=of_table.target_utilization,
        )


def indexes(value: Any) -> tuple[IndexConfig, ...]:
    """Read the setting `indexes`. Raises `ValueError` with what it must be, `ConfigError` for what is in it."""
    found = from_json(value)
    if not isinstance(found, list) or not all(isinstance(index, dict) for index in found):
        raise ValueError("a JSON array of objects, each of the settings of an index")
    return tuple(_index(index, f"indexes[{position}]") for position, index in enumerate(found))


def _index(index: dict[str, Any], place: str) -> IndexConfig:
    known = settings_of(IndexConfig)
    for key in index:
        if key not in known:
            raise ConfigError(f"{place} has no setting {key!r}; there are {', '.join(known)}")
    return IndexConfig(**read(IndexConfig, index, where=f"{place}: "))


def contradictions(indexes: tuple[IndexConfig, ...], key: list[KeyAttribute], billing: str) -> Iterator[str]:
    """One sentence for each, of the indexes of one table with this key."""
    names = [index.name for index in indexes]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"indexes has the name {name!r} {names.count(name)} times"
    local = [index for index in indexes if index.is_local]
    if len(local) > MAX_LOCAL_INDEXES:
        yield f"indexes has {len(local)} local ones (without a partitionKey); DynamoDB takes {MAX_LOCAL_INDEXES}"
    types = {attribute.name: attribute.type for attribute in key}
    for index in indexes:
        yield from _of_one(index, has_sort_key=len(key) > 1, billing=billing)
        for attribute in index.as_setting.key:
            if types.setdefault(attribute.name, attribute.type) != attribute.type:
                yield (
                    f"index {index.name!r} has {attribute.name!r} of type {attribute.type}, and another key has it of"
                    f" type {types[attribute.name]}: an attribute has one type"
                )


def _of_one(index: IndexConfig, *, has_sort_key: bool, billing: str) -> Iterator[str]:
    names = [attribute.name for attribute in index.as_setting.key]
    if not index.name:
        yield "an index needs a name"
    if len(set(names)) < len(names):
        yield f"index {index.name!r} must have different attributes in its key, got {', '.join(names)}"
    if index.is_local:
        if len(index.sort_key) != 1:
            yield (
                f"index {index.name!r} without a partitionKey is local and needs a sortKey of one attribute, got"
                f" {len(index.sort_key)}"
            )
        if not has_sort_key:
            yield f"index {index.name!r} without a partitionKey is local, for which the table needs a sortKey"
        if units := [camel_case(name) for name in index.of_new if name != "projection"]:
            yield f"index {index.name!r} is local and shares the table's capacity: leave out {', '.join(units)}"
    yield from _of_units(index, billing)


def _of_units(index: IndexConfig, billing: str) -> Iterator[str]:
    for kind, low, high in (
        ("Write", index.min_write_units, index.max_write_units),
        ("Read", index.min_read_units, index.max_read_units),
    ):
        if low is not None and billing == "on-demand":
            yield f"index {index.name!r}: min{kind}Units {low} needs billing provisioned, got {billing}"
        if low is not None and high is not None and low > high:
            yield f"index {index.name!r}: min{kind}Units {low} must not be more than max{kind}Units {high}"


def _attributes(name: str, value: Any) -> tuple[KeyAttribute, ...]:
    try:
        return key_attributes(value)
    except ValueError as error:
        raise ConfigError(f"{name} of an index must be {error}, got {value!r}") from None


def _range(low: int | None, high: int | None, of_table: tuple[int, int]) -> tuple[int, int]:
    """Minimum and maximum; a bound that is given moves the table's other one where it must."""
    most = high or max(of_table[1], low or 0)
    return min(low or of_table[0], most), most
