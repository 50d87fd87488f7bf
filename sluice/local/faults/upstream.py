"""The DynamoDB endpoint behind the injector, over plain HTTP; it must not check signatures."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sluice.local.conditions import refusal

from .requests import Item, Table, UnknownTableError, Write, key_value

TARGET = "DynamoDB_20120810."
MAX_KEYS = 100  # API_BatchGetItem
SECONDS = 60.0
"""How long the endpoint may take to answer."""
# Of one connection, or made anew for the other one.
_HOP = {"host", "content-length", "connection", "transfer-encoding", "date", "server", "x-amz-crc32", "keep-alive"}


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """An answer of the endpoint."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """Forwards requests, and asks for itself in the name of the client whose headers it is given.

    Everything raises OSError or http.client.HTTPException where the endpoint does not answer.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"the endpoint must be an http:// URL, got {url!r}")
        self._host, self._port = parts.hostname, parts.port or 80

    def forward(self, headers: Mapping[str, str], body: bytes) -> UpstreamResponse:
        # A connection for each request: one that the endpoint has closed meanwhile would lose a write.
        with closing(http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)) as connection:
            kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
            connection.request("POST", "/", body, kept)
            response = connection.getresponse()
            content = response.read()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        if response.status == 500 and (refused := refusal(body)) is not None:
            return UpstreamResponse(400, {"Content-Type": "application/x-amz-json-1.0"}, refused)
        return UpstreamResponse(response.status, kept, content)

    def describe(self, headers: Mapping[str, str], name: str) -> Table:
        """The table's name and key; raises `UnknownTableError`."""
        answer = self._ask("DescribeTable", headers, {"TableName": name})
        if answer.status != 200:
            raise UnknownTableError(name)
        table = json.loads(answer.body)["Table"]
        schema = sorted(table["KeySchema"], key=lambda part: str(part["KeyType"]))  # HASH, RANGE
        key = tuple(part["AttributeName"] for part in schema)
        return Table(table["TableName"], key, table.get("TableArn", ""))

    def images(self, headers: Mapping[str, str], writes: Sequence[Write]) -> list[Item | None]:
        """The items as they are stored now, None where there is none."""
        found: dict[Any, Item] = {}
        for start in range(0, len(writes), MAX_KEYS):
            keys: dict[str, Any] = {}
            for write in writes[start : start + MAX_KEYS]:
                entry = keys.setdefault(write.table.name, {"Keys": [], "ConsistentRead": True})
                entry["Keys"].append(write.key_attributes)
            tables = {write.table.name: write.table for write in writes}
            for name, items in self._read(headers, keys):
                found |= {_identity(tables[name], item): item for item in items}
        return [found.get(write.identity) for write in writes]

    def _read(self, headers: Mapping[str, str], keys: dict[str, Any]) -> Iterable[tuple[str, list[Item]]]:
        while keys:
            answer = self._ask("BatchGetItem", headers, {"RequestItems": keys})
            if answer.status != 200:
                raise http.client.HTTPException(f"BatchGetItem: {answer.status} {answer.body[:200]!r}")
            content = json.loads(answer.body)
            yield from content["Responses"].items()
            keys = content.get("UnprocessedKeys") or {}

    def _ask(self, operation: str, headers: Mapping[str, str], request: dict[str, Any]) -> UpstreamResponse:
        others = {name: value for name, value in headers.items() if name.lower() != "x-amz-target"}
        return self.forward({**others, "X-Amz-Target": TARGET + operation}, json.dumps(request).encode())


def _identity(table: Table, item: Item) -> Any:
    return table.name, tuple(key_value(item[name]) for name in table.key)
