"""RECORD_EXPRESSION finds what plain jmespath finds, where floats are exact and jmespath keeps its specification."""

from __future__ import annotations

import json
import random
import re
import warnings
from collections import Counter
from fractions import Fraction
from typing import Any

from jmespath import functions, parser, visitor
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from sluice.message.envelope import Envelope
from sluice.message.exact_functions import FUNCTIONS
from sluice.message.items import Rejected

CASES = 5_000
COMPUTED = ("sum(", "avg(")
"""Plain jmespath spells what it computes otherwise: 4.0 for 1.25 + 2.75, where decimals make 4.00 of it."""

# `#kind` stands for an expression of that kind. Objects have the same fields at every level, so that paths fit all.
GRAMMAR = {
    "number": """n|m|o.n|ns[0]|ns[-1]|`%number`|abs(#number)|ceil(#number)|floor(#number)|sum(#numbers)|avg(#numbers)
        |max(#numbers)|min(#numbers)|length(#string)|length(#array)|length(#object)|to_number(#string)|to_number(#any)
        |max_by(#objects, &#number).n|min_by(#objects, &#string).n|not_null(#null, #number)|(#object).n
        |(#object \\| #number)|(#null \\|\\| #number)|(#numbers)[0]""",
    "string": """s|t|o.s|ss[0]|'a'|`"b"`|`é`|join('-', #strings)|reverse(#string)|to_string(#any)|type(#any)
        |max(#strings)|min(#strings)|(#boolean && #string)|(#object).s""",
    "boolean": """b|`true`|`false`|#number < #number|#number <= #number|#number > #number|#number >= #number
        |#string < #string|#string <= #string|#string > #string|#string >= #string|#any == #any|#any != #any
        |#number == #number|#number != #number|#numbers == #numbers|#object == #object|!(#any)
        |contains(#numbers, #number)|contains(#strings, #string)|contains(#string, #string)|contains(#array, #any)
        |starts_with(#string, #string)
        |ends_with(#string, #string)|(#boolean && #any)|(#boolean \\|\\| #any)""",
    "null": "z|nothing|`null`|#number < #string|#boolean >= #number",
    "numbers": """ns|`[1, 2.5, %number]`|ns[1:3]|ns[::-1]|sort(#numbers)|reverse(#numbers)|map(&#number, #objects)
        |[#number, #number]|(#objects)[].n|(#objects)[*].n|(#objects)[?#boolean].n|ns[?@ > `%number`]|ns[?@ == #number]
        |[#numbers, #numbers][]|(#object).ns|(#numbers)[:-1]|[#number, #number, #number, #number]""",
    "strings": """ss|sort(#strings)|reverse(#strings)|keys(#object)|map(&#string, #objects)|[#string, #string]
        |(#objects)[].s|ss[?contains(@, 'a')]|(#objects)[*].o.s""",
    "objects": """os|to_array(#object)|sort_by(#objects, &#number)|sort_by(#objects, &#string)|reverse(#objects)|os[1:]
        |(#objects)[?#boolean]|[#object, #object]|(#objects)[].o|@.os""",
    "object": """@|o|os[0]|o.o|max_by(#objects, &#number)|min_by(#objects, &#number)|merge(#object, #object)
        |{n: #number, s: #string, ns: #numbers}|`{"n": %number, "s": "x"}`|merge(#object, {m: #number})""",
    "array": "#numbers|#strings|#objects|values(#object)|[#any, #any]|(#object).*|(#array)[]|@.*|*.n|[#any][*]",
    "any": '#number|#string|#boolean|#null|#numbers|#strings|#objects|#object|#array|"s"|[?b]|(#object) \\| #any',
}
RULES = {
    kind: [rule.strip().replace("\\|", "|") for rule in re.split(r"(?<!\\)\|", rules)]
    for kind, rules in GRAMMAR.items()
}
ENDS = {kind: [rule for rule in rules if "#" not in rule] or ["z", "n", "ss"] for kind, rules in RULES.items()}


class InexactError(Exception):
    """Plain jmespath would have to round."""


