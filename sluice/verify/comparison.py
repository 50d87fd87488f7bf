"""An item as it should be against the item that is stored, and what counts if a key comes twice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from sluice.message import items
from sluice.message.operation import AttributeValue

from .expected import Expected

Item = dict[str, AttributeValue]


class Outcome(IntEnum):
    """What became of one record; the value is what the tally keeps."""

    EQUAL = 0
    MISSING = 1
    DIFFERENT = 2
    UNDELETED = 3
    """It should have been deleted, and is there."""
    NEWER = 4
    """The table holds a newer version, as it should where versions are kept."""
    UNCOMPARED = 5
    """After an update or a conditional write the item may be anything."""
    ABSENT = 6
    """Deleted, as it should be; told as equal."""


FAILURES = (Outcome.MISSING, Outcome.DIFFERENT, Outcome.UNDELETED)


@dataclass(frozen=True, slots=True)
class Difference:
    """In which attributes two items are not equal."""

    changed: tuple[str, ...] = ()
    retyped: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of those that have another type: that of the file and that of the table."""
    missing: tuple[str, ...] = ()
    """Not in the table."""
    added: tuple[str, ...] = ()
    """In the table alone."""


def outcome(expected: Expected, stored: Item | None, *, keys_only: bool = False) -> Outcome:
    """Compare whole items: numbers by value, sets without order. With `keys_only`, whether it is there."""
    if not expected.is_known:
        return Outcome.UNCOMPARED
    if stored is None:
        return Outcome.ABSENT if expected.item is None else Outcome.MISSING
    if expected.version is not None:
        name, version = expected.version
        held = stored.get(name)
        if held is not None and items.is_newer(held, version):
            return Outcome.NEWER
    if expected.item is None:
        return Outcome.UNDELETED
    return Outcome.EQUAL if keys_only or items.is_same(expected.item, stored) else Outcome.DIFFERENT


def difference(expected: Item, stored: Item) -> Difference:
    """The names of the attributes that are not equal."""
    changed = tuple(n for n in expected if n in stored and not items.is_same({n: expected[n]}, {n: stored[n]}))
    types = {name: (*expected[name], *stored[name]) for name in changed}
    return Difference(
        changed=changed,
        retyped={name: (one, other) for name, (one, other) in types.items() if one != other},
        missing=tuple(n for n in expected if n not in stored),
        added=tuple(n for n in stored if n not in expected),
    )


def verdict(newest: Mapping[Outcome, bytes], last: Outcome, *, is_versioned: bool) -> Outcome:
    """Which outcome counts of those that the records with one key have; `newest` has the rank of each one's newest.

    The last one. Where versions are kept the order does not matter, and each record says "this one or a newer one":
    so the worst counts, but only what is newer than a delete can be missing.
    """
    if not is_versioned:
        return last
    if Outcome.ABSENT in newest:
        is_lost = newest.get(Outcome.MISSING, b"") > newest[Outcome.ABSENT]
        return Outcome.MISSING if is_lost else Outcome.ABSENT
    return max(newest, key=_FROM_GOOD_TO_BAD.index)


_FROM_GOOD_TO_BAD = (Outcome.NEWER, Outcome.ABSENT, Outcome.EQUAL, Outcome.UNCOMPARED, *FAILURES)
