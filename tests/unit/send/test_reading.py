"""Files of records: what is read from them, and where a reader goes on."""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sluice.cli import CommandError, UsageError
from sluice.send import rows, source
from sluice.send.options import Input, add_input_options, input_of
from sluice.send.reading import Reader
from sluice.send.rows import Rows
from sluice.send.source import Source
from sluice.sending.check import Checker
from sluice.sending.record import START, Record
from tests.world import ORDERS

GOOD = b'{"pk": "a", "n": 1.10}\n\n{"pk": "b"}\r\n{"pk": "c"}'


def write(path: Path, content: bytes | str) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def read(path: Path, content: bytes | str, key_types: dict[str, str] | None = None, **given: Any) -> list[Record]:
    return list(Reader(Input(write(path, content), **given), key_types).records())


def bodies(found: list[Record]) -> list[Any]:
    assert [record.error for record in found if record.error] == []
    return [json.loads(record.body, parse_float=str) for record in found]


def errors(found: list[Record]) -> list[tuple[int, str]]:
    return [(record.line, record.error.code) for record in found if record.error]


# JSON Lines


def test_items_become_puts_to_the_letter(tmp_path: Path) -> None:
    found = read(tmp_path / "a.jsonl", GOOD)

    assert [record.body for record in found] == [
        b'{"put":{"pk": "a", "n": 1.10}}',
        b'{"put":{"pk": "b"}}',
        b'{"put":{"pk": "c"}}',
    ]
    assert [record.line for record in found] == [1, 3, 4]


def test_items_name_their_table(tmp_path: Path) -> None:
    (found,) = bodies(read(tmp_path / "a.jsonl", '{"pk": "a"}', table='or"ders'))

    assert found == {"put": {"pk": "a"}, "table": 'or"ders'}


def test_items_stay_bare_where_the_function_expects_items(tmp_path: Path) -> None:
    assert bodies(read(tmp_path / "a.jsonl", '{"pk": "a", "put": {"x": 1}}', bare=True)) == [
        {"pk": "a", "put": {"x": 1}}
    ]


@pytest.mark.parametrize("operation", [{"put": {"pk": "a"}}, {"Delete": {"Key": {"pk": {"S": "a"}}}}])
def test_operations_are_told_by_the_first_line_and_left_as_they_are(tmp_path: Path, operation: Any) -> None:
    assert bodies(read(tmp_path / "a.jsonl", json.dumps(operation))) == [operation]


