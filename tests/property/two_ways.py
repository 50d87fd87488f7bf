"""The short way and the exact way, side by side on one body."""

from typing import Any

from sluice.message.decoder import Decoder, Message
from sluice.message.fast_path import FastPath, steps_of
from sluice.message.operation import Operation, SingleWrite
from sluice.message.settings import Settings
from tests.fakes.attribute_values import canonical_item

MARKS = ('"', "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "\0", "\ud800", "é")
"""Pieces of JSON, and what it may not hold, to be put where they do not belong."""


def attributes(operation: Operation) -> dict[str, Any]:
    """Those of a batch operation."""
    [content] = operation.request.values()
    [item] = content.values()
    return dict(item)


def canonical(request: dict[str, Any]) -> dict[str, Any]:
    """A request with every number in one spelling."""
    maps = {"Item", "Key", "ExpressionAttributeValues"} & request.keys()
    return request | {name: canonical_item(request[name]) for name in maps}


def meaning(operation: Operation) -> Any:
    """All that counts of an operation; the spelling of a number does not."""
    key = [(type(part), part) for part in operation.key]
    request = operation.request
    if not isinstance(operation, SingleWrite):
        [action] = request
        return key, type(operation), operation.source, action, canonical(request[action])
    version = None if operation.version is None else canonical_item(dict([operation.version]))
    how = operation.call, operation.is_conditional, operation.is_once, operation.delivery, version
    return key, type(operation), operation.source, how, list(request), canonical(request)


def record(body: Any) -> dict[str, Any]:
    """A message that comes for the third time."""
    return {"messageId": "m", "body": body, "attributes": {"ApproximateReceiveCount": "3"}}


def short_way(decoder: Decoder, settings: Settings, body: Any) -> tuple[Operation, ...] | None:
    """What the short way makes of a body; the decoder is asked as well, so that it is the one that it uses."""
    steps = steps_of(settings.record_expression)
    operations = None if steps is None else FastPath(settings, steps).operations(body, "m", True)
    if operations is not None:
        decoded = decoder.decode(record(body)).operations
        assert [each.body for each in decoded] == [each.body for each in operations]
    return operations


def agree(body: str, decoder: Decoder, settings: Settings) -> tuple[bool, Message]:
    """Whether the short way answers, and what the exact way says."""
    operations = short_way(decoder, settings, body)
    exact = decoder.decode_exactly(record(body))
    if operations is not None:
        assert exact.rejected == ()
        assert list(map(meaning, decoder.decode(record(body)).operations)) == list(map(meaning, exact.operations))
        assert exact.sources == tuple(operation.source for operation in operations)
    return operations is not None, exact
