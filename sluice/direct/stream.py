"""`write`: operations in, outcomes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .outcome import Outcome
from .writer import Writer

_ACTIONS = ("put", "delete", "update")


def write(operations: Iterable[Mapping[str, Any]], table: Any, **options: Any) -> Iterator[Outcome]:
    """Write a stream of operations, and give the outcome of each as soon as it is known; not in their order.

    An operation is as a message has it, with Python values: `{"put": item}`, `{"delete": key}`,
    `{"update": key, "expression": …}`, and beside it `condition`, `names`, `values`, `version`, `table`, `tag`.
    `table` and `options` are `Writer`'s. What is read ahead of the outcomes is bounded by its `buffer`.

    Raises ValueError for what is no operation, and what `Writer` raises; what was read before it is written then.
    """
    done: deque[Outcome] = deque()
    with Writer(table, on_outcome=done.append, **options) as writer:
        for operation in operations:
            _give(writer, operation)
            while done:
                yield done.popleft()
    yield from done


def _give(writer: Writer, operation: Mapping[str, Any]) -> None:
    actions = [action for action in _ACTIONS if action in operation]
    if len(actions) != 1:
        raise ValueError(f"an operation has one of put, delete and update, got {', '.join(map(repr, operation))}")
    (action,) = actions
    others = {name: value for name, value in operation.items() if name != action}
    getattr(writer, action)(operation[action], **others)
