"""A secondary index as the parts of the stack know it."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.message.settings import Index

from .capacity import Capacity, OnDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class TableIndex:
    """One index of a table: its key, what it holds, and how much it takes."""

    key: Index
    projection: tuple[str, ...] | str
    """`all`, `keys`, or the names of attributes besides the keys."""
    capacity: Capacity
    """Of a global index; a local one has a part in its table's."""

    @property
    def is_local(self) -> bool:
        return not self.key.partition_key

    @property
    def has_maximum(self) -> bool:
        """On demand, with a limit on what may be written."""
        return isinstance(self.capacity, OnDemand) and self.capacity.max_write_units is not None
