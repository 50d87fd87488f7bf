"""Runs a machine, and sees to it that it has come across what it is there for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.machine import Function
from tests.property.schedules import Setting
from tests.strategies import examples, rounds

REACHED = {
    "acknowledged", "some returned", "answer lost", "an item twice", "interrupted", "superseded", "condition failed",
    "poison found", "unprocessed", "throttled", "raised", "killed", "newest", "added",
    "unchanged", "stale by reading",
}  # fmt: skip
REACHED_WITH_DEAD_LETTERS = {"dead-lettered", "dead letter not sent"}
REACHED_BY: Mapping[Setting, set[str]] = {
    "default": REACHED_WITH_DEAD_LETTERS,
    "update once": {"dead-lettered", "transaction repeated"},
    "refuse conditions": {*REACHED_WITH_DEAD_LETTERS, "condition refused"},
    "no dead letters": {"held to the end"},
    "refuse conditions, no dead letters": {"held to the end", "condition refused"},
}


def run(machine: type[Function], *more: str) -> None:
    """Run a machine by the profile's number of examples, until what it is to reach, and `more`, has been seen."""
    machine.seen = Counter()
    limits = settings(examples(0.5), stateful_step_count=20)

    def again(number: int) -> None:
        run_state_machine_as_test(seed(number)(machine) if number else machine, settings=limits)

    rounds(again, machine.seen, {*REACHED, *REACHED_BY[machine.setting], *more})
