"""`python -m sluice.local.moto_server`: moto's server, which reads items in a quarter of the time that it takes itself.

For each attribute value moto looks for all ten types that a value may have, under several names each, though a value
has one. Here it looks for the one that is there; what it answers is the same.
"""

from __future__ import annotations

from typing import Any

from moto import server
from moto.core.serialize import ResponseSerializer

_any_member = ResponseSerializer._serialize_structure_member


def _member(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if type(value) is not dict or key in value or shape.parent.name != "AttributeValue":
        _any_member(self, serialized, value, shape, key)


def prepare() -> None:
    """Have moto, in this process, look for no type that an attribute value has not."""
    ResponseSerializer._serialize_structure_member = _member  # type: ignore[method-assign]


if __name__ == "__main__":
    prepare()
    server.main()
