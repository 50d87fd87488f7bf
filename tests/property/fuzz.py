"""Fuzzing of message bodies: `python -m tests.property.fuzz [--cases 100000] [--seed 1]`.

Random bodies near the limits, corrupt in their structure and in their characters, are decoded and, operation by
operation, shown to the strict fake in the form in which they came and in the form in which the function would send
them. Every case comes from the seed and its number alone. Exit status 1 where something is not as it must be.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import gzip
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from sluice.message.decoder import Decoder
from sluice.message.operation import Operation, Rejection, SingleWrite
from sluice.message.settings import Settings, Table
from tests.fakes import FakeDynamoDB
from tests.fakes.service import REGION, copied
from tests.strategies import TABLES, Digits, as_json, native
from tests.world import EVENTS, INDEXED_TABLE, VERSIONED, create

ACCOUNT = "123456789012"
"""The function's own."""

TEXT_MARK, DIGITS_MARK = "mArK", "8675309"
"""In every text and in most numbers that are values: neither may stand in a reason."""

# The contract's codes. Those of ITEM_CODES are DynamoDB's own rules, so the service must refuse the operation as well.
ITEM_CODES = {
    "MissingKey", "UnexpectedKeyAttribute", "KeyTypeMismatch", "EmptyKey", "KeyTooLong", "ItemTooLarge",
    "NestingTooDeep", "InvalidNumber", "EmptySet", "DuplicateSetElement", "InvalidAttribute", "InvalidExpression",
}  # fmt: skip
OWN_CODES = {"InvalidJson", "UnknownOperation", "UnknownTable", "MissingVersion"}
RESERVED = ("#sluice_version", ":sluice_version")
"""Placeholders that the contract keeps for itself; the service knows nothing of it."""

Call = tuple[str, dict[str, Any]]
"""A method of a boto3 client and its arguments."""


@dataclass(frozen=True, eq=False)
class Setup:
    """One way in which the function is deployed, and how a body is wrapped for it."""

    settings: Settings
    wrap: Callable[[str], str] = str
    decoder: Decoder = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder", Decoder(self.settings, REGION, ACCOUNT))

    @property
    def tables(self) -> Sequence[Table]:
        return self.settings.tables


def zipped(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(errors="surrogatepass"), 1, mtime=0)).decode()


PLAIN = Setup(Settings(TABLES))
VERSIONS = Setup(Settings((VERSIONED, EVENTS)))
ITEMS = Setup(Settings(TABLES, record_format="item"))
INDEXED = Setup(Settings((INDEXED_TABLE, EVENTS)))
ENVELOPES = (
    Setup(Settings(TABLES, record_expression="detail"), lambda text: f'{{"detail": {text}}}'),
    Setup(
        Settings(TABLES, record_format="item", record_expression='a."b-c"'),
        lambda text: f'{{"a": {{"x": 1e9, "b-c": {text}}}}}',
    ),
    Setup(Settings(TABLES, record_expression="powertools_json(Message)"), lambda text: json.dumps({"Message": text})),
    Setup(
        Settings((VERSIONED, EVENTS), record_expression="powertools_json(Message).detail"),
        lambda text: json.dumps({"Type": "Notification", "Message": f'{{"detail": {text}}}'}),
    ),
    Setup(
        Settings(TABLES, record_expression="powertools_json(powertools_base64_gzip(data))"),
        lambda text: json.dumps({"data": zipped(text)}),
    ),
)
COMPUTED = tuple(
    Setup(Settings(TABLES, record_expression=expression))
    for expression in (
        "@",
        "*",
        "[]",
        "[*].*",
        "[].put",
        "@.put.*",
        "put.{pk: pk, n: n}",
        "[?put.n > `1`].put",
        "keys(@)",
        "values(@)",
        "{put: {pk: put.pk, n: abs(put.n)}}",
        "{put: {pk: put.pk, n: length(put.v)}}",
        "{put: {pk: put.pk, n: sum(put.l)}}",
        "{put: {pk: 'a', n: avg(put.l)}}",
        "{put: {pk: put.pk, n: max(put.l)}}",
        "{put: {pk: put.pk, l: sort(put.l)}}",
        '{put: merge(put, `{"x": 1.5}`)}',
        "{put: {pk: to_string(put.n), n: to_number(put.v)}}",
        "{put: {pk: put.pk, l: reverse(put.l)}}",
        "{put: {pk: put.pk, t: type(put.v), c: contains(put.v, 'a'), j: join(',', put.l)}}",
        "&put",
        "{put: {pk: put.pk, v: not_null(put.v, put.n), m: map(&n, put.l), a: to_array(put.n)}}",
        "sort_by(@, &put.n)",
        "max_by([], &put.n)",
        "powertools_json(put.v)",
        "{put: {pk: powertools_base64(put.v)}}",
        "[0:10:2]",
        "`1e999`",
    )
)


