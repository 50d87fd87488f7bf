"""What the soak sends: the same for the same seed, in every form, good and bad, with what is to come of it."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

from sluice.faults.model import Ledger, Message
from sluice.faults.workload import _BAD, READINGS, Workload

NEVER = float("inf")


def sent(seed: int, rounds: int = 60) -> tuple[list[Message], Ledger]:
    """The messages of a run in which each is acknowledged at once."""
    workload, ledger = Workload(seed), Ledger()
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
    assert [message.body for message in sent(1)[0]] == [message.body for message in sent(1)[0]]
    assert [message.body for message in sent(1)[0]] != [message.body for message in sent(2)[0]]


def test_every_form_of_the_contract_is_sent() -> None:
    good = [element for message in sent(1)[0] if message.error_code is None for element in parsed(message.body)]

    seen = {form for element in good for form in forms(element)}

    assert seen == {"put", "delete", "PutRequest", "DeleteRequest", "RequestItems", "Put", "Delete"}


def test_every_kind_of_bad_operation_is_sent() -> None:
    codes = Counter(message.error_code for message in sent(1, rounds=300)[0])

    assert codes.keys() == {None, "InvalidJson", *(code for code, _ in _BAD)}
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

    sizes = {tuple(map(len, chain.steps)) for chain in chains}
    finals = Counter(chain.steps[-1][0] is None for chain in chains)

    assert sizes == {(1,), (1, 1), (1, 1, 1, 1), (3, 1), (1, 2, 1)}
    assert finals[False] > finals[True] > 0
    assert {chain.key[0] for chain in chains} >= {READINGS.name}
