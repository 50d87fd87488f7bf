"""The two ways in which DynamoDB sells a table's capacity; units are per second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemand:
    """Paid by the request; without a maximum, only the account's quota bounds it."""

    max_write_units: int | None
    max_read_units: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """Paid by the hour; scales between minimum and maximum where they differ."""

    write_units: tuple[int, int]
    """Minimum and maximum."""
    read_units: tuple[int, int]
    """Minimum and maximum."""
    target_utilization: int
    """Percent of the provisioned units, at which autoscaling aims."""


Capacity = OnDemand | Provisioned
