"""Parsers of settings, named after what they accept; each raises `ValueError` with what a value must be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, cast

from sluice.message.envelope import Envelope
from sluice.message.errors import SettingsError
from sluice.message.settings import KEY_TYPES, KeyAttribute, KeyType

from .context import Parse


def whole(low: int, high: int, unit: str) -> Parse:
    """An integer from `low` to `high`, both included."""
    what = f"a whole number of {unit} from {low} to {high}"

    def parse(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(what) from None
        if type(number) is not int or not low <= number <= high:
            raise ValueError(what)
        return number

    return parse


def number(low: float, high: float, unit: str) -> Parse:
    """A finite number from `low` to `high`, both included; `high` may be infinite."""
    what = f"a number of {unit} from {low:g}" + (f" to {high:g}" if high < math.inf else "")

    def parse(value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(what) from None
        if not (low <= number <= high and math.isfinite(number)):
            raise ValueError(what)
        return number

    return parse


def choice(values: Mapping[Any, Any] | tuple[Any, ...], unit: str = "") -> Parse:
    """One of the values, compared as text."""
    by_text = {str(value): value for value in values}

    def parse(value: Any) -> Any:
        if str(value) not in by_text:
            raise ValueError(f"one of {', '.join(by_text)}{unit}")
        return by_text[str(value)]

    return parse


def matching(pattern: str, what: str) -> Parse:
    """Text that the whole pattern matches; `what` says so in words."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(what)
        return value

    return parse


def one_of_or(values: tuple[str, ...], otherwise: Parse) -> Parse:
    """One of the words, or a value that `otherwise` accepts."""

    def parse(value: Any) -> Any:
        if value in values:
            return value
        try:
            return otherwise(value)
        except ValueError as error:
            raise ValueError(f"{', '.join(values)} or {error}") from None

    return parse


def flag(value: Any) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError("true or false")
    return str(value).lower() == "true"


def optional(parse: Parse) -> Parse:
    """None for null and for empty text, or else a value that `parse` accepts."""
    return lambda value: None if value in ("", None) else parse(value)


def from_json(value: Any) -> Any:
    """The value itself, parsed if it is JSON text, as on the command line; other text stays text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


KMS_KEY_ARN = matching(
    r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})",
    "the ARN of a KMS key (arn:aws:kms:…:key/…)",
)


def key_attribute(value: Any) -> KeyAttribute:
    """A key attribute as text: its name, a colon and its type."""
    name, _, kind = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    # Names of key attributes: 1 to 255 bytes of UTF-8 (DynamoDB developer guide, Constraints).
    if kind not in KEY_TYPES or not 1 <= len(name.encode()) <= 255:
        raise ValueError("an attribute's name of 1 to 255 bytes and its type S, N or B, such as 'pk:S'")
    return KeyAttribute(name, cast("KeyType", kind))


def attribute_name(max_bytes: int) -> Parse:
    """The name of an attribute, at most this long in UTF-8."""
    what = f"an attribute's name of 1 to {max_bytes:,} bytes"

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value.encode()) <= max_bytes:
            raise ValueError(what)
        return value

    return parse


def ids(prefix: str) -> Parse:
    """Ids of AWS resources as an array, or as comma-separated text."""
    what = f"an array, or comma-separated text, of ids ({prefix}-…)"

    def parse(value: Any) -> tuple[str, ...]:
        found = [part.strip() for part in value.split(",")] if isinstance(value, str) and value[:1] != "[" else value
        found = from_json(found)
        if not isinstance(found, (list, tuple)):
            raise ValueError(what)
        if not all(isinstance(name, str) and re.fullmatch(rf"{prefix}-[0-9a-f]+", name) for name in found if name):
            raise ValueError(what)
        return tuple(dict.fromkeys(name for name in found if name))

    return parse


def expression(value: Any) -> str:
    """A JMESPath expression that the function can compile."""
    if not isinstance(value, str):
        raise ValueError("a JMESPath expression")
    try:
        Envelope(value)
    except SettingsError as error:
        raise ValueError(f"a JMESPath expression ({error})") from None
    return value


def tags(value: Any) -> Mapping[str, str]:
    """Tags as an object, or as text such as `team=data,cost-centre=42`."""
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html#tag-conventions
    what = "an object of up to 50 tags, or 'name=value,…'; names have 1 to 128 characters and do not begin with aws:"
    found = from_json(value)
    if isinstance(found, str):
        found = dict(part.strip().partition("=")[::2] for part in found.split(",") if part.strip())
    if not isinstance(found, dict) or len(found) > 50:
        raise ValueError(what)
    for name, content in found.items():
        allowed = isinstance(content, str) and len(content) <= 256
        if not allowed or not 1 <= len(name) <= 128 or name.lower().startswith("aws:"):
            raise ValueError(what)
    return found
