"""Twice the work takes about twice the steps: counted, never timed.

A step is a line of the function's own code that is run, so a loop inside a loop shows; what a single call into
Python's own C code copies does not.
"""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from types import CodeType, FrameType
from typing import Any, TypeVar

import pytest

from functions.batch_writer.fifo import Groups
from sluice.aws import dead_letters
from sluice.cdk.bundle import sources
from sluice.message.decoder import Decoder, Message
from sluice.message.operation import Operation
from sluice.message.settings import Settings
from sluice.writing import plan
from sluice.writing.plan import Step
from tests.fakes import Unprocessed
from tests.fakes.protocol import FakeWire
from tests.fakes.service import FakeService
from tests.world import ORDERS, World, batch_writes

T = TypeVar("T")
OURS = frozenset(str(path) for path in sources().values())
MAX_RATIO = 2.3
"""Times the steps for twice the work; an algorithm that sorts takes a little more than twice."""

BAD: dict[str, Any] = {"put": {}}
POISON: dict[str, Any] = {"put": {"pk": "poison", "poison": True}}


class Steps:
    """Counts the lines of the function's package that are run inside the `with` block; fails beyond `at_most`."""

    def __init__(self, at_most: float) -> None:
        self.count = 0
        self._at_most = at_most

    def __enter__(self) -> Steps:
        self._before = sys.gettrace()
        sys.settrace(self._tracer())
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _tracer(self) -> Callable[[FrameType, str, object], Any]:
        """What is called for each frame; plain functions and not methods, for it is called for each line, too."""
        at_most, known = self._at_most, dict[CodeType, Any]()

        def line(_frame: FrameType, event: str, _argument: object) -> None:
            if event == "line":
                self.count += 1
                # At once, for a quadratic version of 10,000 would go on for minutes.
                if self.count > at_most:
                    raise AssertionError(f"more than {at_most:,.0f} steps")

        def enter(frame: FrameType, _event: str, _argument: object) -> Any:
            code = frame.f_code
            if code not in known:
                known[code] = line if code.co_filename in OURS else None
            return known[code]

        return enter


def untraced(work: Callable[..., T]) -> Callable[..., T]:
    """The same at full speed: Python slows down whatever runs while lines are counted."""

    def at_full_speed(*arguments: Any, **more: Any) -> T:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return work(*arguments, **more)
        finally:
            sys.settrace(tracer)

    return at_full_speed


@pytest.fixture(autouse=True)
def _fakes_at_full_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the fakes do is none of the function's steps."""
    monkeypatch.setattr(FakeWire, "post", untraced(FakeWire.post))
    monkeypatch.setattr(FakeService, "_called_by_client", untraced(FakeService._called_by_client))


def steps(work: Callable[[], object], at_most: float = math.inf) -> int:
    with Steps(at_most) as counted:
        work()
    return counted.count


