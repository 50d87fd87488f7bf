"""Reads a table back and compares it, item by item, with what was sent."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from .weather import Item

MAX_KEYS = 100  # Of one BatchGetItem call (its API reference).
FIRST_DELAY, MAX_DELAY = 0.05, 5.0
"""Seconds before keys that were not processed are asked for again; doubled each time, with full jitter."""


class DynamoDB(Protocol):
    """What of boto3's DynamoDB client is called here."""

    def batch_get_item(self, **request: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What became of each item that should be in the table."""

    identical: int
    missing: tuple[tuple[str, ...], ...]
    """Keys of the items that are not there."""
    different: tuple[tuple[str, ...], ...]
    """Keys of the items whose attributes are not the ones that were sent."""

    @property
    def is_complete(self) -> bool:
        return not self.missing and not self.different


def read_back(
    dynamodb: DynamoDB,
    table: str,
    items: Sequence[Item],
    keys: Sequence[str],
    *,
    check: Callable[[], None] = lambda: None,
    on_progress: Callable[[int], None] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
    jitter: Callable[[float], float] = lambda limit: random.uniform(0, limit),
) -> ReadBack:
    """Ask for every item by its key attributes `keys` and compare it whole; numbers compare by value.

    `check` is called between calls and may raise; `on_progress` is told how many items have been compared.
    """

    def fetch(group: Sequence[Item]) -> dict[tuple[str, ...], Any]:
        return _fetch(dynamodb, table, group, keys, check, lambda limit: sleep(jitter(limit)))

    expected = {_key(item, keys): item for item in items}
    missing, different, compared = [], [], 0
    groups = list(_groups(list(expected.values())))
    # Two at a time: the one is compared while the other is fetched.
    with ThreadPoolExecutor(2) as executor:
        for found in executor.map(fetch, groups):
            for key, item in found.items():
                if item is None:
                    missing.append(key)
                elif not _is_same(expected[key], item):
                    different.append(key)
            compared += len(found)
            on_progress(compared)
    return ReadBack(len(expected) - len(missing) - len(different), tuple(missing), tuple(different))


def _groups(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + MAX_KEYS] for start in range(0, len(items), MAX_KEYS))


def _fetch(
    dynamodb: DynamoDB,
    table: str,
    items: Sequence[Item],
    keys: Sequence[str],
    check: Callable[[], None],
    pause: Callable[[float], object],
) -> dict[tuple[str, ...], Any]:
    """The items found under each key, None where there is none; asks again for UnprocessedKeys."""
    found: dict[tuple[str, ...], Any] = {_key(item, keys): None for item in items}
    wanted: Any = {table: {"Keys": [{name: item[name] for name in keys} for item in items], "ConsistentRead": True}}
    delay = FIRST_DELAY
    while True:
        check()
        response = dynamodb.batch_get_item(RequestItems=wanted)
        found |= {_key(item, keys): item for item in response["Responses"].get(table, [])}
        wanted = response.get("UnprocessedKeys")
        if not wanted:
            return found
        pause(delay)
        delay = min(MAX_DELAY, 2 * delay)


def _key(item: Item, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(item[name]["S"] for name in keys)


def _is_same(expected: Item, item: Any) -> bool:
    return expected.keys() == item.keys() and all(_is_same_value(value, item[name]) for name, value in expected.items())


def _is_same_value(expected: dict[str, str], value: Any) -> bool:
    if expected == value:
        return True
    # DynamoDB may spell a number in another way than it was sent: 1e3 as 1000.
    return "N" in expected and "N" in value and Decimal(expected["N"]) == Decimal(value["N"])
