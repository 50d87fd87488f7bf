"""Random message bodies with what each of their operations is to do, and random trouble on the way.

What a body means is written down here from the contract, beside the text that says it; the code under test has no say.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hypothesis import seed, settings
from hypothesis import strategies as st

from sluice.message.settings import KeyAttribute, Table
from tests.fakes import (
    Clock,
    ConnectionLost,
    Delay,
    Fault,
    Refusal,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    UnprocessedIf,
)
from tests.fakes.attribute_values import Item, canonical_item, typed
from tests.fakes.service import ACCOUNT, REGION
from tests.world import BLOBS, EVENTS, ORDERS

PAIRS = Table("pairs", "pairs-table", KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
COUNTS = Table("counts", "counts-table", KeyAttribute("n", "N"))
COPIES = Table("copies", "copies-table", KeyAttribute("pk", "S"))
TABLES = (ORDERS, EVENTS, BLOBS, PAIRS, COUNTS, COPIES)

Identity = tuple[Any, ...]
"""A table's name and the typed values of the key."""


def examples(share: float) -> settings:
    """Settings for a property with cheap or dear examples: this many times the profile's number, at least 5."""
    assert settings.default is not None
    return settings(max_examples=max(5, round(settings.default.max_examples * share)))


MAX_ROUNDS = 40


def until_seen(holds: Callable[[], None], seen: Counter[str], wanted: AbstractSet[str], times: int = 1) -> None:
    """Run a property, and again with other examples, until all that is `wanted` has been seen so many `times`."""
    rounds(lambda number: (seed(number)(holds) if number else holds)(), seen, wanted, times)


def rounds(run: Callable[[int], None], seen: Counter[str], wanted: AbstractSet[str], times: int = 1) -> None:
    """Run 0, and then others, until all that is `wanted` has been seen so many `times`; 0 is nearly always enough.

    Fails if it has not been in `MAX_ROUNDS`.
    """
    for number in range(MAX_ROUNDS):
        run(number)
        missing = {name for name in wanted if seen[name] < times}
        if not missing:
            return
    raise AssertionError(f"not seen {times} times in {MAX_ROUNDS} rounds: {sorted(missing)}")


# JSON


class Digits(str):
    """A JSON number in exactly this spelling."""

    __slots__ = ()


def as_json(value: Any) -> str:
    """JSON text in which numbers stand as they are spelled and binary stands as base64."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(name)}: {as_json(member)}' for name, member in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_json, value))}]"
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    return json.dumps(value, ensure_ascii=False)


def parsed(text: str) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def native(value: Any) -> dict[str, Any]:
    """DynamoDB JSON of a plain value, by the contract's table."""
    match value:
        case Digits():
            return {"N": str(value)}
        case bool():
            return {"BOOL": value}
        case None:
            return {"NULL": True}
        case str():
            return {"S": value}
        case list():
            return {"L": [native(element) for element in value]}
        case dict():
            return {"M": {name: native(member) for name, member in value.items()}}
    raise TypeError(f"{type(value).__name__} is not plain JSON")


# Numbers


@st.composite
def spelled(draw: st.DrawFn, digits: str, leading: int) -> Digits:
    """One of the many JSON spellings of digits[0].digits[1:] times 10 ** leading."""
    before_point = draw(st.one_of(st.just(leading + 1), st.integers(-5, len(digits) + 5)))
    if before_point <= 0:
        text = "0." + "0" * -before_point + digits
    elif before_point >= len(digits):
        text = digits + "0" * (before_point - len(digits))
    else:
        text = f"{digits[:before_point]}.{digits[before_point:]}"
    if zeros := draw(st.sampled_from([0, 0, 0, 1, 7, 100])):
        text += ("" if "." in text else ".") + "0" * zeros
    if exponent := leading + 1 - before_point:
        sign = draw(st.sampled_from(["", "+"])) if exponent > 0 else "-"
        text += draw(st.sampled_from("eE")) + sign + draw(st.sampled_from(["", "", "0", "00"])) + str(abs(exponent))
    return Digits(draw(st.sampled_from(["", "-"])) + text)


@st.composite
def significant_digits(draw: st.DrawFn, count: int) -> str:
    """`count` digits of which neither the first nor the last is a zero."""
    middle = draw(st.integers(0, 10 ** max(0, count - 2) - 1))
    ends = [str(draw(st.integers(1, 9))) for _ in range(min(count, 2))]
    return (str(middle).rjust(count - 2, "0") if count > 2 else "").join(ends)