def assert_linear(prepare: Callable[[int], Callable[[], object]], n: int) -> None:
    """`prepare(size)` gives the work of that size; only the work itself is counted, for `n` and for half of it."""
    half = steps(prepare(n // 2))

    assert half >= n // 2, "so few steps that they prove nothing"
    steps(prepare(n), MAX_RATIO * half)


def put(pk: str, **more: Any) -> dict[str, Any]:
    return {"put": {"pk": pk, **more}}


def add_one(pk: str) -> dict[str, Any]:
    return {"update": {"pk": pk}, "expression": "ADD n :one", "values": {":one": 1}}


def record(body: Any, number: int = 0, group: str | None = None) -> dict[str, Any]:
    return {
        "messageId": str(number),
        "receiptHandle": f"receipt-{number}",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"} | ({"MessageGroupId": group} if group else {}),
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work" + (".fifo" if group else ""),
    }


def decoded(*bodies: Any, group: str | None = None) -> list[Message]:
    decoder = Decoder(Settings((ORDERS,)))
    return [decoder.decode(record(body, number, group)) for number, body in enumerate(bodies)]


def operations(*elements: Any) -> tuple[Operation, ...]:
    [message] = decoded(list(elements))
    assert not message.rejected
    return message.operations


def handled(*bodies: Any, group: str | None = None, fault: Unprocessed | None = None) -> Callable[[], object]:
    """An invocation with messages of these bodies, and time enough; checked to leave nothing over."""
    world = World((ORDERS,), fifo=group is not None, fifo_dead_letters=group is not None)
    world.db.reject_if(lambda _, request: "poison" in request.get("PutRequest", {}).get("Item", {}), str)
    world.db.script(*[fault] * 20)
    records = [record(body, number, group) for number, body in enumerate(bodies)]

    def handle() -> None:
        outcome = world.pipeline.run(records, 100_000.0)
        assert not outcome.returned
        assert not outcome.failures

    return handle


# The plan


@pytest.mark.parametrize("kinds", [[put], [put, add_one], [add_one], [add_one, add_one, add_one, put]])
@pytest.mark.parametrize("within_message", [False, True])
def test_the_plan_for_one_item_written_again_and_again(kinds: list[Callable[[str], Any]], within_message: bool) -> None:
    def prepare(size: int) -> Callable[[], object]:
        written = operations(*[kinds[n % len(kinds)]("a") for n in range(size)])
        return lambda: plan.lanes(written, within_message=within_message)

    assert_linear(prepare, 10_000)


def test_no_step_of_the_plan_holds_what_another_holds() -> None:
    """A copy of what is superseded, one for each operation, is quadratic in memory."""
    written = operations(*[put("a") for _ in range(10_000)])

    [lane] = plan.lanes(written).values()

    assert [len(step.superseded) for step in lane] == [9_999]
    assert lane[0].superseded == list(written[:-1])


def test_the_plan_when_every_write_of_an_item_is_rejected_in_turn() -> None:
    def prepare(size: int) -> Callable[[], object]:
        [lane] = plan.lanes(operations(*[put("a") for _ in range(size)])).values()
        return lambda: deque(rejected_in_turn(lane), maxlen=0)

    assert_linear(prepare, 5_000)


def rejected_in_turn(lane: deque[Step]) -> Iterator[Step]:
    while lane:
        yield (step := lane.popleft())
        lane.extendleft(reversed(step.without()))


@pytest.mark.parametrize("partitions", [1, 7, 1_000_000])
def test_interleaving_and_packing(partitions: int) -> None:
    def prepare(size: int) -> Callable[[], object]:
        written = operations(*[put(f"{n % partitions}") for n in range(size)])

        def pack() -> None:
            queue = deque(batch_writes(plan.interleave(written)))
            while plan.take([queue]):
                pass

        return pack

    assert_linear(prepare, 5_000)


# Dead letters


def one_by_one(size: int) -> Any:
    return list(chain.from_iterable((BAD, put(f"{n}")) for n in range(size)))


def in_one_request_items(size: int) -> Any:
    requests: list[Any] = [
        ({"PutRequest": {"Item": {}}}, {"PutRequest": {"Item": {"pk": {"S": f"{n}"}}}}) for n in range(size)
    ]
    return {"RequestItems": {"orders": list(chain.from_iterable(requests))}}


def in_many_request_items(size: int) -> Any:
    return [in_one_request_items(1) for _ in range(size)]


@pytest.mark.parametrize("body", [one_by_one, in_one_request_items, in_many_request_items])
def test_a_dead_letter_of_every_other_operation(body: Callable[[int], Any]) -> None:
    def prepare(size: int) -> Callable[[], object]:
        [message] = decoded(body(size))
        bad = [source for source, _ in message.rejected]
        assert len(bad) == len(message.operations) == size
        return lambda: dead_letters.rejected_body(message, bad, False)

    assert_linear(prepare, 4_000)


def test_decoding_a_message_of_many_operations() -> None:
    assert_linear(lambda size: lambda: decoded(one_by_one(size)), 4_000)


# Message groups


def test_the_turns_of_many_messages_of_one_group() -> None:
    def prepare(size: int) -> Callable[[], object]:
        received = decoded(*[[put("a"), BAD, put("b")] if n % 2 else BAD for n in range(size)], group="g")

        def take_turns() -> None:
            groups = Groups(received)
            may_go = deque(groups.first())
            while may_go:
                may_go.extend(groups.after([may_go.popleft()]))

        return take_turns

    assert_linear(prepare, 2_000)


@pytest.mark.parametrize("groups", [1, 10, 1_000_000])
def test_an_invocation_with_many_messages_of_fifo_groups(groups: int) -> None:
    def prepare(size: int) -> Callable[[], object]:
        world = World((ORDERS,), fifo=True)
        records = [record(put(f"{n % 50}"), n, f"g{n % groups}") for n in range(size)]
        return lambda: world.pipeline.run(records, 100_000.0)

    assert_linear(prepare, 2_000)


# The writer


def test_an_invocation_that_writes_many_items() -> None:
    assert_linear(lambda size: handled(*[put(f"{n}") for n in range(size)]), 2_000)


def test_an_invocation_that_updates_one_item_again_and_again() -> None:
    assert_linear(lambda size: handled([add_one("a") for _ in range(size)]), 2_000)


def test_an_invocation_that_writes_one_item_again_and_again() -> None:
    assert_linear(lambda size: handled(*[put("a", n=n) for n in range(size)]), 2_000)


def test_an_invocation_with_one_large_message() -> None:
    assert_linear(lambda size: handled([put(f"{n}") for n in range(size)]), 2_000)


def test_an_invocation_of_which_a_part_comes_back_unprocessed() -> None:
    assert_linear(lambda size: handled(*[put(f"{n}") for n in range(size)], fault=Unprocessed(12)), 2_000)


@pytest.mark.parametrize("one_in", [1, 2, 25])
def test_telling_the_offenders_of_rejected_batches_apart(one_in: int) -> None:
    def prepare(size: int) -> Callable[[], object]:
        return handled(*[put(f"{n}", **({} if n % one_in else {"poison": True})) for n in range(size)])

    assert_linear(prepare, 800)


def test_telling_apart_the_writes_of_one_item_that_are_all_rejected() -> None:
    assert_linear(lambda size: handled(*[POISON for _ in range(size)]), 1_000)
