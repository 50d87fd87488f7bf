"""What becomes of Python values on the way to the function, and what has no way."""

from __future__ import annotations

import base64
import enum
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.message.decoder import Decoder
from sluice.message.operation import Operation
from sluice.message.settings import Settings
from sluice.producer.element import Extras, element, item
from sluice.producer.errors import InvalidRecordError
from tests.strategies import TABLES
from tests.world import BLOBS

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=200)


class Colour(enum.Enum):
    RED = "red"
    FIVE = 5


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.StrEnum):
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    price: Decimal


@dataclass
class Order:
    pk: str
    lines: list[Line]
    when: datetime


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


@attrs.define
class Attributed:
    sku: str
    price: Decimal


class Struct(msgspec.Struct):
    sku: str
    when: date


class Model(pydantic.BaseModel):
    pk: str
    tags: set[str]
    lines: list[Line]
    hidden: str = pydantic.Field(default="secret", exclude=True)


class OldModel:
    """As pydantic's before its version 2."""

    __fields__: ClassVar = {"sku": None}

    def dict(self) -> dict[str, Any]:
        return {"sku": "s"}


class Scalar:
    """What numpy's scalars and arrays without dimensions offer; numpy itself is not needed, here either."""

    def __init__(self, value: Any, kind: str = "i", text: str = "", shape: tuple[int, ...] = ()) -> None:
        self._value, self._text = value, text
        self.shape = shape
        self._kind = kind

    @property
    def dtype(self) -> Any:
        return type("dtype", (), {"kind": self._kind})

    def item(self) -> Any:
        return self if self._value is None else self._value

    def __str__(self) -> str:
        return self._text

    def __ne__(self, other: object) -> Any:
        if self.shape:
            raise ValueError("the truth value of an array is ambiguous")
        return self._text == "NaT" or self is not other

    __hash__ = None  # type: ignore[assignment]


class MissingDate(datetime):
    """As pandas' NaT: a datetime by its type, and not equal to itself."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = datetime.__hash__

    def isoformat(self, *_: Any, **__: Any) -> str:
        return "NaT"


class NotAvailable:
    """As pandas' NA: every comparison is itself, and is neither true nor false."""

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = object.__hash__