class Plain(functions.Functions):  # type: ignore[misc]  # jmespath ships no types
    """jmespath's own functions on floats, but for what breaks its specification; they note which of them worked."""

    def __init__(self, worked: Counter[str]) -> None:
        self.worked = worked

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        found = super().call_function(function_name, resolved_args)
        self.worked[function_name] += found is not None
        return found

    @functions.signature({"types": ["array", "string"]}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_contains(self, subject: Any, search: Any) -> bool:  # True is not 1, and a number is in no string.
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(strictly(element) == strictly(search) for element in subject)

    @functions.signature({"types": ["object"], "variadic": True})  # type: ignore[untyped-decorator]
    def _func_merge(self, *objects: Any) -> Any:  # jmespath checks the type of the first alone.
        if not all(isinstance(each, dict) for each in objects):
            raise JMESPathTypeError("merge", objects, "?", ["object"])
        return super()._func_merge(*objects)

    @functions.signature({"types": ["array-number"]})  # type: ignore[untyped-decorator]
    def _func_sum(self, numbers: Any) -> Any:
        return exactly(sum(numbers), sum(map(Fraction, numbers)))

    @functions.signature({"types": ["array-number"]})  # type: ignore[untyped-decorator]
    def _func_avg(self, numbers: Any) -> Any:
        found = super()._func_avg(numbers)
        return found if found is None else exactly(found, sum(map(Fraction, numbers)) / len(numbers))


class PlainInterpreter(visitor.TreeInterpreter):  # type: ignore[misc]
    """jmespath's own, but for equality and order across types; it notes the operators' answers."""

    def __init__(self, worked: Counter[str]) -> None:
        super().__init__(visitor.Options(custom_functions=Plain(worked)))
        self.worked = worked

    def visit(self, node: Any, *values: Any, **more: Any) -> Any:
        found = super().visit(node, *values, **more)
        self.worked[node["type"]] += found is not None
        return found

    def visit_comparator(self, node: Any, value: Any) -> Any:
        one, other = (self.visit(child, value) for child in node["children"])
        if node["value"] in ("eq", "ne"):
            found = (strictly(one) == strictly(other)) == (node["value"] == "eq")
        elif isinstance(one, str) != isinstance(other, str):  # jmespath ends in a TypeError here.
            return None
        else:
            found = super().visit_comparator(node, value)
        self.worked[f"{node['value']} {found}"] += found is not None
        return found


def strictly(value: Any) -> Any:
    """The value in a form that Python, too, finds equal only where JMESPath does."""
    if isinstance(value, list):
        return ["array", *map(strictly, value)]
    if isinstance(value, dict):
        return {name: strictly(member) for name, member in value.items()}
    return ("boolean", value) if isinstance(value, bool) else value


def exactly(found: Any, exact: Any) -> Any:
    if Fraction(found) != exact:
        raise InexactError
    return found


class Case:
    """A random expression, and the text of a random body."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self.body = json.dumps(self._object(2))
        self.expression = self._expression(self._random.choice(list(RULES)), self._random.choice((1, 2, 2, 3)))

    def _expression(self, kind: str, depth: int) -> str:
        if self._random.random() < 0.04:
            kind = "any"  # Perhaps one that does not fit.
        rule = self._random.choice(RULES[kind] if depth > 0 else ENDS[kind])
        rule = re.sub(r"#(\w+)", lambda match: self._expression(match[1], depth - 1), rule)
        return re.sub(r"%number", lambda _: json.dumps(self._number()), rule)

    def _number(self) -> float | int:
        """One that binary floats hold exactly."""
        pick = self._random
        whole = pick.choice((0, 1, 2, -1, pick.randint(-9, 9), pick.randint(-(2**40), 2**40)))
        return pick.choice((whole, whole / 1, whole + pick.choice((0.5, 0.25, -0.125))))

    def _text(self) -> str:
        return self._random.choice(("", "a", "ab", "é", "5", "-2.5", "b\U0001f600", '"'))

    def _object(self, depth: int) -> dict[str, Any]:
        pick = self._random
        members: dict[str, Any] = {
            "n": self._number(),
            "m": self._number(),
            "s": self._text(),
            "t": self._text(),
            "b": pick.random() < 0.5,
            "z": None,
            "ns": [self._number() for _ in range(pick.randint(0, 4))],
            "ss": [self._text() for _ in range(pick.randint(0, 3))],
        }
        if depth:
            members["o"] = self._object(depth - 1)
            members["os"] = [self._object(depth - 1) for _ in range(pick.randint(0, 3))]
        if pick.random() < 0.1:
            members[pick.choice(list(members))] = pick.choice((None, 7, "odd", [1, "a"], {}))
        if pick.random() < 0.1:
            del members[pick.choice(list(members))]
        return members


REJECTED = "rejected"


def found_plainly(case: Case, worked: Counter[str]) -> Any:
    with warnings.catch_warnings(
        action="ignore", category=PendingDeprecationWarning
    ):  # Of `é` without quotation marks.
        tree = parser.Parser().parse(case.expression).parsed
    try:
        return strictly(PlainInterpreter(worked).visit(tree, json.loads(case.body)))
    except (JMESPathError, TypeError):
        return REJECTED


def found_exactly(case: Case) -> Any:
    # An array around it, as a body whose expression finds nothing is rejected.
    try:
        (found,) = Envelope(f"[{case.expression}]").records(case.body)
    except Rejected:
        return REJECTED
    return strictly(found)


def has_float(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(has_float, value))
    return any(map(has_float, value.values())) if isinstance(value, dict) else isinstance(value, float)


def test_an_expression_finds_what_plain_jmespath_finds() -> None:
    different, worked = [], Counter[str]()
    for number in range(CASES):
        case = Case(number)
        if "to_string(" in case.expression and any(name in case.expression for name in COMPUTED):
            continue
        try:
            plain = found_plainly(case, worked)
        except InexactError:
            continue
        worked["compared"] += 1
        worked["rejected"] += plain == REJECTED
        exact = found_exactly(case)
        if exact != plain or has_float(exact):
            different.append((number, case.expression, case.body, plain, exact))

    forms = {name.removeprefix("visit_") for name in dir(visitor.TreeInterpreter) if name.startswith("visit_")}
    answers = {
        f"{operator} {answer}" for operator in ("eq", "ne", "lt", "lte", "gt", "gte") for answer in (True, False)
    }
    assert different[:3] == []
    assert {name: worked[name] for name in FUNCTIONS.keys() | forms | answers if worked[name] < 10} == {}
    assert worked["rejected"] < worked["compared"] / 3 > CASES / 5