# Values near every limit

TEXTS = ("", "a", "é", "€", "\U0001f600", "\x00", "\uffff", '"\\', "x" * 300)
LENGTHS = (1023, 1024, 1025, 2047, 2048, 2049)
KINDS = ("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")
NUMBERS = (
    "0", "-0", "0.0", "1", "-1", "1.0", "1e0", "10E-1", "1e125", "9.9e125", "1e126", "-1e126", "1e-130", "9e-131",
    "1e-131", "0e5", "0." + "0" * 130 + "1", "1" + "0" * 125, "1" + "0" * 126, "9" * 38, "9" * 39, "1" * 38 + "0" * 80,
    "1." + "0" * 60, "1e99999", "-1e-99999", "1e" + "9" * 17, "1e" + "9" * 20, "-2.5e-" + "9" * 26, "1e0000000001",
)  # fmt: skip
ODD_NUMBER_TEXTS = ("", "+1", ".5", "5.", "1_0", " 1", "1 ", "NaN", "Infinity", "0x1", "\u0661", "1e", "-", "--1")
NAMES = ("pk", "sk", "id", "n", "v", "x", "é", "l", "m", "S", "B", "size", "a-b", "\x00", "")
CONDITIONS = (
    "attribute_not_exists(pk)", "attribute_exists(#a)", "#a = :a", "#a <> :a AND NOT (v < :b)", "v IN (:a, :b)",
    "v BETWEEN :a AND :a", "begins_with(v, :s)", "contains(v, :a)", "size(v) > :n", "attribute_type(v, :t)",
    "(v = :a OR (#a.#b = :b))", "l[0] = :a AND m.x.y = :b",
)  # fmt: skip
UPDATES = (
    "SET v = :a", "SET #a = :a, #b = :b", "REMOVE v", "REMOVE #a, #b", "ADD n :n", "ADD #a :n SET #b = :a",
    "SET n = if_not_exists(n, :n) + :n", "SET l = list_append(if_not_exists(l, :l), :l)", "DELETE x :ss",
    "SET pk = :a", "remove #k", "set v=:a remove x add n :n", "SET #a=:a",
)  # fmt: skip
ODD_EXPRESSIONS = (
    "", " ", "SET", "v = :a)", "(v = :a", "v = :a) OR (v = :a", "SET v = :a SET v = :a", "SET v :a", "v ==", "é = :a",
    "#sluice_version = :a", "v < :sluice_version", "SET a.b.c = :a, a.b = :a", "size(v)", "x" * 4096, "x" * 4097,
    "v = :a" + " " * 4090, "v = :a" + " " * 4091, "no_function(v)", "SELECT", "NOT NOT NOT v = :a", "SET , v = :a",
)  # fmt: skip


