"""Reliable bulk writing to DynamoDB: `Producer` sends to a queue, `Writer` straight to the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .direct import AsyncWriter, NotWrittenError, Outcome, Result, Writer, WriterStoppedError, batch_writer, write
    from .producer import BufferFullError, InvalidRecordError, NotSent, NotSentError, Producer

__version__ = "0.2.0"

_DIRECT = (
    "AsyncWriter",
    "NotWrittenError",
    "Outcome",
    "Result",
    "Writer",
    "WriterStoppedError",
    "batch_writer",
    "write",
)
__all__ = [
    "AsyncWriter",
    "BufferFullError",
    "InvalidRecordError",
    "NotSent",
    "NotSentError",
    "NotWrittenError",
    "Outcome",
    "Producer",
    "Result",
    "Writer",
    "WriterStoppedError",
    "batch_writer",
    "write",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for, when it first is: the command line and the demo start without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _DIRECT:
        from . import direct

        return getattr(direct, name)
    from . import producer

    return getattr(producer, name)
