"""JSON of any layout: arrays, documents and the output of the AWS CLI are read value by value, and gone on with."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.cli import CommandError, UsageError
from sluice.send import elements
from sluice.send.options import Input
from sluice.send.reading import Reader
from sluice.sending.check import Checker
from sluice.sending.record import START, Position, Record
from tests.world import ORDERS

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=150)
NATIVE = [{"pk": {"S": "1"}, "n": {"N": "1.50"}, "m": {"M": {"x": {"NULL": True}}}}, {"pk": {"S": "2"}}]
PLAIN = [{"pk": "1", "n": 1.5}, {"pk": "2", "l": [{"x": "]},"}]}]
OUTPUT = {"Items": NATIVE, "Count": 2, "ScannedCount": 2, "ConsumedCapacity": None}
PAGE = {"Count": 2, "LastEvaluatedKey": {"pk": {"S": "2"}}, "Items": NATIVE, "ScannedCount": 2}
NATIVE_PUTS = [{"PutRequest": {"Item": item}} for item in NATIVE]
PUTS = [{"put": item} for item in PLAIN]


def reader_of(path: Path, content: str | bytes, **given: Any) -> Reader:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Reader(Input(str(path), **given), {"pk": "S"})


def bodies(found: list[Record]) -> list[Any]:
    assert [record.error for record in found if record.error] == []
    return [json.loads(record.body) for record in found]


FORMS = {
    "an array on a line": (json.dumps(PLAIN), "items", PUTS),
    "an array": (json.dumps(PLAIN, indent=2), "items", PUTS),
    "an element a line": ("[\n" + ",\n".join(map(json.dumps, PLAIN)) + "\n]\n", "items", PUTS),
    "documents": ("\n".join(json.dumps(item, indent=4) for item in PLAIN), "items", PUTS),
    "arrays": ("\n".join([json.dumps(PUTS)] * 2), "operations", PUTS * 2),
    "DynamoDB JSON a line": ("\n".join(map(json.dumps, NATIVE)), "dynamodb", NATIVE_PUTS),
    "DynamoDB JSON": (json.dumps(NATIVE, indent=1), "dynamodb", NATIVE_PUTS),
    "a scan": (json.dumps(OUTPUT, indent=4), "dynamodb", NATIVE_PUTS),
    "a scan on a line": ("\ufeff" + json.dumps(OUTPUT), "dynamodb", NATIVE_PUTS),
    "pages of a query": (json.dumps(PAGE, indent=4) + "\n" + json.dumps(PAGE), "dynamodb", NATIVE_PUTS * 2),
    "a scan of nothing": ('{"Items": [\n], "Count": 0, "ScannedCount": 0}', "items", []),
    "no elements": ("[ ]", "items", []),
    "export lines in an array": (json.dumps([{"Item": item} for item in NATIVE]), "export", NATIVE_PUTS),
    "an array, and documents behind it": ("\n".join(map(json.dumps, [PLAIN, *PLAIN])), "items", PUTS * 2),
    "one item": ('{"pk": "1"}', "items", [{"put": {"pk": "1"}}]),
}


@pytest.mark.parametrize("is_file", [True, False])
@pytest.mark.parametrize(("content", "kind", "expected"), FORMS.values(), ids=FORMS)
def test_whatever_stands_around_them_records_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, kind: str, expected: list[Any], is_file: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.encode()))))
    reader = reader_of(tmp_path / "A.JSON", content) if is_file else Reader(Input("-"))

    found = list(reader.records())

    assert reader.kind == kind
    assert bodies(found) == expected
    assert all(Checker([ORDERS])(record.body) is None for record in found)
    assert not any(b"\n" in record.body for record in found)
    for position, record in enumerate(found if is_file else []):
        assert list(reader.records(record.end)) == found[position + 1 :]


def test_lines_are_counted_and_digits_kept(tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "a.json", '[\n  {"pk": "1",\n   "n": 1.500},\n\n  {"pk": "é\\n"}, {"pk": "3"}]')

    found = list(reader.records())

    assert [record.line for record in found] == [2, 5, 5]
    assert found[0].body == b'{"put":{"pk":"1","n":1.500}}'


@pytest.mark.parametrize("rejected_kind", ["items", "dynamodb"])
def test_what_is_no_json_costs_itself(tmp_path: Path, rejected_kind: Any) -> None:
    good = '{"pk":"1"}' if rejected_kind == "items" else '{"pk":{"S":"1"}}'
    bad = ['{"pk":"2","n":NaN', '{"pk":tru}', '{"pk":"[x","y":{]', "x y", '{"a\n":"}"}', '"', '{"a":"\\x"}', "\udcff"]
    content = f"[{good},\n" + ",\n".join(f"{one},\n{good}" for one in bad) + "\n]"
    reader = reader_of(tmp_path / "a.json", content.encode("utf-8", "surrogateescape"), kind=rejected_kind)

    found = list(reader.records())

    rejected = [record for record in found if record.error or Checker([ORDERS])(record.body)]
    assert len(found) - len(rejected) == len(bad) + 1
    assert {record.error.code for record in rejected if record.error} == {"InvalidJson"}
    assert not any(b"\n" in record.body for record in found)


@pytest.mark.parametrize("content", ['[{"pk":"1"},', '[{"pk":"1"}', '[{"pk":"1"},{"pk":', "[", '{"Items":[{"pk":"1"}'])
def test_an_array_that_is_not_closed_is_a_file_that_is_not_whole(tmp_path: Path, content: str) -> None:
    reader = reader_of(tmp_path / "a.json", content)

    with pytest.raises(CommandError, match="not whole"):
        list(reader.records())
    first = next(reader.records()) if '"1"' in content else None
    if first is not None:
        with pytest.raises(CommandError, match="not whole"):
            list(reader.records(first.end))


def test_commas_without_an_array_are_refused_with_the_way_forward(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"a comma on line 1 and no \[ before it: make it an array"):
        list(reader_of(tmp_path / "a.jsonl", '{"pk": "1"},\n{"pk": "2"},\n').records())


ITEMS = [{"pk": {"S": "1"}}]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"TableName": "orders", "Item": ITEMS[0]}, ".Item"),
        ({"Responses": {"orders": ITEMS}, "UnprocessedKeys": {}}, ".Responses[][]"),
        ({"TransactItems": [{"Put": {"Item": ITEMS[0]}}]}, '."TransactItems"[]'),
        ({"my records": [{"pk": "1"}], "more": None}, '."my records"[]'),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_around_items_is_refused_with_the_way_to_them(
    content: dict[str, Any], path: str, indent: int | None, tmp_path: Path
) -> None:
    text = json.dumps(content, indent=indent) + "\n"

    with pytest.raises(UsageError, match=re.escape(f"`jq -c '{path}' ")):
        reader_of(tmp_path / "a.json", text)
    assert reader_of(tmp_path / "a.json", text, kind="items").kind == "items"


@pytest.mark.parametrize(
    "content",
    ['{"pk": "1", "lines": [{"n": 1}]}', '{"lines": [{"n": 1}]}\n{"pk": "1"}\n', '{"pk": {"S": "1"}, "l": {"L": []}}'],
)
def test_what_may_be_an_item_is_read(content: str, tmp_path: Path) -> None:
    assert list(reader_of(tmp_path / "a.json", content).records())


def test_an_item_is_read_as_get_item_prints_it(tmp_path: Path) -> None:
    text = json.dumps({"Item": ITEMS[0], "ConsumedCapacity": {"CapacityUnits": 0.5}}, indent=4)

    assert bodies(list(reader_of(tmp_path / "a.json", text).records())) == [{"PutRequest": {"Item": ITEMS[0]}}]


@pytest.mark.parametrize(
    ("content", "told"),
    [('{"pk": "1"}\n', "holds JSON, whatever its name says: --input items"), ("pk,a\r1,2\r", "tr '\\r' '\\n' < ")],
)
def test_what_is_no_csv_is_refused_with_the_way_forward(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        reader_of(tmp_path / "a.csv", content)


def test_an_output_that_goes_on_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not JSON behind its items, on line 2"):
        list(reader_of(tmp_path / "a.json", '{"Items": [{"pk": "1"}],\n"Count": x}').records())


def test_an_element_without_an_end_ends_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(elements, "_BLOCK", 100)

    with pytest.raises(CommandError, match="begins on line 2 is no JSON, and has no end"):
        list(reader_of(tmp_path / "a.json", '[{"pk": "1"},\n{"pk" "2",\n' + "[1,\n" * 5000).records())


def test_an_element_that_is_far_too_long_is_rejected_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elements, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(elements, "_BLOCK", 100)

    found = list(reader_of(tmp_path / "a.json", '[{"pk": "%s"}, {"pk": "2"}]' % ("x" * 990)).records())

    assert [record.error and record.error.code for record in found] == ["ItemTooLarge", None]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\{}[],é€\n😀 ')),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab]", max_size=2), inner, max_size=3),
    max_leaves=6,
)
items = st.dictionaries(st.text('ab{"', max_size=3), values, max_size=3)


@REPEATABLE
@given(
    st.lists(items, max_size=6),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.integers(1, 40) | st.just(1 << 18),
    st.booleans(),
)
def test_any_array_is_read_and_gone_on_with_whatever_the_size_of_a_block(
    found: list[Any], indent: int | None, ascii: bool, block: int, is_documents: bool
) -> None:
    if is_documents:
        text = "\n".join(json.dumps(one, indent=indent, ensure_ascii=ascii) for one in found)
    else:
        text = json.dumps(found, indent=indent, ensure_ascii=ascii)
    content = text.encode()

    def read(offset: int, line: int) -> list[Any]:
        stream = cast(io.BufferedReader, io.BufferedReader(io.BytesIO(content[offset:]), block))
        start = Position(offset, line)
        return list(elements.Elements(stream, start, in_array=not is_documents))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_BLOCK", block)
        every = read(0, 0)
        assert [json.loads(text) for _, _, text, _ in every] == found
        for position, (_, end, _, _) in enumerate(every):
            assert read(end.offset, end.line) == every[position + 1 :]
            assert content[: end.offset].count(b"\n") == end.line


ODD = [
    '{"n": NaN}',
    "[1]",
    '{"a": {',
    '{"a": "b}, {"}',
    '{"a": "\\ud800"}',
    '{"é": "\udcff"}',
    '{"a":\n\n1}',
    "7",
    '{"a": 01}',
]


@REPEATABLE
@given(
    st.lists(st.sampled_from(ODD) | st.builds(json.dumps, items, indent=st.sampled_from([None, 2])), max_size=8),
    st.lists(st.sampled_from([",", ", ", ",\n", " ,\n\n  "]), min_size=1, max_size=2),
    st.integers(1, 100) | st.just(1 << 18),
)
def test_objects_that_are_read_at_once_are_those_that_are_read_one_by_one(
    found: list[str], gaps: list[str], block: int
) -> None:
    text = "[" + "".join(one + gaps[n % len(gaps)] for n, one in enumerate(found)) + '{"pk": "last"}]'

    def read() -> list[Any]:
        stream = cast(io.BufferedReader, io.BufferedReader(io.BytesIO(text.encode("utf-8", "surrogateescape")), block))
        every: list[Any] = []
        try:
            every.extend(elements.Elements(stream, START, in_array=True))
        except (OSError, EOFError) as error:
            every.append(str(error))
        return every

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_BLOCK", block)
        at_once = read()
        patch.setattr(elements, "_MAX_TRIES", 0)
        assert read() == at_once


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("comma", [",", "\n, "])
def test_all_objects_of_an_array_but_the_first_and_last_are_read_at_once(
    indent: int | None, comma: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [{"pk": {"S": f"order#{n}"}, "lines": {"L": [{"M": {"n": {"N": "1"}}}, {"M": {}}]}} for n in range(500)]
    content = f"[{comma.join(json.dumps(one, indent=indent) for one in typed)}]".encode()
    one_by_one: list[Any] = []
    element = elements.Elements._element

    def counted(self: elements.Elements) -> Any:
        one_by_one.append(self)
        return element(self)

    monkeypatch.setattr(elements, "_BLOCK", 4096)
    monkeypatch.setattr(elements.Elements, "_element", counted)

    every = list(elements.Elements(cast(io.BufferedReader, io.BytesIO(content)), START, in_array=True))

    assert [json.loads(text) for _, _, text, _ in every] == typed
    assert len(one_by_one) == 2


@pytest.mark.parametrize("block", [1, 2, 3])
def test_a_mark_before_a_document_is_nothing_wherever_a_block_ends(block: int) -> None:
    content = b'\xef\xbb\xbf[{"a":1}]\n\xef\xbb\xbf{"b":2}'

    every = list(elements.Elements(io.BufferedReader(cast(Any, Slow(content, block))), START, in_array=True))

    assert [(end.offset, text) for _, end, text, _ in every] == [(11, b'{"a":1}'), (23, b'{"b":2}')]


class Slow(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def __init__(self, content: bytes, block: int) -> None:
        super().__init__(content)
        self._block = block

    def readinto(self, buffer: Any) -> int:
        return super().readinto(memoryview(buffer)[: self._block])


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        (b"PK\x03\x04", "save its sheet as CSV UTF-8"),
        (b"$ion_1_0", "DYNAMODB_JSON"),
        (b"BZh9", "bunzip2 -c"),
    ],
)
def test_a_file_of_another_format_is_refused_with_the_way_forward(tmp_path: Path, beginning: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        reader_of(tmp_path / "a.csv", beginning + b"\0\xff\n" * 9)