def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path: Path) -> None:
    assert bodies(read(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"pk": "a"}\n')) == [{"put": {"pk": "a"}}]


def test_characters_that_sqs_refuses_are_escaped(tmp_path: Path) -> None:
    (record,) = read(tmp_path / "a.jsonl", '{"pk": "\ufffe\uffff\ufffd"}')

    assert record.body == '{"put":{"pk": "\\ufffe\\uffff\ufffd"}}'.encode()


def test_a_line_that_is_far_too_long_is_an_error_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr("sluice.send.reading.MAX_LINE_BYTES", 100)
    content = b'{"pk": "a"}\n{"pk": "' + b"x" * 5_000 + b'"}\n{"pk": "c"}\n'

    found = read(tmp_path / "a.jsonl", content)

    assert errors(found) == [(2, "ItemTooLarge")]
    assert [(record.line, record.end.offset) for record in found][2] == (3, len(content))


def test_what_cannot_be_told_is_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--input"):
        read(tmp_path / "a.jsonl", "pk;n\na;1\n")


@pytest.mark.parametrize(
    ("name", "content", "kind", "count"),
    [
        ("A.CSV", "pk,a\n1,2\n", "csv", 1),
        ("A.TSV", "\r\n\npk\ta\n1\tx\n", "csv", 1),
        ("a.jsonl", '\n\n{"pk": "1"}\n\n{"pk": "2"}\n', "items", 2),
        ("a.jsonl", '{"pk": "1", "a": NaN}\n{"pk": "3"}\n', "items", 2),
        ("a.jsonl", '\ufeff\n{"put": \n{"put": {"pk": "1"}}\n', "operations", 2),
        ("a.jsonl", "", "items", 0),
        ("a.jsonl", "\ufeff\n \n", "items", 0),
    ],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_what_a_file_holds_is_told_by_its_first_line_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_file: bool, name: str, content: str, kind: str, count: int
) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.encode())))
    monkeypatch.setattr(sys, "stdin", stdin)
    path = write(tmp_path / name, content)
    reader = Reader(Input(path if is_file or kind == "csv" else "-"))

    assert reader.kind == kind
    assert len(list(reader.records())) == count


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("PK,name", "'PK' is nearly that"),
        ("pk ,name", "'pk ' is nearly that"),
        ("PK,name", "--rename 'PK=pk'"),
        ("id,name", "the table's key 'pk' is no column of"),
        ("id,name", "it has id, name: --rename COLUMN=pk"),
        ("pk;name,first", "its delimiter looks like ';': --delimiter ';'"),
        (",pk,name", "column 1 of 3 has no name; --rename '#1=NAME' gives it one, --rename '#1=' leaves it out"),
        (",,", "none of 3 has a name; --columns"),
        ("pk,na\rme", "carriage return"),
        ('pk,"name', "not closed"),
    ],
)
def test_a_header_with_which_no_row_could_be_sent_is_refused_with_what_is_wrong(
    tmp_path: Path, header: str, told: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        read(tmp_path / "a.csv", f"{header}\n1,x,y\n", {"pk": "S"})


@pytest.mark.parametrize(
    ("content", "delimiter", "rows"),
    [
        ("pk;name\n1;a,b\n", ";", [("1", "a,b")]),
        ('"pk";"name"\n"1";"a;b"\n', ";", [("1", "a;b")]),
        ("pk\tname\n1\t2\n", "\t", [("1", "2")]),
        ("pk|name\n1|2\n", "|", [("1", "2")]),
    ],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_another_delimiter_is_told_by_the_first_line_and_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_file: bool,
    content: str,
    delimiter: str,
    rows: list[tuple[str, str]],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.encode()))))
    path = write(tmp_path / "a.csv", content) if is_file else "-"
    reader = Reader(Input(path, "csv"), {"pk": "S"})

    found = [(record["put"]["pk"], record["put"]["name"]) for record in bodies(list(reader.records()))]

    assert reader.columns is not None
    assert reader.columns.delimiter == delimiter
    assert "by its first line" in (reader.columns.why or "")
    assert found == rows


def test_columns_of_a_file_without_a_header_are_named(tmp_path: Path) -> None:
    reader = Reader(Input(write(tmp_path / "a.csv", "1,x\n2,y\n"), columns=("pk", "a")), {"pk": "N"})

    found = list(reader.records())

    assert bodies(found) == [{"put": {"pk": 1, "a": "x"}}, {"put": {"pk": 2, "a": "y"}}]
    assert [record.line for record in found] == [1, 2]
    assert reader.header is None
    assert list(reader.records(found[0].end)) == found[1:]


def test_columns_are_renamed_or_left_out_by_name_or_number(tmp_path: Path) -> None:
    rename = (("#1", "row"), ("Id", "pk"), ("secret", ""))

    found = read(tmp_path / "a.csv", ",Id,secret,b\n0,k,x,QQ==\n", {"pk": "S"}, rename=rename, types=(("row", "N"),))
    native = read(tmp_path / "b.csv", ",Id,secret,b\n0,k,x,QQ==\n", rename=rename, types=(("b", "B"),))

    assert bodies(found) == [{"put": {"row": 0, "pk": "k", "b": "QQ=="}}]
    assert bodies(native) == [{"PutRequest": {"Item": {"row": {"S": "0"}, "pk": {"S": "k"}, "b": {"B": "QQ=="}}}}]