class MissingText(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True


NAT = MissingDate(1, 1, 1)


class Lost(enum.Enum):
    DATE = NAT


MISSING = [NAT, NotAvailable(), MissingText("x"), Scalar(7, "M", "NaT"), Scalar(float("nan"), "f"), Lost.DATE]


def decoded(body: bytes) -> Operation:
    """As the function has it."""
    message = Decoder(Settings(TABLES)).decode({"messageId": "m", "body": f"[{body.decode()}]"})
    assert message.rejected == ()
    (operation,) = message.operations
    return operation


def stored(value: Any) -> Any:
    """The attribute value that the function would write for a Python value."""
    request = decoded(element("put", {"pk": "a", "v": value})).request
    return request["PutRequest"]["Item"]["v"]


WHEN = datetime(2026, 11, 22, 17, 45, 0, 123, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("é\u2028", {"S": "é\u2028"}),
        ("", {"S": ""}),
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (7, {"N": "7"}),
        (10**38 - 1, {"N": "9" * 38}),
        (-(2**70), {"N": str(-(2**70))}),
        (0.1, {"N": "0.1"}),
        (Decimal("1.10"), {"N": "1.10"}),
        (Decimal("1E+5"), {"N": "1E+5"}),
        (Decimal("0." + "1" * 38), {"N": "0." + "1" * 38}),
        (WHEN, {"S": "2026-11-22T17:45:00.000123+00:00"}),
        (date(2026, 11, 22), {"S": "2026-11-22"}),
        (time(17, 45), {"S": "17:45:00"}),
        (UUID(int=1), {"S": "00000000-0000-0000-0000-000000000001"}),
        (Colour.RED, {"S": "red"}),
        (Colour.FIVE, {"N": "5"}),
        (Level.HIGH, {"N": "3"}),
        (Kind.ODD, {"S": "odd"}),
        (Text("t"), {"S": "t"}),
        ([1, "a", None], {"L": [{"N": "1"}, {"S": "a"}, {"NULL": True}]}),
        ((1, 2), {"L": [{"N": "1"}, {"N": "2"}]}),
        (Point(1, 2), {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}),
        (OrderedDict(b=1), {"M": {"b": {"N": "1"}}}),
        ({Kind.ODD: 1}, {"M": {"odd": {"N": "1"}}}),
        (Line("s", Decimal("1.50")), {"M": {"sku": {"S": "s"}, "price": {"N": "1.50"}}}),
        (b"\x00\xff", {"B": b"\x00\xff"}),
        (bytearray(b"a"), {"B": b"a"}),
        (memoryview(b"a"), {"B": b"a"}),
        ({"b", "a"}, {"SS": ["a", "b"]}),
        (frozenset({Decimal("1.10")}), {"NS": ["1.10"]}),
        ({b"a"}, {"BS": [b"a"]}),
        ({Kind.ODD, "even"}, {"SS": ["even", "odd"]}),
        ([{"deep": {b"a"}}], {"L": [{"M": {"deep": {"BS": [b"a"]}}}]}),
        (PurePosixPath("a/b"), {"S": "a/b"}),
        (Attributed("s", Decimal("1.50")), {"M": {"sku": {"S": "s"}, "price": {"N": "1.50"}}}),
        (Struct("s", date(2026, 11, 22)), {"M": {"sku": {"S": "s"}, "when": {"S": "2026-11-22"}}}),
        (
            Model(pk="a", tags={"b"}, lines=[Line("s", Decimal("1.50"))]),
            {
                "M": {
                    "pk": {"S": "a"},
                    "tags": {"SS": ["b"]},
                    "lines": {"L": [{"M": {"sku": {"S": "s"}, "price": {"N": "1.50"}}}]},
                }
            },
        ),
        (pydantic.RootModel([1]), {"L": [{"N": "1"}]}),
        (OldModel(), {"M": {"sku": {"S": "s"}}}),
        (Scalar(7), {"N": "7"}),
        (Scalar(0.5, "f"), {"N": "0.5"}),
        (Scalar(True, "b"), {"BOOL": True}),
        (Scalar(Decimal("1.10"), "O"), {"N": "1.10"}),
        (Scalar(b"a", "S"), {"B": b"a"}),
        (Scalar(1795369500000000001, "M", "2026-11-22T17:45:00.000000001"), {"S": "2026-11-22T17:45:00.000000001"}),
    ],
    ids=lambda value: type(value).__name__,  # Of a set, repr differs from one process to the next.
)
def test_a_value_is_stored_as_the_documentation_says(value: Any, attribute: Any) -> None:
    found = stored(value)

    assert found == attribute


def test_a_float_keeps_its_value_however_large() -> None:
    assert Decimal(stored(1e100)["N"]) == Decimal("1e100")


def test_binary_beside_all_other_values_leaves_these_as_they_were() -> None:
    values = {
        "n": Decimal("1.10"),
        "f": 0.1,
        "t": WHEN,
        "l": [None, True, {"x": UUID(int=1)}],
        "o": Line("s", Decimal(1)),
    }

    plain = decoded(element("put", {"pk": "a", **values})).request["PutRequest"]["Item"]
    native = decoded(element("put", {"pk": "a", **values, "b": b"x"})).request["PutRequest"]["Item"]

    assert native == {**plain, "b": {"B": b"x"}}


@pytest.mark.parametrize("missing", MISSING, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "within",
    [
        lambda value: value,
        lambda value: [0, {"deep": (value,)}],
        lambda value: Line("s", value),
        lambda value: OrderedDict(a=value),
        lambda value: [b"binary", value],
    ],
    ids=["alone", "deep", "in a dataclass", "in a mapping", "beside binary"],
)
def test_what_is_not_equal_to_itself_is_missing_and_refused_wherever_it_stands(missing: Any, within: Any) -> None:
    with pytest.raises(InvalidRecordError, match=r"v.*(missing value|NaN)"):
        element("put", {"pk": "a", "v": within(missing)})
    with pytest.raises(InvalidRecordError, match=r"values\.:v.*(missing value|NaN)"):
        element("update", {"pk": "a"}, Extras(expression="SET v = :v", values={":v": within(missing)}))


