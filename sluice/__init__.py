"""The producer's side of Sluice, and a local AWS to try it on: `from sluice import Producer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .producer import BufferFullError, InvalidRecordError, NotSent, NotSentError, Producer

__version__ = "0.2.0"

__all__ = ["BufferFullError", "InvalidRecordError", "NotSent", "NotSentError", "Producer"]


def __getattr__(name: str) -> Any:
    """Imports the producer when it is first asked for: the command line and the demo start without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import producer

    return getattr(producer, name)