COUNTS_THAT_FIT = st.one_of(st.integers(1, 38), st.sampled_from([37, 38]))
EXPONENTS_THAT_FIT = st.one_of(st.integers(-130, 125), st.sampled_from([-130, -129, 0, 124, 125]))
ZEROS = st.sampled_from(["0", "-0", "0.0", "-0.000", "0e5", "0E-400", "0." + "0" * 200]).map(Digits)


@st.composite
def numbers_that_fit(draw: st.DrawFn) -> Digits:
    """38 significant digits at most, and 0 or between 1E-130 and 9.99E+125."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ZEROS)
    digits = draw(COUNTS_THAT_FIT.flatmap(significant_digits))
    return draw(spelled(digits, draw(EXPONENTS_THAT_FIT)))


@st.composite
def numbers_that_do_not_fit(draw: st.DrawFn) -> Digits:
    """Too many significant digits, or beyond the range of DynamoDB's numbers, or of anybody's."""
    match draw(st.sampled_from(["digits", "exponent", "huge"])):
        case "digits":
            count = draw(st.one_of(st.just(39), st.integers(39, 60)))
            leading = draw(EXPONENTS_THAT_FIT)
        case "exponent":
            count = draw(COUNTS_THAT_FIT)
            leading = draw(st.sampled_from([126, 127, 300, 6_144, -131, -132, -300, -6_200]))
        case _:
            power = draw(st.sampled_from(["400", "99999", "9" * 18, "9" * 30]))
            return Digits(f"{draw(st.sampled_from(['1', '-2.5']))}e{draw(st.sampled_from(['', '-']))}{power}")
    return draw(spelled(draw(significant_digits(count)), leading))


# Ordinary data: what producers send, well inside every limit
ordinary_numbers = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.floats(-1e15, 1e15).filter(lambda number: number == 0 or abs(number) > 1e-100).map(repr),
    st.decimals(-(10**9), 10**9, places=2).map(str),
    st.sampled_from(["0", "-0", "0.0", "-0.0", "-0.5", "1e5", "1.50", "12345678901234567890.123456789"]),
).map(Digits)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
plain_values = st.recursive(
    st.one_of(texts, texts, ordinary_numbers, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
native_values = st.recursive(
    st.one_of(
        plain_values.map(native),
        st.binary(max_size=20).map(lambda binary: {"B": binary}),
        st.lists(texts, min_size=1, max_size=3, unique=True).map(lambda members: {"SS": members}),
        st.lists(st.binary(max_size=20), min_size=1, max_size=3, unique=True).map(lambda members: {"BS": members}),
        st.just({"NS": ["1", "-2.50", "0", "-0.5", "2.1e-05"]}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda elements: {"L": elements}),
        st.dictionaries(names, inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)


# Operations


@dataclass(frozen=True, slots=True, eq=False)
class Intent:
    """One operation of a body as its producer means it: a put, a delete (no `item`), or a mistake (with its `code`)."""

    json: Any
    """The operation as it stands in the body; for one of RequestItems (table as named there, request)."""
    key: Identity = ()
    item: Item | None = None
    """The item as DynamoDB is to store it."""
    code: str | None = None
    poison: bool = False
    """Only the service can find out that this operation is bad."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a message, and its operations in the order in which they stand there."""

    text: str
    intents: tuple[Intent, ...]
    parses: bool = True


def flattened(body: Any) -> list[Any]:
    """The operations in a parsed body, as `Intent.json` gives them."""
    operations: list[Any] = []
    for element in body if isinstance(body, list) else [body]:
        if isinstance(element, dict) and set(element) == {"RequestItems"} and isinstance(element["RequestItems"], dict):
            for table, requests in element["RequestItems"].items():
                operations.extend((table, request) for request in requests)
        else:
            operations.append(element)
    return operations


NAMES = ("a", "b", "a1", "a$", "é", "a" * 2048)
# Spellings of one number stand together. (a, 11) and (a1, 1) are the same text when they are joined.
NUMBERS = (("1", "1.0", "1e0", "10E-1"), ("11", "1.1e+1"), ("-1", "-1.00"), ("0", "-0", "0e3"), ("0.1", "1e-1"))
# Joined by nothing or by the character itself, the two of each line are the same text.
PAIR_KEYS = [key for sign in "$#:|" for key in ((f"a{sign}", "b"), ("a", f"{sign}b"))]


