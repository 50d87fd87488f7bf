"""A file that is loaded once: what it costs through the queue and by what DynamoDB itself has for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .measured import Size
from .model import MILLION, estimate
from .prices import Prices
from .report import PACKED, designs

QUEUE = "sluice, packed messages"
IMPORT_TABLE = "DynamoDB's import from S3 (ImportTable)"
BULK_PUT = "DynamoDB's StartBulkPutItems"

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataImport.HowItWorks.html (new table, no write
# units, uncompressed size) and .../BulkPutItems.Considerations.html (existing table, no global table).
INTO = {QUEUE: "any table", IMPORT_TABLE: "a new table only", BULK_PUT: "an existing table, not a global one"}

LEADS = "A file that is loaded once does not need a queue."
ADVICE = (
    "Into a table that does not exist yet: ImportTable. It makes the table and its indexes, uses no write units, and"
    " takes CSV, DynamoDB JSON or Ion from S3.",
    "Into a table that exists: StartBulkPutItems. It takes DynamoDB JSON or Ion from S3 and writes a report of what it"
    " could not write.",
    "Through the queue where records keep coming, or come from several producers; where there are updates, deletes or"
    " several tables in one file; where the order within a group matters; for a global table; or where each bad record"
    " shall wait in a dead-letter queue to be repaired.",
)
FILE = (
    "DynamoDB bills an import by the file's uncompressed bytes, bad records included. The file is taken to be as large"
    " as the records' JSON (Ion); DynamoDB JSON is larger, CSV smaller. S3's own requests and storage are not in it."
)
NO_PRICE = (
    "What StartBulkPutItems costs is not confirmed: look it up at https://aws.amazon.com/dynamodb/pricing/on-demand/"
    " and put it into a price table as bulk_put_gb, for one GB of the file, if that is how it is billed."
)


@dataclass(frozen=True, slots=True)
class Load:
    """One way to load a file, once."""

    way: str
    record_bytes: int
    records: int
    dollars: float | None
    """None where no price is known."""
    into: str


def loads(prices: Prices, size: Size, records: int, *, memory_mb: int, latency: float) -> Sequence[Load]:
    """Every way to load so many records of this size; `latency` in seconds."""
    workload = designs(size, memory_mb=memory_mb, latency=latency)[PACKED]
    gigabytes = records * size.record_bytes / 1e9
    dollars = {
        QUEUE: estimate(workload, prices).total * records / MILLION,
        IMPORT_TABLE: gigabytes * prices.import_gb,
        BULK_PUT: None if prices.bulk_put_gb is None else gigabytes * prices.bulk_put_gb,
    }
    return [Load(way, size.record_bytes, records, dollars[way], into) for way, into in INTO.items()]


def advice(found: Sequence[Load]) -> Sequence[str]:
    """In plain words, when which of them fits."""
    no_price = [NO_PRICE] if any(load.dollars is None for load in found) else []
    return [LEADS, *(f"- {line}" for line in ADVICE), FILE, *no_price]
