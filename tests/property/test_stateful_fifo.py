"""On a FIFO queue: besides, each message group is applied in order, as if each message had come once."""

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
    waits,
)


def fifo_queue(of_setting: Setting) -> type[Function]:
    class Fifo(Function):
        setting = of_setting
        fifo = True
        most_records = 10  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html

        @rule(
            arrivals=arrivals(of_setting, "ghi", 8, 4),
            count=st.sampled_from([2, 5, 10, 10]),
            wait=waits,
            environment=environments,
            seconds=times_left,
            schedule=schedules,
            cancellations=cancellations,
            answer_is_lost=losses,
        )
        def messages_arrive(self, **how: Any) -> None:
            self.arrive(**how)

    return Fifo


@pytest.mark.parametrize("setting", SETTINGS)
def test_on_a_fifo_queue_each_group_ends_as_if_its_messages_had_been_applied_once_in_order(setting: Setting) -> None:
    run(fifo_queue(setting), "sequence")
