"""Which request meets which fault: decided by profile, seed and number alone."""

from __future__ import annotations

from collections import Counter

import pytest

from sluice.local.faults.kinds import CALLS, KINDS
from sluice.local.faults.profiles import PROFILES, Profile, decide


def test_hostile_holds_every_kind_of_fault() -> None:
    assert PROFILES["hostile"].shares.keys() == KINDS.keys()


def test_calm_holds_none() -> None:
    assert {decide(PROFILES["calm"], 1, number, "BatchWriteItem").name for number in range(100)} == {None}


def test_faults_come_in_their_shares() -> None:
    profile = Profile({"late": 0.3, "reset-before": 0.1})

    seen = Counter(decide(profile, 1, number, "PutItem").name for number in range(5000))

    assert seen.keys() == {"late", "reset-before", None}
    assert seen["late"] == pytest.approx(1500, rel=0.1)
    assert seen["reset-before"] == pytest.approx(500, rel=0.2)


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_meets_only_faults_that_it_can_have(operation: str) -> None:
    names = {decide(PROFILES["hostile"], 1, number, operation).name for number in range(5000)} - {None}

    assert names == {name for name, kind in KINDS.items() if operation in kind.operations}


def test_a_decision_depends_on_seed_and_number_alone() -> None:
    def names(seed: int) -> list[str | None]:
        return [decide(PROFILES["hostile"], seed, number, "BatchWriteItem").name for number in range(200)]

    assert names(1) == names(1)
    assert names(1) != names(2)


def test_a_profile_names_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="'gremlins'"):
        Profile({"gremlins": 0.1})
    with pytest.raises(ValueError, match=r"got 1\.2"):
        Profile({"late": 0.6, "drip": 0.6})
