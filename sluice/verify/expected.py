"""What a record of the file says about an item of the table. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from sluice.message import records
from sluice.message.decoder import Decoder
from sluice.message.operation import AttributeValue, Key, Operation, Rejection, SingleWrite
from sluice.message.settings import Settings, Table
from sluice.sending.record import Position, Record

_EXACT = Context(prec=40)  # A key number has at most 38 digits.


@dataclass(frozen=True, slots=True)
class Expected:
    """One item as it should be."""

    line: int
    end: Position
    """Of its record."""
    table: Table
    key: Key
    key_attributes: dict[str, AttributeValue]
    item: dict[str, AttributeValue] | None
    """None where it should not be there."""
    version: tuple[str, AttributeValue] | None
    """Attribute and value where the newest version wins: the table may then hold a newer item."""
    is_known: bool
    """False after an update or a conditional write: what the item is now depends on what it was."""

    @property
    def digest(self) -> bytes:
        """16 bytes that stand for table and key: equal for numbers of equal value."""
        name, *values = self.key
        text = repr((name, *map(_canonical, values)))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Expectations:
    """Turns records into what they say, by the function's own decoder."""

    def __init__(self, tables: Sequence[Table], record_format: Any = "operation", region: str | None = None) -> None:
        self._tables: Mapping[str, Table] = {table.name: table for table in tables}
        self._decode = Decoder(Settings(tuple(tables), record_format=record_format), region).decode

    def of(self, record: Record) -> Iterator[Expected | Rejection]:
        """One for each operation of a record; those that the function would reject say nothing of the table."""
        if record.error is not None:
            yield record.error
            return
        try:
            body = f"[{record.body.decode()}]"
        except UnicodeDecodeError:
            yield Rejection("InvalidJson", "not UTF-8")
            return
        message = self._decode(records.unsent(body))
        for operation in message.operations:
            yield self._expected(record, operation)
        for _, rejection in message.rejected:
            yield rejection

    def _expected(self, record: Record, operation: Operation) -> Expected:
        table = self._tables[operation.table]
        request, version, is_known = operation.request, None, True
        if isinstance(operation, SingleWrite):
            version = operation.version
            is_known = operation.call != "update_item" and not operation.is_conditional
        else:
            ((_, request),) = request.items()
        item = request.get("Item")
        attributes = request["Key"] if item is None else item
        return Expected(
            line=record.line,
            end=record.end,
            table=table,
            key=operation.key,
            key_attributes={attribute.name: attributes[attribute.name] for attribute in table.key},
            item=item,
            version=version,
            is_known=is_known,
        )


def _canonical(value: Any) -> Any:
    if isinstance(value, Decimal):
        return "N", str(_EXACT.normalize(value)) if value else "0"
    return value
