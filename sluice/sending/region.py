"""The AWS Region of a queue's URL."""

from __future__ import annotations

import re

_REGION_OF_URL = re.compile(r"https://(?:sqs\.([a-z0-9-]+)\.|([a-z0-9-]+)\.queue\.)[a-z0-9.-]+/")


def region_of(queue_url: str) -> str | None:
    """The region that a queue's URL names."""
    match = _REGION_OF_URL.match(queue_url)
    return match and (match[1] or match[2])
