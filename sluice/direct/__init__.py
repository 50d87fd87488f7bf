"""Writing to DynamoDB without a queue: what the function does, for any program."""

from __future__ import annotations

from .asynchronous import AsyncWriter
from .errors import NotWrittenError, WriterStoppedError
from .outcome import Outcome, Result
from .shim import batch_writer
from .stream import write
from .writer import Writer

__all__ = [
    "AsyncWriter",
    "NotWrittenError",
    "Outcome",
    "Result",
    "Writer",
    "WriterStoppedError",
    "batch_writer",
    "write",
]
