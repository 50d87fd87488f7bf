"""JMESPath's functions on exact numbers, and what they take.

https://jmespath.org/specification.html#built-in-functions
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from . import exact_numbers
from .exact_numbers import ascending, compare, is_number
from .items import Rejected

Key = Callable[[Any], Any]
"""An expression that was given to a function, as in `sort_by(orders, &total)`."""


@dataclass(frozen=True, slots=True)
class Function:
    call: Callable[..., Any]
    takes: tuple[str, ...]
    """Of each argument the kinds that it may be, joined by `|`; `any` is a value of whatever kind."""
    is_variadic: bool = False
    """The last argument may come more than once."""


def kind(value: Any) -> str:
    """JMESPath's name of what a value is."""
    if isinstance(value, str):
        return "string"
    if is_number(value):
        return "number"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if value is None:
        return "null"
    return "boolean" if isinstance(value, bool) else "expression"


def is_equal(one: Any, other: Any) -> bool:
    """Deep equality: numbers by value, and `true` is not 1, as it is to Python."""
    of = kind(one)
    if of != kind(other):
        return False
    if of == "array":
        return len(one) == len(other) and all(map(is_equal, one, other))
    if of == "object":
        return one.keys() == other.keys() and all(is_equal(one[name], other[name]) for name in one)
    return compare(one, other) == 0 if of == "number" else bool(one == other)


def misfit(value: Any, takes: str) -> str | None:
    """What a value is, where a function does not take it: `a number`, `an array with null in it`."""
    of = kind(value)
    if takes == "any":
        return "an expression" if of == "expression" else None
    kinds = takes.split("|")
    if of in kinds:
        return None
    elements = [each.removeprefix("array of ").removesuffix("s") for each in kinds if each.startswith("array of ")]
    if of != "array" or not elements:
        return a(of)
    found = dict.fromkeys(map(kind, value))
    if len(found) <= 1 and found.keys() <= set(elements):
        return None
    odd = next((each for each in found if each not in elements), None)
    return f"an array with {a(odd)} in it" if odd else "an array of numbers and strings"


def a(of: str) -> str:
    return of if of == "null" else f"an {of}" if of[0] in "aeo" else f"a {of}"


def _contains(subject: Any, search: Any) -> bool:
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    return any(is_equal(element, search) for element in subject)


def _length(subject: Any) -> Decimal:
    return Decimal(len(subject))


def _map(key: Key, array: list[Any]) -> list[Any]:
    return [key(element) for element in array]


def _merge(*objects: dict[str, Any]) -> dict[str, Any]:
    return {name: value for each in objects for name, value in each.items()}


def _not_null(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _sort(array: list[Any]) -> list[Any]:
    return [array[place] for place in _ranks(array)]


def _least(array: list[Any]) -> Any:
    return min(array, key=_order_of(array), default=None)


def _most(array: list[Any]) -> Any:
    return max(array, key=_order_of(array), default=None)


def _sort_by(array: list[Any], key: Key) -> list[Any]:
    return [array[place] for place in _ranks(_keys("sort_by", array, key))]


def _min_by(array: list[Any], key: Key) -> Any:
    keys = _keys("min_by", array, key)
    places = range(len(array))
    order = _order_of(keys)
    place = min(places, key=lambda place: order(keys[place]), default=None)
    return None if place is None else array[place]


def _max_by(array: list[Any], key: Key) -> Any:
    keys = _keys("max_by", array, key)
    order = _order_of(keys)
    place = max(range(len(array)), key=lambda place: order(keys[place]), default=None)
    return None if place is None else array[place]


def _keys(name: str, array: list[Any], key: Key) -> list[Any]:
    """What the expression makes of each element: all numbers, or all strings."""
    keys = [key(element) for element in array]
    if wrong := misfit(keys, "array of numbers|array of strings"):
        text = f"{name} got {wrong} from its expression: it takes numbers or strings, and not both"
        raise Rejected("UnknownOperation", text)
    return keys


def _ranks(keys: Sequence[Any]) -> list[int]:
    order = _order_of(keys)
    return sorted(range(len(keys)), key=lambda place: order(keys[place]))


def _order_of(keys: Sequence[Any]) -> Callable[[Any], Any]:
    """How the keys sort: strings by code point, numbers by value."""
    plain = all(isinstance(key, Decimal) for key in keys) or (bool(keys) and isinstance(keys[0], str))
    return (lambda key: key) if plain else ascending


def _to_number(value: Any) -> Any:
    if isinstance(value, str):
        return exact_numbers.number_in(value)
    return value if is_number(value) else None


def to_string(value: Any) -> str:
    """A string as it is, anything else as JSON, with each number in it as it was written."""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    if is_number(value):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(name)}:{_json(member)}' for name, member in value.items())}}}"
    return json.dumps(value)


FUNCTIONS = {
    "abs": Function(exact_numbers.absolute, ("number",)),
    "avg": Function(lambda array: exact_numbers.average(array) if array else None, ("array of numbers",)),
    "ceil": Function(exact_numbers.ceiling, ("number",)),
    "contains": Function(_contains, ("array|string", "any")),
    "ends_with": Function(str.endswith, ("string", "string")),
    "floor": Function(exact_numbers.floor, ("number",)),
    "join": Function(str.join, ("string", "array of strings")),
    "keys": Function(list, ("object",)),
    "length": Function(_length, ("string|array|object",)),
    "map": Function(_map, ("expression", "array")),
    "max": Function(_most, ("array of numbers|array of strings",)),
    "max_by": Function(_max_by, ("array", "expression")),
    "merge": Function(_merge, ("object",), is_variadic=True),
    "min": Function(_least, ("array of numbers|array of strings",)),
    "min_by": Function(_min_by, ("array", "expression")),
    "not_null": Function(_not_null, ("any",), is_variadic=True),
    "reverse": Function(lambda value: value[::-1], ("string|array",)),
    "sort": Function(_sort, ("array of numbers|array of strings",)),
    "sort_by": Function(_sort_by, ("array", "expression")),
    "starts_with": Function(str.startswith, ("string", "string")),
    "sum": Function(exact_numbers.total, ("array of numbers",)),
    "to_array": Function(lambda value: value if isinstance(value, list) else [value], ("any",)),
    "to_number": Function(_to_number, ("any",)),
    "to_string": Function(to_string, ("any",)),
    "type": Function(kind, ("any",)),
    "values": Function(lambda value: list(value.values()), ("object",)),
}
