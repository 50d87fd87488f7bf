"""The function's settings: each environment variable's name is typed once, here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, cast

from msgspec import Struct
from msgspec.structs import fields

from .errors import SettingsError

KeyType = Literal["S", "N", "B"]
KEY_TYPES = ("S", "N", "B")
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_TABLE_NAME = re.compile("[a-zA-Z0-9_.-]{3,255}")

T = TypeVar("T")


class KeyAttribute(Struct, frozen=True):
    """One attribute of a table's primary key: its name and its DynamoDB type."""

    name: str
    type: KeyType


class Index(Struct, frozen=True):
    """A secondary index: the attributes of its key. A local one has the table's partition key, and none of its own."""

    name: str
    partition_key: tuple[KeyAttribute, ...] = ()
    sort_key: tuple[KeyAttribute, ...] = ()

    @property
    def key(self) -> tuple[KeyAttribute, ...]:
        return (*self.partition_key, *self.sort_key)


class Table(Struct, frozen=True):
    """A table that messages may name, by `alias` or by `name`."""

    alias: str
    name: str
    partition_key: KeyAttribute
    sort_key: KeyAttribute | None = None
    version: str | None = None
    indexes: tuple[Index, ...] = ()
    skip_unchanged: bool = False
    """Items are read before they are written, and those that stand there already are not written again."""

    @property
    def key(self) -> tuple[KeyAttribute, ...]:
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)


ANY_TABLE = Table("", "", KeyAttribute("", "S"))
"""Stands for every table, for those who check messages and do not know the function's: key and name are not checked."""


class Settings(Struct, frozen=True):
    """All settings of one deployed function; docs/settings.md says what each means."""

    tables: tuple[Table, ...]
    """The tables that messages may write to; the first is the default."""
    dead_letter_queue_url: str | None = None
    record_format: Literal["operation", "item"] = "operation"
    record_expression: str | None = None
    max_connections: int = 8
    """BatchWriteItem calls in flight at once; of single writes up to eight times as many."""
    max_write_units_per_second: float = math.inf
    deadline_margin: float = 5.0
    """Seconds kept back from the Lambda timeout to report."""
    on_condition_failed: Literal["skip", "dead-letter"] = "skip"
    update_once: bool = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check every variable. Raises `SettingsError`, which names the variable and the value."""
        given = {}
        for name in cls.__struct_fields__:
            variable = name.upper()
            text = environ.get(variable, "").strip()
            if text:
                given[name] = _parsed(variable, text)
            elif name == "tables":
                raise SettingsError("TABLES is required: a JSON array of the tables that messages may write to")
        return cls(**given)

    def to_environ(self) -> dict[str, str]:
        """The environment that `from_environ` reads as these settings; what is at its default is left out."""
        environ = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "tables":
                environ["TABLES"] = json.dumps([_table_to_json(table) for table in value])
            elif value != field.default:
                environ[field.name.upper()] = str(value).lower() if isinstance(value, bool) else f"{value}"
        return environ


def _parsed(variable: str, text: str) -> Any:
    try:
        return _PARSERS[variable](text)
    except ValueError as error:
        raise SettingsError(f"{variable} must be {error}, got {text!r}") from None


def _tables(text: str) -> tuple[Table, ...]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"a JSON array of tables (it is not JSON: {error})") from None
    if not isinstance(values, list) or not values:
        raise ValueError("a JSON array of one or more tables")
    tables = tuple(_table(value, f"TABLES[{position}]") for position, value in enumerate(values))
    _refuse_twice("alias or name", [name for table in tables for name in {table.alias, table.name}])
    return tables


def _table(value: Any, where: str) -> Table:
    _require_setting(isinstance(value, dict), f"a JSON array of objects ({where} is not an object)")
    known = {"alias", "name", "partition_key", "sort_key", "version", "indexes", "skip_unchanged"}
    for key in value:
        _require_setting(key in known, f"made of {', '.join(sorted(known))} ({where} has {key!r})")
    name = _table_name(_string_member(value, "name", where), f"{where}.name")
    table = Table(
        alias=_string_member(value, "alias", where) if "alias" in value else name,
        name=name,
        partition_key=_key_attribute(value.get("partition_key"), f"{where}.partition_key"),
        sort_key=_key_attribute(value["sort_key"], f"{where}.sort_key") if value.get("sort_key") is not None else None,
        version=_string_member(value, "version", where) if value.get("version") is not None else None,
        indexes=_indexes(value.get("indexes"), f"{where}.indexes"),
        skip_unchanged=_flag_member(value, "skip_unchanged", where),
    )
    _refuse_two_types(table, where)
    _refuse_twice(f"key attribute in {where}", [attribute.name for attribute in table.key])
    _require_setting(
        table.version not in [attribute.name for attribute in table.key],
        f"sound ({where}.version is a key attribute, which never changes)",
    )
    return table


def _table_name(text: str, where: str) -> str:
    _require_setting(
        not text.startswith("arn:"), f"of tables by their names ({where} is an ARN: what follows table/ is the name)"
    )
    letters = "3 to 255 letters a-z and A-Z, digits and the characters _ - ."
    _require_setting(
        _TABLE_NAME.fullmatch(text) is not None, f"of tables by their names ({where} is {text!r}, not {letters})"
    )
    return text


def _key_attribute(value: Any, where: str) -> KeyAttribute:
    _require_setting(
        isinstance(value, dict), f'complete ({where} must be an object such as {{"name": "pk", "type": "S"}})'
    )
    for key in value:
        _require_setting(key in ("name", "type"), f"made of name and type ({where} has {key!r})")
    kind = value.get("type")
    _require_setting(kind in KEY_TYPES, f"of key type S, N or B ({where}.type is {kind!r})")
    return KeyAttribute(_string_member(value, "name", where), cast("KeyType", kind))


def _indexes(value: Any, where: str) -> tuple[Index, ...]:
    if value is None:
        return ()
    _require_setting(
        isinstance(value, list) and all(isinstance(each, dict) for each in value),
        f"complete ({where} must be an array of objects)",
    )
    indexes = tuple(_index(each, f"{where}[{position}]") for position, each in enumerate(value))
    _refuse_twice(f"index in {where}", [index.name for index in indexes])
    return indexes


def _index(value: dict[str, Any], where: str) -> Index:
    for key in value:
        _require_setting(
            key in ("name", "partition_key", "sort_key"),
            f"made of name, partition_key and sort_key ({where} has {key!r})",
        )
    index = Index(
        _string_member(value, "name", where),
        _key_attributes(value.get("partition_key"), f"{where}.partition_key"),
        _key_attributes(value.get("sort_key"), f"{where}.sort_key"),
    )
    _require_setting(index.key != (), f"complete ({where} must have a partition_key, a sort_key or both)")
    _refuse_twice(f"key attribute in {where}", [attribute.name for attribute in index.key])
    return index


def _key_attributes(value: Any, where: str) -> tuple[KeyAttribute, ...]:
    """One attribute, or an array of those that make up the key together."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return (_key_attribute(value, where),)
    return tuple(_key_attribute(each, f"{where}[{position}]") for position, each in enumerate(value))


