"""What the soak sends: the same for the same seed, in every form, good and bad, with what is to come of it."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

from sluice.local.soak.bad import BAD
from sluice.local.soak.model import Ledger, Message
from sluice.local.soak.ordered import OrderedWorkload
from sluice.local.soak.workload import FEED, TABLES, Workload

NEVER = float("inf")


@cache
def sent(seed: int, rounds: int = 60, workload: Workload | None = None) -> tuple[list[Message], Ledger]:
    """The messages of a run in which each is acknowledged at once; whoever asks again gets the same ones."""
    workload, ledger = workload or Workload(seed), Ledger()
    messages = []
    for number in range(rounds + 10):
        made = workload.messages(ledger.take_ready(70), with_new=number < rounds)
        ledger.sending(made)
        for message in made:
            ledger.received(message.number)
            ledger.acknowledged(message.number)
            ledger.let_go(message.number, 0.0)
        ledger.settle(NEVER)
        messages += made
    return messages, ledger


def parsed(body: str) -> list[Any]:
    value = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    return value if isinstance(value, list) else [value]


def forms(element: dict[str, Any]) -> set[str]:
    """How an element is written: its first key, and what stands inside RequestItems."""
    requests = [request for table in element.get("RequestItems", {}).values() for request in table]
    return {next(iter(element)), *(next(iter(request)) for request in requests)}


def test_the_same_seed_sends_the_same_messages() -> None:
    assert [message.body for message in sent(1)[0]] == [message.body for message in sent(1, workload=Workload(1))[0]]
    assert [message.body for message in sent(1)[0]] != [message.body for message in sent(2)[0]]


def test_every_form_of_the_contract_is_sent() -> None:
    good = [element for message in sent(1)[0] if message.error_code is None for element in parsed(message.body)]

    seen = {form for element in good for form in forms(element)}

    plain, native = {"put", "delete", "update"}, {"Put", "Delete", "Update"}
    assert seen == {*plain, *native, "PutRequest", "DeleteRequest", "RequestItems"}


def test_every_kind_of_bad_operation_is_sent() -> None:
    codes = Counter(message.error_code for message in [*sent(1)[0], *sent(2)[0]])

    assert codes.keys() == {None, "InvalidJson", *(code for code, _ in BAD)}
    assert codes[None] > codes.total() / 2


def test_a_dead_letter_holds_the_bad_operations_and_no_others() -> None:
    mixed = [m for m in sent(1)[0] if m.error_code not in (None, "InvalidJson") and m.effects]

    assert mixed
    for message in mixed:
        bad, everything = parsed(message.dead_letter), parsed(message.body)
        assert len(everything) - len(bad) >= len(message.effects)
        assert all(element in everything for element in bad)


def test_every_item_reaches_its_last_state() -> None:
    messages, ledger = sent(1)

    last = {chain.key: chain for message in messages for chain, _ in message.effects}

    assert ledger.is_finished
    assert all(chain.is_last and not chain.open for chain in last.values())


def test_items_are_written_again_raced_for_and_deleted() -> None:
    chains = {chain.key: chain for message in sent(1)[0] for chain, _ in message.effects}.values()

    sizes = {tuple(map(len, chain.steps)) for chain in chains if not chain.final and chain.key[0] != FEED.name}
    finals = Counter(chain.steps[-1][0] is None for chain in chains)

    assert sizes == {(1,), (1, 1), (1, 1, 1, 1), (3, 1), (1, 2, 1)}
    assert finals[False] > finals[True] > 0
    assert {chain.key[0] for chain in chains} == {table.name for table in TABLES}


def test_what_is_read_first_is_sent_again_as_it_stands_changed_and_raced_for() -> None:
    messages, _ = sent(1)

    chains = {chain.key: chain for message in messages for chain, _ in message.leaves}.values()
    steps = [step for chain in chains for step in chain.steps]

    assert {chain.key[0] for chain in chains} == {FEED.name}
    assert all(len(chain.steps[-1]) == 1 for chain in chains)
    again = sum(one == other for chain in chains for one, other in pairwise(chain.steps))
    assert again > len(steps) / 4
    assert {len(step) for step in steps} == {1, 2}


def test_conditions_hold_and_fail_and_versions_come_in_any_order() -> None:
    workload = Workload(1)
    messages, _ = sent(1, workload=workload)

    chains = {chain.key: chain for message in messages for chain, _ in message.effects}.values()
    versions = [[int(state["version"][1]) for state in c.steps[0] if state is not None] for c in chains if c.final]

    assert all(workload.kinds[f"puts whose condition {outcome}"] >= 20 for outcome in ("holds", "does not hold"))
    assert all(workload.kinds[kind] >= 10 for kind in ("updates", "conditional updates whose condition holds"))
    assert any(them != sorted(them) for them in versions)
    assert any(len(set(them)) < len(them) for them in versions)
    assert any(9 in them and 10 in them for them in versions)
    assert any(max(them) > 2**53 for them in versions)


def test_only_the_newest_versions_may_be_left() -> None:
    chains = {chain.key: chain for message in sent(1)[0] for chain, _ in message.effects}.values()

    ended = [chain for chain in chains if chain.final and chain.final != [None]]

    assert ended
    for chain in ended:
        newest = max(state["version"][1] for state in chain.steps[0] if state is not None)
        assert {state["version"][1] for state in chain.final} == {newest}
        assert all(state in chain.final for state in chain.steps[0] if state and state["version"][1] == newest)


def test_a_failed_condition_calls_for_a_dead_letter_where_it_is_to_be_reported() -> None:
    skipped, _ = sent(1)
    reported, _ = sent(1, workload=Workload(1, reports_conditions=True))

    assert all(message.error_code != "ConditionFailed" for message in skipped)
    refused = [message for message in reported if message.error_code == "ConditionFailed"]
    assert refused
    for message in refused:
        assert any({"condition", "Put", "Delete"} & element.keys() for element in parsed(message.dead_letter))


def test_in_a_group_the_last_message_on_an_item_decides() -> None:
    messages, ledger = sent(1, workload=OrderedWorkload(1))

    of_item: dict[Any, list[Any]] = {}
    groups: dict[Any, set[str | None]] = {}
    for message in messages:
        for chain, allowed in message.effects:
            of_item.setdefault(chain.key, []).append(allowed)
            groups.setdefault(chain.key, set()).add(message.group)

    assert ledger.is_finished
    assert all(len(group) == 1 for group in groups.values())
    assert max(map(len, of_item.values())) >= 10
    for chain in {chain.key: chain for message in messages for chain, _ in message.effects}.values():
        every = of_item[chain.key]
        # Earlier messages may find what any later one has written already, never what was before them.
        assert [len(allowed) for allowed in every] == list(range(len(every), 0, -1))
        assert every[-1] == list(chain.final) == chain.steps[0][-1:]
