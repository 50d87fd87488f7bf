"""An operation as an element of a message's body: plain JSON where it can be, DynamoDB JSON where it must. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sluice.message.items import Rejected
from sluice.sending.record import allowed

from .errors import InvalidRecordError
from .values import NeedsNativeError, native, plain, simpler

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Extras:
    """What may stand beside the item or key of an operation."""

    table: str | None = None
    condition: str | None = None
    expression: str | None = None
    names: Mapping[str, str] | None = None
    values: Mapping[str, Any] | None = None
    version: Any = None


NOTHING = Extras()


def element(action: Literal["put", "delete", "update"], record: Any, extras: Extras = NOTHING) -> bytes:
    """The JSON of one operation. Raises `InvalidRecordError`."""
    try:
        attributes = _object(record)
        try:
            found = _plain(action, attributes, extras)
        except NeedsNativeError:
            found = _native(action, attributes, extras)
        return allowed(_encode(found))
    except Rejected as rejected:
        refused = rejected.rejection()
        raise InvalidRecordError(refused.code, refused.message) from None
    except UnicodeEncodeError:
        raise InvalidRecordError("InvalidJson", "a lone surrogate is not a character") from None


def item(record: Any) -> bytes:
    """The JSON of a bare item, for a function with RECORD_FORMAT=item. Raises `InvalidRecordError`."""
    try:
        return allowed(_encode(plain(_object(record))))
    except Rejected as rejected:
        refused = rejected.rejection()
        raise InvalidRecordError(refused.code, refused.message) from None
    except NeedsNativeError:
        text = "binary and sets need DynamoDB JSON, which a function with RECORD_FORMAT=item does not take"
        raise InvalidRecordError("InvalidAttribute", text) from None
    except UnicodeEncodeError:
        raise InvalidRecordError("InvalidJson", "a lone surrogate is not a character") from None


def _object(record: Any) -> dict[str, Any]:
    attributes = record if type(record) is dict else simpler(record)
    if not isinstance(attributes, dict):
        raise Rejected(
            "UnknownOperation", f"an item or key is a mapping or an object with fields, not a {type(record).__name__}"
        )
    return attributes


def _plain(action: str, attributes: dict[str, Any], extras: Extras) -> dict[str, Any]:
    found = {action: plain(attributes)}
    if extras is NOTHING:
        return found
    values = None if extras.values is None else _values(extras.values, plain)
    version = None if extras.version is None else plain(extras.version, 1)
    others = {
        "table": extras.table,
        "condition": extras.condition,
        "expression": extras.expression,
        "names": extras.names and dict(extras.names),
        "values": values,
        "version": version,
    }
    return found | {name: value for name, value in others.items() if value is not None}


def _native(action: str, attributes: dict[str, Any], extras: Extras) -> dict[str, Any]:
    if extras.version is not None:
        raise Rejected(
            "UnknownOperation", "a delete with a version cannot have a binary key: DynamoDB JSON has no version"
        )
    inner = "Item" if action == "put" else "Key"
    content = native(attributes)["M"]
    if action != "update" and extras == Extras():
        return {f"{action.title()}Request": {inner: content}}
    others = {
        "TableName": extras.table,
        "ConditionExpression": extras.condition,
        "UpdateExpression": extras.expression,
        "ExpressionAttributeNames": extras.names and dict(extras.names),
        "ExpressionAttributeValues": None if extras.values is None else _values(extras.values, native),
    }
    return {action.title(): {inner: content} | {name: value for name, value in others.items() if value is not None}}


def _values(values: Mapping[str, Any], convert: Any) -> dict[str, Any]:
    converted = {}
    for name, value in values.items():
        try:
            converted[name] = convert(value, 1)
        except Rejected as rejected:
            raise rejected.inside(f"values.{name}") from None
    return converted