def _text(random: Random) -> str:
    if random.random() < 0.1:
        letter = random.choice("xé€")
        return TEXT_MARK + letter * ((random.choice(LENGTHS) - len(TEXT_MARK)) // len(letter.encode()))
    text = random.choice(TEXTS)
    return text if random.random() < 0.1 else TEXT_MARK + text


def _number(random: Random) -> Digits:
    choice = random.random()
    if choice < 0.4:
        return Digits(random.choice(NUMBERS))
    if choice < 0.7:
        return Digits(f"{random.choice(['', '-'])}{DIGITS_MARK}{random.choice(['', '.5', 'e100', '0' * 200])}")
    exponent = random.choice([0, 1, 5, 85, 86, 87, 124, 126, -129, -130, -131])
    return Digits(f"{random.randint(1, 10 ** random.choice([1, 20, 37, 38, 39]))}e{exponent}")


def _numbers(random: Random) -> list[Digits]:
    """A list of numbers as long as an embedding's, in which now and then one is odd."""
    count = random.choice([15, 16, 17, 40])
    numbers = [
        Digits(random.choice(["", "-"]) + f"{random.random():.{random.choice([1, 5, 17])}f}") for _ in range(count)
    ]
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        numbers[random.randrange(count)] = random.choice([_number(random), Digits("-0.0"), Digits("-0"), Digits("1e5")])
    return numbers


def _nested(random: Random, innermost: Any, wrap: Callable[[Any], Any]) -> Any:
    for _ in range(random.choice([1, 2, 28, 29, 30, 31, 32])):
        innermost = wrap(innermost)
    return innermost


def _plain_value(random: Random, depth: int = 0) -> Any:
    match random.randrange(11 if depth < 3 else 6):
        case 0 | 1:
            return _text(random)
        case 2 | 3:
            return _number(random)
        case 4:
            return random.choice([True, False])
        case 5:
            return random.choice([None, [], {}])
        case 6:
            return [_plain_value(random, depth + 1) for _ in range(random.randrange(3))]
        case 7:
            return {random.choice(NAMES): _plain_value(random, depth + 1) for _ in range(random.randrange(3))}
        case 8:
            return _nested(random, _plain_value(random, 3), lambda value: [value])
        case 9:
            return _nested(random, _numbers(random), lambda value: [value]) if depth else _numbers(random)
    return _nested(random, _plain_value(random, 3), lambda value: {"x": value})


def _native_value(random: Random, depth: int = 0) -> Any:
    match random.randrange(15 if depth < 3 else 8):
        case 0 | 1:
            return {"S": _text(random)}
        case 2 | 3:
            odd = random.random() < 0.1
            return {"N": random.choice(ODD_NUMBER_TEXTS) if odd else str(_number(random))}
        case 4:
            return {"B": _binary(random)}
        case 5:
            return {"BOOL": random.choice([True, False])}
        case 6:
            return {"NULL": random.random() < 0.9}
        case 7:
            return {random.choice(["L", "M"]): random.choice([[], {}])}
        case 8:
            return {"L": [_native_value(random, depth + 1) for _ in range(random.randrange(3))]}
        case 9:
            return {"M": {random.choice(NAMES): _native_value(random, depth + 1) for _ in range(random.randrange(3))}}
        case 10:
            return {"SS": [_text(random) for _ in range(random.randrange(4))]}
        case 11:
            return {"NS": [str(_number(random)) for _ in range(random.randrange(4))]}
        case 12:
            return {"BS": [_binary(random) for _ in range(random.randrange(3))]}
        case 13:
            more = [random.choice((*ODD_NUMBER_TEXTS, "1,2", '1"'))] if random.random() < 0.2 else []
            return {"L": [{"N": str(number)} for number in [*_numbers(random), *more]]}
    return _nested(random, {"S": _text(random)}, random.choice([lambda v: {"L": [v]}, lambda v: {"M": {"x": v}}]))


def _binary(random: Random) -> str | bytes:
    if random.random() < 0.1:
        return random.choice(["no base64", "YQ", "YQ==\n", "=", "é", "QUJD=", "QUJD====", "YQ==="])
    return random.choice([b"", TEXT_MARK.encode(), b"\x00\xff", b"b" * random.choice(LENGTHS)])


# Operations


def _key(random: Random, table: Table, as_native: bool) -> dict[str, Any]:
    """Mostly a good key; sometimes one at a limit, of another type, or with a part missing."""
    key: dict[str, Any] = {}
    for attribute in table.key:
        kind = attribute.type if random.random() < 0.93 else random.choice(["S", "N", "B", "BOOL", ""])
        near = random.random() < 0.2
        value: Any = {
            "S": _text(random) if near else "a",
            "N": _number(random) if near else Digits("1"),
            "B": _binary(random) if near else b"a",
            "BOOL": True,
        }.get(kind)
        if kind:
            key[attribute.name] = {kind: str(value) if kind == "N" else value} if as_native else value
    return key


def _item(random: Random, table: Table, as_native: bool) -> dict[str, Any]:
    value = _native_value if as_native else _plain_value
    item = _key(random, table, as_native)
    item |= {random.choice(NAMES[3:]): value(random) for _ in range(random.randrange(4))}
    if table.version is not None and random.random() < 0.8:
        version = random.choice([Digits("1"), Digits("2.50"), "2026-01-01"])
        item[table.version] = native(version) if as_native else version
    if random.random() < 0.004:  # 400 KB, and a byte more or less; the dearest cases.
        text = TEXT_MARK * ((400 * 1024 - random.randrange(16)) // len(TEXT_MARK))
        item["pad"] = {"S": text} if as_native else text
    return item


def _placeholders(random: Random, text: str, as_native: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an expression needs; now and then one too many or one too few."""
    usual: dict[str, Any] = {":n": Digits("1"), ":l": [Digits("1")], ":t": "S", ":s": "s"}
    value = _native_value if as_native else _plain_value
    names = {name: random.choice(["v", "x", "a-b"]) for name in sorted(set(re.findall(r"#\w+", text)))}
    names |= {name: {"#b": "y", "#k": "pk"}[name] for name in names.keys() & {"#b", "#k"}}
    values: dict[str, Any] = {}
    for name in sorted(set(re.findall(r":\w+", text))):
        known = usual.get(name, TEXT_MARK)
        if name == ":ss":
            values[name] = {"SS": ["a"]}
        elif random.random() < 0.1 and name in (":a", ":b"):
            values[name] = value(random)
        else:
            values[name] = native(known) if as_native else known
    for given, extra in ((names, "#" + random.choice("xyé")), (values, ":" + random.choice("xy-"))):
        if given and random.random() < 0.03:
            given.pop(next(iter(given)))
        if random.random() < 0.02:
            given[extra] = "x" if given is names else value(random)
    if random.random() < 0.01:  # A value's placeholder among the names, which an expression even uses.
        names[":a"] = "x"
        values.pop(":a", None)
    if random.random() < 0.01:
        values["#a"] = value(random)
        names.pop("#a", None)
    return names, values


def _expressions(random: Random, action: str, as_native: bool) -> dict[str, Any]:
    members = (
        ("ConditionExpression", "UpdateExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
        if as_native
        else ("condition", "expression", "names", "values")
    )
    found: dict[str, Any] = {}
    for member, choices, share in ((members[0], CONDITIONS, 0.3), (members[1], UPDATES, action == "Update")):
        if random.random() < share:
            found[member] = random.choice(choices if random.random() < 0.9 else ODD_EXPRESSIONS)
    names, values = _placeholders(random, " ".join(found.values()), as_native)
    return found | ({members[2]: names} if names else {}) | ({members[3]: values} if values else {})


def _table_name(random: Random, table: Table) -> str:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table.name}"
    elsewhere = arn.replace(REGION, "eu-west-1")
    others = arn.replace(ACCOUNT, "999999999999")
    odd = ["", "nowhere", table.name + "/index/i", elsewhere, others, arn + "x", f"../{table.name}", table.name.upper()]
    return random.choice([table.alias, table.name, arn] * 10 + odd)


def _element(random: Random, setup: Setup) -> Any:
    table = random.choice(setup.tables)
    if setup.settings.record_format == "item":
        return _item(random, setup.tables[0], as_native=False)
    action = random.choice(["Put", "Put", "Delete", "Update"])
    match random.randrange(5):
        case 0 | 1:
            content = _item(random, table, False) if action == "Put" else _key(random, table, False)
            element = {action.lower(): content, **_expressions(random, action, as_native=False)}
            if action == "Delete" and table.version is not None and random.random() < 0.8:
                element["version"] = _plain_value(random, 3)
            return element | ({"table": _table_name(random, table)} if random.random() < 0.9 else {})
        case 2 | 3:
            content = _item(random, table, True) if action == "Put" else _key(random, table, True)
            element = {"Item" if action == "Put" else "Key": content, **_expressions(random, action, as_native=True)}
            return {action: element | ({"TableName": _table_name(random, table)} if random.random() < 0.9 else {})}
    requests: dict[str, list[Any]] = {}
    for _ in range(random.randrange(1, 4)):
        is_put = random.random() < 0.7
        table = random.choice(setup.tables)
        content = {"Item": _item(random, table, True)} if is_put else {"Key": _key(random, table, True)}
        request = {"PutRequest" if is_put else "DeleteRequest": content}
        requests.setdefault(_table_name(random, table), []).append(request)
    return {"RequestItems": requests} if random.random() < 0.7 else next(iter(requests.values()))[0]


def _record(random: Random, _: Setup) -> Any:
    """What the expressions of COMPUTED calculate with."""
    numbers = [_number(random) for _ in range(random.randrange(4))]
    text = random.choice([_text(random), "1.50", '{"put": {"pk": "a"}}', zipped("[]"), base64.b64encode(b"a").decode()])
    return {"put": {"pk": "a", "v": text, "n": _number(random), "l": random.choice([numbers, ["a", "b"], text])}}


# Spoiling

STRUCTURES: Sequence[Any] = (
    None,
    True,
    "",
    [],
    {},
    [[]],
    {"S": "a"},
    {"": ""},
    [None],
    Digits("1"),
    Digits("1e" + "9" * 22),
)
WORDS = (
    "put",
    "delete",
    "update",
    "table",
    "version",
    "condition",
    "names",
    "values",
    "Put",
    "Key",
    "Item",
    "RequestItems",
    "PutRequest",
    "TableName",
    "S",
    "N",
    "B",
    "SS",
    "M",
    "L",
    "odd",
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if len(at) < 8:
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, member in members:
            yield from _places(member, (*at, step))


def _corrupt(random: Random, body: Any) -> Any:
    """One place of a body replaced, removed, renamed, wrapped or doubled; changes the body in place."""
    *path, last = random.choice(list(_places([body]))[1:])
    root: Any = [body]
    parent = root
    for step in path:
        parent = parent[step]
    match random.randrange(6):
        case 0 | 1:
            parent[last] = copied(random.choice(STRUCTURES))
        case 2 if isinstance(parent, dict):
            del parent[last]
        case 3 if isinstance(parent, dict):
            parent[random.choice(WORDS)] = parent.pop(last)
        case 4 if isinstance(parent, dict):
            parent[random.choice(WORDS)] = copied(random.choice([parent[last], *STRUCTURES]))
        case _:
            parent[last] = random.choice([[parent[last]], {"S": parent[last]}, {"M": parent[last]}, [parent[last]] * 2])
    return root[0]


TOKENS = ('"', "\\", "{", "}", "[", "]", ",", ":", "\\u", "\\ud800", "\\udc00", "0", "-", "e9", ".", "\x00", "\n", "é",
          "\ud800", "\ufeff", "NaN", "Infinity", "null", "true", " ", "//", "'", "\U0001f600")  # fmt: skip


def _spelled(random: Random, text: str) -> str:
    """The same JSON with other white space, or with a member before others that may be of the same name."""
    if random.random() < 0.5:
        return text.replace(", ", random.choice([",", " ,\t", ",\n\r  "]))
    start = random.choice([match.end() for match in re.finditer("{", text)] or [0])
    member = random.choice(
        ['"pk": "twice", ', '"put": {"pk": "twice"}, ', '"v": 1, ', '"S": "twice", ', '"condition": "v", ']
    )
    return text[:start] + member + text[start:]


def _garbled(random: Random, text: str) -> str:
    """A few characters of a body put in, taken out or replaced."""
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice([0, 0, 1, 1, 2, 30]))
        text = text[:start] + random.choice(["", *TOKENS]) + text[end:]
    return text[: random.randrange(len(text) + 1)] if random.random() < 0.05 else text


@dataclass(frozen=True, slots=True)
class Case:
    """A body for one setup; `inner` is what stands inside its envelope, None where nobody can say."""

    setup: Setup
    body: str
    inner: str | None


def case_of(seed: int, number: int) -> Case:
    """The case of this number: the same in every run, on every machine."""
    random = Random(f"{seed}/{number}")
    setup = random.choice(
        [PLAIN] * 8 + [VERSIONS] * 4 + [ITEMS, INDEXED] + [random.choice(ENVELOPES)] * 2 + [random.choice(COMPUTED)]
    )
    build = _record if setup in COMPUTED else _element
    elements = [build(random, setup) for _ in range(random.choice([1, 1, 1, 1, 2, 3]))]
    body: Any = elements[0] if len(elements) == 1 and random.random() < 0.8 else elements
    for _ in range(random.choice([0, 0, 0, 1, 1, 2, 3])):
        body = _corrupt(random, body)
    text = as_json(body)
    if random.random() < 0.1:
        text = _spelled(random, text)
    if random.random() < 0.15:
        text = _garbled(random, text)
    wrapped = setup.wrap(text)
    if setup in COMPUTED:
        return Case(setup, wrapped, None)
    if setup.settings.record_expression is not None and random.random() < 0.2:
        return Case(setup, _garbled(random, wrapped), None)
    return Case(setup, wrapped, text)


# What the service says of an operation as its producer wrote it


def _refuse(_: str) -> Any:
    raise ValueError


def _parsed(text: str) -> Any:
    return json.loads(text, parse_int=Digits, parse_float=Digits, parse_constant=_refuse)


def _as_sent(value: Any) -> Any:
    """DynamoDB JSON as boto3 takes it: binary decoded, and a JSON number no text."""
    if isinstance(value, Digits):
        return 0
    if isinstance(value, list):
        return [_as_sent(element) for element in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(kind, content)] = value.items()
        if kind == "B" and type(content) is str:
            return {"B": _decoded(content)}
        if kind == "BS" and isinstance(content, list):
            return {"BS": [_decoded(member) if type(member) is str else member for member in content]}
        if kind == "N" and type(content) is str:
            return {"N": _without_zero(content)}
        if kind == "NS" and isinstance(content, list):
            return {"NS": [_without_zero(each) if type(each) is str else _as_sent(each) for each in content]}
    return {name: _as_sent(member) for name, member in value.items()}


def _without_zero(text: str) -> str:
    """Zero as 0: the service refuses 0e999, the contract takes every number that it can keep."""
    return "0" if re.fullmatch(r"[+-]?(0+\.?0*|\.0+)([eE][+-]?[0-9]+)?", text) else text


def _decoded(text: str) -> bytes | str:
    try:
        binary = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
    return binary if base64.b64encode(binary).decode().count("=") == text.count("=") else text


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


PLAIN_MEMBERS = {
    "condition": "ConditionExpression",
    "expression": "UpdateExpression",
    "names": "ExpressionAttributeNames",
    "values": "ExpressionAttributeValues",
}


def call_as_written(element: Any, setup: Setup, table: Any = None) -> Call | None:
    """The call that an element stands for by the contract's table of forms; None where it stands for none.

    `table` is the key of RequestItems under which it stands.
    """
    if setup.settings.record_format == "item":
        element = {"put": element}
    if not isinstance(element, dict):
        return None
    names = {name: each.name for each in setup.tables for name in (each.alias, each.name, _arn(each))}
    default = setup.tables[0].name
    for action in ("put", "delete", "update"):
        if action in element:
            return _plain_call(action, element, names.get(_hashable(element.get("table", default))))
    for action in ("Put", "Delete", "Update"):
        if _is_map(element.get(action)):
            name = names.get(_hashable(element[action].get("TableName", default)))
            arguments = _as_sent(element[action]) | {"TableName": name}
            return None if name is None else (f"{action.lower()}_item", arguments)
    name = names.get(default if table is None else table)
    if len(element) != 1 or name is None:
        return None
    return "batch_write_item", {"RequestItems": {name: [_as_sent(element)]}}


def _plain_call(action: str, element: dict[str, Any], table: str | None) -> Call | None:
    if table is None or not _is_map(element[action]):
        return None
    arguments = {PLAIN_MEMBERS[name]: member for name, member in element.items() if name in PLAIN_MEMBERS}
    if isinstance(values := arguments.get("ExpressionAttributeValues"), dict):
        arguments["ExpressionAttributeValues"] = {name: native(value) for name, value in values.items()}
    content = {name: native(value) for name, value in element[action].items()}
    arguments["Item" if action == "put" else "Key"] = content
    return f"{action}_item", {**_as_sent(arguments), "TableName": table}


def _arn(table: Table) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table.name}"


def _hashable(name: Any) -> str:
    return name if isinstance(name, str) and not isinstance(name, Digits) else ""


def call_as_decoded(operation: Operation) -> Call:
    """The call that the function makes of an operation, alone."""
    if isinstance(operation, SingleWrite):
        return operation.call, {"TableName": operation.table, **operation.request}
    return "batch_write_item", {"RequestItems": {operation.table: [operation.request]}}


@dataclass(frozen=True, slots=True)
class Effect:
    """What the service does with a call: the items that it leaves in tables that were empty, or its refusal."""

    refusal: str = ""
    items: Any = None

    @property
    def is_about_an_expression(self) -> bool:
        return self.refusal.startswith(EXPRESSION_REFUSALS)


# What only the service looks for, because it takes its grammar or the stored item to see it.
EXPRESSION_REFUSALS = (
    "Invalid ConditionExpression: ",
    "Invalid UpdateExpression: ",
    "The provided expression refers to an attribute that does not exist in the item",
    "The document path provided in the update expression is invalid for update",
    "An operand in the update expression has an incorrect data type",
)


# An update shows what it makes of an index key only where it is applied.
INDEX_REFUSALS = (
    "One or more parameter values were invalid: Type mismatch for Index Key",
    "One or more parameter values are not valid. A value specified for a secondary index key",
)


def effect(call: Call, setup: Setup) -> Effect:
    """What the strict fake does with the call."""
    db = FakeDynamoDB()
    for table in setup.tables:
        create(db, table)
    method, arguments = call
    try:
        getattr(db, method)(**arguments)
    except ParamValidationError as error:  # botocore does not even send it.
        return Effect(f"Parameter validation failed: {error}")
    except ClientError as error:
        code, words = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if code != "ConditionalCheckFailedException":
            return Effect(words if code == "ValidationException" else f"{code}: {words}")
    except TypeError as error:  # A member that is no parameter of the call.
        return Effect(f"TypeError: {error}")
    return Effect(items=[db.items(table.name) for table in setup.tables])


def _brief(of: Effect) -> str:
    """The kind of a refusal, without what differs from case to case."""
    return re.split(r"[:;]\s", of.refusal)[0][:80] or "other items are stored"


# Judging


@dataclass(slots=True)
class Verdict:
    """What became of a case: an outcome for each operation, and what is not as it must be."""

    outcomes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def judge(case: Case) -> Verdict:
    """Decode the case and compare each of its operations with what the service says."""
    verdict = Verdict()
    try:
        message = case.setup.decoder.decode({"messageId": "m", "body": case.body})
    except Exception as error:  # noqa: BLE001  # Whatever it is, no body may raise it.
        verdict.outcomes.append("raised")
        verdict.problems.append(f"raised {type(error).__name__}")
        return verdict
    for source, rejection in message.rejected:
        verdict.outcomes.append(rejection.code)
        _judge_reason(rejection, case, verdict)
        if source is not None and case.inner is not None and rejection.code in ITEM_CODES:
            if "leaves no room for that of the version" in rejection.message:
                continue  # The contract's own: the service never sees the two conditions together.
            _judge_rejection(rejection, *_written(case, source), case.setup, verdict)
    for operation in message.operations:
        _judge_operation(operation, case, verdict)
    return verdict


def _judge_reason(rejection: Rejection, case: Case, verdict: Verdict) -> None:
    if rejection.code not in ITEM_CODES | OWN_CODES:
        verdict.problems.append(f"{rejection.code} is no code of the contract")
    for mark in (TEXT_MARK, DIGITS_MARK):
        if mark in rejection.message and mark not in _names(case):
            verdict.problems.append(f"the reason of {rejection.code} holds a value")


def _names(case: Case) -> str:
    """All that a body uses as a name, by its corrupt structure; a reason may say names."""
    found: list[str] = []

    def keep(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(name for name, _ in members)
        found.extend(str(value) for name, value in members if name in ("table", "TableName"))
        return dict(members)

    try:
        json.loads(case.body if case.inner is None else case.inner, object_pairs_hook=keep)
    except ValueError:
        return ""
    return " ".join(found)


def _written(case: Case, source: Any) -> tuple[Any, str | None]:
    """The operation as it stands in the body, and the key of RequestItems under which it stands."""
    assert case.inner is not None
    body = _parsed(case.inner)
    element = body[source.element] if isinstance(body, list) else body
    if source.table is None:
        return element, None
    return element["RequestItems"][source.table][source.position], source.table


def _judge_rejection(rejection: Rejection, element: Any, table: str | None, setup: Setup, verdict: Verdict) -> None:
    call = call_as_written(element, setup, table)
    if call is None or (_is_map(element) and "version" in element):
        return
    names = call[1].get("ExpressionAttributeNames")
    if rejection.code == "InvalidExpression" and (
        any(name in str(element) for name in RESERVED) or (isinstance(names, dict) and "" in names.values())
    ):
        return  # Rules of the contract's own.
    if not effect(call, setup).refusal:
        verdict.problems.append(f"rejected as {rejection.code}, but the service takes it")


def _judge_operation(operation: Operation, case: Case, verdict: Verdict) -> None:
    decoded = effect(call_as_decoded(operation), case.setup)
    if not decoded.refusal:
        verdict.outcomes.append("accepted")
    elif decoded.is_about_an_expression or (_is_update(operation) and decoded.refusal.startswith(INDEX_REFUSALS)):
        verdict.outcomes.append("accepted, its expression refused")
    else:
        verdict.problems.append(f"accepted, but refused by the service: {_brief(decoded)}")
    if case.inner is None:
        return
    call = call_as_written(*_with_setup(case, operation))
    if call is None:
        verdict.problems.append("accepted, though it is no operation")
        return
    written = effect(call, case.setup)
    if bool(written.refusal) != bool(decoded.refusal) or written.items != decoded.items:
        verdict.problems.append(f"not what was written: {_brief(written)}")


def _is_update(operation: Operation) -> bool:
    return isinstance(operation, SingleWrite) and operation.call == "update_item"


def _with_setup(case: Case, operation: Operation) -> tuple[Any, Setup, str | None]:
    element, table = _written(case, operation.source)
    return element, case.setup, table


def shortest(case: Case, problem: str) -> Case:
    """A case with a part of the body that has the same problem; nothing where it lies in the envelope."""
    if case.inner is None:
        return case
    text, size = case.inner, max(1, len(case.inner) // 2)
    for _ in range(50):
        for start in range(0, len(text), size):
            shorter = text[:start] + text[start + size :]
            if problem in _problems(replace(case, body=case.setup.wrap(shorter), inner=shorter)):
                text = shorter
                break
        else:
            if size == 1:
                break
            size //= 2
    return replace(case, body=case.setup.wrap(text), inner=text)


def _problems(case: Case) -> list[str]:
    try:
        return judge(case).problems
    except (LookupError, TypeError, ValueError):  # Shortened until nothing stands there any more.
        return []


@dataclass(slots=True)
class Report:
    """The outcomes of a run, and the first case of each problem."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Case] = field(default_factory=dict)


def run(cases: int, seed: int) -> Report:
    """Judge so many cases of a seed."""
    report = Report()
    for number in range(cases):
        case = case_of(seed, number)
        verdict = judge(case)
        report.outcomes.update(verdict.outcomes)
        report.problems.update(verdict.problems)
        for problem in verdict.problems:
            report.examples.setdefault(problem, case)
    return report


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.property.fuzz", description="Fuzz the message decoder.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    report = run(options.cases, options.seed)
    lines = [f"{count:>10,}  {outcome}" for outcome, count in report.outcomes.most_common()]
    lines.append(f"{options.cases:>10,}  cases of seed {options.seed} in {time.monotonic() - started:.0f} s")
    lines.append(f"{report.problems.total():>10,}  disagreements")
    for problem, count in report.problems.most_common(20):
        case = shortest(report.examples[problem], problem)
        expression = case.setup.settings.record_expression
        lines += ["", f"{count:,} x {problem}", f"  {case.body[:2000]!a}"]
        lines += [f"  RECORD_EXPRESSION {expression}"] if expression else []
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
