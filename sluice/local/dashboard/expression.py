"""Metric math, as far as the stack's alarms and dashboard use it.

Numbers, ids, + - * /, comparisons, OR, AND, IF(condition, then, else), DIFF(metric), FILL(metric, number) and
PERIOD(metric), with the rules of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

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
_LOGIC: Mapping[str, Callable[[float, float], float]] = {
    "OR": lambda left, right: bool(left or right),
    "AND": lambda left, right: bool(left and right),
}
_SUMS: Mapping[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: Mapping[str, Callable[[float, float], float]] = {"*": operator.mul, "/": operator.truediv}


class ExpressionError(ValueError):
    """An expression that is wrong, or uses more of metric math than is known here."""


def evaluate(expression: str, metrics: Mapping[str, Series], periods: Sequence[int] | None = None) -> Series:
    """The series that an expression makes of `metrics`, by their ids. Raises `ExpressionError`.

    Where one operand has a value for a period, 0 stands for another one's missing value. A period that divides by zero
    has no value. FILL fills `periods`, or else those from the first to the last that has a value.
    """
    parser = _Parser(expression, metrics, periods)
    value = parser.logic()
    parser.end()
    if not isinstance(value, Series):
        raise ExpressionError(f"{expression!r} makes no series")
    return value


class _Parser:
    """One method for each level of precedence."""

    def __init__(self, expression: str, metrics: Mapping[str, Series], periods: Sequence[int] | None) -> None:
        self._expression = expression
        self._metrics = metrics
        self._periods = periods
        self._tokens = list(self._scan())
        self._next = 0

    def logic(self) -> Value:
        return self._operations(self._comparison, _LOGIC)

    def _comparison(self) -> Value:
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
            value = self.logic()
            self._expect(")")
            return value
        if self._peek() == "(":
            return self._call(token)
        if token not in self._metrics:
            raise self._error(f"{token!r} is no id of a metric")
        return self._metrics[token]

    def _call(self, name: str) -> Value:
        self._expect("(")
        arguments = [self.logic()]
        while self._peek() == ",":
            self._next += 1
            arguments.append(self.logic())
        self._expect(")")
        match name, arguments:
            case "IF", [condition, then, otherwise]:
                return _chosen(condition, then, otherwise)
            case "DIFF", [Series(values, period)]:
                return Series({this: values[this] - values[last] for last, this in pairwise(sorted(values))}, period)
            case "FILL", [Series(values, period), float(filler)]:
                return Series({number: values.get(number, filler) for number in self._range()}, period)
            case "PERIOD", [Series(period=period)]:
                return period
        raise self._error(f"{name} with {len(arguments)} arguments is not known")

    def _range(self) -> Sequence[int]:
        if self._periods is not None:
            return self._periods
        numbers = [number for series in self._metrics.values() for number in series.values]
        return range(min(numbers), max(numbers) + 1) if numbers else ()

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


def _chosen(condition: Value, then: Value, otherwise: Value) -> Value:
    """Of a condition that is a series: what is missing counts as 0 if it is `then`, and is dropped else."""
    if not isinstance(condition, Series):
        return then if condition else otherwise
    values = {}
    for number, holds in condition.values.items():
        if holds:
            values[number] = then.values.get(number, 0.0) if isinstance(then, Series) else then
        elif not isinstance(otherwise, Series):
            values[number] = otherwise
        elif number in otherwise.values:
            values[number] = otherwise.values[number]
    return Series(values, condition.period)


def _combined(operation: Callable[..., float], operands: Sequence[Value]) -> Value:
    many = [operand for operand in operands if isinstance(operand, Series)]
    if not many:
        return float(operation(*operands))
    numbers = set(many[0].values).union(*(each.values for each in many[1:]))
    values = {}
    for number in sorted(numbers):
        of_number = [
            operand.values.get(number, 0.0) if isinstance(operand, Series) else operand for operand in operands
        ]
        try:
            values[number] = float(operation(*of_number))
        except ZeroDivisionError:
            continue
    return Series(values, many[0].period)
