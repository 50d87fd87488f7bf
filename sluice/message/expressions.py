"""Condition and update expressions: what can be told to be wrong before DynamoDB sees them. Pure.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from .items import Rejected
from .operation import AttributeValue

MAX_EXPRESSION_BYTES = 4096
MAX_PLACEHOLDER_BYTES = 255
NEWER_NAME, NEWER_VALUE = "#sluice_version", ":sluice_version"
"""The placeholders that "newest wins" brings with it; a message may not define them."""

_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_NAME, _VALUE = re.compile(r"#[A-Za-z0-9_]+"), re.compile(r":[A-Za-z0-9_]+")
_TOKEN = re.compile(r"[#:]?[A-Za-z0-9_]+|\S")
_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")


class Expressions(Struct, frozen=True):
    """The expressions of one operation, with the names and values that they use."""

    condition: str | None = None
    update: str | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, AttributeValue] = field(default_factory=dict)

    def check(self, key_names: set[str]) -> None:
        """Raises `Rejected` with InvalidExpression; `key_names` are attributes that no update may touch."""
        given = [text for text in (self.condition, self.update) if text is not None]
        for text in given:
            _check_text(text)
        used = {name for text in given for name in _PLACEHOLDER.findall(text)}
        self._check_placeholders(used)
        for placeholder in sorted(used - {*self.names, *self.values}):
            raise Rejected("InvalidExpression", f"{placeholder[:50]!r} is used and not defined")
        for name in self.names.values():
            _require_expression(isinstance(name, str) and name != "", "a name must stand for an attribute name")
        if self.update is not None:
            self._check_targets(self.update, key_names)

    def only_newer(self, attribute: str, version: AttributeValue) -> Expressions:
        """The same, and only where the stored version is lower than this one, or there is none."""
        newer = f"attribute_not_exists({NEWER_NAME}) OR {NEWER_NAME} < {NEWER_VALUE}"
        condition = newer if self.condition is None else f"({self.condition}) AND ({newer})"
        size = len(condition.encode())
        _require_expression(
            size <= MAX_EXPRESSION_BYTES, f"the condition of {size:,} bytes leaves no room for that of the version"
        )
        return Expressions(
            condition,
            self.update,
            {**self.names, NEWER_NAME: attribute},
            {**self.values, NEWER_VALUE: version},
        )

    def arguments(self) -> dict[str, Any]:
        """The arguments of the API call; what is empty must be left out."""
        arguments = {
            "ConditionExpression": self.condition,
            "UpdateExpression": self.update,
            "ExpressionAttributeNames": dict(self.names),
            "ExpressionAttributeValues": dict(self.values),
        }
        return {name: value for name, value in arguments.items() if value}

    def _check_placeholders(self, used: set[str]) -> None:
        for defined, form, example in ((self.names, _NAME, "#name"), (self.values, _VALUE, ":value")):
            for placeholder in defined:
                fits = form.fullmatch(placeholder) is not None and len(placeholder) <= MAX_PLACEHOLDER_BYTES
                _require_expression(fits, f"{placeholder[:50]!r} is not a placeholder such as {example}")
                _require_expression(placeholder in used, f"{placeholder!r} is defined and not used")
                _require_expression(placeholder not in (NEWER_NAME, NEWER_VALUE), f"{placeholder!r} is reserved")

    def _check_targets(self, update: str, key_names: set[str]) -> None:
        targets = list(_targets(update))
        _require_expression(bool(targets), "an update begins with SET, REMOVE, ADD or DELETE and says what to change")
        for target in targets:
            name = self.names.get(target, target)
            _require_expression(name not in key_names, f"key attribute {name[:100]!r} cannot be updated")


def _targets(update: str) -> Iterator[str]:
    """The first step of each path that the update changes: after a keyword, and after each comma outside brackets."""
    depth, is_target = 0, False
    for token in _TOKEN.findall(update):
        if token.upper() in _CLAUSES and depth == 0:
            is_target = True
        elif token in "([":
            depth += 1
        elif token in ")]":
            depth -= 1
        elif token == ",":
            is_target = depth == 0
        elif is_target:
            yield token
            is_target = False


def _check_text(text: str) -> None:
    _require_expression(text.strip() != "", "an expression must not be empty")
    size = len(text.encode())
    _require_expression(
        size <= MAX_EXPRESSION_BYTES, f"an expression has at most {MAX_EXPRESSION_BYTES:,} bytes, not {size:,}"
    )
    # Else a condition could close the brackets that are put around it, and switch off what is added to it.
    depths = list(itertools.accumulate({"(": 1, ")": -1}.get(character, 0) for character in text))
    _require_expression(min(depths) >= 0 and depths[-1] == 0, "the brackets of an expression must match")


def _require_expression(holds: bool, requirement: str) -> None:
    if not holds:
        raise Rejected("InvalidExpression", requirement)
