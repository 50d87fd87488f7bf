"""The simulation keeps the contract for some fixed seeds, replays exactly, and finds what is broken on purpose."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter

import pytest

from sluice.aws.tables import Tables
from tests.simulation.__main__ import main, seeds_of
from tests.simulation.mutants import MUTANTS, ROOT, Mutant
from tests.simulation.run import KINDS, Result, Scene, simulate
from tests.simulation.virtual_time import Context, DeadlockError, Time

SEEDS = {"fifo": 22, "strict fake": 15, "large events": 16, "updates once": 28, "write units": 26}
MESSAGES = 1000
MAX_MISSING = 0.15
"""Of all kinds of faults: so few messages do not meet with every rare one."""


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {name: simulate(seed, MESSAGES) for name, seed in SEEDS.items()}


@pytest.mark.parametrize("name", SEEDS)
def test_the_whole_function_keeps_the_contract_under_faults(results: dict[str, Result], name: str) -> None:
    result = results[name]

    assert result.violation is None
    assert result.counts["messages sent"] == MESSAGES
    assert result.counts["calls of DynamoDB"] > 0


def test_the_seeds_are_what_they_are_called() -> None:
    scenes = {name: Scene.drawn(seed) for name, seed in SEEDS.items()}

    assert scenes["fifo"].load.groups > 0
    assert scenes["strict fake"].is_strict
    assert scenes["large events"].event == 1000
    assert scenes["updates once"].update_once
    assert scenes["write units"].max_units < float("inf")


def test_nearly_every_kind_of_fault_is_reached(results: dict[str, Result]) -> None:
    seen = sum((result.seen for result in results.values()), Counter())

    missing = {kind for kind in KINDS if not seen[kind]}
    assert len(missing) <= MAX_MISSING * len(KINDS), missing


def test_items_are_read_and_some_of_them_are_unchanged_or_newer(results: dict[str, Result]) -> None:
    counts = sum((result.counts for result in results.values()), Counter())

    assert counts["unchanged by reading"] > 100
    assert counts["stale by reading"] > 10
    assert counts["reads that failed"] > 10


def test_the_same_seed_is_the_same_simulation_to_the_last_byte(results: dict[str, Result]) -> None:
    again = simulate(SEEDS["fifo"], MESSAGES)

    assert (again.checksum, again.seen, again.counts) == (
        results["fifo"].checksum, results["fifo"].seen, results["fifo"].counts,
    )  # fmt: skip


def test_it_is_the_same_in_another_process_that_hashes_otherwise(results: dict[str, Result]) -> None:
    code = f"from tests.simulation.run import simulate; print(simulate({SEEDS['large events']}, {MESSAGES}).checksum)"

    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert int(printed) == results["large events"].checksum


def test_another_seed_is_another_simulation(results: dict[str, Result]) -> None:
    assert len({result.checksum for result in results.values()}) == len(results)


def test_what_is_broken_is_found_and_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Tables, "_unwritten", lambda *_: ())

    status = main(["--seeds", "1-20", "--messages", "1000"])

    printed = capsys.readouterr().out
    assert status == 1
    assert "FOUND after" in printed
    assert "is not written" in printed or "is applied before" in printed
    assert "invoked with" in printed.partition("FOUND after")[2], "no trace of the message"
    assert "did not replay" not in printed


def test_seeds_are_numbers_and_ranges() -> None:
    assert seeds_of("17") == [17]
    assert seeds_of("1-3,8") == [1, 2, 3, 8]


def test_contexts_take_turns_in_the_order_of_time() -> None:
    time, happened = Time(), list[tuple[float, str]]()

    def body(name: str, pause: float) -> None:
        def run(context: Context) -> None:
            for _ in range(2):
                time.sleep(context, pause)
                happened.append((time.now, name))

        time.spawn(run)

    body("slow", 3.0)
    body("fast", 2.0)
    time.run()

    assert happened == [(2.0, "fast"), (3.0, "slow"), (4.0, "fast"), (6.0, "slow")]


def test_waiting_for_nothing_is_told() -> None:
    time = Time()
    time.spawn(time.suspend)

    with pytest.raises(DeadlockError):
        time.run()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made_of_the_code_as_it_is(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()

    assert text.count(mutant.old) == 1
    ast.parse(text.replace(mutant.old, mutant.new))
