"""What happens to the stateful tests' function: which messages arrive, and what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, get_args

from hypothesis import strategies as st

from tests.fakes import Canceled, ConnectionLost, Raised
from tests.property.writes import BAD, Kind
from tests.strategies import not_written, refusals, unknown_outcome

Setting = Literal[
    "default", "update once", "refuse conditions", "no dead letters", "refuse conditions, no dead letters"
]  # fmt: skip
SETTINGS: tuple[Setting, ...] = get_args(Setting)
KINDS: Sequence[Kind] = (
    "put", "put", "put again", "put again", "delete", "delete", "put if absent", "put if absent", "update",
    "update if present", "add", "put version", "put version", "delete version", "poison", "mistake",
)  # fmt: skip
# What a setting is about comes more often.
MORE: Mapping[Setting, Sequence[Kind]] = {
    "update once": ("add", "add", "add", "add", "update", "update", "update if present"),
    "refuse conditions": ("put if absent", "update if present", "put", "put"),
}
NOT_FOR_SHARED_ITEMS: dict[Kind, Kind] = {"delete": "put", "delete version": "put version", "put again": "put"}
"""These carry nothing that says whose they are; on an item of several groups one has to know."""


class KilledError(Exception):
    """The function's process has ended in the middle of a call."""


Draft = tuple[Kind, int, int, bool]
"""Kind, number of the item, version or number of the mistake, whether it is written in DynamoDB's own form."""
Arrivals = list[tuple[str, list[Draft]]]
"""For each message its group and its operations."""


def arrivals(setting: Setting, groups: str, most: int, longest: int) -> st.SearchStrategy[Arrivals]:
    kinds = (*KINDS, *MORE.get(setting, ()))
    # One draw for all of a draft: a run of many steps has to fit into what Hypothesis takes for one example.
    every: list[Draft] = list(product(kinds, range(4), range(1, max(5, len(BAD)) + 1), (False, True)))
    operations = st.lists(st.sampled_from(every), min_size=1, max_size=longest)
    return st.lists(st.tuples(st.sampled_from(groups), operations), min_size=1, max_size=most)


kills = st.builds(lambda applied: Raised(KilledError("killed"), applied), st.booleans())
# In the place of a fault: another invocation runs while this call is on its way.
INTERRUPTION, INTERRUPTION_BY_A_DUPLICATE = "interruption", "interruption by a duplicate"
interruptions = st.sampled_from([INTERRUPTION, INTERRUPTION_BY_A_DUPLICATE])
stops = st.one_of(kills, refusals)
schedules = st.lists(
    st.one_of(st.none(), not_written, not_written, not_written, unknown_outcome, unknown_outcome, interruptions, stops),
    max_size=5,
)
cancellations = st.lists(
    st.builds(Canceled, st.sampled_from(["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])),
    max_size=2,
)
queue_troubles = st.sampled_from(
    [
        None,
        None,
        "entries",
        "entries",
        ConnectionLost(),
        ConnectionLost(applied=True),
        Raised(KilledError("killed"), applied=True),
    ]
)
# For a rule in which messages arrive, beside `arrivals` and `count`. Seconds, where a time is meant.
waits = st.sampled_from([0, 6, 31, 31])
environments = st.integers(0, 1)
times_left = st.sampled_from([0.05, 1.0, 3.0])
losses = st.sampled_from([False, False, True])
