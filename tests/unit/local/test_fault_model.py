"""The soak's verdict: each way to break the promise is seen, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.local.soak.model import Chain, Key, Ledger, Message, State, Verdict, canonical

NEVER = float("inf")
A: Key = ("t", ("S", "a"), None)
OLD, NEW, OTHER = ({"state": ("S", name)} for name in ("old", "new", "other"))


@dataclass
class Run:
    """One ledger and the table that it is about."""

    ledger: Ledger = field(default_factory=Ledger)
    table: dict[Key, State] = field(default_factory=dict)

    def send(self, number: int, *effects: tuple[Chain, Sequence[State]], **more: Any) -> None:
        self.ledger.sending([Message(number, "body", 1, effects, **more)])

    def deliver(self, number: int, *, acknowledge: bool = True, at: float = 1.0) -> None:
        self.ledger.received(number)
        if acknowledge:
            self.ledger.check([number], self.table)
            self.ledger.acknowledged(number)
        self.ledger.let_go(number, at)

    def broken(self) -> set[str]:
        return broken(self.ledger.close(self.table))

    def acknowledge(self, number: int, **when: Any) -> set[str]:
        self.ledger.received(number)
        self.ledger.check([number], self.table, **when)
        return broken(self.ledger.verdict)

    def write(self, state: State, at: float) -> None:
        self.table[A] = state
        self.ledger.past.wrote(A, state, at, at + 1)


def broken(verdict: Verdict) -> set[str]:
    return {name for name, violations in verdict.rows().items() if violations.count}


def test_a_promise_kept() -> None:
    run = Run()
    run.send(1, (Chain(A, [[NEW]]), [NEW]))
    run.table[A] = NEW
    run.deliver(1)

    assert run.broken() == set()


def test_what_is_acknowledged_and_not_there_is_seen_at_once_and_in_the_end() -> None:
    run = Run()
    run.send(1, (Chain(A, [[NEW]]), [NEW]))
    run.deliver(1)

    assert run.broken() == {"acknowledged unwritten", "lost", "final table unlike the model"}


def test_what_is_acknowledged_unwritten_is_seen_even_if_it_is_written_later() -> None:
    run = Run()
    run.send(1, (Chain(A, [[NEW]]), [NEW]))
    run.deliver(1)
    run.table[A] = NEW

    assert run.broken() == {"acknowledged unwritten"}


def test_an_older_state_that_comes_back_is_a_loss() -> None:
    run = Run()
    chain = Chain(A, [[OLD], [NEW]])
    step_through(run, chain)
    run.table[A] = OLD

    assert run.broken() == {"lost", "final table unlike the model"}


def step_through(run: Run, chain: Chain, second: State = NEW) -> None:
    run.send(1, (chain, [OLD]))
    run.table[A] = OLD
    run.deliver(1)
    run.ledger.settle(NEVER)
    run.ledger.take_ready(1)
    run.send(2, (chain, [second]))
    run.table[A] = second
    run.deliver(2)


def test_a_delete_that_did_not_last_is_a_loss() -> None:
    run = Run()
    run.send(1, (Chain(A, [[None]]), [None]))
    run.deliver(1)
    run.table[A] = OLD

    assert run.broken() == {"lost", "final table unlike the model"}


def test_an_item_that_nobody_sent_is_unlike_the_model() -> None:
    run = Run(table={A: NEW})

    assert run.broken() == {"final table unlike the model"}


def test_racing_messages_may_leave_what_any_of_them_writes() -> None:
    run = Run()
    chain = Chain(A, [[OLD, OTHER], [NEW]])
    run.send(1, (chain, [OLD, OTHER]))
    run.send(2, (chain, [OLD, OTHER]))
    run.table[A] = OTHER
    run.deliver(1)
    run.deliver(2)

    assert broken(run.ledger.verdict) == set()


def test_where_the_newest_version_wins_an_older_one_is_a_loss_only_in_the_end() -> None:
    run = Run(table={A: OLD})
    chain = Chain(A, [[OLD, NEW]], final=[NEW])
    run.send(1, (chain, [OLD, NEW]))
    run.send(2, (chain, [NEW]))
    run.deliver(1)
    assert broken(run.ledger.verdict) == set()

    run.deliver(2)
    assert run.broken() == {"acknowledged unwritten", "lost", "final table unlike the model"}


def test_versions_that_are_still_on_the_queue_are_not_lost() -> None:
    run = Run(table={A: OLD})
    chain = Chain(A, [[OLD, NEW]], final=[NEW])
    run.send(1, (chain, [OLD, NEW]))
    run.send(2, (chain, [NEW]))
    run.deliver(1)

    assert run.broken() == {"not drained"}


def leaving(run: Run, number: int, chain: Chain, state: State) -> None:
    run.send(number, (chain, [OLD, NEW, OTHER]), leaves=((chain, state),))


def test_what_is_skipped_must_have_stood_there_while_it_was_worked_on() -> None:
    run = Run()
    leaving(run, 1, Chain(A, [[OLD, NEW]]), OLD)
    run.write(OLD, at=1)
    run.write(NEW, at=5)

    assert run.acknowledge(1, since=6) == set()
    assert run.ledger.unchanged == 1
    assert run.acknowledge(1, since=7) == {"acknowledged unwritten"}


def test_what_is_written_is_not_counted_as_unchanged() -> None:
    run = Run()
    leaving(run, 1, Chain(A, [[NEW]]), NEW)
    run.write(NEW, at=5)

    assert run.acknowledge(1, since=4) == set()
    assert run.ledger.unchanged == 0


def test_a_delete_of_what_was_never_there_may_be_skipped_and_of_what_is_there_may_not() -> None:
    run = Run()
    chain = Chain(A, [[None, OLD]])
    run.send(1, (chain, [None, OLD]), leaves=((chain, None),))

    assert run.acknowledge(1, since=1) == set()
    run.write(OLD, at=2)
    assert run.acknowledge(1, since=4) == {"acknowledged unwritten"}


def test_only_what_is_in_the_same_hands_may_supersede() -> None:
    run = Run()
    chain = Chain(A, [[OLD, NEW]])
    leaving(run, 1, chain, OLD)
    leaving(run, 2, chain, NEW)
    run.write(NEW, at=5)

    assert run.acknowledge(1, since=4, in_hand=[1, 2]) == set()
    assert run.acknowledge(1, since=4, in_hand=[1]) == {"acknowledged unwritten"}


def test_a_write_whose_condition_did_not_hold_must_have_changed_nothing() -> None:
    run = Run()
    chain = Chain(A, [[OLD], [OLD]])
    step_through(run, chain, second=OLD)
    assert broken(run.ledger.verdict) == set()

    run.table[A] = OTHER
    assert run.broken() == {"lost", "final table unlike the model"}


def test_the_next_step_waits_until_all_messages_of_the_last_are_at_rest() -> None:
    run = Run(table={A: OLD})
    chain = Chain(A, [[OLD, OTHER], [NEW]])
    run.send(1, (chain, [OLD]))
    run.send(2, (chain, [OTHER]))

    run.deliver(1)
    run.ledger.settle(NEVER)
    assert run.ledger.take_ready(9) == []

    run.ledger.received(2)  # In two hands: only one of them has acknowledged it.
    run.deliver(2)
    run.ledger.settle(NEVER)
    assert run.ledger.take_ready(9) == []

    run.ledger.let_go(2, 5.0)
    run.ledger.settle(busy_since=4.9)  # A call that began before may still write.
    assert run.ledger.take_ready(9) == []

    run.ledger.settle(busy_since=5.1)
    assert run.ledger.take_ready(9) == [chain]


def test_it_is_finished_when_all_last_states_are_sent_and_acknowledged() -> None:
    run = Run(table={A: OLD})
    chain = Chain(A, [[OLD], [NEW]])

    run.send(1, (chain, [OLD]))
    run.deliver(1)
    assert not run.ledger.is_finished

    run.ledger.settle(NEVER)
    run.ledger.take_ready(9)
    run.send(2, (chain, [NEW]))
    assert not run.ledger.is_finished

    run.deliver(2)
    assert run.ledger.is_finished


def test_a_message_that_is_left_over_is_not_lost_but_not_drained() -> None:
    run = Run()
    run.send(1, (Chain(A, [[NEW]]), [NEW]))
    run.deliver(1, acknowledge=False)

    assert run.broken() == {"not drained"}


def test_a_good_message_among_the_dead_letters() -> None:
    run = Run(table={A: NEW})
    run.send(1, (Chain(A, [[NEW]]), [NEW]))
    run.deliver(1)
    run.ledger.dead_letter(1, "MissingKey", "body")

    assert run.broken() == {"good messages dead-lettered"}


def test_a_dead_letter_of_unknown_origin() -> None:
    run = Run()
    run.ledger.dead_letter(None, None, "body")

    assert run.broken() == {"good messages dead-lettered"}


def test_a_bad_message_without_a_dead_letter() -> None:
    run = Run()
    run.send(1, error_code="MissingKey", dead_letter="body")
    run.deliver(1)

    assert run.broken() == {"bad messages without dead letter"}


def test_dead_letters_are_compared_as_json_to_the_last_digit() -> None:
    run = Run()
    run.send(1, error_code="MissingKey", dead_letter='[{"put": {"n": 1.10}}]')
    run.deliver(1)
    run.ledger.dead_letter(1, "MissingKey", '[ {"put":{"n":1.10}} ]')
    assert broken(run.ledger.verdict) == set()

    run.ledger.dead_letter(1, "MissingKey", '[{"put": {"n": 1.1000000000000000888}}]')
    assert run.broken() == {"dead letters unlike the message"}


def test_a_dead_letter_for_another_reason() -> None:
    run = Run()
    run.send(1, error_code="MissingKey", dead_letter="body")
    run.deliver(1)
    run.ledger.dead_letter(1, "EmptyKey", "body")

    assert run.broken() == {"dead letters unlike the message"}


def test_items_are_compared_by_what_they_mean() -> None:
    one: dict[str, Any] = {
        "n": {"N": "1.50"},
        "b": {"B": "AAE="},
        "s": {"NS": ["1", "2"]},
        "l": {"L": [{"M": {"x": {"N": "1E1"}}}]},
    }
    two: dict[str, Any] = {
        "n": {"N": "1.5"},
        "b": {"B": b"\x00\x01"},
        "s": {"NS": ["2", "1"]},
        "l": {"L": [{"M": {"x": {"N": "10"}}}]},
    }

    assert canonical(one) == canonical(two)
    assert canonical(one) != canonical({**two, "n": {"S": "1.5"}})
