"""Condition and update expressions: parsed, and evaluated against an item.

Grammar: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html and
.../Expressions.UpdateExpressions.html; limits: .../Constraints.html, "Expression parameters".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fakes.attribute_values import (
    InvalidValueError,
    Item,
    Value,
    canonical_number,
    canonical_value,
)
from tests.fakes.service import copied

MAX_EXPRESSION_BYTES = 4096  # Constraints, "Expression parameters"
MAX_OPERATORS = 300  # likewise, operators and functions of one expression
MAX_IN_OPERANDS = 100  # Expressions.OperatorsAndFunctions: "up to 100 values"

DocumentPath = tuple[str | int, ...]
Evaluate = Callable[[Item], Value | None]
Test = Callable[[Item], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<value>:[A-Za-z0-9_]+)|(?P<alias>#[A-Za-z0-9_]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<index>\[[0-9]+\])|(?P<symbol><>|<=|>=|[=<>(),.+-])|(?P<end>$))"
)
_COMPARE = {"=", "<>", "<", "<=", ">", ">="}
_CONDITION_FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
_TYPES = {"S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"}
_ARITHMETIC = Context(prec=38)


@dataclass(frozen=True, slots=True)
class _Operand:
    evaluate: Evaluate
    path: DocumentPath | None = None
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class UpdateAction:
    """One clause element: SET, REMOVE, ADD or DELETE of a path; `evaluate` gives its operand."""

    kind: str
    path: DocumentPath
    evaluate: Evaluate | None = None


@dataclass(slots=True)
class Placeholders:
    """ExpressionAttributeNames and -Values of one request, and which of them were used."""

    names: dict[str, str]
    values: dict[str, Value]
    used: set[str] = field(default_factory=set)

    def check_all_used(self) -> None:
        """Raises InvalidValueError for a name or value that no expression of the request uses."""
        for kind, given in (("Names", self.names), ("Values", self.values)):
            unused = [placeholder for placeholder in given if placeholder not in self.used]
            if unused:
                raise InvalidValueError(
                    f"Value provided in ExpressionAttribute{kind} unused in expressions: keys: "
                    f"{{{', '.join(sorted(unused))}}}"
                )


def placeholders(names: dict[str, str], values: dict[str, Value], has_expression: bool) -> Placeholders:
    """Checks the placeholders themselves; raises InvalidValueError."""
    for kind, given, sign in (("Names", names, "#"), ("Values", values, ":")):
        if given and not has_expression:
            raise InvalidValueError(f"ExpressionAttribute{kind} can only be specified when using expressions")
        for placeholder in given:
            if not re.fullmatch(sign + "[A-Za-z0-9_]+", placeholder) or len(placeholder) > 255:
                raise InvalidValueError(
                    f'ExpressionAttribute{kind} contains invalid key: Syntax error; key: "{placeholder}"'
                )
    return Placeholders(names, {name: canonical_value(value) for name, value in values.items()})


def condition(text: str, given: Placeholders) -> Test:
    """Parses a ConditionExpression; raises InvalidValueError."""
    parser = _Parser("ConditionExpression", text, given)
    test = parser.disjunction()
    parser.expect_end()
    return test


def update(text: str, given: Placeholders) -> list[UpdateAction]:
    """Parses an UpdateExpression; raises InvalidValueError."""
    parser = _Parser("UpdateExpression", text, given)
    actions = parser.update_clauses()
    _check_overlap([action.path for action in actions])
    return actions


def apply_update(actions: list[UpdateAction], item: Item) -> Item:
    """The updated copy of an item; every operand is read from the item as it was before."""
    operands = [(action, action.evaluate(item) if action.evaluate else None) for action in actions]
    updated: Item = copied(item)
    for action, operand in operands:
        if action.kind == "REMOVE":
            continue
        if operand is None:
            raise InvalidValueError("The provided expression refers to an attribute that does not exist in the item")
        if action.kind == "SET":
            _store(updated, action.path, copied(operand))
        else:
            _add_or_delete(updated, action, operand)
    # The indexes of REMOVE mean the list as it was, so the last elements go first.
    removed = [action.path for action in actions if action.kind == "REMOVE"]
    for path in sorted(removed, key=lambda path: [str(s).zfill(9) for s in path], reverse=True):
        _remove(updated, path)
    return updated


# One class, for it is one grammar: a method a rule, and all of them move on through the same tokens.
class _Parser:
    def __init__(self, parameter: str, text: str, given: Placeholders) -> None:
        self._parameter, self._text, self._given = parameter, text, given
        if not text.strip():
            raise self._error("The expression can not be empty;")
        if len(text.encode()) > MAX_EXPRESSION_BYTES:
            raise self._error("Expression size has exceeded the maximum allowed size;")
        self._tokens = self._tokenized()
        self._at = 0
        self._operators = 0

    def _tokenized(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        position = 0
        while True:
            match = _TOKEN.match(self._text, position)
            if match is None:
                near = self._text[position:].strip()[:1]
                raise self._error(f'Syntax error; token: "{near}"')
            kind = match.lastgroup or ""
            tokens.append((kind, match[kind]))
            if kind == "end":
                return tokens
            position = match.end()

    def _error(self, detail: str) -> InvalidValueError:
        return InvalidValueError(f"Invalid {self._parameter}: {detail}")

    def _syntax_error(self) -> InvalidValueError:
        token = self._tokens[self._at][1] or "<EOF>"
        return self._error(f'Syntax error; token: "{token}"')

    def _peek(self) -> str:
        kind, text = self._tokens[self._at]
        return text.upper() if kind == "name" else text

    def _take(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += token[0] != "end"
        return token

    def _accept(self, text: str) -> bool:
        found = self._peek() == text
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._syntax_error()

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise self._error(f"The expression contains too many operators; maximum allowed: {MAX_OPERATORS}")

    def expect_end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise self._syntax_error()

    # Conditions

    def disjunction(self) -> Test:
        tests = [self._conjunction()]
        while self._accept("OR"):
            self._count_operator()
            tests.append(self._conjunction())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _conjunction(self) -> Test:
        tests = [self._negation()]
        while self._accept("AND"):
            self._count_operator()
            tests.append(self._negation())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _negation(self) -> Test:
        if self._accept("NOT"):
            self._count_operator()
            test = self._negation()
            return lambda item: not test(item)
        if self._accept("("):
            test = self.disjunction()
            self._expect(")")
            return test
        return self._predicate()

    def _predicate(self) -> Test:
        kind, text = self._tokens[self._at]
        if kind == "name" and self._tokens[self._at + 1][1] == "(" and text != "size":
            return self._function()
        left = self._operand()
        self._count_operator()
        if self._accept("BETWEEN"):
            low = self._operand()
            self._expect("AND")
            high = self._operand()
            self._check_between(low, high)
            return lambda item: (
                _compared("<=", low.evaluate(item), left.evaluate(item))
                and _compared("<=", left.evaluate(item), high.evaluate(item))
            )
        if self._accept("IN"):
            choices = self._choices()
            return lambda item: any(_compared("=", left.evaluate(item), choice.evaluate(item)) for choice in choices)
        operator = self._peek()
        if operator not in _COMPARE:
            raise self._syntax_error()
        self._at += 1
        right = self._operand()
        return lambda item: _compared(operator, left.evaluate(item), right.evaluate(item))

    def _choices(self) -> list[_Operand]:
        self._expect("(")
        choices = [self._operand()]
        while self._accept(","):
            choices.append(self._operand())
        self._expect(")")
        if len(choices) > MAX_IN_OPERANDS:
            raise self._error(f"Too many operands for the operator IN; maximum allowed: {MAX_IN_OPERANDS}")
        return choices

    def _check_between(self, low: _Operand, high: _Operand) -> None:
        if low.value is None or high.value is None:
            return
        if list(low.value) != list(high.value):
            raise self._error("The BETWEEN operator requires same data type for lower and upper bounds")
        if not _compared("<=", low.value, high.value):
            raise self._error("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")

    def _function(self) -> Test:
        name = self._take()[1]
        if name not in _CONDITION_FUNCTIONS:
            raise self._error(f"Invalid function name; function: {name}")
        self._count_operator()
        operands = self._arguments(name, _CONDITION_FUNCTIONS[name])
        first = operands[0]
        if name.startswith("attribute_") and first.path is None:
            raise self._error(f"Operator or function requires a document path; operator or function: {name}")
        if name == "attribute_exists":
            return lambda item: first.evaluate(item) is not None
        if name == "attribute_not_exists":
            return lambda item: first.evaluate(item) is None
        second = operands[1]
        if name == "attribute_type":
            wanted = (second.value or {}).get("S")
            if wanted not in _TYPES:
                raise self._error(f"Invalid attribute type name found; type: {wanted}")
            return lambda item: wanted in (first.evaluate(item) or {})
        if name == "begins_with":
            if second.value is not None and not {"S", "B"} & set(second.value):
                raise self._error("Incorrect operand type for operator or function; operator or function: begins_with")
            return lambda item: _begins_with(first.evaluate(item), second.evaluate(item))
        return lambda item: _contains(first.evaluate(item), second.evaluate(item))

    def _arguments(self, function: str, count: int) -> list[_Operand]:
        self._expect("(")
        operands = [self._operand()]
        while self._accept(","):
            operands.append(self._operand())
        self._expect(")")
        if len(operands) != count:
            raise self._error(
                "Incorrect number of operands for operator or function; operator or function: "
                f"{function}, number of operands: {len(operands)}"
            )
        return operands

    def _operand(self) -> _Operand:
        kind, text = self._tokens[self._at]
        if kind == "value":
            self._at += 1
            value = self._value(text)
            return _Operand(lambda _: value, value=value)
        if text == "size" and self._tokens[self._at + 1][1] == "(":
            self._at += 1
            self._count_operator()
            [measured] = self._arguments("size", 1)
            return _Operand(lambda item: _size(measured.evaluate(item)))
        path = self._path()
        return _Operand(lambda item: _found(item, path), path=path)

    def _value(self, placeholder: str) -> Value:
        if placeholder not in self._given.values:
            raise self._error(
                f"An expression attribute value used in expression is not defined; attribute value: {placeholder}"
            )
        self._given.used.add(placeholder)
        return self._given.values[placeholder]

    def _path(self) -> DocumentPath:
        steps: list[str | int] = [self._name()]
        while True:
            if self._accept("."):
                steps.append(self._name())
            elif self._tokens[self._at][0] == "index":
                steps.append(int(self._take()[1][1:-1]))
            else:
                return tuple(steps)

    def _name(self) -> str:
        kind, text = self._tokens[self._at]
        if kind not in ("name", "alias"):
            raise self._syntax_error()
        self._at += 1
        if kind == "name":
            if text.upper() in _reserved_words():
                raise self._error(f"Attribute name is a reserved keyword; reserved keyword: {text}")
            return text
        if text not in self._given.names:
            raise self._error(
                f"An expression attribute name used in the document path is not defined; attribute name: {text}"
            )
        self._given.used.add(text)
        return self._given.names[text]

    # Updates

    def update_clauses(self) -> list[UpdateAction]:
        actions: list[UpdateAction] = []
        seen: set[str] = set()
        while self._tokens[self._at][0] != "end":
            clause = self._peek()
            if clause not in ("SET", "REMOVE", "ADD", "DELETE"):
                raise self._syntax_error()
            if clause in seen:
                raise self._error(f'The "{clause}" section can only be used once in an update expression;')
            seen.add(clause)
            self._at += 1
            actions.append(self._action(clause))
            while self._accept(","):
                actions.append(self._action(clause))
        return actions

    def _action(self, clause: str) -> UpdateAction:
        path = self._path()
        if clause == "REMOVE":
            return UpdateAction(clause, path)
        if clause == "SET":
            self._expect("=")
            return UpdateAction(clause, path, self._sum())
        operand = self._operand()
        if operand.value is None:
            raise self._syntax_error()
        allowed = {"SS", "NS", "BS"} | ({"N"} if clause == "ADD" else set())
        if not allowed & set(operand.value):
            raise self._error(
                f"Incorrect operand type for operator or function; operator: {clause}, operand type: "
                f"{next(iter(operand.value))}"
            )
        return UpdateAction(clause, path, operand.evaluate)

    def _sum(self) -> Evaluate:
        left = self._set_operand()
        sign = self._peek()
        if sign not in ("+", "-"):
            return left
        self._at += 1
        self._count_operator()
        right = self._set_operand()
        return lambda item: _added(left(item), right(item), sign)

    def _set_operand(self) -> Evaluate:
        if self._accept("("):
            inner = self._sum()
            self._expect(")")
            return inner
        kind, name = self._tokens[self._at]
        if kind != "name" or self._tokens[self._at + 1][1] != "(":
            return self._operand().evaluate
        self._at += 1
        self._count_operator()
        if name not in ("if_not_exists", "list_append"):
            raise self._error(f"Invalid function name; function: {name}")
        self._expect("(")
        path = self._path() if name == "if_not_exists" else None
        first: Evaluate = (lambda item: _found(item, path)) if path else self._set_operand()
        self._expect(",")
        second = self._set_operand()
        self._expect(")")
        if path:
            return lambda item: present if (present := first(item)) is not None else second(item)
        return lambda item: _appended(first(item), second(item))


# Conditions on values


def _compared(operator: str, left: Value | None, right: Value | None) -> bool:
    """A comparison with a missing attribute or between types is false; only <> is then true."""
    if left is None or right is None:
        return operator == "<>" and (left is None) != (right is None)
    equal = comparable(left) == comparable(right)
    if operator in ("=", "<>"):
        return bool(equal == (operator == "="))
    [(kind, _)], [(other, _)] = left.items(), right.items()
    if kind != other or kind not in ("S", "N", "B"):
        return False
    low, high = _order(left), _order(right)
    return bool({"<": low < high, "<=": low <= high, ">": low > high, ">=": low >= high}[operator])


def comparable(value: Value) -> Any:
    """A form of a value that is equal for equal values: sets have no order, numbers one spelling."""
    [(kind, content)] = value.items()
    match kind:
        case "N":
            return kind, canonical_number(content)
        case "SS" | "NS" | "BS":
            return kind, frozenset(comparable({kind[0]: element}) for element in content)
        case "L":
            return kind, tuple(comparable(element) for element in content)
        case "M":
            return kind, frozenset((name, comparable(inner)) for name, inner in content.items())
    return kind, content


def _order(value: Value) -> Any:
    [(kind, content)] = value.items()
    # Strings are ordered by their UTF-8 bytes (Expressions.OperatorsAndFunctions, HowItWorks.DataTypes).
    return Decimal(content) if kind == "N" else content.encode() if kind == "S" else content


def _begins_with(value: Value | None, prefix: Value | None) -> bool:
    if value is None or prefix is None:
        return False
    [(kind, content)], [(other, start)] = value.items(), prefix.items()
    return bool(kind == other and kind in ("S", "B") and content.startswith(start))


def _contains(value: Value | None, wanted: Value | None) -> bool:
    if value is None or wanted is None:
        return False
    [(kind, content)], [(other, part)] = value.items(), wanted.items()
    if kind in ("S", "B"):
        return bool(kind == other and part in content)
    if kind == "L":
        return any(comparable(element) == comparable(wanted) for element in content)
    if kind in ("SS", "NS", "BS"):
        return any(comparable({kind[0]: element}) == comparable(wanted) for element in content)
    return False


def _size(value: Value | None) -> Value | None:
    """size(): characters of a string, bytes of binary, elements of the rest; nothing for other types."""
    if value is None:
        return None
    [(kind, content)] = value.items()
    return None if kind in ("N", "BOOL", "NULL") else {"N": str(len(content))}


# Updates of values


def _added(left: Value | None, right: Value | None, sign: str) -> Value:
    if left is None or right is None:
        raise InvalidValueError("The provided expression refers to an attribute that does not exist in the item")
    if "N" not in left or "N" not in right:
        raise InvalidValueError("An operand in the update expression has an incorrect data type")
    first, second = Decimal(left["N"]), Decimal(right["N"])
    total = _ARITHMETIC.add(first, second if sign == "+" else -second)
    return {"N": canonical_number(str(total))}


def _appended(left: Value | None, right: Value | None) -> Value:
    if left is None or right is None:
        raise InvalidValueError("The provided expression refers to an attribute that does not exist in the item")
    if "L" not in left or "L" not in right:
        raise InvalidValueError("An operand in the update expression has an incorrect data type")
    return {"L": copied(left["L"]) + copied(right["L"])}


def _add_or_delete(item: Item, action: UpdateAction, operand: Value) -> None:
    present = _found(item, action.path)
    if present is None:
        if action.kind == "ADD":
            _store(item, action.path, copied(operand))
        return
    [(kind, content)], [(other, elements)] = present.items(), operand.items()
    if kind != other:
        raise InvalidValueError("An operand in the update expression has an incorrect data type")
    if kind == "N":
        _store(item, action.path, _added(present, operand, "+"))
    elif action.kind == "ADD":
        _store(item, action.path, {kind: content + [e for e in elements if e not in content]})
    elif left := [element for element in content if element not in elements]:
        _store(item, action.path, {kind: left})
    else:  # An empty set cannot be stored: the attribute goes.
        _remove(item, action.path)


def _found(item: Item, path: DocumentPath) -> Value | None:
    value: Value | None = {"M": item}
    for step in path:
        container: Any = (value or {}).get("L" if isinstance(step, int) else "M")
        if isinstance(step, int):
            value = container[step] if container is not None and step < len(container) else None
        else:
            value = container.get(step) if container is not None else None
    return value


def _container(item: Item, path: DocumentPath) -> Any:
    parent = _found(item, path[:-1]) if len(path) > 1 else {"M": item}
    kind = "L" if isinstance(path[-1], int) else "M"
    if parent is None or kind not in parent:
        raise InvalidValueError("The document path provided in the update expression is invalid for update")
    return parent[kind]


def _store(item: Item, path: DocumentPath, value: Value) -> None:
    container, step = _container(item, path), path[-1]
    if isinstance(step, int) and step >= len(container):
        container.append(value)  # Expressions.UpdateExpressions: beyond the end, SET appends.
    else:
        container[step] = value


def _remove(item: Item, path: DocumentPath) -> None:
    container, step = _container(item, path), path[-1]
    if isinstance(step, str):
        container.pop(step, None)
    elif step < len(container):
        del container[step]


def _check_overlap(paths: list[DocumentPath]) -> None:
    for position, path in enumerate(paths):
        for other in paths[position + 1 :]:
            shared = min(len(path), len(other))
            if path[:shared] == other[:shared]:
                raise InvalidValueError(
                    "Invalid UpdateExpression: Two document paths overlap with each other; must remove or "
                    "rewrite one of these paths"
                )


@cache
def _reserved_words() -> frozenset[str]:
    """The 573 words of ReservedWords.html, which moto carries as a file."""
    [moto] = find_spec("moto").submodule_search_locations  # type: ignore[union-attr, misc]  # is installed
    return frozenset(Path(moto, "dynamodb/parsing/reserved_keywords.txt").read_text().upper().split())
