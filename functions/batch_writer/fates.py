"""What becomes of each message, from what became of its operations. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from sluice.message.decoder import Message
from sluice.message.operation import Operation, Rejection, Source

Bad = Sequence[tuple[Source | None, Rejection]]
"""What is wrong with a message: the place of each bad operation (None: the whole body), and the reason."""


class Fates(NamedTuple):
    """Every message of an invocation in exactly one list, each in order of arrival."""

    written: list[Message]
    dead_lettered: list[Message]
    returned: list[Message]


def rejections(received: Sequence[Message], refused: Mapping[Operation, Rejection]) -> dict[Message, Bad]:
    """What is wrong with each bad message; `refused` are operations that were decoded and then not taken."""
    return {
        message: bad for message in received if (refused or message.rejected) and (bad := _of_message(message, refused))
    }


def are_all_settled(received: Sequence[Message], ended: set[Operation]) -> bool:
    """The usual: nothing is pending, and every message could be read."""
    is_all_done = ended.issuperset([operation for message in received for operation in message.operations])
    return is_all_done and not any(message.unreadable for message in received)


def settled(received: Sequence[Message], ended: set[Operation]) -> set[Message]:
    """The messages of which no operation is pending; in a FIFO group none after the first that has one."""
    return _in_order(received, lambda message: not message.unreadable and ended.issuperset(message.operations))


def decided(
    received: Sequence[Message], settled: set[Message], bad: Collection[Message], dead_lettered: Collection[Message]
) -> Fates:
    """Failed by subtraction: whatever is not proven done goes back.

    A bad message is done once SQS has confirmed its dead letter, any other once it is settled.
    """
    proven = _in_order(
        received, lambda message: message in settled and (message not in bad or message in dead_lettered)
    )
    return Fates(
        written=[message for message in received if message in proven and message not in bad],
        dead_lettered=[message for message in received if message in proven and message in bad],
        returned=[message for message in received if message not in proven],
    )


def _in_order(received: Sequence[Message], is_done: Callable[[Message], bool]) -> set[Message]:
    """The messages that are done; in a FIFO group none after the first that is not."""
    done: set[Message] = set()
    held: set[str] = set()
    for message in received:
        if message.group not in held and is_done(message):
            done.add(message)
        elif message.group is not None:
            held.add(message.group)
    return done


def _of_message(message: Message, refused: Mapping[Operation, Rejection]) -> Bad:
    """(source, rejection) of every bad operation of the message, in the order of its body."""
    bad = [*message.rejected, *((o.source, refused[o]) for o in message.operations if o in refused)]
    if len(bad) > 1:
        place = {source: number for number, source in enumerate(message.sources)}
        bad.sort(key=lambda each: place[each[0]] if each[0] is not None else -1)
    return bad
