"""The price table: JSON beside this module, or the user's own."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

_OPTIONAL = ("read_request_unit", "bulk_put_gb")
DEFAULT = Path(__file__).with_name("prices.json")


class PricesError(ValueError):
    """A price table that cannot be used, with what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for one of each."""

    write_request_unit: float
    """On-demand; one for each 1 KB begun of an item."""
    sqs_request: float
    """Of a standard queue; one for each 64 KB begun of its payload."""
    sqs_fifo_request: float
    lambda_request: float
    lambda_gb_second: float
    log_gb: float
    """10**9 bytes of CloudWatch Logs ingested; EMF metrics are log lines, too."""
    import_gb: float
    """10**9 bytes of a file, uncompressed, that DynamoDB imports from S3 into a new table."""
    read_request_unit: float | None = None
    """On-demand, strongly consistent; one for each 4 KB begun of an item. None in a table that does not have it."""
    bulk_put_gb: float | None = None
    """The same, put into an existing table by StartBulkPutItems; None where the price is not known."""
    region: str = ""
    as_of: str = ""
    assumed: tuple[str, ...] = ()
    """Those that no source of AWS's own confirmed."""

    @property
    def read_unit(self) -> float:
        """The read request unit's; a fifth of the write request unit's, as in every region, where it is not given."""
        return self.write_request_unit / 5 if self.read_request_unit is None else self.read_request_unit

    @classmethod
    def load(cls, path: Path = DEFAULT) -> Prices:
        """Read a table. Raises `PricesError` that names the file and the entry, OSError where it cannot be read."""
        table, entries = _entries(path)
        names = [field.name for field in fields(cls) if field.default is MISSING]
        return cls(
            **{name: _price(path, name, entries.get(name)) for name in names},
            **{name: _price(path, name, entries[name]) for name in _OPTIONAL if name in entries},
            region=str(table.get("region", "")),
            as_of=str(table.get("as_of", "")),
            assumed=tuple(name for name in names if entries[name].get("assumed", False)),
        )


@dataclass(frozen=True, slots=True)
class FixedPrices:
    """US dollars for what a stack has whether anything is sent or not; of the same price table."""

    metric_month: float
    """A custom metric, by the hour in which it is reported."""
    alarm_metric_month: float
    """A metric that an alarm of standard resolution watches."""
    composite_alarm_month: float
    dashboard_month: float
    kms_key_month: float
    recovery_gb_month: float
    """10**9 bytes of a table with point-in-time recovery."""
    table_gb_month: float
    log_gb_month: float
    sqs_request: float
    sqs_fifo_request: float
    assumed: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path = DEFAULT) -> FixedPrices:
        """Read a table. Raises `PricesError` and OSError as `Prices.load` does."""
        _, entries = _entries(path)
        names = [field.name for field in fields(cls) if field.default is MISSING]
        return cls(
            **{name: _price(path, name, entries.get(name)) for name in names},
            assumed=tuple(name for name in names if entries[name].get("assumed", False)),
        )


def _entries(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole table, and its prices."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PricesError(f"{path} is not JSON: {error}") from error
    entries = table.get("prices") if isinstance(table, dict) else None
    if not isinstance(entries, dict):
        raise PricesError(f"{path} has no object named 'prices'")
    return table, entries


def _price(path: Path, name: str, entry: Any) -> float:
    if not isinstance(entry, dict):
        raise PricesError(f"{path} has no price named {name!r}")
    return _part(path, name, "dollars", entry.get("dollars"), 0) / _part(path, name, "per", entry.get("per", 1), 1)


def _part(path: Path, name: str, what: str, number: Any, at_least: int) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not at_least <= number < math.inf:
        raise PricesError(f"{path}: {what!r} of {name} must be a number of at least {at_least}, got {number!r}")
    return float(number)
