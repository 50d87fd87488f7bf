"""Who may send to the queue, besides principals of its own account."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from .parsers import from_json

_WHAT = (
    "an array, or comma-separated text, of accounts (12 digits) and ARNs of IAM roles or users,"
    " EventBridge rules (arn:aws:events:…:rule/…) or SNS topics, without wildcards"
)
_ACCOUNT = re.compile(r"\d{12}")
_ARN = re.compile(r"arn:[a-z-]+:(iam|events|sns):[a-z0-9-]*:(\d{12}):[\w+=,.@/-]+")
_RESOURCES = {"iam": ("role/", "user/"), "events": ("rule/",), "sns": ("",)}


@dataclass(frozen=True, slots=True)
class AllowedProducer:
    """A principal that may send, or the rule or topic for which an AWS service may."""

    kind: Literal["account", "iam", "events", "sns"]
    name: str
    """The account's id, or the ARN."""

    @property
    def account(self) -> str:
        return self.name if self.kind == "account" else self.name.split(":")[4]


def producers(value: Any) -> tuple[AllowedProducer, ...]:
    """Read the setting `producers`; raises `ValueError` with what it must be."""
    found = [part.strip() for part in value.split(",")] if isinstance(value, str) and value[:1] != "[" else value
    found = from_json(found)
    if not isinstance(found, list):
        raise ValueError(_WHAT)
    return tuple(dict.fromkeys(_producer(name) for name in found if name != ""))


def _producer(name: Any) -> AllowedProducer:
    text = str(name) if not isinstance(name, bool) else ""
    if _ACCOUNT.fullmatch(text):
        return AllowedProducer("account", text)
    match = _ARN.fullmatch(text)
    if match is None or not text.split(":", 5)[5].startswith(_RESOURCES[match[1]]):
        raise ValueError(_WHAT)
    kind: Any = match[1]
    return AllowedProducer(kind, text)
