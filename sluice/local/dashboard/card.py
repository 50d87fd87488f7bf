"""The card that answers "Is anything wrong?": each alarm with its state, and what to do first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from .alarms import State
from .chart import Box, clock

ON, WAS_ON, OFF = "#d62728", "#e8a33d", "#2ca02c"
ROWS = 2
LETTER = 7.8
"""Pixels that a letter of the answer takes in a wide font."""
NAMED = 3
"""Alarms in the answer; all are below it."""


def card(box: Box, title: str, states: Sequence[State]) -> Iterator[str]:
    """The elements of the card."""
    on = [state for state in states if state.since is not None]
    answer, color = _answer(states, on)
    yield f'<text x="{box.x + 12:.0f}" y="{box.y + 19:.0f}" class="title">{escape(title)}</text>'
    shift = 12 + LETTER * (len(title) + 3)
    room = int((box.width - shift - 12) / LETTER)
    yield (
        f'<text x="{box.x + shift:.0f}" y="{box.y + 19:.0f}" class="answer" style="fill:{color}">'
        f"{escape(answer if len(answer) <= room else f'{answer[: room - 1]}…')}<title>{escape(answer)}</title></text>"
    )
    columns = math.ceil(len(states) / ROWS) or 1
    width, height = (box.width - 16) / columns, (box.height - 30) / ROWS
    for number, state in enumerate(states):
        row, column = divmod(number, columns)
        yield from _state(Box(box.x + 8 + column * width, box.y + 28 + row * height, width, height), state)


def _answer(states: Sequence[State], on: Sequence[State]) -> tuple[str, str]:
    if not states:
        return "No alarms are known.", WAS_ON
    if not on:
        return f"No: none of {len(states)} alarms is on.", OFF
    names = ", ".join(state.name for state in on[:NAMED])
    names += f" and {len(on) - NAMED} more" if len(on) > NAMED else ""
    # The composite alarm comes first and sends one to its parts: what to do stands with these.
    return f"Yes: {names}. {on[-1].first.partition(' Then see ')[0]}", ON


def _state(box: Box, state: State) -> Iterator[str]:
    color = ON if state.since is not None else WAS_ON if state.spans else OFF
    yield (
        f'<rect x="{box.x + 2:.1f}" y="{box.y + 1:.1f}" width="{box.width - 4:.1f}" height="{box.height - 3:.1f}"'
        f' rx="3" class="state" fill="{color}" fill-opacity="0.12" stroke="{color}">'
        f"<title>{escape(state.first)}</title></rect>"
    )
    yield f'<circle cx="{box.x + 13:.1f}" cy="{box.y + box.height / 2 - 0.5:.1f}" r="4" fill="{color}"/>'
    yield f'<text x="{box.x + 23:.1f}" y="{box.y + box.height / 2 - 2:.1f}" class="alarm">{escape(state.name)}</text>'
    yield f'<text x="{box.x + 23:.1f}" y="{box.y + box.height / 2 + 9:.1f}" class="tick">{escape(_when(state))}</text>'


def _when(state: State) -> str:
    if state.since is not None:
        return f"ALARM since {clock(state.since)}"
    if not state.spans:
        return "OK"
    begin, end = state.spans[-1]
    return f"OK; ALARM {clock(begin)} to {clock(end or 0.0)}"
