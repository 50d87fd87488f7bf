"""Peers in other languages: none is needed, none is fetched unasked, and each must have written what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.benchmarks.lanes.counted import CountError
from tests.benchmarks.peers import programs, section
from tests.benchmarks.peers.programs import PROGRAMS, NotMeasuredError, Program
from tests.benchmarks.records import SMALL
from tests.benchmarks.rounds import QUICK, Scale

SCALE = Scale(rounds=1, records=10, peers=True)
NOT_MEASURED = ["Some SDK", "not measured"]


@pytest.fixture(autouse=True)
def one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "SIZES", {SMALL: "300 B"})


def only(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Some Python code for the one peer."""
    monkeypatch.setattr(section, "PROGRAMS", [Program("Some SDK", lambda: [sys.executable, "-c", code])])


def test_without_tools_every_peer_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "BUILT", tmp_path / "built")
    monkeypatch.setattr(programs, "_pythons", lambda: iter(()))

    reasons = {}
    for program in PROGRAMS:
        with pytest.raises(NotMeasuredError) as raised:
            program.build()
        reasons[program.build.__name__] = str(raised.value)

    assert reasons == {
        "go": "there is no go here",
        "rust": "there is no cargo here",
        "node": "there is no node here",
        "python_v4": "there is no Python 3.12 or newer here",
    }


def test_a_build_that_fails_tells_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo = tmp_path / "cargo"
    cargo.write_text("#!/bin/sh\necho first >&2\necho 'error: no network' >&2\nexit 101\n")
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotMeasuredError, match=r"^cargo failed: error: no network$"):
        programs.rust()


def test_nothing_is_built_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> Sequence[str]:
        raise AssertionError("nobody has asked for it")

    monkeypatch.setattr(section, "PROGRAMS", [Program("Some SDK", build)])

    found = section.measure(Scale(rounds=1, records=10))

    assert not QUICK.peers
    assert NOT_MEASURED in found.tables[0].rows
    assert f"Some SDK is not measured: {section.NOT_ASKED}." in found.notes


def test_a_program_that_does_not_run_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "raise SystemExit(3)")

    found = section.measure(SCALE)

    assert NOT_MEASURED in found.tables[0].rows
    assert [note for note in found.notes if "ended with status 3" in note]


def test_a_program_that_has_not_written_what_it_says_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({"cpu": 1.0, "wall": 1.0, "written": SCALE.records})
    only(monkeypatch, f"import sys\nfor line in sys.stdin: print({told!r}, flush=True)")

    with pytest.raises(CountError, match="Some SDK: 10 given, 10 written as it says, 0 arrived"):
        section.measure(SCALE)