def key_attributes(table: Table, number: int, spelling: int) -> Item:
    """The key attributes, in DynamoDB JSON, of one of a few items of the table, in one of its spellings."""
    spellings = NUMBERS[number % len(NUMBERS)]
    digits = {"N": spellings[spelling % len(spellings)]}
    if table is EVENTS:
        return {"pk": {"S": NAMES[number % 3]}, "sk": digits}
    if table is PAIRS:
        first, second = PAIR_KEYS[number % len(PAIR_KEYS)]
        return {"pk": {"S": first}, "sk": {"S": second}}
    if table is COUNTS:
        return {"n": digits}
    if table is BLOBS:
        return {"id": {"B": [b"a", b"\x00", b"a\x00", b"\xff" * 2048][number % 4]}}
    return {"pk": {"S": NAMES[number % len(NAMES)]}}


def identity(table: Table, attributes: Item) -> Identity:
    return (table.name, *(typed(attributes[key.name]) for key in table.key))


PLAIN_ATTRIBUTES: Sequence[dict[str, Any]] = (
    {},
    {"price": Digits("1.10"), "tags": ["é", None, True, []]},
    {
        "count": Digits("12345678901234567890123456789012345678"),
        "more": {"empty": "", "deep": {"x": [Digits("-1E-130")]}},
    },
    {"text": "x" * 3000},
)
NATIVE_ATTRIBUTES: Sequence[Item] = (
    {},
    {"price": {"N": "1.10"}, "set": {"NS": ["1", "-2.50"]}},
    {"blob": {"B": b"\x00\xff"}, "blobs": {"BS": [b"", b"a"]}, "words": {"SS": ["", "é"]}},
    {"text": {"S": "x" * 3000}},
)


def _nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


# Each is bad by itself, wherever it stands; the code is the contract's.
MISTAKES: Sequence[tuple[str, Any]] = (
    ("MissingKey", {"put": {"v": "x"}}),
    ("KeyTypeMismatch", {"put": {"pk": Digits("1")}}),
    ("EmptyKey", {"delete": {"pk": ""}}),
    ("KeyTooLong", {"delete": {"pk": "é" * 1025}}),
    ("UnexpectedKeyAttribute", {"delete": {"pk": "a", "v": "x"}}),
    ("UnknownTable", {"put": {"pk": "a"}, "table": "nowhere"}),
    ("UnknownTable", {"Delete": {"Key": {"pk": {"S": "a"}}, "TableName": "nowhere"}}),
    ("UnknownOperation", {"replace": {"pk": "a"}}),
    ("InvalidExpression", {"put": {"pk": "a"}, "condition": "attribute_not_exists(#p)"}),
    ("InvalidExpression", {"update": {"pk": "a"}, "expression": "SET pk = :v", "values": {":v": Digits("1")}}),
    ("UnknownOperation", {"PutRequest": {}}),
    ("UnknownOperation", Digits("1.50")),
    ("UnknownOperation", []),
    ("InvalidNumber", {"put": {"pk": "a", "n": Digits("1." + "1" * 38)}}),
    ("NestingTooDeep", {"put": {"pk": "a", "l": _nested(32)}}),
    ("EmptySet", {"PutRequest": {"Item": {"pk": {"S": "a"}, "s": {"SS": []}}}}),
    ("DuplicateSetElement", {"Put": {"Item": {"pk": {"S": "a"}, "s": {"NS": ["1", "1.0"]}}}}),
    ("InvalidAttribute", {"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": Digits("1")}}}}),
)
MISTAKEN_REQUESTS: Sequence[tuple[str, str, Any]] = (
    ("EmptyKey", "orders", {"PutRequest": {"Item": {"pk": {"S": ""}}}}),
    ("MissingKey", "events-table", {"PutRequest": {"Item": {"pk": {"S": "a"}}}}),
    ("UnknownTable", "nowhere", {"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}),
    ("UnexpectedKeyAttribute", "counts", {"DeleteRequest": {"Key": {"n": {"N": "1"}, "v": {"S": "x"}}}}),
    ("UnknownOperation", "pairs", {"PutRequest": {"Key": {}}}),
    ("InvalidNumber", "orders", {"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": "one"}}}}),
)
NO_JSON = ("{", "nul", '{"put": {"pk": NaN}}', '{"put": {"pk": "\\ud800"}}', "[1, ]")


# Bodies


