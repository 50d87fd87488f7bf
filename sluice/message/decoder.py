"""SQS record ⇄ operations: the wire contract of a message's body.

A body that is wrong as a whole, or an operation that is wrong by itself, becomes a `Rejection`, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from . import records
from .exact_json import parse_json
from .fast_path import FastPath, steps_of
from .forms import Forms
from .items import Rejected
from .operation import Key, Operation, Rejection, SingleWrite, Source
from .settings import Settings

Build = Callable[[], Operation]
"""Builds one operation, or raises `Rejected`."""


# A Struct, for the reason that operation.py gives.
class Message(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One SQS record, decoded: operations that can be tried, and rejections of those that cannot."""

    record: Mapping[str, Any]
    operations: tuple[Operation, ...]
    group: str | None
    """The message group of a FIFO queue; order matters within it. None on a standard queue (fair queues too)."""
    rejected: tuple[tuple[Source | None, Rejection], ...] = ()
    """A source of None is the whole body."""
    all_sources: tuple[Source, ...] | None = None
    unreadable: str = ""
    """Why nothing is known of the message, so that it is returned as it is; empty for all that SQS delivers."""

    @property
    def id(self) -> str:
        return records.message_id(self.record)

    @property
    def receive_count(self) -> int:
        return records.receive_count(self.record)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Of all operations, good and bad, in the order of the body."""
        return self.all_sources or tuple(operation.source for operation in self.operations)


class Decoder:
    """Decodes records as the settings say. Raises `SettingsError` at once for a bad RECORD_EXPRESSION.

    `region` and `account` are the function's own, as far as known: a table ARN of another is not one of our tables.
    """

    def __init__(self, settings: Settings, region: str | None = None, account: str | None = None) -> None:
        self._forms = Forms(settings, region, account)
        self._is_item = settings.record_format == "item"
        self._updates_once = settings.update_once
        self._expression = settings.record_expression
        self._may_be_wrapped = self._expression is None
        steps = steps_of(self._expression)
        self._fast_path = None if steps is None else FastPath(settings, steps)
        self._records: Callable[[Any], Any] = parse_json
        if self._expression is not None:
            # jmespath costs cold starts time, and most functions never need it. An expression that has steps is valid;
            # any other is checked now.
            self._records = _records_in(self._expression) if steps is None else self._records_when_needed

    def is_in(self, account: str) -> None:
        """Be told the function's account, which it learns at its first invocation."""
        self._forms.account = account

    def decode_all(self, event: Iterable[Any]) -> list[Message]:
        """The messages of an SQS event's records. Raises `EventError` for a record of another service."""
        received = [records.from_sqs(record) for record in event]
        usual = [records.usual(record) for record in received]
        deletes = None if self._fast_path is None else self._fast_path.deletes(usual)
        if deletes is None:
            return [self._decoded(record, each) for record, each in zip(received, usual, strict=True)]
        return [
            Message(record, (delete,), each[3] if each else None)
            for record, each, delete in zip(received, usual, deletes, strict=True)
        ]

    def decode(self, record: Mapping[str, Any]) -> Message:
        return self._decoded(record, records.usual(record))

    def _decoded(self, record: Mapping[str, Any], usual: records.Usual | None) -> Message:
        if usual is None and (unreadable := records.unreadable(record)):
            return Message(record, (), records.group(record), unreadable=unreadable)
        if self._fast_path is not None and usual is not None:
            id, body, count, group = usual
            operations = self._fast_path.operations(body, id, count > 1)
            if operations is not None:
                if self._updates_once:
                    operations = tuple(_once(operations, count))
                return Message(record, operations, group)
        return self.decode_exactly(record)

    def is_usual(self, element: bytes) -> bool:
        """Whether one element of a body that is in no envelope is obviously right; False says nothing."""
        return self._fast_path is not None and self._fast_path.takes(element)

    def decode_exactly(self, record: Mapping[str, Any]) -> Message:
        """The same without the short way: slower, for every body, and with the reasons of what is rejected."""
        group = records.group(record)
        try:
            found = self._records(record["body"])
            elements = found if isinstance(found, list) else [found]
            if not elements:
                raise Rejected("UnknownOperation", "an empty array holds no operation")
        except Rejected as rejected:
            return Message(record, (), group, ((None, self._explained(rejected.rejection(), record)),))
        operations: list[Operation] = []
        refused: list[tuple[Source | None, Rejection]] = []
        sources: list[Source] = []
        for source, build in self._operations(elements, record):
            sources.append(source)
            try:
                operations.append(build())
            except Rejected as rejected:
                refused.append((source, rejected.rejection()))
        if refused and not operations:
            refused[0] = (refused[0][0], self._explained(refused[0][1], record))
        if self._updates_once:
            operations = list(_once(operations, records.receive_count(record)))
        return Message(record, tuple(operations), group, tuple(refused), tuple(sources))

    def _records_when_needed(self, body: Any) -> Any:
        """The records of the first body that is unusual, for which jmespath is loaded."""
        assert self._expression is not None
        self._records = _records_in(self._expression)
        return self._records(body)

    def _explained(self, rejection: Rejection, record: Mapping[str, Any]) -> Rejection:
        """The first rejection of a body, which becomes its dead letter's reason, with what the body is wrapped in."""
        if not self._may_be_wrapped or rejection.code not in ("InvalidJson", "UnknownOperation", "MissingKey"):
            return rejection
        from . import wrappings  # Most cold starts never need it.

        what = wrappings.hint(record["body"])
        return Rejection(rejection.code, f"{rejection.message}; {what}" if what else rejection.message)

    def _operations(self, elements: Sequence[Any], record: Mapping[str, Any]) -> Iterator[tuple[Source, Build]]:
        """The operations of a body, each still to be built, so that each can be rejected by itself."""
        id, is_redelivered = records.message_id(record), records.receive_count(record) > 1
        build = self._forms.item if self._is_item else self._forms.operation
        for number, element in enumerate(elements):
            if not self._is_item and isinstance(element, dict) and _is_request_items(element):
                for table, requests in element["RequestItems"].items():
                    for position, request in enumerate(requests):
                        source = Source(id, is_redelivered, number, table, position)
                        yield source, partial(self._forms.request, request, table, source)
            else:
                source = Source(id, is_redelivered, number)
                yield source, partial(build, element, source)


def _records_in(expression: str) -> Callable[[Any], Any]:
    from .envelope import Envelope

    return Envelope(expression).records


def _once(operations: Iterable[Operation], delivery: int) -> Iterator[Operation]:
    """Mark the updates, and those behind an unconditional put or delete of the same item: a redelivery undoes them."""
    written: set[Key] = set()
    for operation in operations:
        if operation.goes_in_batches:
            written.add(operation.key)
        elif isinstance(operation, SingleWrite) and operation.call == "update_item":
            again = delivery if operation.key in written else 0
            operation = msgspec.structs.replace(operation, is_once=True, delivery=again)
        yield operation


def _is_request_items(element: dict[str, Any]) -> bool:
    tables = element.get("RequestItems")
    if len(element) != 1 or not isinstance(tables, dict) or not tables:
        return False
    return all(isinstance(requests, list) and requests for requests in tables.values())
