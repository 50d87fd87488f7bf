"""Whether the function would take a record: by its own decoder, so that there is one set of rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sluice.message import records
from sluice.message.decoder import Decoder
from sluice.message.operation import Rejection
from sluice.message.settings import ANY_TABLE, Settings, Table

Format = Literal["operation", "item"]


class Checker:
    """Checks records against the function's tables; without tables all that needs no key, name or version of one.

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
        decoder = Decoder(Settings(tuple(tables) or (ANY_TABLE,), record_format=expects), region)
        self._decode = decoder.decode_exactly
        # The decoder's short way is for items that have the table's key.
        self._is_right = decoder.is_usual if tables else lambda _: False
        self._passes = frozenset[str]() if are_named else frozenset({"UnknownTable"})

    def __call__(self, body: bytes) -> Rejection | None:
        """What is wrong with one element of a message's body; None is for nothing."""
        if self._is_right(body):
            return None
        try:
            text = f"[{body.decode()}]"
        except UnicodeDecodeError:
            return Rejection("InvalidJson", "not UTF-8")
        for _, rejection in self._decode(records.unsent(text)).rejected:
            if rejection.code not in self._passes:
                return rejection
        return None