@dataclass(frozen=True, slots=True)
class Draft:
    """One operation before it has a place in a message."""

    kind: str
    table: Table
    form: str
    key: int
    spelling: int
    name: int
    attributes: int

    def intent(self, marker: str) -> Intent:
        if self.kind == "mistake":
            return self._mistake()
        attributes = key_attributes(self.table, self.key, self.spelling)
        key = identity(self.table, attributes)
        if self.kind == "delete":
            return Intent(self._written("Delete", "Key", attributes), key)
        poison = self.kind == "poison"
        attributes |= {"v": {"S": marker}} | ({"poison": {"BOOL": True}} if poison else {})
        if self.form == "plain" and self.table is not BLOBS:
            attributes |= {name: native(value) for name, value in self._plain_attributes.items()}
        else:
            attributes |= NATIVE_ATTRIBUTES[self.attributes % len(NATIVE_ATTRIBUTES)]
        return Intent(self._written("Put", "Item", attributes), key, canonical_item(attributes), poison=poison)

    @property
    def in_request_items(self) -> bool:
        return self.form == "RequestItems"

    @property
    def _plain_attributes(self) -> dict[str, Any]:
        return PLAIN_ATTRIBUTES[self.attributes % len(PLAIN_ATTRIBUTES)]

    @property
    def _table_name(self) -> str:
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.table.name}"
        return (self.table.alias, self.table.name, arn)[self.name % 3]

    def _mistake(self) -> Intent:
        if self.in_request_items:
            code, table, request = MISTAKEN_REQUESTS[self.key % len(MISTAKEN_REQUESTS)]
            return Intent((table, request), code=code)
        code, element = MISTAKES[(self.key + self.spelling) % len(MISTAKES)]
        return Intent(element, code=code)

    def _written(self, action: str, inner: str, attributes: Item) -> Any:
        """The operation in the form that was drawn, where its table and its values allow it."""
        if self.form == "plain" and self.table is not BLOBS:
            return {action.lower(): {name: _plain(value) for name, value in attributes.items()}} | self._named("table")
        if self.in_request_items:
            return (self._table_name, {f"{action}Request": {inner: attributes}})
        if self.form == "request" and self.table is ORDERS:
            return {f"{action}Request": {inner: attributes}}
        return {action: {inner: attributes} | self._named("TableName")}

    def _named(self, member: str) -> dict[str, str]:
        return {} if self.table is ORDERS and self.name % 2 else {member: self._table_name}


def _plain(value: dict[str, Any]) -> Any:
    [(kind, content)] = value.items()
    match kind:
        case "N":
            return Digits(content)
        case "NULL":
            return None
        case "L":
            return [_plain(element) for element in content]
        case "M":
            return {name: _plain(member) for name, member in content.items()}
    return content


def body_of(drafts: Sequence[Draft], number: int, single: bool) -> Body:
    """The body of message `number`. Neighbours in RequestItems form share one such element."""
    elements: list[Any] = []
    intents: list[Intent] = []
    for position, draft in enumerate(drafts):
        intent = draft.intent(f"{number}.{position}")
        if not draft.in_request_items:
            elements.append(intent.json)
            intents.append(intent)
            continue
        if position == 0 or not drafts[position - 1].in_request_items:
            elements.append({"RequestItems": {}})
        table, request = intent.json
        elements[-1]["RequestItems"].setdefault(table, []).append(request)
        intents.append(intent)
    alone = single and len(elements) == 1 and elements[0] != []  # A body of [] holds no operation at all.
    text = as_json(elements[0] if alone else elements)
    return Body(text, _in_order(intents, flattened(parsed(text))))


def _in_order(intents: Iterable[Intent], operations: list[Any]) -> tuple[Intent, ...]:
    """The intents as they stand in the body: RequestItems puts those of one table together."""
    left = [replace(intent, json=parsed(as_json(_listed(intent.json)))) for intent in intents]
    ordered = []
    for operation in operations:
        position = next(n for n, intent in enumerate(left) if intent.json == _listed(operation))
        ordered.append(replace(left.pop(position), json=operation))
    assert not left, "every operation stands in the body"
    return tuple(ordered)


def _listed(operation: Any) -> Any:
    return list(operation) if isinstance(operation, tuple) else operation


