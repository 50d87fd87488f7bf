"""RECORD_EXPRESSION: takes the records out of what SNS, EventBridge or a wrapper of one's own put around them."""

from __future__ import annotations

import re
from typing import Any

from . import encodings
from .encodings import EncodingError
from .errors import SettingsError
from .exact_functions import FUNCTIONS, Function
from .exact_jmespath import ExpressionError, Interpreter, parsed
from .exact_json import parse_json
from .items import MAX_NESTING, Rejected

MAX_UNZIPPED_BYTES = 6 * 1024 * 1024  # What a Lambda event can hold; a bomb of 1 MiB unzips to 1 GiB.

_is_base64 = re.compile(r"[A-Za-z0-9+/\r\n]+={0,2}[\r\n]*").fullmatch


class Envelope:
    """A compiled RECORD_EXPRESSION. Raises `SettingsError` for an invalid one or one with an unknown function."""

    def __init__(self, expression: str) -> None:
        self._functions = FUNCTIONS | {
            "powertools_json": Function(self._json, ("string",)),
            "powertools_base64": Function(self._base64, ("string",)),
            "powertools_base64_gzip": Function(self._base64_gzip, ("string",)),
        }
        self._keep_spelling = "to_string" in expression
        self._takes_base64 = "powertools_base64" in expression
        self._room = MAX_UNZIPPED_BYTES
        """How much more the current body may unzip to, in all."""
        try:
            self._tree = parsed(expression, self._functions)
        except ExpressionError as error:
            shown = expression if len(expression) <= 1000 else expression[:1000] + "..."
            raise SettingsError(f"RECORD_EXPRESSION is not valid: {error}, got {shown!r}") from None

    def records(self, body: Any) -> Any:
        """The record or records inside the text of a body. Raises `Rejected` where there are none.

        Where the expression decodes base64, the body may be base64 itself: `@` is its text then.
        """
        self._room = MAX_UNZIPPED_BYTES
        try:
            value = parse_json(body, self._keep_spelling)
        except Rejected as not_json:
            if not (self._takes_base64 and isinstance(body, str) and _is_base64(body)):
                raise
            try:
                return self._search(body)
            except Rejected as rejected:  # UnknownOperation: the expression is for another kind of body.
                raise (not_json if rejected.code == "UnknownOperation" else rejected) from None
        return self._search(value)

    def _search(self, body: Any) -> Any:
        interpreter = Interpreter(body, self._functions)
        try:
            found = interpreter.visit(self._tree, body)
        except RecursionError:
            text = f"RECORD_EXPRESSION meets a body nested too deeply; an item takes {MAX_NESTING} levels"
            raise Rejected("NestingTooDeep", text) from None
        except (TypeError, ValueError, ArithmeticError):  # Should jmespath's interpreter let one through.
            raise Rejected("UnknownOperation", "RECORD_EXPRESSION does not fit the body") from None
        if found is None:
            missing = interpreter.missing(self._tree, body)
            text = f"RECORD_EXPRESSION finds nothing{f': {missing}' if missing else ' in the body'}"
            raise Rejected("UnknownOperation", text)
        return found

    def _json(self, text: str) -> Any:
        try:
            return parse_json(text, self._keep_spelling)
        except Rejected as rejected:
            what = "a string that is not JSON: " if rejected.code == "InvalidJson" else ""
            raise Rejected(rejected.code, f"powertools_json got {what}{rejected.message}") from None

    def _base64(self, text: str) -> str:
        try:
            return encodings.text_of(encodings.from_base64(text))
        except EncodingError as error:
            raise Rejected("InvalidJson", f"powertools_base64 got {error}") from None

    def _base64_gzip(self, text: str) -> str:
        try:
            data = encodings.unzipped(encodings.from_base64(text), self._room)
            self._room -= len(data)
            return encodings.text_of(data)
        except EncodingError as error:
            raise Rejected("InvalidJson", f"powertools_base64_gzip got {error}") from None
