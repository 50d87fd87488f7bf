"""JMESPath on exact numbers: jmespath's own grammar, with literals, comparisons and functions that lose no digit.

https://jmespath.org/specification.html; as in jmespath, `<` and its kin order strings, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jmespath import exceptions, parser, visitor
from jmespath.lexer import Lexer

from .exact_functions import FUNCTIONS, Function, a, is_equal, kind, misfit
from .exact_json import parse_json
from .exact_numbers import compare
from .items import Rejected

Node = dict[str, Any]
Functions = Mapping[str, Function]

_PROJECTIONS = ("projection", "filter_projection", "value_projection", "flatten")
"""Each finds null where its first child is not the array, or the object, that it goes through."""
_ORDER: dict[str, Callable[[int], bool]] = {
    "lt": lambda order: order < 0,
    "lte": lambda order: order <= 0,
    "gt": lambda order: order > 0,
    "gte": lambda order: order >= 0,
}


class ExpressionError(ValueError):
    """An expression that is not JMESPath, or that can fit no body; the text says why."""


def parsed(expression: str, functions: Functions) -> Node:
    """The tree of an expression. Raises `ExpressionError`, for a function that is not among these, too."""
    try:
        tree: Node = _ExactParser().parse(expression).parsed
        _check(tree, functions)
    except RecursionError:
        raise ExpressionError("nested too deeply") from None
    except (ValueError, LookupError) as error:  # jmespath's own errors are ValueErrors.
        raise ExpressionError(" ".join(str(error).split())) from None
    return tree


class Interpreter(visitor.TreeInterpreter):  # type: ignore[misc]  # jmespath ships no types
    """Evaluates expressions on one body. Raises `Rejected` where a function does not take what it gets."""

    def __init__(self, body: Any, functions: Functions = FUNCTIONS) -> None:
        super().__init__()
        self._body = body
        self._functions = functions

    def visit_comparator(self, node: Node, value: Any) -> bool | None:
        one, other = (self.visit(child, value) for child in node["children"])
        operator: str = node["value"]
        if operator in ("eq", "ne"):
            return is_equal(one, other) == (operator == "eq")
        of = kind(one)
        if of != kind(other) or of not in ("number", "string"):
            return None
        order: int = compare(one, other) if of == "number" else (one > other) - (one < other)
        return _ORDER[operator](order)

    def visit_not_expression(self, node: Node, value: Any) -> bool:
        return bool(self._is_false(self.visit(node["children"][0], value)))

    def visit_expref(self, node: Node, _: Any) -> Callable[[Any], Any]:
        return lambda element: self.visit(node["children"][0], element)

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        name, children = node["value"], node["children"]
        function = self._functions[name]
        arguments = [self.visit(child, value) for child in children]
        for place, argument in enumerate(arguments):
            takes = function.takes[min(place, len(function.takes) - 1)]
            if wrong := misfit(argument, takes):
                nth = f" as argument {place + 1}" if len(children) > 1 else ""
                missing = self.missing(children[place], value) if argument is None else None
                text = f"{name} got {wrong}{nth}: {missing or f'it takes {_any_of(takes)}'}"
                raise Rejected("UnknownOperation", text)
        return function.call(*arguments)

    def missing(self, node: Node, value: Any) -> str | None:
        """Which field or element on a path, such as `detail.orders[0]`, is not as it must be; None for another node."""
        while node["type"] in _PROJECTIONS:
            node = node["children"][0]
        steps = _steps(node)
        if not steps:
            return None
        place = "the body" if value is self._body else "the element"
        for step in steps:
            of, name = ("object", f"field {step}") if isinstance(step, str) else ("array", f"element {step}")
            if kind(value) != of:
                return f"{place} is {a(kind(value))}, and has no {name}"
            try:
                value = value[step]
            except LookupError:
                return f"{place} has no {name}"
            place = name
        return f"{place} is {a(kind(value))}"


class _ExactLexer(Lexer):  # type: ignore[misc]
    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        lexeme = self._consume_until("`").replace("\\`", "`")
        try:
            value = _literal(lexeme)
        except Rejected as rejected:
            text = f"Bad literal, {rejected.message}"
            raise exceptions.LexerError(start, self._expression[start:], text) from None
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


class _ExactParser(parser.Parser):  # type: ignore[misc]
    def parse(self, expression: str) -> Any:
        return self._do_parse(expression)  # Without jmespath's cache, which holds literals as floats.

    def _parse(self, expression: str) -> Any:
        self._tokens = list(_ExactLexer().tokenize(expression))
        self._index = 0
        tree = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            text = f"Unexpected token: {token['value']}"
            raise exceptions.ParseError(token["start"], token["value"], token["type"], text)
        return parser.ParsedResult(expression, tree)


def _literal(lexeme: str) -> Any:
    try:
        return parse_json(lexeme, keep_spelling=True)
    except Rejected:
        bare = lexeme.strip()
        if bare.startswith(("[", "{")) or bare in ("NaN", "Infinity", "-Infinity"):
            raise
        return parse_json(f'"{lexeme.lstrip()}"')  # jmespath takes a text without its quotation marks, too.


def _check(node: Any, functions: Functions) -> None:
    """jmespath would notice what this refuses only when a message comes."""
    if not isinstance(node, dict):
        return
    if node["type"] == "function_expression":
        _check_call(node["value"], node["children"], functions)
    if node["type"] == "slice" and node["children"][2] == 0:
        raise ExpressionError("the step of a slice cannot be 0")
    for child in node["children"]:
        _check(child, functions)


def _check_call(name: str, arguments: list[Node], functions: Functions) -> None:
    function = functions.get(name)
    if function is None:
        raise ExpressionError(f"Unknown function: {name}()")
    wanted = len(function.takes)
    if len(arguments) < wanted or (len(arguments) > wanted and not function.is_variadic):
        least = "at least " if function.is_variadic else ""
        raise ExpressionError(f"{name}() takes {least}{wanted} argument{'s'[: wanted > 1]}, got {len(arguments)}")
    for place, argument in enumerate(arguments):
        takes_expression = function.takes[min(place, wanted - 1)] == "expression"
        if takes_expression != (argument["type"] == "expref"):
            needed = "must be an expression with & before it" if takes_expression else "takes no & before it"
            raise ExpressionError(f"{name}(): argument {place + 1} {needed}")


def _steps(node: Node) -> list[str | int]:
    """The fields and elements that a plain path goes through; none where it is more than a path."""
    if node["type"] in ("field", "index"):
        return [node["value"]]
    if node["type"] not in ("subexpression", "index_expression", "pipe"):
        return []
    steps: list[str | int] = []
    for child in node["children"]:
        further = _steps(child)
        if not further and child["type"] not in ("identity", "current", "slice"):
            return []
        steps += further
    return steps


def _any_of(takes: str) -> str:
    return " or ".join(each.replace("array of", "an array of") if " " in each else a(each) for each in takes.split("|"))
