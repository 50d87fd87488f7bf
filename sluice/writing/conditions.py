"""What a failed condition says of an earlier attempt of the same write."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.message.items import is_newer, is_same
from sluice.message.operation import AttributeValue, SingleWrite


def is_as_wanted(operation: SingleWrite, stored: Mapping[str, AttributeValue] | None) -> bool:
    """Whether the item stands as the operation would have left it; of an update nobody can tell."""
    if operation.call == "put_item":
        return stored is not None and is_same(operation.request["Item"], stored)
    return operation.call == "delete_item" and stored is None


def is_stale(operation: SingleWrite, stored: Mapping[str, AttributeValue] | None) -> bool:
    """Whether the condition failed by the version, not by the message's own words."""
    if operation.version is None:
        return False
    attribute, version = operation.version
    return not operation.is_conditional or not is_newer(version, (stored or {}).get(attribute))
