"""Condition and filter expressions that DynamoDB refuses, where moto only answers with status 500.

Grammar: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

PARAMETERS = ("ConditionExpression", "FilterExpression")
MAX_CHOICES = 100  # Of IN; the same page.
MAX_BYTES = 4096  # Constraints, "Expression parameters".

_TOKEN = re.compile(r"\s*(?:([#:]\w+|[A-Za-z_]\w*|\[\d+\]|<>|<=|>=|[=<>(),.])|$)", re.ASCII)
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_FUNCTIONS = {"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}
_WORDS = ("AND", "OR", "NOT", "IN", "BETWEEN")
_END = "<EOF>"


class SyntaxProblem(Exception):
    """What DynamoDB would say behind `Invalid ConditionExpression: `."""


def refusal(body: bytes) -> bytes | None:
    """DynamoDB's answer, of status 400, to a request with such an expression; None for any other."""
    if not any(name.encode() in body for name in PARAMETERS):
        return None
    try:
        request = json.loads(body)
    except ValueError:
        return None
    for each in _with_expressions(request):
        for name in PARAMETERS:
            if (text := each.get(name)) is None:
                continue
            try:
                check(text, each.get("ExpressionAttributeNames") or {}, each.get("ExpressionAttributeValues") or {})
            except SyntaxProblem as problem:
                kind = "com.amazon.coral.validate#ValidationException"
                return json.dumps({"__type": kind, "message": f"Invalid {name}: {problem}"}).encode()
    return None


def check(text: str, names: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises `SyntaxProblem`."""
    if not text.strip():
        raise SyntaxProblem("The expression can not be empty;")
    if len(text.encode()) > MAX_BYTES:
        raise SyntaxProblem("Expression size has exceeded the maximum allowed size;")
    parser = _Parser(text, names, values)
    parser.condition()
    parser.expect(_END)


def _with_expressions(request: Any) -> Iterator[Mapping[str, Any]]:
    """The request, and the elements of a transaction."""
    if isinstance(request, dict):
        yield request
        for element in request.get("TransactItems") or ():
            yield from (part for part in element.values() if isinstance(part, dict))


class _Parser:
    """A method a rule."""

    def __init__(self, text: str, names: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._names, self._values = names, values
        self._tokens = list(_tokens(text))
        self._next = 0

    def condition(self) -> None:
        self._part()
        while self._accept("AND", "OR"):
            self._part()

    def expect(self, wanted: str) -> None:
        if not self._accept(wanted):
            raise self._error()

    def _part(self) -> None:
        while self._accept("NOT"):
            pass
        if self._accept("("):
            self.condition()
            self.expect(")")
        elif self._is_call() and self._peek() != "size":
            self._call()
        else:
            self._comparison()

    def _comparison(self) -> None:
        self._operand()
        if self._accept("BETWEEN"):
            self._operand()
            self.expect("AND")
            self._operand()
        elif self._accept("IN"):
            if self._list() > MAX_CHOICES:
                raise SyntaxProblem("The IN operator is provided with too many operands;")
        elif self._accept(*_COMPARISONS):
            self._operand()
        else:
            raise self._error()

    def _call(self) -> None:
        name = self._take()
        if name not in _FUNCTIONS:
            raise SyntaxProblem(f"Invalid function name; function: {name}")
        is_path = not self._tokens[self._next + 1].startswith(":")
        self._check_count(name, self._list(), _FUNCTIONS[name])
        if name.endswith("exists") and not is_path:
            raise SyntaxProblem(f"Operator or function requires a document path; operator or function: {name}")

    def _list(self) -> int:
        self.expect("(")
        self._operand()
        count = 1
        while self._accept(","):
            self._operand()
            count += 1
        self.expect(")")
        return count

    def _check_count(self, name: str, count: int, wanted: int) -> None:
        if count != wanted:
            raise SyntaxProblem(
                "Incorrect number of operands for operator or function;"
                f" operator or function: {name}, number of operands: {count}"
            )

    def _operand(self) -> None:
        if self._is_call() and self._peek() == "size":
            self._take()
            self._check_count("size", self._list(), 1)
        elif self._peek().startswith(":"):
            self._defined(self._values, "An expression attribute value used in expression", "attribute value")
        else:
            self._path()

    def _path(self) -> None:
        self._name()
        while self._peek().startswith("[") or self._peek() == ".":
            if self._take() == ".":
                self._name()

    def _name(self) -> None:
        token = self._peek()
        if token.startswith("#"):
            self._defined(self._names, "An expression attribute name used in the document path", "attribute name")
        elif re.fullmatch(r"[A-Za-z_]\w*", token) and token.upper() not in _WORDS:
            self._take()
        else:
            raise self._error()

    def _defined(self, defined: Mapping[str, Any], what: str, kind: str) -> None:
        token = self._take()
        if token not in defined:
            raise SyntaxProblem(f"{what} is not defined; {kind}: {token}")

    def _is_call(self) -> bool:
        return self._peek()[0].isalpha() and self._tokens[min(self._next + 1, len(self._tokens) - 1)] == "("

    def _peek(self) -> str:
        return self._tokens[self._next]

    def _take(self) -> str:
        token = self._peek()
        self._next += token != _END
        return token

    def _accept(self, *wanted: str) -> bool:
        token = self._peek()
        is_wanted = token in wanted or (token.upper() in _WORDS and token.upper() in wanted)
        self._next += is_wanted and token != _END
        return is_wanted

    def _error(self) -> SyntaxProblem:
        around = self._tokens[max(0, self._next - 1) : self._next + 2]
        near = " ".join(token for token in around if token != _END)
        return SyntaxProblem(f'Syntax error; token: "{self._peek()}", near: "{near}"')


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while (match := _TOKEN.match(text, position)) is not None and match[1]:
        yield match[1]
        position = match.end()
    if text[position:].strip():
        near = text[max(0, position - 5) : position + 6].strip()
        raise SyntaxProblem(f'Syntax error; token: "{text[position:].strip()[0]}", near: "{near}"')
    yield _END
