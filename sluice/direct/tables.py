"""Which tables a writer writes to: their names, keys and versions, given or asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sluice.message.errors import SettingsError
from sluice.message.settings import KEY_TYPES, KeyAttribute, KeyType, Table

Key = Mapping[str, str] | Sequence[tuple[str, str]]
"""Partition key, then sort key if there is one, each with its type: `{"pk": "S", "sk": "N"}`."""


def resolved(table: Any, key: Key | None, version: str | None, describe: Callable[[str], Mapping[str, Any]]) -> Table:
    """A table given by its name, by boto3's Table, or as settings have it. Raises `SettingsError`."""
    if isinstance(table, Table):
        return table
    if isinstance(table, str):
        return named(table, key or key_of(describe(table)), version)
    if not hasattr(table, "key_schema"):
        raise SettingsError(f"a table is a name or a boto3 Table, got a {type(table).__name__}")
    description = {"KeySchema": table.key_schema, "AttributeDefinitions": table.attribute_definitions}
    return named(table.name, key or key_of(description), version)


def named(name: str, key: Key, version: str | None) -> Table:
    """A table whose key is given. Raises `SettingsError`."""
    attributes = tuple(KeyAttribute(*_typed(pair)) for pair in (key.items() if isinstance(key, Mapping) else key))
    if not 1 <= len(attributes) <= 2:
        raise SettingsError(f"a table has a partition key, and perhaps a sort key, got {len(attributes)} attributes")
    own = name.partition(":table/")[2] if name.startswith("arn:") else name
    if version in {attribute.name for attribute in attributes}:
        raise SettingsError(f"version must not be a key attribute, which never changes, got {version!r}")
    return Table(own, own, attributes[0], attributes[1] if len(attributes) > 1 else None, version)


def key_of(description: Mapping[str, Any]) -> Key:
    """The key in a DescribeTable's answer, or of boto3's Table:
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
    """
    types = {
        attribute["AttributeName"]: attribute["AttributeType"] for attribute in description["AttributeDefinitions"]
    }
    roles = {part["KeyType"]: part["AttributeName"] for part in description["KeySchema"]}
    return [(roles[role], types[roles[role]]) for role in ("HASH", "RANGE") if role in roles]


def _typed(pair: tuple[str, str]) -> tuple[str, KeyType]:
    name, kind = pair
    if kind not in KEY_TYPES or not name:
        raise SettingsError(f"a key attribute has a name, and a type of S, N or B, got {name!r}: {kind!r}")
    return name, cast("KeyType", kind)