def _refuse_two_types(table: Table, where: str) -> None:
    types = {attribute.name: attribute.type for attribute in table.key}
    for index in table.indexes:
        for name, kind in ((attribute.name, attribute.type) for attribute in index.key):
            _require_setting(
                types.setdefault(name, kind) == kind,
                f"sound ({where} has the key attribute {name!r} of type {types[name]} and of type {kind})",
            )


def _string_member(value: dict[str, Any], key: str, where: str) -> str:
    text = value.get(key)
    _require_setting(isinstance(text, str) and text != "", f"complete ({where}.{key} must be a non-empty string)")
    return cast("str", text)


def _flag_member(value: dict[str, Any], key: str, where: str) -> bool:
    flag = value.get(key)
    _require_setting(flag is None or isinstance(flag, bool), f"sound ({where}.{key} must be true or false)")
    return bool(flag)


def _refuse_twice(what: str, names: list[str]) -> None:
    for name in names:
        _require_setting(names.count(name) == 1, f"free of duplicates (the {what} {name!r} stands there twice)")


def _require_setting(holds: bool, requirement: str) -> None:
    if not holds:
        raise ValueError(requirement)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        _require_setting(text in choices, " or ".join(repr(choice) for choice in choices))
        return text

    return parse


def _positive(kind: Callable[[str], T], what: str) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            number = kind(text)
        except ValueError:
            raise ValueError(what) from None
        _require_setting(0 < cast("float", number) < math.inf, what)
        return number

    return parse


def _flag(text: str) -> bool:
    return _one_of("true", "false")(text) == "true"


def _url(text: str) -> str:
    _require_setting(text.startswith(("https://", "http://")) and len(text.split()) == 1, "the URL of an SQS queue")
    return text


_PARSERS: dict[str, Callable[[str], Any]] = {
    "TABLES": _tables,
    "DEAD_LETTER_QUEUE_URL": _url,
    "RECORD_FORMAT": _one_of("operation", "item"),
    "RECORD_EXPRESSION": str,
    "MAX_CONNECTIONS": _positive(int, "a positive whole number of connections"),
    "MAX_WRITE_UNITS_PER_SECOND": _positive(float, "a positive number of write units per second"),
    "DEADLINE_MARGIN": _positive(float, "a positive number of seconds"),
    "ON_CONDITION_FAILED": _one_of("skip", "dead-letter"),
    "UPDATE_ONCE": _flag,
}


def _table_to_json(table: Table) -> dict[str, Any]:
    value: dict[str, Any] = {"alias": table.alias, "name": table.name}
    value["partition_key"] = _attribute_to_json(table.partition_key)
    if table.sort_key is not None:
        value["sort_key"] = _attribute_to_json(table.sort_key)
    if table.version is not None:
        value["version"] = table.version
    if table.indexes:
        value["indexes"] = [_index_to_json(index) for index in table.indexes]
    if table.skip_unchanged:
        value["skip_unchanged"] = True
    return value


def _index_to_json(index: Index) -> dict[str, Any]:
    value: dict[str, Any] = {"name": index.name}
    for member, key in (("partition_key", index.partition_key), ("sort_key", index.sort_key)):
        if key:
            attributes = [_attribute_to_json(attribute) for attribute in key]
            value[member] = attributes if len(attributes) > 1 else attributes[0]
    return value


def _attribute_to_json(attribute: KeyAttribute) -> dict[str, str]:
    return {"name": attribute.name, "type": attribute.type}