@dataclass(frozen=True, slots=True)
class Bulk:
    """A message of `count` puts of items that no other message touches, over one or two tables."""

    count: int
    tables: int

    def body(self, number: int) -> Body:
        elements, intents = [], []
        for position in range(self.count):
            name = f"bulk-{number}-{position}"
            table = (ORDERS, PAIRS)[position % self.tables]
            item = {"pk": name} if table is ORDERS else {"pk": f"bulk-{number}", "sk": name}
            stored = {attribute: {"S": text} for attribute, text in item.items()}
            elements.append({"put": item, "table": table.alias})
            intents.append(Intent(elements[-1], identity(table, stored), stored))
        return Body(as_json(elements), tuple(intents))


FORMS = ("plain", "request", "transact", "RequestItems")


def drafts(*kinds: str, forms: Sequence[str] = FORMS) -> st.SearchStrategy[Draft]:
    small = st.integers(0, 11)
    return st.builds(
        Draft, st.sampled_from(kinds), st.sampled_from(TABLES), st.sampled_from(forms), small, small, small, small
    )


ALL_KINDS = ("put", "put", "put", "put", "delete", "delete", "delete", "mistake", "poison")
GOOD_KINDS = ("put", "put", "delete")


def _built(parts: Sequence[Any]) -> list[Body]:
    bodies = []
    for number, part in enumerate(parts):
        match part:
            case str():
                bodies.append(Body(part, (Intent(None, code="InvalidJson"),), parses=False))
            case Bulk():
                bodies.append(part.body(number))
            case _:
                bodies.append(body_of(part[0], number, single=part[1]))
    return bodies


def messages(*kinds: str, longest: int = 5, forms: Sequence[str] = FORMS) -> st.SearchStrategy[Any]:
    """The operations of a message, and whether a single one stands outside an array."""
    return st.tuples(st.lists(drafts(*kinds, forms=forms), min_size=1, max_size=longest), st.booleans())


def workloads(*kinds: str) -> st.SearchStrategy[list[Body]]:
    """The messages of one invocation, among them now and then one with more operations than a batch holds."""
    kinds = kinds or ALL_KINDS
    parts = [messages(*kinds)] * 5 + [st.builds(Bulk, st.integers(1, 70), st.sampled_from([1, 2]))]
    if "mistake" in kinds:
        parts.append(st.sampled_from(NO_JSON))
    return st.lists(st.one_of(parts), min_size=1, max_size=10).map(_built)


def single_operations(*kinds: str) -> st.SearchStrategy[list[Body]]:
    """Messages of one operation each."""
    return st.lists(messages(*kinds, longest=1), min_size=1, max_size=30).map(_built)


def request_items(*kinds: str) -> st.SearchStrategy[list[Body]]:
    """Messages that hold all their operations in one RequestItems."""
    return st.lists(messages(*kinds, longest=6, forms=["RequestItems"]), min_size=1, max_size=4).map(_built)


# Trouble


@dataclass(frozen=True, slots=True)
class Sieve:
    """A predicate on (table, request) that holds for `percent` of them, and always for the same ones."""

    seed: int
    percent: int

    def __call__(self, table: str, request: Any) -> bool:
        return zlib.crc32(f"{self.seed} {table} {request}".encode()) % 100 < self.percent


THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
sieves = st.builds(Sieve, st.integers(0, 99), st.sampled_from([10, 50, 90]))
not_written: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Throttle, st.sampled_from(THROTTLES)),
    st.builds(Unprocessed, st.integers(1, 25)),
    st.builds(UnprocessedIf, sieves),
)
unknown_outcome: st.SearchStrategy[Fault] = st.one_of(
    st.builds(ServerError, applied=st.booleans()),
    st.builds(ServerError, st.just("ServiceUnavailable"), st.just(503), st.booleans()),
    st.builds(ConnectionLost, st.booleans()),
    st.builds(Timeout, st.booleans()),
)
refusals: st.SearchStrategy[Fault] = st.sampled_from(
    [Refusal("AccessDeniedException", "not allowed"), Refusal("ResourceNotFoundException", "no such table")]
)


def delays(clock: Clock, fault: st.SearchStrategy[Fault | None]) -> st.SearchStrategy[Fault]:
    return st.builds(Delay, st.sampled_from([0.5, 4.0, 21.0]), st.just(clock), fault)


def schedules(*faults: st.SearchStrategy[Any], longest: int = 12) -> st.SearchStrategy[list[Fault | None]]:
    """What happens to the first calls, one a call; None lets a call through."""
    return st.lists(st.one_of(st.none(), *faults), max_size=longest)
