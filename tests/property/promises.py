"""What must hold after every invocation, and at the end of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from functions.batch_writer.pipeline import Outcome
from tests.property.history import Delivery
from tests.property.watched import WatchedDynamoDB
from tests.property.writes import Place, State, Write

TOKEN_SECONDS = 600  # API_TransactWriteItems: a ClientRequestToken is valid for 10 minutes.


def source_of(letter: dict[str, Any]) -> str:
    """The id of the message that a dead letter is about."""
    return str(letter["MessageAttributes"]["SourceMessageId"]["StringValue"])


def check_counts(delivery: Delivery, outcome: Outcome, acknowledged: set[str]) -> None:
    """Every message and every operation ends in one way."""
    done = [message.id for message in (*outcome.written, *outcome.dead_lettered)]
    returned = [message.id for message in outcome.returned]
    assert sorted(done + returned) == sorted(message.id for message in delivery.messages)
    assert outcome.error is not None or set(done) == acknowledged
    operations = outcome.operations
    ways = (operations.written, operations.superseded, operations.conditions_failed, operations.rejected)
    assert sum(map(len, ways)) == len(operations.ended), "an operation is counted twice"


def check_visibility(
    delivery: Delivery, records: Sequence[Mapping[str, Any]], outcome: Outcome, changed: Mapping[str, int]
) -> None:
    """What goes back is hidden for a time that grows with its receives, and is the same for all of a group.

    `changed` is what SQS was told: seconds by receipt handle.
    """
    returned = {message.id for message in outcome.returned}
    of_group: dict[str, int] = {}
    for message, record in zip(delivery.messages, records, strict=True):
        seconds = changed.get(record["receiptHandle"])
        if delivery.is_ordered:
            assert (seconds is not None) == (message.id in returned), "not hidden, or hidden without need"
        if seconds is None:  # An invocation in the middle of this one may have had records of a standard queue, too.
            continue
        if delivery.is_ordered and message.group in of_group:
            assert of_group[message.group] == seconds, "one group comes back piece by piece"
            continue
        of_group[message.group] = seconds
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        assert 1 <= seconds <= min(900, 5 * 2 ** (receives - 1))


def check_added_once(db: WatchedDynamoDB) -> None:
    for times in db.added.values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(gap > TOKEN_SECONDS for gap in gaps), f"added again after {min(gaps)} s"


def check_newest(db: WatchedDynamoDB, writes: Sequence[Write]) -> int:
    """A version that nothing newer came after is what the table has, whatever the order; on how many items."""
    of_item: dict[Place, list[Write]] = {}
    for write in writes:
        if write.is_versioned:
            of_item.setdefault(write.place, []).append(write)
    count = 0
    for place, versions in of_item.items():
        newest = max(write.version for write in versions)
        puts = [write for write in versions if write.version == newest and write.kind == "put version"]
        assert not puts or db.state(place) in [write.applied_to(None) for write in puts]
        count += bool(puts)
    return count


def check_added(db: WatchedDynamoDB, writes: Sequence[Write]) -> int:
    """Every `add` has been applied, and is still there: nothing replaces the items that count. How many."""
    adds = [write for write in writes if write.kind == "add"]
    for write in adds:
        assert (write.counter, "1") in (db.state(write.place) or ()), f"{write} is lost"
    return len(adds)


def check_sequence(db: WatchedDynamoDB, writes: Sequence[Write], *, once: bool) -> int:
    """Each item of one group is as if the group's messages had been applied one after the other, once. How many."""
    # Whether a condition on what others have written holds may change from one delivery to the next; and with
    # UPDATE_ONCE the first of two updates may be forgotten, and applied again, before the second is.
    unclear = {write.place for write in writes if write.kind == "update if present" or (once and write.is_update)}
    states: dict[Place, State] = {}
    for write in writes:
        if write.place not in unclear and not write.pk.startswith("shared"):
            states[write.place] = write.applied_to(states.get(write.place))
    assert {place: db.state(place) for place in states} == states
    return len(states)
