"""On a standard queue: nothing is lost, and every item is as a delivery may have left it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.property.machine import Function
from tests.property.reached import run
from tests.property.schedules import (
    SETTINGS,
    Setting,
    arrivals,
    cancellations,
    environments,
    losses,
    schedules,
    times_left,
)
from tests.world import ORDERS, World


def standard(of_setting: Setting) -> type[Function]:
    class Standard(Function):
        setting = of_setting

        @rule(
            arrivals=arrivals(of_setting, "gh", 5, 3),
            count=st.sampled_from([1, 3, 10, 10]),
            wait=st.just(0),
            environment=environments,
            seconds=times_left,
            schedule=schedules,
            cancellations=cancellations,
            answer_is_lost=losses,
        )
        def messages_arrive(self, **how: Any) -> None:
            self.arrive(**how)

        @rule(environment=environments, answer_is_lost=losses)
        def the_last_event_comes_again(self, environment: int, answer_is_lost: bool) -> None:
            self.invoke(environment, self.last, 1.0, answer_is_lost=answer_is_lost)

    return Standard


@pytest.mark.parametrize("setting", SETTINGS)
def test_on_a_standard_queue_nothing_is_lost_and_every_item_is_as_a_delivery_may_leave_it(setting: Setting) -> None:
    run(standard(setting), "interrupted at the same item", "interrupted after a read", "done twice")


@pytest.mark.parametrize("fifo", [False, True])
def test_with_update_once_an_update_behind_a_put_of_its_item_outlives_a_redelivery(fifo: bool) -> None:
    world = World((ORDERS,), {"update_once": True}, fifo=fifo, fifo_dead_letters=fifo)
    add_one = {"update": {"pk": "a"}, "expression": "ADD n :one", "values": {":one": 1}}
    world.send([{"put": {"pk": "a"}}, add_one])

    world.pipeline.run(world.receive(), 30.0)  # Its answer is lost.
    world.clock.sleep(31)
    outcome = world.invoke(world.receive())

    assert not outcome.returned
    assert world.item() == {"n": {"N": "1"}}