@pytest.mark.parametrize("number", ["#0", "#4", "none"])
def test_what_is_no_column_is_not_renamed(tmp_path: Path, number: str) -> None:
    with pytest.raises(UsageError, match="it has 'pk', 'a', ''"):
        read(tmp_path / "a.csv", "pk,a,\n1,x,\n", rename=((number, "b"),))


def test_columns_without_a_name_at_the_end_may_be_empty(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "pk,a,,\n1,x,,\n2,y,z,\n")

    assert [record.error and record.error.code for record in found] == [None, "InvalidRow"]
    assert bodies(found[:1]) == [{"put": {"pk": "1", "a": "x"}}]


@pytest.mark.parametrize(
    ("empty", "item"),
    [
        ("omit", {"pk": "1"}),
        ("string", {"pk": "1", "b": ""}),
        ("null", {"pk": "1", "a": None, "b": None, "n": None}),
    ],
)
def test_cells_that_stand_for_nothing_are_no_values(tmp_path: Path, empty: Any, item: Any) -> None:
    content = "pk,a,b,n\n1,\\N,,NULL\n"

    found = read(tmp_path / "a.csv", content, nulls=frozenset({"\\N", "NULL"}), empty=empty, types=(("n", "N"),))

    assert bodies(found) == [{"put": item}]


@pytest.mark.parametrize("content", ["", "\n\r\n", "sep=;\n", "\ufeff"])
@pytest.mark.parametrize("name", ["a.csv", "A.TSV", "a.jsonl", "a.json"])
def test_an_empty_export_has_no_records(tmp_path: Path, name: str, content: str) -> None:
    if "json" in name:
        content = content.replace("sep=;", "[]")

    assert read(tmp_path / name, content, {"pk": "S"}) == []


@pytest.mark.parametrize("delimiter", [None, ";"])
def test_a_first_line_that_names_the_delimiter_is_believed(tmp_path: Path, delimiter: str | None) -> None:
    found = read(tmp_path / "a.csv", "\ufeffsep=;\r\npk;a\r\n1;x,y\r\n", {"pk": "S"}, delimiter=delimiter)

    assert bodies(found) == [{"put": {"pk": "1", "a": "x,y"}}]
    assert found[0].line == 3


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        ("pk,a\n1,ä\n2,€\n".encode("utf-16"), None, ["1", "2"]),
        ("\ufeffpk,a\n1,ä\n2,€\n".encode("utf-16-be"), None, ["1", "2"]),
        ("pk,a\n1,ä\n2,€\n".encode("utf-16") + b"3\0,", None, ["1", "2", "InvalidJson"]),
        ("pk,a\n1,ä\n2,€\n".encode("cp1252"), "cp1252", ["1", "2"]),
        (b"pk,a\n1,\xe4\n2,\x81\n", "cp1252", ["1", "InvalidJson"]),
        (b"pk,a\n1,\xe4\n2,x\n", None, ["InvalidJson", "2"]),
    ],
)
def test_text_of_another_encoding_is_read_and_what_is_no_text_costs_its_row(
    tmp_path: Path, content: bytes, encoding: str | None, expected: list[str]
) -> None:
    reader = Reader(Input(write(tmp_path / "a.csv", content), encoding=encoding))

    found = list(reader.records())

    assert [one.error.code if one.error else json.loads(one.body)["put"]["pk"] for one in found] == expected
    assert reader.source.is_text() == ("InvalidJson" not in expected)
    for position, record in enumerate(found):
        assert list(reader.records(record.end)) == found[position + 1 :]


