"""Deletes by keys that are text: all of a table are alike but for the keys, which one pattern finds in a whole body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from .fast_tables import USUAL_PARTITION_KEY, USUAL_SORT_KEY
from .operation import BatchWrite, Source
from .records import Usual
from .settings import Table

BEGINNINGS_OF_ONE = ('{"d', '{"D')
BEGINNINGS = (*BEGINNINGS_OF_ONE, '[{"d', '[{"D')
"""Of the bodies that are worth a look."""
_FORMS = {
    "d": (r'\{"delete": ?\{%s\}\}', r"%s: ?%s"),
    "D": (r'\{"DeleteRequest": ?\{"Key": ?\{%s\}\}\}', r'%s: ?\{"S": ?%s\}'),
}
"""By its first letter a delete, and an attribute of its key. A blank may stand where many libraries write one."""
_TEXT = r'"([^"\\\x00-\x1f]{1,%d})"'
_NO_SORT_KEY = "()"
_ARRAY = r"[\[,] ?%s(?:(?=,)|\]\Z)|(?s:(.+))"
"""All that an array of them is made of; its last group is the rest of what is something else."""
_LINES = r"%s(?:\n|\Z)|(?s:(.+))"
"""The same of bodies, a line each."""


class FastDeletes:
    """Of a table that `takes` them. Gives up on what is not written as nearly everybody writes it: no escapes, the
    partition key first."""

    def __init__(self, table: Table) -> None:
        self._name = table.name
        self._names = [msgspec.json.encode(attribute.name).decode() for attribute in table.key]
        attributes = ",".join(name.replace("%", "%%") + ':{"S":"%s"}' for name in self._names)
        self._body = '{"DeleteRequest":{"Key":{' + attributes + "}}}" + ("" if table.sort_key else "%s")
        self._pattern = lru_cache(None)(self._compiled)  # Not at once: most functions never get a delete.

    @staticmethod
    def takes(table: Table) -> bool:
        """Whether keys are all that its deletes consist of, and are text."""
        return table.version is None and all(attribute.type == "S" for attribute in table.key)

    def operations(self, text: str, message_id: str, redelivered: bool) -> tuple[BatchWrite, ...] | None:
        """All of a body that has one of the `BEGINNINGS`; None where anything else is in it.

        Raises UnicodeError where a key has a lone surrogate.
        """
        is_array = text[0] == "["
        pattern = self._pattern(text[2 + is_array], _ARRAY if is_array else "%s")
        if not is_array:
            match = pattern.fullmatch(text)
            return None if match is None else (self._delete(match[1], match[2], Source(message_id, redelivered, 0)),)
        found = pattern.findall(text)
        if found[-1][2]:
            return None
        return tuple(
            [
                self._delete(partition, sort, Source(message_id, redelivered, number))
                for number, (partition, sort, _) in enumerate(found)
            ]
        )

    def of_messages(self, usual: Sequence[Usual]) -> list[BatchWrite] | None:
        """The deletes of messages that have one each; None where any is something else.

        By one call of the pattern: it takes a third less time than one for each.
        """
        bodies = [body for _, body, _, _ in usual]
        found = self._pattern(bodies[0][2], _LINES).findall("\n".join(bodies))
        if len(found) != len(bodies) or found[-1][2]:  # A body of two lines is one that cannot be.
            return None
        return [
            self._delete(partition, sort, Source(id, count > 1, 0))
            for (partition, sort, _), (id, _, count, _) in zip(found, usual, strict=True)
        ]

    def _delete(self, partition: str, sort: str, source: Source) -> BatchWrite:
        body = (self._body % (partition, sort)).encode()
        return BatchWrite(key=(self._name, partition, sort or None), source=source, body=body)

    def _compiled(self, letter: str, place: str) -> re.Pattern[str]:
        delete, attribute = _FORMS[letter]
        texts = (_TEXT % USUAL_PARTITION_KEY, _TEXT % USUAL_SORT_KEY)
        key = [attribute % (re.escape(name), text) for name, text in zip(self._names, texts, strict=False)]
        pattern = delete % ", ?".join(key) + ("" if len(key) > 1 else _NO_SORT_KEY)
        return re.compile(place % pattern)