def test_a_missing_date_is_refused_in_a_set_in_a_bare_item_and_as_a_version() -> None:
    makes: list[Callable[[], bytes]] = [
        lambda: element("put", {"pk": "a", "v": {NAT}}),
        lambda: item({"pk": "a", "v": NAT}),
        lambda: element("delete", {"pk": "a"}, Extras(version=NAT)),
        lambda: element("put", NAT),
        lambda: element("put", Decimal("sNaN")),
        lambda: element("put", Decimal("NaN")),
    ]

    for make in makes:
        with pytest.raises(InvalidRecordError, match="missing value"):
            make()


@pytest.mark.parametrize(
    "record",
    [
        Attributed("order#1", Decimal(1)),
        Struct("order#1", date(2026, 11, 22)),
        Model(pk="order#1", tags=set(), lines=[]).model_copy(update={"tags": None}),
    ],
    ids=lambda record: type(record).__name__,
)
def test_an_object_with_fields_is_an_item(record: Any) -> None:
    assert "order#1" in json.loads(element("put", record))["put"].values()


def test_a_dataclass_is_an_item() -> None:
    operation = decoded(element("put", Order("o#1", [Line("s", Decimal("2.50"))], WHEN)))

    assert operation.key == ("orders-table", "o#1", None)
    assert operation.request["PutRequest"]["Item"]["lines"] == {
        "L": [{"M": {"sku": {"S": "s"}, "price": {"N": "2.50"}}}]
    }


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "InvalidNumber"),
        (float("-inf"), "InvalidNumber"),
        (Decimal("NaN"), "InvalidNumber"),
        (Decimal("1." + "1" * 38), "InvalidNumber"),
        (10**38 + 1, "InvalidNumber"),
        (10**5000, "InvalidNumber"),
        (5e-324, "InvalidNumber"),
        (Decimal("1E+126"), "InvalidNumber"),
        ({float("nan")}, "InvalidNumber"),
        (set(), "EmptySet"),
        ({1, "a"}, "InvalidAttribute"),
        ({True}, "InvalidAttribute"),
        ({(1, 2)}, "InvalidAttribute"),
        ({UUID(int=0), "00000000-0000-0000-0000-000000000000"}, "DuplicateSetElement"),
        ({1: "a"}, "InvalidAttribute"),
        ({Colour.RED: 2, "red": 3}, "InvalidAttribute"),
        ({"red": 3, Colour.RED: 2}, "InvalidAttribute"),
        (timedelta(1), "InvalidAttribute"),
        (object(), "InvalidAttribute"),
        (1j, "InvalidAttribute"),
        (Line, "InvalidAttribute"),
        (Model, "InvalidAttribute"),
        (Line.__new__(Line), "InvalidAttribute"),
        (Scalar(None, "f"), "InvalidAttribute"),
        (Scalar(7, "m"), "InvalidAttribute"),
        (Scalar((1, 2), "V"), "InvalidAttribute"),
        (Scalar(1j, "c"), "InvalidAttribute"),
        (Scalar(7, shape=(1,)), "InvalidAttribute"),
        (pydantic.SecretStr("x"), "InvalidAttribute"),
        ("\ud800", "InvalidJson"),
        (CYCLE, "NestingTooDeep"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_be_changed_or_refused_raises(value: Any, code: str) -> None:
    for values in ({"pk": "a", "v": value}, {"pk": "a", "v": value, "b": b"x"}):
        with pytest.raises(InvalidRecordError) as caught:
            element("put", values)
        assert caught.value.code == code


def test_an_error_names_the_place_and_not_the_value() -> None:
    with pytest.raises(InvalidRecordError, match=r"attribute 'a\[1\]\.b'") as caught:
        element("put", {"pk": "a", "a": [0, {"b": object()}], "secret": "hush"})
    assert "hush" not in str(caught.value)


numbers = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: f == 0 or 1e-130 <= abs(f) <= 9e125),
    st.decimals(allow_nan=False, allow_infinity=False, places=5),
)
scalars = st.one_of(numbers, st.text(st.characters(exclude_categories=["Cs"])), st.booleans(), st.none(), st.binary())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), inner, max_size=3),
        st.sets(st.binary(), min_size=1, max_size=3),
        st.sets(st.integers(-999, 999), min_size=1, max_size=3),
    ),
    max_leaves=10,
)


