"""Metric math, as far as the stack's alarms and dashboard use it.

Numbers, ids, + - * /, comparisons, IF(condition, then, else) and PERIOD(metric), with the rules of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence

from .series import Series

Value = float | Series

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z]\w*)|(?P<sign>[<>=!]=|[-+*/(),<>]))")
_COMPARISONS: Mapping[str, Callable[[float, float], float]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_SUMS: Mapping[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: Mapping[str, Callable[[float, float], float]] = {"*": operator.mul, "/": operator.truediv}


class ExpressionError(ValueError):
    """An expression that is wrong, or uses more of metric math than is known here."""


def evaluate(expression: str, metrics: Mapping[str, Series]) -> Series:
    """The series that an expression makes of `metrics`, by their ids. Raises `ExpressionError`.

    A period for which one of the operands has no value, or that divides by zero, has no value.
    """
    parser = _Parser(expression, metrics)
    value = parser.comparison()
    parser.end()
    if not isinstance(value, Series):
        raise ExpressionError(f"{expression!r} makes no series")
    return value


class _Parser:
    """One method for each level of precedence."""

    def __init__(self, expression: str, metrics: Mapping[str, Series]) -> None:
        self._expression = expression
        self._metrics = metrics
        self._tokens = list(self._scan())
        self._next = 0

    def comparison(self) -> Value:
        return self._operations(self._sum, _COMPARISONS)

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._next]!r}")

    def _sum(self) -> Value:
        return self._operations(self._product, _SUMS)

    def _product(self) -> Value:
        return self._operations(self._operand, _PRODUCTS)

    def _operations(
        self, operand: Callable[[], Value], operations: Mapping[str, Callable[[float, float], float]]
    ) -> Value:
        value = operand()
        while (sign := self._peek()) in operations:
            self._next += 1
            value = _combined(operations[sign], [value, operand()])
        return value

    def _operand(self) -> Value:
        token = self._take()
        if token[0].isdigit():
            return float(token)
        if token == "(":
            value = self.comparison()
            self._expect(")")
            return value
        if self._peek() == "(":
            return self._call(token)
        if token not in self._metrics:
            raise self._error(f"{token!r} is no id of a metric")
        return self._metrics[token]

    def _call(self, name: str) -> Value:
        self._expect("(")
        arguments = [self.comparison()]
        while self._peek() == ",":
            self._next += 1
            arguments.append(self.comparison())
        self._expect(")")
        match name, arguments:
            case "IF", [condition, then, otherwise]:
                return _combined(_choice, [condition, then, otherwise])
            case "PERIOD", [Series(period=period)]:
                return period
        raise self._error(f"{name} with {len(arguments)} arguments is not known")

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        if not (token := self._peek()):
            raise self._error("the end comes too early")
        self._next += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise self._error(f"{token!r} is missing")

    def _scan(self) -> Sequence[str]:
        tokens, position = [], 0
        text = self._expression.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(f"{text[position:]!r} is not known")
            tokens.append(match[0].strip())
            position = match.end()
        return tokens

    def _error(self, what: str) -> ExpressionError:
        return ExpressionError(f"{self._expression!r}: {what}")


def _choice(condition: float, then: float, otherwise: float) -> float:
    return then if condition else otherwise


def _combined(operation: Callable[..., float], operands: Sequence[Value]) -> Value:
    many = [operand for operand in operands if isinstance(operand, Series)]
    if not many:
        return float(operation(*operands))
    numbers = set(many[0].values).intersection(*(each.values for each in many[1:]))
    values = {}
    for number in sorted(numbers):
        of_number = [operand.values[number] if isinstance(operand, Series) else operand for operand in operands]
        try:
            values[number] = float(operation(*of_number))
        except ZeroDivisionError:
            continue
    return Series(values, many[0].period)
