"""What a BatchGetItem asks for, in two parts: what is read, and what comes back in UnprocessedKeys."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

Wanted = dict[str, dict[str, Any]]
"""The request's member RequestItems."""


def divided(wanted: Mapping[str, Any], chance: Random) -> tuple[Wanted, Wanted]:
    """Some of the keys are in the second part, never all."""
    every = [(table, number) for table, of_table in wanted.items() for number in range(len(of_table["Keys"]))]
    held = chance.sample(every, chance.randint(1, len(every) - 1)) if len(every) > 1 else []
    return _part(wanted, [each for each in every if each not in held]), _part(wanted, held)


def _part(wanted: Mapping[str, Any], of_it: list[tuple[str, int]]) -> Wanted:
    part: Wanted = {}
    for table, number in of_it:
        part.setdefault(table, {**wanted[table], "Keys": []})["Keys"].append(wanted[table]["Keys"][number])
    return part