def same(value: Any, attribute: dict[str, Any]) -> bool:
    """Whether nothing of a Python value is lost in an attribute value; written from the table in docs/producers.md."""
    ((kind, content),) = attribute.items()
    match value:
        case bool():
            return bool(kind == "BOOL" and content is value)
        case None:
            return kind == "NULL"
        case float():
            return kind == "N" and float(content) == value
        case int() | Decimal():
            return kind == "N" and Decimal(content) == value
        case str() | bytes():
            return bool(kind == ("S" if isinstance(value, str) else "B") and content == value)
        case set():
            back = {Decimal(member) for member in content} if kind == "NS" else set(content)
            return back == value
        case list():
            return kind == "L" and len(content) == len(value) and all(map(same, value, content))
        case Mapping():
            return kind == "M" and content.keys() == value.keys() and all(same(value[n], content[n]) for n in value)
    raise TypeError


@REPEATABLE
@given(values)
def test_nothing_is_lost(value: Any) -> None:
    assert same(value, stored(value))


# Operations


def test_an_ordinary_put_is_plain_json() -> None:
    assert element("put", {"pk": "a", "n": 1.5}) == b'{"put":{"pk":"a","n":1.5}}'


def test_operations_carry_what_stands_beside_them() -> None:
    put = element("put", {"pk": "a"}, Extras("orders", "attribute_not_exists(#p)", names={"#p": "pk"}))
    delete = element("delete", {"pk": "a"}, Extras(condition="n = :n", values={":n": Decimal("1.10")}))
    update = element("update", {"pk": "a"}, Extras(expression="SET n = :n", values={":n": {1, 2}}))

    assert json.loads(put) == {
        "put": {"pk": "a"},
        "table": "orders",
        "condition": "attribute_not_exists(#p)",
        "names": {"#p": "pk"},
    }
    assert delete == b'{"delete":{"pk":"a"},"condition":"n = :n","values":{":n":1.10}}'
    assert json.loads(update) == {
        "Update": {
            "Key": {"pk": {"S": "a"}},
            "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"NS": ["1", "2"]}},
        }
    }
    assert [getattr(decoded(body), "call", None) for body in (put, delete, update)] == [
        "put_item",
        "delete_item",
        "update_item",
    ]


def test_binary_keys_go_natively() -> None:
    body = element("delete", {"id": b"\x00"}, Extras(table="blobs"))

    assert json.loads(body) == {
        "Delete": {"Key": {"id": {"B": base64.b64encode(b"\x00").decode()}}, "TableName": "blobs"}
    }
    assert decoded(body).key == (BLOBS.name, b"\x00", None)


def test_a_version_and_a_binary_key_do_not_go_together() -> None:
    with pytest.raises(InvalidRecordError, match="version"):
        element("delete", {"id": b"\x00"}, Extras(version=1))


def test_a_bare_item_has_no_binary() -> None:
    assert item({"pk": "a"}) == b'{"pk":"a"}'
    with pytest.raises(InvalidRecordError, match="RECORD_FORMAT"):
        item({"pk": b"a"})


@pytest.mark.parametrize("record", ["text", 5, [("pk", "a")], None])
def test_an_item_is_a_mapping_or_a_dataclass(record: Any) -> None:
    with pytest.raises(InvalidRecordError):
        element("put", record)
