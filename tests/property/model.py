"""What the contract promises for one invocation, from what was delivered and what the services have seen.

Knows the order of arrival and the rules; reads the fakes; takes from the function only what it answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import NothingWrittenError, TableError
from tests.fakes import Call
from tests.fakes.attribute_values import Item
from tests.strategies import TABLES, Body, Identity, Intent, flattened, identity, parsed
from tests.world import World

# How a call can end with nobody knowing whether it has written.
UNKNOWN_OUTCOMES = ("InternalServerError", "ServiceUnavailable", "ConnectionClosedError", "ReadTimeoutError")
THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")


def stored(world: World) -> dict[Identity, Item]:
    """What is in the tables."""
    return {identity(table, item): item for table in world.tables for item in world.db.items(table.name)}


def by_item(intents: Iterable[Intent]) -> dict[Identity, list[Intent]]:
    chains: dict[Identity, list[Intent]] = {}
    for intent in intents:
        if intent.code is None:
            chains.setdefault(intent.key, []).append(intent)
    return chains


def requests_of(call: Call) -> list[tuple[Identity, Any]]:
    """The requests of a call, by the item that they write to."""
    return _by_identity(call.kwargs["RequestItems"])


def taken_by(call: Call) -> set[Identity]:
    """The items that the table says it has written, or deleted."""
    if call.error is not None or call.response is None:
        return set()
    unprocessed = {key for key, _ in _by_identity(call.response.get("UnprocessedItems", {}))}
    return {key for key, _ in requests_of(call)} - unprocessed if "UnprocessedItems" in call.response else set()


def _by_identity(request_items: dict[str, list[Any]]) -> list[tuple[Identity, Any]]:
    tables = {table.name: table for table in TABLES}
    found = []
    for name, requests in request_items.items():
        for request in requests:
            [action] = request.values()
            [attributes] = action.values()
            found.append((identity(tables[name], attributes), request))
    return found


def is_poison(request: Any) -> bool:
    return "poison" in request.get("PutRequest", {}).get("Item", {})


def words_of_its_own(request: Any) -> str:
    return f"{request['PutRequest']['Item']['v']['S']} is poison"


def words_of_many(request: Any) -> str:
    """One of two texts."""
    return f"poison {sum(words_of_its_own(request).encode()) % 2}"


def put_old_items(world: World, bodies: Iterable[Body]) -> None:
    """An old item wherever something is to be deleted, so that its absence proves a delete."""
    keys = {intent.key for body in bodies for intent in body.intents if intent.code is None and intent.item is None}
    tables = {table.name: table for table in TABLES}
    for name, *values in sorted(keys, key=repr):
        item: Item = {key.name: dict([value]) for key, value in zip(tables[name].key, values, strict=True)}
        world.db.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item | {"v": {"S": "old"}}}}]})


@dataclass(frozen=True)
class Invocation:
    """One invocation as seen from outside."""

    world: World
    delivered: Sequence[tuple[dict[str, Any], Body]]
    """Records in the order of the event, each with what its body means."""
    calls: Sequence[Call]
    """The BatchWriteItem calls of this invocation."""
    letters: Sequence[dict[str, Any]]
    """The dead letters that it sent."""
    outcome: Outcome

    @property
    def ids(self) -> set[str]:
        return {record["messageId"] for record, _ in self.delivered}

    @property
    def acknowledged(self) -> set[str]:
        """Ids that Lambda deletes from the queue: none where the handler raises."""
        if self.outcome.error is not None:
            return set()
        return self.ids - {failure["itemIdentifier"] for failure in self.outcome.item_failures}

    def landed(self) -> set[Intent]:
        """Operations that are in the table, or were replaced there by a later good one on the same item."""
        items = stored(self.world)
        landed: set[Intent] = set()
        for key, chain in by_item(intent for _, body in self.delivered for intent in body.intents).items():
            there = [n for n, intent in enumerate(chain) if not intent.poison and items.get(key) == intent.item]
            landed.update(chain[: max(there, default=-1) + 1])
        return landed

    def found_out(self) -> set[Intent]:
        """Operations that the service rejected when they stood alone in a call."""
        alone = [requests_of(call) for call in self.calls if call.error == "ValidationException"]
        markers = {(key, request["PutRequest"]["Item"]["v"]["S"]) for ((key, request),) in _only_single(alone)}
        return {
            intent
            for _, body in self.delivered
            for intent in body.intents
            if intent.poison and intent.item and (intent.key, intent.item["v"]["S"]) in markers
        }

    def in_doubt(self) -> set[Identity]:
        """Items of calls of which nobody knows whether they have written."""
        return {key for call in self.calls if call.error in UNKNOWN_OUTCOMES for key, _ in requests_of(call)}

    def denied(self) -> set[Identity]:
        """Items to which access was denied, each alone in its call."""
        alone = [requests_of(call) for call in self.calls if call.error == "AccessDeniedException"]
        return {batch[0][0] for batch in alone if len(batch) == 1}

    def tables_at_fault(self) -> set[str]:
        """Tables that have let nothing through but one refusal: denied access, or the same words for two items."""
        open_tables = {key[0] for call in self.calls for key in taken_by(call)}
        partitions: dict[str, set[Any]] = {}
        for table, partition, *_ in self.denied():
            partitions.setdefault(table, set()).add(partition)
        denied = {t for t, keys in partitions.items() if t not in open_tables and (len(keys) > 1 or not open_tables)}
        words: dict[str, dict[Identity, str]] = {}
        for call in self.calls:
            if call.error == "ValidationException" and len(batch := requests_of(call)) == 1:
                words.setdefault(batch[0][0][0], {})[batch[0][0]] = call.words
        others = open_tables | partitions.keys()
        return denied | {t for t, of in words.items() if t not in others and len(of) > 1 == len(set(of.values()))}

    # What must hold

    def check(self, *, dead_letters_arrive: bool) -> None:
        """All promises for an invocation that starts with nothing of its messages in the tables."""
        self.check_one_outcome_each()
        self.check_nothing_is_lost(dead_letters_arrive)
        self.check_dead_letters()
        self.check_error(dead_letters_arrive)

    def check_one_outcome_each(self) -> None:
        outcome = self.outcome
        ends = [*outcome.written, *outcome.dead_lettered, *outcome.returned]
        assert len(ends) == len(set(ends)) == len(outcome.received) == len(self.delivered)
        assert set(ends) == set(outcome.received)
        returned = [failure["itemIdentifier"] for failure in outcome.item_failures]
        assert len(returned) == len(set(returned))
        if len(self.delivered) == len(self.ids):
            done = {message.id for message in [*outcome.written, *outcome.dead_lettered]}
            assert set(returned) == self.ids - done

    def check_nothing_is_lost(self, dead_letters_arrive: bool) -> None:
        """Acknowledged is what is in the table or in the dead-letter queue; and all of that, unless in doubt."""
        landed, found, doubtful = self.landed(), self.found_out(), self.in_doubt()
        lettered = {_attribute(letter, "SourceMessageId") for letter in self.letters}
        for record, body in self.delivered:
            message_id = record["messageId"]
            good = [intent for intent in body.intents if intent.code is None]
            bad = [intent for intent in body.intents if intent.code or intent in found]
            settled = all(intent in landed or intent in found for intent in good)
            if message_id in self.acknowledged:
                assert settled, f"acknowledged, but not written: {body.text}"
                assert not bad or message_id in lettered, f"acknowledged, but not dead-lettered: {body.text}"
                assert bad or message_id not in lettered, f"a good message is dead-lettered: {body.text}"
            elif settled and not isinstance(self.outcome.error, TableError):
                unsure = any(intent.key in doubtful for intent in good)
                assert unsure or (bad and not dead_letters_arrive), f"returned without need: {body.text}"
            if message_id in lettered:
                assert settled, f"dead-lettered while a good operation is pending: {body.text}"

    def check_dead_letters(self) -> None:
        """A dead letter says why, and holds just the bad operations as they came."""
        for letter, record, body, bad in self._letters_with_bad_operations():
            assert bad, f"a good message is dead-lettered: {body.text}"
            assert _attribute(letter, "ErrorCode") in {_code(intent) for intent in bad}
            assert _attribute(letter, "ErrorMessage")
            assert _attribute(letter, "SourceQueueArn") == record["eventSourceARN"]
            assert _attribute(letter, "ReceiveCount") == record["attributes"]["ApproximateReceiveCount"]
            if len(bad) == len(body.intents) or not body.parses:
                assert letter["Body"] == body.text
            else:
                # In RequestItems only the order inside each table's list means anything.
                operations = sorted(flattened(parsed(letter["Body"])), key=_table)
                assert operations == sorted((intent.json for intent in bad), key=_table)

    def check_first_codes(self) -> None:
        """Of several bad operations it is the first in the body whose code is given."""
        for letter, _, _, bad in self._letters_with_bad_operations():
            assert _attribute(letter, "ErrorCode") == _code(bad[0])

    def _letters_with_bad_operations(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], Body, list[Intent]]]:
        found = self.found_out()
        delivered = {record["messageId"]: (record, body) for record, body in self.delivered}
        for letter in self.letters:
            record, body = delivered[_attribute(letter, "SourceMessageId")]
            yield letter, record, body, [intent for intent in body.intents if intent.code or intent in found]

    def check_error(self, dead_letters_arrive: bool) -> None:
        """It raises for the table's trouble only, and then it has dead-lettered nothing that it knows of."""
        is_missing = any(call.error == "ResourceNotFoundException" for call in self.calls)
        refused = is_missing or bool(self.tables_at_fault())
        assert isinstance(self.outcome.error, TableError) == refused
        if refused:
            assert not self.letters
            return
        if self.outcome.error is not None and dead_letters_arrive:
            assert not self.letters
        nothing_done = not self.outcome.written and not self.outcome.dead_lettered
        raised = isinstance(self.outcome.error, NothingWrittenError)
        # What was not sent at all, for want of time or of write units of one's own, is not the table's doing.
        answers = (None, *THROTTLED, *UNKNOWN_OUTCOMES)
        tried = {key for call in self.calls if call.error in answers for key, _ in requests_of(call)}
        good = {intent for _, body in self.delivered for intent in body.intents if intent.key in tried}
        denied = self.denied()
        unwritten = {i for i in good - self.landed() - self.found_out() if i.key not in denied}
        if nothing_done and unwritten:
            assert raised, "the table has taken nothing, and the invocation counts as good"
        if raised:
            in_doubt = [call for call in self.calls if call.error in UNKNOWN_OUTCOMES]
            assert nothing_done
            assert unwritten or in_doubt, "it raises, and the table has taken all that it was sent"


def _only_single(batches: list[list[tuple[Identity, Any]]]) -> list[list[tuple[Identity, Any]]]:
    return [batch for batch in batches if len(batch) == 1 and is_poison(batch[0][1])]


def _code(intent: Intent) -> str:
    return intent.code or "RejectedByDynamoDB"


def _table(operation: Any) -> str:
    return str(operation[0]) if isinstance(operation, tuple) else ""


def _attribute(letter: dict[str, Any], name: str) -> str:
    return str(letter["MessageAttributes"][name]["StringValue"])
