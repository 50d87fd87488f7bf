"""The event source mapping as Lambda's API shows and changes it.

moto keeps it and would poll by itself, in its own way, through Docker. So to moto it is always disabled; callers see
what they have set, and the poller of the playground does as it says.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from sluice.local.poller import EventSourceMapping

_PATH = re.compile(r"/2015-03-31/event-source-mappings/?(?P<uuid>[^/?]*)/?(\?.*)?")
"""Of the actions CreateEventSourceMapping to DeleteEventSourceMapping (Lambda API reference)."""


class Mapping:
    """One mapping; thread-safe, for each change is one assignment."""

    def __init__(self, uuid: str, mapping: EventSourceMapping, *, is_enabled: bool) -> None:
        self._uuid = uuid
        self._mapping: EventSourceMapping = mapping
        self._is_enabled = is_enabled

    def now(self) -> EventSourceMapping | None:
        """How to poll; None while it is disabled, or gone."""
        return self._mapping if self._is_enabled else None

    def is_meant(self, path: str) -> bool:
        """Whether a request is about event source mappings, perhaps this one."""
        match = _PATH.fullmatch(path)
        return match is not None and match["uuid"] in ("", self._uuid)

    def forwarded(self, method: str, body: bytes) -> bytes:
        """What moto is to be asked in place of this."""
        if method != "PUT":
            return body
        return json.dumps({**_object(body), "Enabled": False}).encode()

    def answered(self, method: str, body: bytes, status: int, content: bytes) -> bytes:
        """What the caller is to be told in place of moto's answer; takes over what the request has changed."""
        if status not in (200, 202):
            return content
        answer = _object(content)
        if method == "PUT":
            self._mapping = replace(
                EventSourceMapping.from_description(self._mapping.queue_url, answer),
                maximum_concurrency=self._mapping.maximum_concurrency,
            )
            self._is_enabled = bool(_object(body).get("Enabled", self._is_enabled))
        elif method == "DELETE":
            self._is_enabled = False
        for each in [answer, *answer.get("EventSourceMappings", ())]:
            if each.get("UUID") == self._uuid:
                each["State"] = "Enabled" if self._is_enabled else "Disabled"
        return json.dumps(answer).encode()


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