REQUEST_ITEMS = {"t": [{"PutRequest": {"Item": {"pk": {"S": "1"}}}}, {"DeleteRequest": {"Key": {"pk": {"S": "2"}}}}]}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(REQUEST_ITEMS),
        json.dumps(REQUEST_ITEMS, indent=2) + "\n",
        "\ufeff\n" + json.dumps(REQUEST_ITEMS) + "\n\n" + json.dumps(REQUEST_ITEMS),
    ],
    ids=["a line", "many lines", "a document a line"],
)
def test_request_items_are_sent_as_they_are(tmp_path: Path, content: str) -> None:
    reader = Reader(Input(write(tmp_path / "a.json", content)))

    found = list(reader.records())

    assert reader.kind == "requests"
    assert bodies(found) == [{"RequestItems": REQUEST_ITEMS}] * content.count("PutRequest")
    assert Checker([ORDERS], are_named=False)(found[0].body) is None
    for position, record in enumerate(found):
        assert list(reader.records(record.end)) == found[position + 1 :]


def test_what_are_no_request_items_is_rejected(tmp_path: Path) -> None:
    good, bad = json.dumps(REQUEST_ITEMS), '{"t": [{"PutRequest": 1, "x": 2}]}'

    found = read(tmp_path / "a.json", f'{good}\n{bad}\n{good}\n{{"t":\n', kind="requests")

    assert errors(found) == [(2, "UnknownOperation"), (4, "InvalidJson")]


# Exports


def test_a_full_export_becomes_native_puts(tmp_path: Path) -> None:
    lines = '{"Item":{"pk":{"S":"a"},"s":{"SS":["x"]}}}\n{"Item":{"pk":{"S":"b"}}}\n'

    found = read(tmp_path / "a.json.gz", gzip.compress(lines.encode()))

    assert bodies(found) == [
        {"PutRequest": {"Item": {"pk": {"S": "a"}, "s": {"SS": ["x"]}}}},
        {"PutRequest": {"Item": {"pk": {"S": "b"}}}},
    ]


def test_an_incremental_export_becomes_puts_and_deletes(tmp_path: Path) -> None:
    meta = '"Metadata":{"WriteTimestampMicros":"1"}'
    lines = f'{{{meta},"Keys":{{"pk":{{"S":"a"}}}},"NewImage":{{"pk":{{"S":"a"}},"n":{{"N":"1.10"}}}}}}\n'
    lines += f'{{{meta},"Keys":{{"pk":{{"S":"b"}}}},"OldImage":{{"pk":{{"S":"b"}}}}}}\n'

    assert bodies(read(tmp_path / "a.json", lines, table="t")) == [
        {"Put": {"Item": {"pk": {"S": "a"}, "n": {"N": "1.10"}}, "TableName": "t"}},
        {"Delete": {"Key": {"pk": {"S": "b"}}, "TableName": "t"}},
    ]


def test_a_line_that_no_export_has_is_an_error(tmp_path: Path) -> None:
    lines = '{"Item":{"pk":{"S":"a"}}}\n{"pk":"a"}\n{"Item":\n'

    assert errors(read(tmp_path / "a.json", lines)) == [(2, "UnknownOperation"), (3, "InvalidJson")]


# CSV


def test_cells_are_strings_but_for_key_attributes(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "pk,n,note\na,007,1\n", {"n": "N"})

    assert bodies(found) == [{"put": {"pk": "a", "n": 7, "note": "1"}}]


def test_cells_become_what_the_types_say(tmp_path: Path) -> None:
    content = 'pk,n,b,j\na,1.10,true,"{""x"": [1.50]}"\nb,+.5,FALSE,null\nc,1E400,false,1\n'

    found = read(tmp_path / "a.csv", content, types=(("n", "N"), ("b", "BOOL"), ("j", "JSON")))

    assert [json.loads(record.body, parse_float=str)["put"] for record in found] == [
        {"pk": "a", "n": "1.10", "b": True, "j": {"x": ["1.50"]}},
        {"pk": "b", "n": "0.5", "b": False, "j": None},
        {"pk": "c", "n": "1E400", "b": False, "j": 1},  # For the check to reject.
    ]


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    digits = "0.10000000000000000000000000000000000001"

    (record,) = read(tmp_path / "a.csv", f"pk,n\na,{digits}\n", types=(("n", "N"),))

    assert digits.encode() in record.body


