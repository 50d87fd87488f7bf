"""The benchmarks run and count right; how fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import boto3
import pytest

from tests.benchmarks import calls, instructions
from tests.benchmarks.__main__ import SECTIONS
from tests.benchmarks.processes import ROOT, ServerProcess, WriterProcess, environment
from tests.benchmarks.records import LARGE, MEDIUM, SMALL, Load, encoded, event, orders
from tests.benchmarks.rounds import QUICK, prove

# These take their time, and the peers in other languages are only measured where they are asked for.
QUICK_SECTIONS = [name for name in SECTIONS if name not in ("throughput", "capacity", "peers")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A quick run of the command: its page's directory, its numbers, and what it printed."""
    docs = tmp_path_factory.mktemp("docs")
    numbers = docs / "numbers.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", ",".join(QUICK_SECTIONS)]
    done = subprocess.run(
        [*command, "--json", str(numbers), "--docs", str(docs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: a target is missed, as it may be in so short a run.
    return docs, json.loads(numbers.read_text()), done.stdout


def test_a_run_finds_something_for_every_section(run: tuple[Path, dict[str, Any], str]) -> None:
    docs, numbers, printed = run

    assert list(numbers["sections"]) == QUICK_SECTIONS
    assert {target["section"] for target in numbers["targets"]} == set(QUICK_SECTIONS)
    page = (docs / "benchmarks.md").read_text()
    for target in numbers["targets"]:
        assert target["name"] in page
        assert target["name"] in printed


def test_a_run_names_the_machine_and_the_date(run: tuple[Path, dict[str, Any], str]) -> None:
    docs, numbers, printed = run

    for value in numbers["machine"].values():
        assert str(value) in printed
        assert str(value) in (docs / "benchmarks.md").read_text()


def test_the_charts_are_well_formed_and_all_on_the_page(run: tuple[Path, dict[str, Any], str]) -> None:
    docs, _, _ = run

    charts = sorted(path.name for path in (docs / "charts").iterdir())

    assert {"cost.svg", "cpu.svg", "curve.svg"} <= set(charts)
    for chart in charts:
        assert ElementTree.parse(docs / "charts" / chart).getroot().tag.endswith("svg")
        assert f"(charts/{chart})" in (docs / "benchmarks.md").read_text()


def test_n_distinct_records_take_n_25ths_calls() -> None:
    section = calls.measure(QUICK, counts=(1, 25, 26, 130))

    assert section.data["calls"] == section.data["fewest"] == 2 * (1 + 1 + 2 + 6)
    assert section.targets[0].is_met


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as process:
        yield process


@pytest.mark.parametrize("name", ["sluice", "boto3 batch_writer", "boto3 put_item", "sample: put_item, log"])
def test_every_writer_writes_every_record_once(server: ServerProcess, name: str) -> None:
    with WriterProcess(name, server.port) as writer:
        for packing in (1, 10):
            server.control("/check")
            writer.invoke(Load(60, MEDIUM, packing), times=2)

            told = server.control("/counts")
            assert told["items"] == 120
            assert told["distinct"] == 60


class Idler:
    """A writer that says it has written and has not."""

    name = "idler"

    def invoke(self, load: Load, times: int = 1) -> None:
        pass


def test_a_writer_that_does_not_write_is_not_measured(server: ServerProcess) -> None:
    with pytest.raises(RuntimeError, match="idler wrote"):
        prove(cast(WriterProcess, Idler()), server)


def test_the_server_tells_repeated_items_from_distinct_ones(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(server.port).items():
        monkeypatch.setenv(name, value)
    client = boto3.client("dynamodb")
    put = {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}}}
    other = {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": "c"}}}}

    server.control("/check")
    client.batch_write_item(RequestItems={"bench": [put]})
    client.batch_write_item(RequestItems={"bench": [put, other]})
    told = server.control("/counts")

    assert (told["calls"], told["items"], told["distinct"], told["largest"]) == ({"BatchWriteItem": 2}, 3, 2, 2)
    assert server.control("/reset") == {}
    assert server.control("/counts")["calls"] == {}


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
def test_records_have_the_size_that_they_are_said_to_have(size: int) -> None:
    assert {len(encoded(record).encode()) for record in orders(50, size)} == {size}


def test_an_event_holds_every_record_once() -> None:
    bodies = [json.loads(record["body"]) for record in event(Load(250, SMALL, 100))["Records"]]

    assert [len(body) for body in bodies] == [100, 100, 50]
    assert len({(put["put"]["pk"], put["put"]["sk"]) for body in bodies for put in body}) == 250


@pytest.mark.parametrize(
    ("output", "count"),
    [
        ("1234567,,instructions:u,1000,100.00,,\n", 1_234_567),
        ("# started on Sun Nov 22\n\n98,,instructions:u,1,100.00,,\n", 98),
        ("<not supported>,,instructions:u,0,100.00,,\n", None),
        ("<not counted>,,instructions:u,0,0.00,,\n", None),
        ("", None),
    ],
)
def test_what_perf_has_counted_is_read_and_what_it_has_not_is_not(output: str, count: int | None) -> None:
    assert instructions.counted(output) == count


PERF = """#!/bin/sh
# Stands in for perf where it does not count: each run has 1,000,000 instructions more than the one before.
[ "$7" = "--" ] || { echo "98,,instructions:u" >&2; exit 0; }
output=$6
shift 7
"$@"
echo run >> "$(dirname "$0")"/runs
echo "$(wc -l < "$(dirname "$0")"/runs)000000,,instructions:u,1,100.00,," > "$output"
"""


def test_instructions_are_those_of_the_records_and_not_of_starting_up(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perf = tmp_path / "perf"
    perf.write_text(PERF)
    perf.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert instructions.supported()
    per_record = instructions.per_record("sluice", server, Load(50, SMALL), QUICK)

    assert per_record == (2_000_000 - 1_000_000) / 4 / 50  # Four invocations more in the second run than in the first.
