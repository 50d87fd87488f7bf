"""For programs that write through the queue: operations in, full messages out."""

from .errors import BufferFullError, InvalidRecordError, NotSent, NotSentError
from .producer import Producer

__all__ = ["BufferFullError", "InvalidRecordError", "NotSent", "NotSentError", "Producer"]