@pytest.mark.parametrize(
    ("kind", "cell", "code"),
    [
        ("N", "1,5", "InvalidNumber"),
        ("N", "1_000", "InvalidNumber"),
        ("N", "NaN", "InvalidNumber"),
        ("N", "٣", "InvalidNumber"),  # A digit, and none of JSON's.
        ("BOOL", "yes", "InvalidAttribute"),
        ("JSON", "{", "InvalidJson"),
        ("B", "?", "InvalidAttribute"),
    ],
)
def test_a_cell_of_another_type_is_an_error(tmp_path: Path, kind: str, cell: str, code: str) -> None:
    found = read(tmp_path / "a.csv", f'pk,v\na,"{cell}"\nb,\n', types=(("v", kind),))

    assert errors(found) == [(2, code)]
    assert found[0].error is not None
    assert "'v'" in found[0].error.message
    assert cell not in found[0].error.message


@pytest.mark.parametrize(
    ("empty", "item"),
    [("omit", {"pk": "a"}), ("string", {"pk": "a", "s": ""}), ("null", {"pk": "a", "s": None, "n": None})],
)
def test_an_empty_cell_becomes_what_was_chosen(tmp_path: Path, empty: Any, item: Any) -> None:
    assert bodies(read(tmp_path / "a.csv", "pk,s,n\na,,\n", empty=empty, types=(("n", "N"),))) == [{"put": item}]


def test_binary_columns_make_native_puts(tmp_path: Path) -> None:
    content = 'pk,b,n,j\na,QQ==,1.50,"[{""x"": true}]"\nb,,,\n'

    found = read(tmp_path / "a.csv", content, types=(("b", "B"), ("n", "N"), ("j", "JSON")))

    assert bodies(found) == [
        {
            "PutRequest": {
                "Item": {
                    "pk": {"S": "a"},
                    "n": {"N": "1.50"},
                    "j": {"L": [{"M": {"x": {"BOOL": True}}}]},
                    "b": {"B": "QQ=="},
                }
            }
        },
        {"PutRequest": {"Item": {"pk": {"S": "b"}}}},
    ]


def test_types_are_inferred_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "pk,n,code,flag,mixed,none\na,1.5,007,true,1,\nb,-2,010,False,x,\n")

    columns = Reader(Input(path, infer=True)).columns

    assert columns is not None
    assert columns.types == ("S", "N", "S", "BOOL", "S", "S")
    assert columns.sampled == 2


def test_quoted_cells_span_lines_and_lines_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path / "a.tsv", 'pk\tv\na\t"x\ny"\nb\tz\n')

    assert bodies(found) == [{"put": {"pk": "a", "v": "x\ny"}}, {"put": {"pk": "b", "v": "z"}}]
    assert [record.line for record in found] == [2, 4]


