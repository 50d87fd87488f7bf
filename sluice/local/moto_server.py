"""`python -m sluice.local.moto_server`: moto's server, which answers the same in less time than it takes itself.

For each attribute value moto looks for all ten types that a value may have, under several names each, though a value
has one. For each request it lists its own directories and methods, and for each message that it hands out it counts
all messages of the queue. Here it looks only for what is there, and once for what does not change.
"""

from __future__ import annotations

import functools
from typing import Any

from moto import backends, server
from moto.core import responses as moto_responses
from moto.core.serialize import ResponseSerializer
from moto.core.utils import unix_time
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.sqs.models import SQSBackend

_responses: Any = moto_responses
_any_member = ResponseSerializer._serialize_structure_member
_modules = backends.list_of_moto_modules
_methods = _responses.method_names_from_class


def _member(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if type(value) is not dict or key in value or shape.parent.name != "AttributeValue":
        _any_member(self, serialized, value, shape, key)


def _is_retained(self: Any, queue_name: str, message: Any) -> bool:
    retention: float = self.get_queue(queue_name).message_retention_period
    return bool(retention + message.sent_timestamp / 1000 > unix_time())


def prepare() -> None:
    """Have moto, in this process, look for nothing that is not there, for nothing twice, and log no good request."""
    ResponseSerializer._serialize_structure_member = _member  # type: ignore[method-assign]
    backends.list_of_moto_modules = functools.cache(lambda: frozenset(_modules()))
    _responses.method_names_from_class = functools.cache(_methods)
    SQSBackend.is_message_valid_based_on_retention_period = _is_retained  # type: ignore[method-assign]
    MotoRequestHandler.log_request = lambda *_: None  # type: ignore[method-assign]


if __name__ == "__main__":
    prepare()
    server.main()
