"""JSON text → values, with every number exact: the way for whatever is not usual, and for saying what is wrong."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from .items import MAX_NESTING, Rejected

# Escapes as JSON reads them, left to right: a surrogate pair, a lone surrogate (caught), anything else.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F])|.)", re.DOTALL)


class HugeNumber(Struct, frozen=True):
    """A number whose exponent no Decimal can hold, as it was written; a number still, and no text."""

    text: str

    def __str__(self) -> str:
        return self.text


class SpelledNumber(Decimal):
    """A number that is written otherwise than Decimal would: `1e2`, and not `1E+2`."""

    __slots__ = ("text",)
    text: str

    def __str__(self) -> str:
        return self.text


def parse_json(text: Any, keep_spelling: bool = False) -> Any:
    """JSON with every number as an exact Decimal. Raises `Rejected` with InvalidJson or NestingTooDeep.

    With `keep_spelling` the text of every number is the text that it was written with.
    """
    if not isinstance(text, str):
        raise Rejected("InvalidJson", "the body is not text")
    number = spelled_number if keep_spelling else _exact  # Decimal spells every integer as it was written.
    try:
        text.encode()
        if "\\ud" in text or "\\uD" in text:
            _refuse_lone_surrogates(text)
        return json.loads(text, parse_float=number, parse_int=_exact, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:  # Its text names a position, never a value.
        raise Rejected("InvalidJson", str(error)) from None
    except UnicodeEncodeError:
        raise Rejected("InvalidJson", "a lone surrogate is not a character") from None
    except RecursionError:
        text = f"JSON nested too deeply; an item takes {MAX_NESTING} levels"
        raise Rejected("NestingTooDeep", text) from None


def _exact(text: str) -> Decimal | HugeNumber:
    try:
        return Decimal(text)
    except InvalidOperation:
        return HugeNumber(text)


def spelled_number(text: str) -> Decimal | HugeNumber:
    """The number that a JSON number says, and that says it in the same text."""
    number = _exact(text)
    if str(number) == text:
        return number
    spelled = SpelledNumber(text)
    spelled.text = text
    return spelled


def _refuse_constant(name: str) -> Any:
    raise Rejected("InvalidJson", f"{name} is not JSON")


def _refuse_lone_surrogates(text: str) -> None:
    if any(escape.group(1) for escape in _ESCAPE.finditer(text)):
        raise Rejected("InvalidJson", "a lone surrogate is not a character")
