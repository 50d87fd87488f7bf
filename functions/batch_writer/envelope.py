"""RECORD_EXPRESSION: takes the records out of what SNS, EventBridge or a wrapper of one's own put around them."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError

from .errors import SettingsError
from .items import MAX_ADJUSTED_EXPONENT, Rejected

MAX_UNZIPPED_BYTES = 6 * 1024 * 1024  # What a Lambda event can hold; a bomb of 1 MiB unzips to 1 GiB.

# JMESPath looks its types up by the Python type's name. Numbers are Decimals here, so that none loses a digit.
functions.TYPES_MAP["Decimal"] = "number"
functions.REVERSE_TYPES_MAP["number"] += ("Decimal",)


class ExactFunctions(functions.Functions):  # type: ignore[misc]  # jmespath ships no types
    """JMESPath's functions and Powertools' own three, which go through floats there and do not here."""

    def __init__(self, parse_json: Callable[[str], Any]) -> None:
        self._parse_json = parse_json
        self.room = MAX_UNZIPPED_BYTES
        """How much more the current body may unzip to, in all."""

    @functions.signature({"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_powertools_json(self, text: str) -> Any:
        return self._parse_json(text)

    @functions.signature({"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_powertools_base64(self, text: str) -> str:
        return base64.b64decode(text, validate=True).decode()

    @functions.signature({"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_powertools_base64_gzip(self, text: str) -> str:
        unzip = zlib.decompressobj(wbits=31)  # 31: a gzip header
        data = unzip.decompress(base64.b64decode(text, validate=True), max(1, self.room))
        self.room -= len(data)
        if not unzip.eof or self.room < 0:
            raise Rejected("InvalidJson", f"gzip data is cut short or unzips to over {MAX_UNZIPPED_BYTES:,} bytes")
        return data.decode()

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_abs(self, value: Any) -> Any:
        return value.copy_abs() if isinstance(value, Decimal) else abs(value)  # abs() would round a Decimal.

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_ceil(self, value: Any) -> Any:
        return value if _is_vast(value) else math.ceil(value)

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_floor(self, value: Any) -> Any:
        return value if _is_vast(value) else math.floor(value)

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_number(self, value: Any) -> Any:
        if not isinstance(value, str):
            return super()._func_to_number(value) if not isinstance(value, Decimal) else value
        try:
            number = Decimal(value)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_string(self, value: Any) -> Any:
        return str(value) if isinstance(value, Decimal) else super()._func_to_string(value)


class Envelope:
    """A compiled RECORD_EXPRESSION. Raises `SettingsError` for an invalid one or one with an unknown function."""

    def __init__(self, expression: str, parse_json: Callable[[str], Any]) -> None:
        self._functions = ExactFunctions(parse_json)
        self._options = jmespath.Options(custom_functions=self._functions)
        try:
            self._compiled = jmespath.compile(expression)
            _check_functions(self._compiled.parsed)
        except JMESPathError as error:
            text = " ".join(str(error).split())
            raise SettingsError(f"RECORD_EXPRESSION is not valid: {text}, got {expression!r}") from None
        except RecursionError:
            raise SettingsError(f"RECORD_EXPRESSION is nested too deeply, got {expression[:100]!r}...") from None

    def open(self, body: Any) -> Any:
        """The record or records inside a parsed body. Raises `Rejected` where there are none."""
        self._functions.room = MAX_UNZIPPED_BYTES
        try:
            found = self._compiled.search(body, self._options)
        except JMESPathError as error:  # Its own text would quote values of the message.
            text = f"RECORD_EXPRESSION does not fit the body ({type(error).__name__})"
            raise Rejected("UnknownOperation", text) from None
        except (binascii.Error, UnicodeDecodeError, zlib.error) as error:
            text = f"RECORD_EXPRESSION met data that it cannot decode ({type(error).__name__})"
            raise Rejected("InvalidJson", text) from None
        except (
            TypeError,
            ValueError,
            ArithmeticError,
            RecursionError,
        ) as error:  # jmespath lets these through.
            text = f"RECORD_EXPRESSION does not fit the body ({type(error).__name__})"
            raise Rejected("UnknownOperation", text) from None
        if found is None:
            raise Rejected("UnknownOperation", "RECORD_EXPRESSION finds nothing in the body")
        return found


def _is_vast(value: Any) -> bool:
    """A number beyond DynamoDB's range, which would take a huge integer to round, and will be refused anyway."""
    return isinstance(value, Decimal) and bool(value) and value.adjusted() > MAX_ADJUSTED_EXPONENT


def _check_functions(node: Any) -> None:
    """jmespath would notice an unknown function, or a wrong number of arguments, only when a message comes."""
    if not isinstance(node, dict):
        return
    if node["type"] == "function_expression":
        known = ExactFunctions.FUNCTION_TABLE.get(node["value"])
        if known is None:
            raise jmespath.exceptions.UnknownFunctionError(f"Unknown function: {node['value']}()")
        wanted, given = len(known["signature"]), len(node["children"])
        variadic = wanted > 0 and known["signature"][-1].get("variadic", False)
        if given < wanted or (given > wanted and not variadic):
            raise jmespath.exceptions.ArityError(wanted, given, node["value"])
    for child in node["children"]:
        _check_functions(child)
