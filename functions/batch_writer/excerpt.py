"""The part of a message's body that a dead letter carries: just the bad operations, to the letter as they came in."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from .operation import Source

_BETWEEN_MEMBERS = re.compile(r"[\s,:]*")


def excerpt(body: str, bad: Sequence[Source]) -> str:
    """The operations that stand at these places of a body, in a body of the same form."""
    try:
        if not body.lstrip().startswith("["):
            return _narrowed(body, bad)
        elements = [text for _, text in _members(body).values()]
        by_element: dict[int, list[Source]] = {}
        for source in bad:
            by_element.setdefault(source.element, []).append(source)
        return f"[{','.join(_narrowed(elements[element], here) for element, here in sorted(by_element.items()))}]"
    except RecursionError:  # A bad operation nested so deeply that it was only just parsed.
        return body


def _narrowed(element: str, bad: Sequence[Source]) -> str:
    """The text of an element; of a RequestItems object only its bad requests."""
    if any(source.table is None for source in bad):
        return element
    tables = _members(_members(element)["RequestItems"][1])
    positions: dict[str, list[int]] = {}
    for source in bad:
        assert source.table is not None
        positions.setdefault(source.table, []).append(source.position)
    texts = []
    for table, of_table in positions.items():
        name, requests = tables[table]
        members = [text for _, text in _members(requests).values()]
        texts.append(f"{name}:[{','.join(members[position] for position in of_table)}]")
    return f'{{"RequestItems":{{{",".join(texts)}}}}}'


def _members(text: str) -> dict[str, tuple[str, str]]:
    """The members of a JSON object (or array, by position), each with the text of its name and of its value."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    members: dict[str, tuple[str, str]] = {}
    start = _skip(text, 0)
    is_object = text[start] == "{"
    position = start + 1
    while text[position := _skip(text, position)] not in "]}":
        name, name_text = str(len(members)), ""
        if is_object:
            name, end = decoder.raw_decode(text, position)
            name_text, position = text[position:end], _skip(text, end)
        _, end = decoder.raw_decode(text, position)
        members[name] = (name_text, text[position:end])
        position = end
    return members


def _skip(text: str, start: int) -> int:
    between = _BETWEEN_MEMBERS.match(text, start)
    return between.end() if between else start
