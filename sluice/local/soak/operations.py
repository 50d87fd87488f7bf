"""One write, as the producer means it, and every form in which the contract lets it be said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.local.faults.requests import Item

from .model import Key, canonical


@dataclass(frozen=True, slots=True)
class TableOf:
    """One of the tables that are written to."""

    name: str
    alias: str
    key: tuple[tuple[str, str], ...]
    """Name and type of each key attribute, the partition key first."""
    version: str | None = None
    """The attribute by which the newest version wins."""
    skips: bool = False
    """What stands there unchanged is not written: skip_unchanged."""

    def key_of(self, item: Mapping[str, Any]) -> Key:
        values = [canonical({name: item[name]})[name] for name, _ in self.key]
        return self.name, values[0], values[1] if len(values) > 1 else None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition expression with the names and values that it uses."""

    text: str
    names: Mapping[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """An operation before it is put into words."""

    table: TableOf
    key: Item
    item: Item | None
    """What a put stores; None for a delete or an update."""
    sets: Item | None = None
    """What an update sets."""
    condition: Condition | None = None
    version: str | None = None
    """Of a delete, where the newest version wins."""

    @property
    def is_versioned(self) -> bool:
        return self.table.version is not None

    @property
    def is_unconditional(self) -> bool:
        """A put or delete that goes in batches, and supersedes what stands before it."""
        return self.condition is None and self.sets is None and not self.is_versioned


def texts(write: Write, *, is_default: bool) -> Iterator[str]:
    """Every form in which a write may stand in a message; `is_default` says that its table need not be named."""
    attributes = write.key if write.item is None else write.item
    if write.version is None:
        native, inner = ("Delete", "Key") if write.item is None else ("Put", "Item")
        if write.sets is None and write.condition is None:
            request = {f"{native}Request": {inner: attributes}}
            yield json.dumps({"RequestItems": {write.table.name: [request]}})
            if is_default:
                yield json.dumps(request)
        native = native if write.sets is None else "Update"
        content = {"TableName": write.table.alias, inner: attributes, **_native_expressions(write)}
        yield json.dumps({native: content}, ensure_ascii=False)
    if _is_plain([*attributes.values(), *_values(write).values()]):
        plain = "update" if write.sets is not None else "delete" if write.item is None else "put"
        yield f'{{"{plain}":{_plain_map(attributes)},"table":"{write.table.alias}"{_plain_expressions(write)}}}'


def _native_expressions(write: Write) -> dict[str, Any]:
    members = {
        "UpdateExpression": _set_expression(write),
        "ConditionExpression": write.condition.text if write.condition else "",
        "ExpressionAttributeNames": _names(write),
        "ExpressionAttributeValues": _values(write),
    }
    return {name: member for name, member in members.items() if member}


def _plain_expressions(write: Write) -> str:
    members = {
        "expression": json.dumps(_set_expression(write)) if write.sets else "",
        "condition": json.dumps(write.condition.text) if write.condition else "",
        "names": json.dumps(names) if (names := _names(write)) else "",
        "values": _plain_map(values) if (values := _values(write)) else "",
        "version": write.version or "",
    }
    return "".join(f',"{name}":{member}' for name, member in members.items() if member)


def _set_expression(write: Write) -> str:
    return f"SET {', '.join(f'#set{n} = :set{n}' for n in range(len(write.sets)))}" if write.sets else ""


def _names(write: Write) -> dict[str, str]:
    return {f"#set{n}": name for n, name in enumerate(write.sets or {})} | dict(
        write.condition.names if write.condition else {}
    )


def _values(write: Write) -> Item:
    values = {f":set{n}": value for n, value in enumerate((write.sets or {}).values())}
    return values | (write.condition.values if write.condition else {})


def _is_plain(values: Any) -> bool:
    return all(value.keys() <= {"S", "N", "BOOL", "NULL", "L", "M"} for value in values)


def _plain_map(members: Item) -> str:
    return f"{{{','.join(f'{json.dumps(name)}:{_plain(value)}' for name, value in members.items())}}}"


def _plain(value: Mapping[str, Any]) -> str:
    """A value as ordinary JSON; a number with the very digits that it has."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return str(content)
        case "NULL":
            return "null"
        case "L":
            return f"[{','.join(map(_plain, content))}]"
        case "M":
            return _plain_map(content)
    return json.dumps(content, ensure_ascii=False)
