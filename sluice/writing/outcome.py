"""What became of the operations that a writer was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, field

from sluice.message.errors import TableError
from sluice.message.operation import Operation, Rejection


class WriteOutcome(Struct):
    """What became of the operations. Whatever is in none of the first four is not known to be done."""

    written: set[Operation] = field(default_factory=set)
    superseded: set[Operation] = field(default_factory=set)
    conditions_failed: dict[Operation, bool] = field(default_factory=dict)
    """Their condition did not hold; True where that is no reason to dead-letter: only the version was not newer, or an
    update of which nobody can tell whether an earlier attempt had applied it."""
    rejected: dict[Operation, Rejection] = field(default_factory=dict)
    by_reading: set[Operation] = field(default_factory=set)
    """Those of them that were not sent: their items stood there already, or newer ones."""
    early: set[Operation] = field(default_factory=set)
    """Updates of what is not in the table yet; those for which it was the last try are rejected as well."""
    denied: dict[Operation, str] = field(default_factory=dict)
    """Access to their items is denied: in which words."""
    batch_fills: list[int] = field(default_factory=list)
    """Requests of each call."""
    latencies: list[float] = field(default_factory=list)
    """Milliseconds of each call that came back."""
    unprocessed: int = 0
    throttled_calls: int = 0
    throttling: Counter[str] = field(default_factory=Counter)
    """How often each reason was given, as the service names it; UnprocessedItems have none."""
    consumed: float = 0.0
    """Write units."""
    backoff: float = 0.0
    """Milliseconds with nothing to do but wait."""
    trouble: str = ""
    """The last reason for which the table did not take something; empty where it took all that was sent."""
    reads_failed: Sequence[str] = ()
    """Why items were not read before they were written: one reason for each call."""
    error: TableError | None = None
    """What stopped the writing: the table, the permission or the settings are wrong."""

    @property
    def judged(self) -> set[Operation]:
        """What got as far as its item in the table: nobody but the item decided on it."""
        return (self.written | self.conditions_failed.keys() | self.early) - self.by_reading

    @property
    def unchanged(self) -> set[Operation]:
        """Their items stood in the table already."""
        return self.written & self.by_reading

    @property
    def ended(self) -> set[Operation]:
        return self.written | self.superseded | self.conditions_failed.keys() | self.rejected.keys()
