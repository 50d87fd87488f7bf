"""What a file holds, told by its name and its beginning; a file that cannot be read is refused with what helps."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from sluice.cli import UsageError

from .elements import OUTPUT, document, first_value
from .options import KINDS, Input, Kind
from .requests import is_request_items
from .source import Source

OPERATIONS = ("put", "delete", "update", "PutRequest", "DeleteRequest", "RequestItems", "Put", "Delete", "Update")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "S": str, "N": str, "B": str, "BOOL": bool, "NULL": bool, "M": dict, "L": list, "SS": list, "NS": list, "BS": list
}  # fmt: skip
_BLANK = b" \t\r\n\xef\xbb\xbf"
_OTHERS = {
    b"PK\x03\x04": "a zip archive or a workbook: `unzip -p FILE | sluice send -`, or save its sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old workbook: save its sheet as CSV UTF-8",
    b"ORC": "ORC: a tool such as DuckDB or Spark makes JSON Lines of it",
    b"Obj\x01": "Avro: `avro-tools tojson` makes JSON Lines of it",
    b"BZh": "packed by bzip2: `bunzip2 -c FILE | sluice send -`",
    b"\xfd7zXZ": "packed by xz: `xz -dc FILE | sluice send -`",
    b"$ion_": "Amazon Ion: export the table again as DYNAMODB_JSON",
    b"\xe0\x01\x00\xea": "Amazon Ion: export the table again as DYNAMODB_JSON",
}
"""How files of other formats begin → what they are, and the way forward."""


class Content(NamedTuple):
    """What a file holds, and whether it stands there a record a line."""

    kind: Kind
    is_lines: bool
    in_array: bool = False
    """It begins with an array."""


def content_of(source: Source, given: Input) -> Content:
    """Raises `UsageError` where it cannot be told, or cannot be read."""
    if source.head(lines=1).startswith(b"PAR1") or given.kind == "parquet":
        return Content("parquet", False)
    _check_format(source)
    stem = source.stem.lower()
    if given.kind == "csv" or (given.kind is None and stem.endswith((".csv", ".tsv"))):
        _check_lines(source, given)
        return Content("csv", True)
    head, value, is_lines = _beginning(source)
    in_array = _is_array(head)
    if given.kind is None and value is None and head and not in_array:
        raise UsageError(f"cannot tell what {source.name} holds; --input {'|'.join(KINDS)} says it")
    is_alone = not in_array and not (is_lines and b"\n" in head.rstrip())
    if given.kind is None and value is not None and is_alone and (path := _path_to_items(value)) is not None:
        name = f" {source.name}" if source.is_file else ""
        raise UsageError(
            f"{source.name} holds no item but an object around some: `jq -c '{path}'{name} | sluice send -`"
        )
    kind = given.kind or _kind(value, is_bare=given.bare)
    return Content(kind, is_lines or kind == "requests", in_array)


def _check_format(source: Source) -> None:
    head = source.head(lines=1)
    for beginning, way in _OTHERS.items():
        if head.startswith(beginning):
            raise UsageError(f"{source.name} is {way.replace('FILE', source.name)}")


def _check_lines(source: Source, given: Input) -> None:
    """Raises `UsageError` for a file of CSV that is JSON, or whose lines end as they did on old Macs."""
    head = source.head(lines=1)
    if given.kind is None and _object(head.partition(b"\n")[0]) is not None:
        raise UsageError(f"{source.name} holds JSON, whatever its name says: --input items, operations or dynamodb")
    if b"\r" in head and b"\n" not in head and head.count(b"\r") > 1:
        raise UsageError(
            f"the lines of {source.name} end with a carriage return alone:"
            f" `tr '\\r' '\\n' < {source.name} | sluice send - --input csv`"
        )


def _path_to_items(value: dict[str, Any]) -> str | None:
    """Where the items are in what is no item, for it has no value that could be a key; None where it may be one."""
    if "TableName" in value and isinstance(value.get("Item"), dict) and is_native(value["Item"]):
        return ".Item"  # aws dynamodb put-item --cli-input-json
    if any(isinstance(one, str | int | float) and not isinstance(one, bool) for one in value.values()):
        return None
    if isinstance(value.get("Responses"), dict):
        return ".Responses[][]"  # aws dynamodb batch-get-item
    found = [name for name, one in value.items() if isinstance(one, list) and one and all(map(_is_object, one))]
    return f".{json.dumps(found[0])}[]" if len(found) == 1 and not is_request_items(value) else None


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _kind(value: dict[str, Any] | None, *, is_bare: bool) -> Kind:
    if value is None:
        return "items"
    if is_request_items(value) and not is_bare:
        return "requests"
    if set(value) - {"ConsumedCapacity"} == {"Item"} or {"Metadata", "Keys"} <= set(value):
        return "export"
    if is_native(value):
        return "dynamodb"
    named = [name for name in OPERATIONS if isinstance(value.get(name), dict)]
    return "operations" if named and not is_bare else "items"


def is_native(value: dict[str, Any]) -> bool:
    """Whether each attribute names its type as DynamoDB JSON does."""
    return bool(value) and all(
        isinstance(typed, dict)
        and len(typed) == 1
        and all(isinstance(content, _TYPES.get(name, ())) for name, content in typed.items())
        for value in [value]
        for typed in value.values()
    )


def _is_array(head: bytes) -> bool:
    return head.startswith(b"[") or OUTPUT.match(head.decode("utf-8", "replace")) is not None


def _beginning(source: Source) -> tuple[bytes, dict[str, Any] | None, bool]:
    """The first MiB, the first record in it, and whether records stand one a line; of standard input as little of it
    as that takes."""
    count = 1
    while True:
        whole = source.head(lines=count)
        head, is_all = whole.lstrip(_BLANK), source.is_file or whole.count(b"\n") < count
        if _is_array(head):
            value, is_lines = first_value(head), False
        else:
            value, is_lines = _first(head if is_all else head[: head.rfind(b"\n") + 1])
        if value is not None or is_all:
            return head, value, is_lines
        count *= 2


def _first(head: bytes) -> tuple[dict[str, Any] | None, bool]:
    """The first record where none stands in an array, and whether it has a line for itself."""
    first, *others = head.split(b"\n")
    if (value := _object(first)) is not None:
        return value, True
    if first.startswith(b"{") and (value := document(head)) is not None:
        return value, False
    return next(filter(None, map(_object, others)), None), True


def _object(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        value = msgspec.json.decode(line.strip(_BLANK))
        if isinstance(value, dict):
            return value
    return None
