"""Reading before writing (`skipUnchanged`): what DynamoDB costs then, and from which share unchanged on it pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .model import MILLION, WRITE_UNIT_BYTES
from .prices import Prices

READ_UNIT_BYTES = 4096  # https://aws.amazon.com/dynamodb/pricing/on-demand/
SAMPLE = 0.02
"""Share of the price of what is written that goes into a sample of reads where they do not pay."""


@dataclass(frozen=True, slots=True)
class Skipping:
    """Of records of one size, a share of which stands in the table already; US dollars per million, DynamoDB alone."""

    record_bytes: int
    always: float
    """Where all are written."""
    skipping: float
    """With `skipUnchanged`."""
    pays_from: float
    """The share above which it is cheaper."""


def skipping(record_bytes: int, item_bytes: int, share: float, prices: Prices) -> Skipping:
    """A read is as large as the item that is to be written; where reads do not pay, a sample is read."""
    write = MILLION * math.ceil(item_bytes / WRITE_UNIT_BYTES) * prices.write_request_unit
    read = MILLION * math.ceil(item_bytes / READ_UNIT_BYTES) * prices.read_unit
    return Skipping(record_bytes, write, min(read + (1 - share) * write, (1 + SAMPLE) * write), read / write)


def sentences(found: Sequence[Skipping]) -> Sequence[str]:
    """When it pays."""
    lowest, highest = min(each.pays_from for each in found), max(each.pays_from for each in found)
    between = f"{lowest:.0%}" if lowest == highest else f"{lowest:.0%} to {highest:.0%}, by size,"
    return (
        f"It pays where more than {between} of the records stand in the table already, equal in every attribute.",
        "Where fewer do, the function reads a sample only, and the bill grows by 3 % at most.",
    )
