"""Whether the function would take a record: by its own decoder, so that there is one set of rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from functions.batch_writer.messages import Decoder
from functions.batch_writer.operation import Rejection
from functions.batch_writer.settings import KeyAttribute, Settings, Table

Format = Literal["operation", "item"]

_OF_KEYS = {"MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch", "EmptyKey", "KeyTooLong", "UnknownTable"} | {
    "MissingVersion"
}
"""What cannot be told without knowing the tables."""
_UNKNOWN = Table("", "", KeyAttribute("", "S"))
"""Stands for tables that are not known; no item has its key, so whatever hangs on the key is refused for that."""


class Checker:
    """Checks records against the function's tables; without tables only what every table would refuse.

    Raises `ValueError` where the tables do not make settings.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        expects: Format = "operation",
        region: str | None = None,
        *,
        are_named: bool = True,
    ) -> None:
        """`are_named`: the tables' names are known, and not their keys alone."""
        decoder = Decoder(Settings(tuple(tables) or (_UNKNOWN,), record_format=expects), region)
        # The decoder's short way is for what is right, and nothing is right for the unknown table.
        self._decode = decoder.decode if tables else decoder.decode_exactly
        self._passes: set[str] = _OF_KEYS if not tables else set() if are_named else {"UnknownTable"}

    def __call__(self, body: bytes) -> Rejection | None:
        """What is wrong with one element of a message's body; None is for nothing."""
        try:
            text = f"[{body.decode()}]"
        except UnicodeDecodeError:
            return Rejection("InvalidJson", "not UTF-8")
        for _, rejection in self._decode({"messageId": "", "body": text}).rejected:
            if rejection.code not in self._passes:
                return rejection
        return None
