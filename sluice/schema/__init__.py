"""The JSON Schema of a message's body."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def message_schema() -> dict[str, Any]:
    """`message.schema.json`, JSON Schema 2020-12; `$defs/items` is that of a function with RECORD_FORMAT=item."""
    schema: dict[str, Any] = json.loads(resources.files(__package__).joinpath("message.schema.json").read_text("utf-8"))
    return schema