def test_a_row_of_another_width_or_not_in_utf8_is_an_error(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", b"pk,v\na\nb,\xff\nc,x,y\nd,x\n")

    assert errors(found) == [(2, "InvalidRow"), (3, "InvalidJson"), (4, "InvalidRow")]


@pytest.mark.parametrize("header", ["pk,pk\n", ",pk\n", ",\n"])
def test_a_header_that_names_no_columns_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(UsageError):
        read(tmp_path / "a.csv", header)


# What is no row

ROWS = {
    "quotes in quoted cells": (
        '1,10,ok\n2,"12" board",x\n3,9,"5" nail"\n4,7,fine\n',
        [["1", "10", "ok"], '2,"12" board",x', '3,9,"5" nail"', ["4", "7", "fine"]],
    ),
    "a quote that would swallow a row": (
        '1,x,y\n2,"5 inch,y\n3,x,"y"\n4,x,y\n',
        [["1", "x", "y"], '2,"5 inch,y', ["3", "x", "y"], ["4", "x", "y"]],
    ),
    "a quote that is never closed": ('2,"5 inch,y\n3,x,y\n4,x', ['2,"5 inch,y', ["3", "x", "y"], "4,x"]),
    "a quote at the end": ('1,x,y\n2,x,"', [["1", "x", "y"], '2,x,"']),
    "two that join rows of the right width": ('2,"5,y\n3,x,y\n4,q,9"\n', ['2,"5,y', ["3", "x", "y"], '4,q,9"']),
    "a quote in a plain cell": ('2,5" inch,y\n3,"x\ny",z\n', ['2,5" inch,y', ["3", "x\ny", "z"]]),
    "a fault on a later line of a row": ('2,"x\ny",z"\n3,x,y\n', ['2,"x', 'y",z"', ["3", "x", "y"]]),
    "doubled quotes": ('2,"""",""\n3,"a ""b""","c""\nd"\n', [["2", '"', ""], ["3", 'a "b"', 'c"\nd']]),
    "blanks beside quotes": ('1,"x" ,y\n2, "x",y\n4, x,y \n', ['1,"x" ,y', '2, "x",y', ["4", " x", "y "]]),
    "carriage returns": (
        '1,x\ry,z\n2,"x\ry",z\r\n3,x,y\r\r\n4,x,y\r\n5,"x\r\ny","z"\r\n6,x,y\r',
        ["1,x\ry,z", ["2", "x\ry", "z"], "3,x,y\r", ["4", "x", "y"], ["5", "x\r\ny", "z"], "6,x,y\r"],
    ),
    "too few and too many cells": ("1,x\n2,x,y,z\n4,x,y\n5", ["1,x", "2,x,y,z", ["4", "x", "y"], "5"]),
    "too many cells in several lines": ('2,"a\nb,c",d\n,"e\n",f\n', [["2", "a\nb,c", "d"], ["", "e\n", "f"]]),
    "another width in several lines": (
        '2,"a\nb"\n3,"a\nb",c,d\n4,x,y\n',
        ['2,"a\nb"', '3,"a\nb",c,d', ["4", "x", "y"]],
    ),
    "not UTF-8": (
        '2,x,\udcff\n3,"x\n\udcfe",y\n5,"\udcff"",y\n6,ä,y\n',
        ["2,x,\udcff", '3,"x\n\udcfe",y', '5,"\udcff"",y', ["6", "ä", "y"]],
    ),
    "NUL": ('1,\0x,"\0"\n\0\n', [["1", "\0x", "\0"], "\0"]),
    "blank lines": ("\n1,x,y\n \n\r\n2,x,y\n\n", [["1", "x", "y"], " ", ["2", "x", "y"]]),
}


@pytest.mark.parametrize(("rows", "expected"), ROWS.values(), ids=ROWS)
def test_what_is_no_row_costs_itself_and_no_cell_is_changed(
    tmp_path: Path, rows: str, expected: list[list[str] | str]
) -> None:
    content = ("pk,a,b\n" + rows).encode("utf-8", "surrogateescape")

    found = read(tmp_path / "a.csv", content, empty="string")

    assert [
        record.body.decode("utf-8", "surrogateescape")
        if record.error
        else list(json.loads(record.body)["put"].values())
        for record in found
    ] == expected
    assert {record.error.code for record in found if record.error} <= {"InvalidRow", "InvalidJson"}
    for record in found:
        text = record.body if record.text is None else record.text
        assert content.split(b"\n")[record.line - 1].rstrip() == text.split(b"\n")[0].rstrip()


@pytest.mark.parametrize("rest", ['b,"y"', 'b,"y"\n', "b,y", 'b,"y\nz"\n\n'])
def test_a_file_may_end_behind_a_quote_that_is_closed(tmp_path: Path, rest: str) -> None:
    assert len(bodies(read(tmp_path / "a.csv", f"pk,v\na,x\n{rest}"))) == 2


@pytest.mark.parametrize("cell", ["x" * 1_100_000, f"{'x' * 1_000}\n" * 1_100, "x" * 17_000_000], ids=len)
def test_a_cell_however_large_costs_its_row(tmp_path: Path, cell: str) -> None:
    found = read(tmp_path / "a.csv", f'pk,v\na,x\nb,"{cell}"\nc,z\n')

    assert [record.line for record in found[:2]] == [2, 3]
    assert json.loads(found[2].body) == {"put": {"pk": "c", "v": "z"}}


def test_a_quote_that_is_not_closed_is_looked_for_no_further_than_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_ROW_BYTES", 10_000)
    path = write(tmp_path / "a.csv", 'pk,v\na,"x\n' + "".join(f"k{n},z\n" for n in range(10_000)))
    reader = Reader(Input(path))
    lines = reader.source.lines(reader.columns.header.end if reader.columns else START)

    first, second = itertools.islice(Rows(lines, ","), 2)

    assert first.fault is not None
    assert (first.line, first.text, second.cells) == (2, b'a,"x', ["k0", "z"])
    assert lines.offset < 11_000


# Going on


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz"])
def test_a_reader_goes_on_after_any_record(tmp_path: Path, name: str) -> None:
    lines = ["pk,v"] if "csv" in name else []
    lines += [f'"{n}\n",é' if "csv" in name else f'{{"pk": "{n}é"}}' for n in range(20)]
    content = "\n".join(lines).encode()
    packers: dict[str, Any] = {".gz": gzip.compress, ".zst": zstandard.compress}
    packed = packers.get(Path(name).suffix, bytes)(content)
    reader = Reader(Input(write(tmp_path / name, packed)))
    whole = list(reader.records())

    for position, record in enumerate(whole):
        assert list(reader.records(record.end)) == whole[position + 1 :]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("spoil", [lambda data: data[:-9], lambda data: b"x" + data[1:]], ids=["cut", "corrupt"])
def test_a_packed_file_that_is_cut_or_corrupt_is_no_end_of_it(tmp_path: Path, name: str, spoil: Any) -> None:
    content = b"".join(b'{"pk": "%d"}\n' % n for n in range(5_000))
    packed = gzip.compress(content) if name.endswith("gz") else zstandard.compress(content)

    with pytest.raises(CommandError, match="cannot read"):
        read(tmp_path / name, spoil(packed), kind="items")


def test_zstd_files_of_several_frames_are_read_to_the_end(tmp_path: Path) -> None:
    packed = b"".join(zstandard.compress(b'{"pk": "%d"}\n' % n) for n in range(3))

    assert len(read(tmp_path / "a.jsonl.zst", packed)) == 3


@pytest.mark.parametrize("content", [GOOD, b"pk,v\na,1\n"])
def test_standard_input_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    kind: Any = "csv" if content.startswith(b"pk") else None

    assert bodies(list(Reader(Input("-", kind)).records()))[0]["put"]["pk"] == "a"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CommandError, match=r"/nowhere/a\.jsonl"):
        Source("/nowhere/a.jsonl").identity()


# Options


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_input_options(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.csv", "--types", "n=X"),
        ("a.csv", "--delimiter", ";;"),
        ("a.jsonl", "--format", "item", "--table", "t"),
        ("a.jsonl", "--format", "item", "--input", "export"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        input_of(options(*arguments))


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ("pk\na\n", ("--input", "csv", "--types", "x=N")),
        ("pk\nQQ==\n", ("--input", "csv", "--types", "pk=B", "--format", "item")),
        ('{"pk": "a"}', ("--infer",)),
        ('{"put": {"pk": "a"}}', ("--table", "t")),
        ('{"Item": {"pk": {"S": "a"}}}', ("--format", "item")),
    ],
)
def test_options_that_do_not_fit_the_file_are_usage_errors(
    tmp_path: Path, content: str, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError):
        Reader(input_of(options(write(tmp_path / "file", content), *arguments)))
