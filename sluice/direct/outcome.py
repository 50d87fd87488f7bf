"""What became of each write, and of all of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

Action = Literal["put", "delete", "update"]
Status = Literal["written", "unchanged", "superseded", "condition-failed", "rejected", "not-written"]


# One is made for each write: a Struct costs a sixth of a dataclass.
class Outcome(msgspec.Struct, eq=False):
    """One write, and what became of it: `status` is None until that is known.

    `written`: it is in the table. `unchanged`: it stood there already. `superseded`: a later write of the same item is
    in the table, and this one was not needed. `condition-failed`: its condition did not hold, or the table had a newer
    version. `rejected`: it can never succeed; `code` is one of docs/messages.md's error codes, and `message` says why,
    without values. `not-written`: the table did not take it in time; `message` says why. Where a call got no answer it
    may have been written all the same.
    """

    action: Action
    table: str
    """As the caller named it; empty for the default."""
    item: Any
    """The item or key as it was given, not a copy: what failed can be repaired and given again."""
    tag: Any = None
    """The caller's own, to know the write by."""
    status: Status | None = None
    code: str = ""
    message: str = ""
    _changed: threading.Condition | None = None

    def __repr__(self) -> str:  # Without the item: it may be logged.
        return f"Outcome({self.action}, tag={self.tag!r}, status={self.status!r}, {self.code} {self.message})"

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until it is known, at most so many seconds. Raises TimeoutError."""
        end = None if timeout is None else time.monotonic() + timeout
        if self.status is None and self._changed is not None:
            with self._changed:
                left = None if end is None else max(0.0, end - time.monotonic())
                self._changed.wait_for(lambda: self.status is not None, left)
        if self.status is None:
            raise TimeoutError("the write has not ended yet")
        return self.status


@dataclass(slots=True)
class Result:
    """What became of all that a writer was given. `given` is the sum of the first six."""

    written: int = 0
    unchanged: int = 0
    """They stood in the table already, equal in every attribute, and were not written again."""
    superseded: int = 0
    """Not needed, as a later write of the same item is in the table."""
    conditions_failed: list[Outcome] = field(default_factory=list)
    rejected: list[Outcome] = field(default_factory=list)
    not_written: list[Outcome] = field(default_factory=list)
    write_units: float = 0.0
    """Consumed, by the service's own count."""
    calls: int = 0
    throttled_calls: int = 0
    unprocessed: int = 0
    """How often an operation came back in UnprocessedItems, to be sent again."""

    @property
    def given(self) -> int:
        lists = (self.conditions_failed, self.rejected, self.not_written)
        return self.written + self.unchanged + self.superseded + sum(map(len, lists))

    @property
    def failed(self) -> list[Outcome]:
        """What somebody has to look at. A condition that did not hold is none of it."""
        return [*self.rejected, *self.not_written]

    def count(self, outcome: Outcome) -> None:
        match outcome.status:
            case "written":
                self.written += 1
            case "unchanged":
                self.unchanged += 1
            case "superseded":
                self.superseded += 1
            case "condition-failed":
                self.conditions_failed.append(outcome)
            case "rejected":
                self.rejected.append(outcome)
            case "not-written":
                self.not_written.append(outcome)

    def copied(self) -> Result:
        return replace(
            self,
            conditions_failed=list(self.conditions_failed),
            rejected=list(self.rejected),
            not_written=list(self.not_written),
        )

    def summary(self) -> str:
        """`3 of 1,000 writes failed: 2 MissingKey (…), 1 not written (…)`, without item values; empty if none."""
        failed = self.failed
        if not failed:
            return ""
        kinds: dict[str, tuple[int, str]] = {}
        for outcome in failed:
            kind = outcome.code or "not written"
            kinds[kind] = (kinds.get(kind, (0, ""))[0] + 1, outcome.message)
        told = ", ".join(f"{count:,} {kind} ({message})" for kind, (count, message) in kinds.items())
        return f"{len(failed):,} of {self.given:,} writes failed: {told}"
