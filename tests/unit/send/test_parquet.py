"""Parquet: every type becomes what the producer would store, and a reader goes on after any row."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sluice import cli
from sluice.cli import CommandError, UsageError, main
from sluice.send import parquet
from sluice.send.options import Input
from sluice.send.reading import Reader
from sluice.sending.check import Checker
from tests.unit.send.test_inputs import FakeS3, inputs_of
from tests.world import ORDERS

try:
    import pyarrow
    import pyarrow.parquet
except ModuleNotFoundError:
    pyarrow = None

needs_pyarrow = pytest.mark.skipif(pyarrow is None, reason="needs the extra sluice[parquet]")


def write(path: Path, columns: dict[str, Any], group: int = 3) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=group)
    return str(path)


def reader_of(path: Path, table: dict[str, Any], **given: Any) -> Reader:
    return Reader(Input(write(path, table), **given), {"pk": "S"})


NOON = datetime(2026, 11, 29, 12, 0, 0, 5, UTC)
VALUES: dict[str, tuple[Any, Any]] = {} if pyarrow is None else {
    "i": (pyarrow.array([2**62]), 2**62),
    "f": (pyarrow.array([0.1]), 0.1),
    "d": (pyarrow.array([Decimal("12.50")]), "12.50"),
    "b": (pyarrow.array([True]), True),
    "date": (pyarrow.array([date(2026, 11, 29)]), "2026-11-29"),
    "at": (pyarrow.array([NOON]), "2026-11-29T12:00:00.000005+00:00"),
    "time": (pyarrow.array([time(12, 30)]), "12:30:00"),
    "ns": (pyarrow.array([1], pyarrow.timestamp("ns")), "1970-01-01T00:00:00.000000001"),
    "list": (pyarrow.array([[1, None, 3]]), [1, None, 3]),
    "struct": (pyarrow.array([{"a": 1, "b": None, "c": {"d": ["x"]}}]), {"a": 1, "b": None, "c": {"d": ["x"]}}),
    "map": (pyarrow.array([[("a", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())), {"a": 1}),
    "code": (pyarrow.array(["x"]).dictionary_encode(), "x"),
}  # fmt: skip


@needs_pyarrow
def test_values_become_what_the_types_of_their_columns_say(tmp_path: Path) -> None:
    columns = {"pk": ["1"], "none": pyarrow.array([None], pyarrow.string())}
    columns |= {name: values for name, (values, _) in VALUES.items()}

    (plain,) = reader_of(tmp_path / "a.parquet", columns).records()
    (native,) = reader_of(tmp_path / "b.parquet", columns | {"bin": [b"A"], "bins": [[b"A", None]]}).records()

    expected = {"pk": "1", **{name: value for name, (_, value) in VALUES.items()}}
    put = json.loads(plain.body, parse_float=str)["put"]
    assert put == expected | {"f": "0.1"}
    assert b'"d":12.50' in plain.body
    item = json.loads(native.body)["PutRequest"]["Item"]
    assert item["bin"] == {"B": "QQ=="}
    assert item["bins"] == {"L": [{"B": "QQ=="}, {"NULL": True}]}
    assert item["d"] == {"N": "12.50"}
    assert item["struct"]["M"]["c"] == {"M": {"d": {"L": [{"S": "x"}]}}}
    assert Checker([ORDERS])(plain.body) is Checker([ORDERS])(native.body) is None


@needs_pyarrow
def test_an_empty_cell_becomes_what_was_chosen_and_no_number_is_rejected(tmp_path: Path) -> None:
    columns = {"pk": ["1", "2", "3"], "n": [1.0, None, math.nan]}

    first, second, third = reader_of(tmp_path / "a.parquet", columns, empty="null").records()

    assert first.error is second.error is None
    assert json.loads(second.body) == {"put": {"pk": "2", "n": None}}
    assert third.error is not None
    assert (third.line, third.error.code) == (3, "InvalidNumber")
    assert json.loads(third.body) == {"put": {"pk": "3", "n": None}}


@needs_pyarrow
@pytest.mark.parametrize("is_s3", [False, True])
def test_a_reader_goes_on_after_any_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_s3: bool) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 4)
    path = write(tmp_path / "a.parquet", {"pk": [str(n) for n in range(20)]}, group=6)
    fake = FakeS3({"bucket/a.parquet": Path(path).read_bytes()})
    inputs = inputs_of(["s3://bucket/a.parquet" if is_s3 else str(tmp_path)], fake)

    every = list(inputs.records())

    assert [json.loads(record.body)["put"]["pk"] for record in every] == [str(n) for n in range(20)]
    for position, record in enumerate(every):
        assert list(inputs.records(record.end)) == every[position + 1 :]
    list(inputs.records())
    assert inputs.size() == inputs.done(every[-1].end)


@needs_pyarrow
def test_what_cannot_be_stored_is_said_at_once(tmp_path: Path) -> None:
    duration = pyarrow.array([1], pyarrow.duration("s"))

    with pytest.raises(UsageError, match=r"column 'd' of .* has the type duration"):
        reader_of(tmp_path / "a.parquet", {"pk": ["1"], "d": duration})
    with pytest.raises(UsageError, match="plain JSON has no binary"):
        reader_of(tmp_path / "a.parquet", {"pk": ["1"], "d": [b"x"]}, bare=True)
    with pytest.raises(UsageError, match=r"the table's key 'pk' is no column of .*; it has id"):
        reader_of(tmp_path / "a.parquet", {"id": ["1"]})
    with pytest.raises(UsageError, match="--columns is for CSV"):
        reader_of(tmp_path / "a.parquet", {"pk": ["1"]}, columns=("pk",))
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(CommandError, match="not whole, or not Parquet"):
        Reader(Input(str(tmp_path / "b.parquet")))


def test_without_the_extra_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")

    assert main(["send", str(tmp_path / "a.parquet"), "--key", "pk:S", "--dry-run"]) == cli.FAILED
    assert "needs the Python package pyarrow: pip install 'sluice[parquet]'" in capsys.readouterr().err
