"""The demo's data: a year of hourly weather at New York's airports, and records that nobody can write."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sluice.local.aws import LocalError

Item = dict[str, dict[str, str]]
"""An item as DynamoDB's API spells it: `{"origin": {"S": "JFK"}, "temp": {"N": "39.02"}}`."""

DATA = Path(__file__).parent / "data" / "nyc-weather-2013.csv"
PARTITION_KEY = "origin"
SORT_KEY = "time_hour"
KEYS = {PARTITION_KEY: "S", SORT_KEY: "S"}
GAP = "NA"
NUMBERS = (
    *("year", "month", "day", "hour", "temp", "dewp", "humid"),
    *("wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
)
COLUMNS = (PARTITION_KEY, *NUMBERS, SORT_KEY)
# JSON's own grammar (RFC 8259), as the text of a number goes into the message as it stands in the file.
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")

OPERATIONS_PER_MESSAGE = 100
MAX_SEND_BYTES = 1_048_576  # Of all messages of one SendMessageBatch (its API reference).
MAX_SEND_ENTRIES = 10  # The same page.


@dataclass(frozen=True, slots=True)
class Message:
    """One SQS message, and how many records it holds."""

    body: str
    records: int


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that can never be written, and the `ErrorCode` its dead letter must bear."""

    code: str
    text: str


def read(path: Path = DATA) -> list[Item]:
    """All observations in the order of time; raises `LocalError` naming the line where the file is broken."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            items = [_item(row, f"{path}, line {line}") for line, row in enumerate(_rows(file, path), 2)]
    except OSError as error:
        raise LocalError(f"The data file {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LocalError(f"The data file {path} is no CSV file: {error}.") from error
    if not items:
        raise LocalError(f"The data file {path} holds no records.")
    # As a live feed would bring them; it also interleaves the partition keys, as AWS advises for uploads
    # (DynamoDB developer guide, bp-partition-key-data-upload).
    return sorted(items, key=lambda item: (item[SORT_KEY]["S"], item[PARTITION_KEY]["S"]))


def _rows(file: Iterable[str], path: Path) -> Iterator[list[str]]:
    rows = csv.reader(file)
    header = tuple(next(rows, []))
    if header != COLUMNS:
        raise LocalError(
            f"The data file {path} must have the columns {', '.join(COLUMNS)}; it has {', '.join(header) or 'none'}."
        )
    return rows


def _item(row: Sequence[str], where: str) -> Item:
    if len(row) != len(COLUMNS):
        raise LocalError(f"{where}: expected {len(COLUMNS)} fields, found {len(row)}.")
    item: Item = {}
    for name, text in zip(COLUMNS, row, strict=True):
        if name in NUMBERS:
            if text == GAP:
                continue
            if not NUMBER.fullmatch(text):
                raise LocalError(f"{where}: {name} is neither a number nor {GAP}: {text!r}.")
            item[name] = {"N": text}
        elif text in ("", GAP):
            raise LocalError(f"{where}: {name} is part of the key and must not be missing.")
        else:
            item[name] = {"S": text}
    return item


def put(item: Item) -> str:
    """The plain operation that writes an item; numbers keep the very digits of the file."""
    attributes = (
        f"{json.dumps(name)}:{value['N'] if 'N' in value else json.dumps(value['S'])}" for name, value in item.items()
    )
    return '{"put":{' + ",".join(attributes) + "}}"


def bad_records() -> list[BadRecord]:
    """One record of each kind that can never be written; none of their keys occurs in the data set."""

    def plain(code: str, /, table: str | None = None, **attributes: object) -> BadRecord:
        item = {PARTITION_KEY: "BAD", SORT_KEY: code, **attributes}
        operation = {"put": {name: value for name, value in item.items() if value is not None}}
        return BadRecord(code, json.dumps(operation | ({"table": table} if table else {})))

    def native(code: str, **attributes: object) -> BadRecord:
        item = {PARTITION_KEY: {"S": "BAD"}, SORT_KEY: {"S": code}, **attributes}
        return BadRecord(code, json.dumps({"PutRequest": {"Item": item}}))

    nested: object = "too deep"
    for _ in range(32):  # And the item itself makes 33; DynamoDB allows 32 levels.
        nested = [nested]
    return [
        BadRecord("InvalidJson", '{"put": {"origin": "BAD", "time_hour": "cut off in trans'),
        plain("MissingKey", time_hour=None),
        plain("KeyTypeMismatch", origin=42),
        plain("EmptyKey", origin=""),
        native("EmptySet", wind_gust={"NS": []}),
        native("DuplicateSetElement", wind_gust={"NS": ["17.26", "17.260"]}),
        plain("InvalidNumber", temp=int("123456789" * 4 + "123")),  # 39 digits; DynamoDB keeps 38.
        plain("NestingTooDeep", remarks=nested),
        plain("ItemTooLarge", remarks="fog " * 102_500),  # 410,000 bytes; an item may have 409,600.
        plain("UnknownTable", table="forecasts"),
        BadRecord("UnknownOperation", json.dumps({"upsert": {PARTITION_KEY: "BAD", SORT_KEY: "now"}})),
    ]


def messages(items: Sequence[Item], bad: Sequence[BadRecord]) -> Iterator[Message]:
    """Pack records into messages of up to 100, the bad ones spread evenly among the good ones.

    A message holds at most one bad record, for a dead letter names the reason of its first one.
    What is not JSON cannot share a message with anything and gets one of its own.
    """
    puts = iter(items)
    groups = [[put(item) for item in group] for group in iter(lambda: _take(puts), [])]
    alone = [record for record in bad if not _is_json(record.text)]
    mixed = [record for record in bad if record not in alone]
    every = max(1, len(groups) // max(1, len(mixed)))
    waiting = iter(mixed)
    for number, group in enumerate(groups):
        if number % every == 0 and (record := next(waiting, None)):
            group.insert(len(group) // 2, record.text)
        yield Message(f"[{','.join(group)}]", len(group))
    for record in (*waiting, *alone):
        yield Message(record.text, 1)


def _take(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, OPERATIONS_PER_MESSAGE))


def sends(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Group messages into what one SendMessageBatch call takes."""
    group: list[Message] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if group and (len(group) == MAX_SEND_ENTRIES or size + length > MAX_SEND_BYTES):
            yield group
            group, size = [], 0
        group.append(message)
        size += length
    if group:
        yield group


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
