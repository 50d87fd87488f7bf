"""The contract, checked as things happen: what is applied, what is acknowledged, and at the end what is left.

It knows what was sent, and sees every request where the service carries it out; of the function it takes only its
answers.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from functions.batch_writer.pipeline import Outcome
from sluice.message.errors import NothingWrittenError, SluiceError, TableError

from .workload import FEED, Message, Operation, Place, Signature, State, Workload, applied, texts_of

TOKEN_SECONDS = 600.0  # API_TransactWriteItems: a ClientRequestToken is valid for 10 minutes.
MAX_VISIBILITY = 900
READ = ("put", "delete", "put version", "delete version", "feed put", "feed delete")
"""Kinds of operations that say what the item is to be, whatever it was."""
DENIED, OUT_OF_DATE = "AccessDeniedException", "out of date"
MAX_CALM_SECONDS = 6.0
"""Longer than any call takes that is neither lost nor delayed: what is silent for 8 s is given up."""
MAX_UNITS_OF_ONE, MIN_WRITING_SECONDS = 4, 20.0
DEADLINE_MARGIN = 5.0  # Seconds; the default.
MAX_OVERDRAFT = 60
"""Write units: the last call may be of 25 and dearer than estimated, and others are in flight with it."""
MAX_REFUSED_BURST, MAX_REFUSED_RATE = 300, 150.0
"""A table that takes nothing is sent no more operations by one invocation, and no more a second after that: after each
call of which all was lost there is a pause, of 0.2 s in the end."""


class ViolationError(AssertionError):
    """The contract is broken; `message_id` is whose trace to look at."""

    def __init__(self, what: str, message_id: str = "") -> None:
        super().__init__(f"{what} ({message_id})" if message_id else what)
        self.message_id = message_id


class Trace:
    """A running checksum of all that happens, and in a replay the lines that are about one message."""

    def __init__(self, watched: Message | None = None) -> None:
        self.checksum = 0
        self.lines: list[str] = []
        self._watched = watched

    def note(self, now: float, what: str, who: str, about: Sequence[Message] = ()) -> None:
        self.checksum = zlib.crc32(f"{now:.6f} {who} {what}".encode(), self.checksum)
        if self._watched is not None and self._is_watched(about):
            self.lines.append(f"{now:12.6f}  {who:<14} {what}")

    def watch(self, message: Message) -> None:
        self._watched = message

    def _is_watched(self, about: Sequence[Message]) -> bool:
        return any(message is self._watched for message in about)


class Invocation:
    """What one invocation has been given, and what the services have done for it."""

    def __init__(self, number: int, who: str, messages: Sequence[Message], starts: float, ends: float) -> None:
        self.number, self.who, self.messages = number, who, messages
        self.starts, self.ends = starts, ends
        self.receipts = {message.id: message.receipt for message in messages}
        self.receives = {message.id: message.receives for message in messages}
        self.evidence: set[Signature] = set()
        """Operations that are in the table, or were there, or whose condition did not hold."""
        self.refused: set[Signature] = set()
        self.letters: set[str] = set()
        self.visibilities: dict[str, int] = {}
        """Seconds by receipt handle."""
        self.codes: Counter[str] = Counter()
        """Refusals of the table."""
        self.is_over = False
        self.busy: dict[Place, Any] = {}
        """Items with several operations here, each with the call that is about to write it."""
        self.changes = 0
        """Of clocks and credentials, before it began."""
        self.consumed = 0.0
        self.is_slowed = False
        """Something was refused for going too fast."""
        self.shut: dict[str, tuple[float, int]] = {}
        """Tables that have taken nothing since then, and how many operations they have refused."""
        self._last: dict[Place, int] = {}
        """How far down the list of its operations an item is."""
        self.on_item: dict[Place, list[tuple[int, Operation]]] = {}
        position = 0
        for message in messages:
            for operation in message.operations:
                position += 1
                if operation.kind != "mistake":
                    self.on_item.setdefault(operation.place, []).append((position, operation))

    def is_evident(self, operation: Operation) -> bool:
        """Whether the operation has ended well: by itself, or by a later one that makes it superfluous."""
        if operation.proof in self.evidence:
            return True
        later = False
        for _, other in self.on_item[operation.place]:
            if other is operation:
                later = True
            elif later and other.replaces_everything and other.proof in self.evidence:
                is_ordered = bool(operation.message.group)  # Then only within a message.
                if not is_ordered or other.message is operation.message:
                    return True
        return False

    def is_refused_or_superseded(self, operation: Operation) -> bool:
        return operation.signature in self.refused or self.is_evident(operation)

    def goes_on(self, signature: Signature, place: Place) -> Operation | None:
        """The operation of the item that this is, if it is its turn, which it may be again and again."""
        operations, last = self.on_item.get(place, ()), self._last.get(place, 0)
        asked = self.asked(place) if place[0] == FEED.name else None
        for position, operation in operations:
            # On the feed others may look just like it: it is the one whose turn it is, or an earlier one again.
            is_meant = asked is None or operation is asked or operation.proof in self.evidence
            if position >= last and operation.signature == signature and is_meant:
                if (
                    asked is not None
                    and operation is not asked
                    and asked.signature == signature
                    and self.is_turn(asked)
                ):
                    continue
                self._last[place] = position
                return operation
        return None

    def asked(self, place: Place) -> Operation | None:
        """Whose turn it is to be done to the item, and so for whom it is read."""
        for _, operation in self.on_item.get(place, ()):
            is_over = operation.signature in self.refused or self.is_evident(operation)
            if not is_over and not self._is_superseded(operation):
                return operation
        return None

    def is_turn(self, operation: Operation) -> bool:
        return not operation.message.group or self.not_done_before(operation) is None

    def not_done_before(self, operation: Operation) -> Operation | None:
        """What of an earlier message of its group is not done."""
        message = operation.message
        for other in self.messages:
            if other is message:
                return None
            for each in other.operations if other.group == message.group else ():
                if each.kind != "mistake" and not (
                    self.is_refused_or_superseded(each) if each.code else self.is_evident(each)
                ):
                    return each
        return None

    def _is_superseded(self, operation: Operation) -> bool:
        later = False
        for _, other in self.on_item[operation.place]:
            if other is operation:
                later = True
            elif later and other.replaces_everything and other.signature not in self.refused:
                is_ordered = bool(operation.message.group)  # Then only within a message.
                if not is_ordered or other.message is operation.message:
                    return True
        return False


# Long: one ledger, asked by every part of the simulation.
class Model:
    def __init__(self, workload: Workload, trace: Trace, *, update_once: bool, max_units: float) -> None:
        self._workload, self.trace = workload, trace
        self._update_once = update_once
        self._max_units = max_units
        self.counts: Counter[str] = Counter()
        self._added: dict[int, float] = {}
        """When each `add` was last applied."""
        self._adds: Counter[Place] = Counter()
        self._tainted: set[Place] = set()
        """Items that a call has changed long after the function had given it up."""
        self.changes = 0
        """How often a clock has jumped, or credentials have expired."""
        self.checked: Counter[str] = Counter()

    # What the table does

    def apply(self, invocation: Invocation, signature: Signature, place: Place, now: float, *, is_late: bool) -> None:
        """An operation has just changed its item; late: the function had given the call up."""
        operation: Operation | None
        if is_late:
            self._tainted.add(place)
            self.counts["applied late"] += 1
            operation = next((o for _, o in invocation.on_item.get(place, ()) if o.signature == signature), None)
        else:
            operation = invocation.goes_on(signature, place)
        if operation is None:
            self._fail(f"{signature} of {place} is applied out of turn, or was never asked for", invocation, place)
            return
        invocation.evidence.add(operation.proof)
        if invocation.shut:
            invocation.shut.pop(place[0], None)
        if operation.kind == "add":
            self._count_add(operation, now)
        if is_late:
            return
        if self._tainted and operation.replaces_everything:
            self._tainted.discard(place)
        if operation.message.group:
            self._check_turn(invocation, operation)

    def seen(self, invocation: Invocation, place: Place, state: State, *, is_late: bool) -> None:
        """An item has just been read: if it is as its next operation would leave it, that may be left out."""
        operation = invocation.asked(place)
        if operation is None or is_late:
            return
        if operation.message.group and place[0] == FEED.name:  # Elsewhere one delete may be taken for another.
            self._check_turn(invocation, operation)
        is_stale = bool(operation.kind.endswith("version") and state and state["v"] >= operation.version)
        if is_stale or (operation.kind in READ and not operation.code and state == applied(operation, None)):
            invocation.evidence.add(operation.proof)

    def throttled(self, invocation: Invocation, places: Sequence[Place], now: float) -> None:
        """Refused for going too fast: the send rate falls."""
        invocation.is_slowed = True
        for table, _ in places:
            since, count = invocation.shut.get(table, (now, 0))
            invocation.shut[table] = (since, count + 1)
            if count > MAX_REFUSED_BURST + MAX_REFUSED_RATE * (now - since):
                raise ViolationError(f"{count} operations in {now - since:.1f} s to a table that takes nothing",
                                     invocation.messages[0].id)  # fmt: skip

    def condition_failed(self, invocation: Invocation, signature: Signature, place: Place) -> None:
        invocation.evidence.add(signature)
        invocation.shut.pop(place[0], None)
        self.counts["conditions that did not hold"] += 1

    def is_repeated(self, invocation: Invocation, signature: Signature) -> None:
        """A transaction with a token that was used before: it is in the table."""
        invocation.evidence.add(signature)
        self.counts["updates already applied once"] += 1

    def _count_add(self, operation: Operation, now: float) -> None:
        self._adds[operation.place] += 1
        last = self._added.get(operation.number)
        if last is not None:
            self.counts["adds applied again"] += 1
            if self._update_once and now - last <= TOKEN_SECONDS:
                raise ViolationError(f"{operation} is applied twice within {now - last:.1f} s", operation.message.id)
        self._added[operation.number] = now

    def _check_turn(self, invocation: Invocation, operation: Operation) -> None:
        """On a FIFO queue all earlier messages of the group are done before."""
        before = invocation.not_done_before(operation)
        if before is not None:
            raise ViolationError(f"{operation} is applied before {before} of its group", operation.message.id)

    # What SQS is told

    def letter(self, invocation: Invocation, entry: Mapping[str, Any]) -> None:
        """A dead letter has been sent."""
        attributes = entry["MessageAttributes"]
        id, code = attributes["SourceMessageId"]["StringValue"], attributes["ErrorCode"]["StringValue"]
        message = self._workload.by_id[id]
        if not message.bad:
            raise ViolationError(f"a good message is dead-lettered with {code}", id)
        if attributes["ReceiveCount"]["StringValue"] != str(invocation.receives[id]):
            raise ViolationError("a dead letter with another ReceiveCount", id)
        if not attributes.get("ErrorMessage", {}).get("StringValue"):
            raise ViolationError("a dead letter without a reason", id)
        if message.group and entry.get("MessageGroupId") != message.group:
            raise ViolationError("a dead letter of another group", id)
        if code not in {operation.code for operation in message.bad}:
            raise ViolationError(f"a dead letter with {code}", id)
        self._check_letter(message, entry["MessageBody"], code)
        invocation.letters.add(id)
        self.counts["dead letters"] += 1

    def _check_letter(self, message: Message, body: str, code: str) -> None:
        """It carries the bad operations and no other; a refused one that is superseded may be missing."""
        if not message.is_readable:
            if body != message.body:
                raise ViolationError(
                    "a dead letter with another body than its message, which cannot be read", message.id
                )
            return
        found = texts_of(body)
        bad = [(operation, texts_of(operation.text)[0]) for operation in message.bad]
        wanted = [text for operation, text in bad if text in found or operation.code != "RejectedByDynamoDB"]
        if found != wanted:
            raise ViolationError("a dead letter does not carry just the bad operations", message.id)
        first = next(operation for operation, text in bad if text in found)
        if first.code != code:
            raise ViolationError(f"a dead letter has {code}, not the code of its first operation", message.id)

    def visibility(self, invocation: Invocation, receipt: str, seconds: Any) -> None:
        invocation.visibilities[receipt] = seconds
        message = self._workload.by_id[receipt.partition("#")[0]]
        if invocation.receipts.get(message.id) != receipt:
            raise ViolationError("the visibility of a message of another invocation", message.id)
        # The messages of a group have one value: that of any of them.
        receives = [
            invocation.receives[each.id]
            for each in ([message] if not message.group else invocation.messages)
            if each.group == message.group
        ]
        most = min(MAX_VISIBILITY, 5 * 2 ** (max(receives) - 1))
        if type(seconds) is not int or not 1 <= seconds <= most:
            raise ViolationError(f"hidden for {seconds} s, of 1 to {most}", message.id)

    # What the function answers

    def answered(self, invocation: Invocation, outcome: Outcome, now: float) -> list[Message]:
        """It has come back without being killed; the messages that are acknowledged by that."""
        self._check_counts(invocation, outcome)
        if now > invocation.ends:
            raise ViolationError(f"answered {now - invocation.ends:.3f} s too late", invocation.messages[0].id)
        self._check_units(invocation, now)
        error = outcome.error
        if error is not None:
            self._check_error(invocation, error)
        if not isinstance(error, TableError) and not outcome.failures:
            self._check_visibilities(invocation, outcome)
        if error is not None:
            return []
        if now < invocation.ends - DEADLINE_MARGIN - 0.1 and not invocation.codes[DENIED]:
            self._check_reasons(outcome)
        failed = {failure["itemIdentifier"] for failure in outcome.item_failures}
        done = [message for message in invocation.messages if message.id not in failed]
        dead = {message.id for message in outcome.dead_lettered}
        for message in done:
            self._check_done(invocation, message)
            if (message.id in dead) != (message.id in invocation.letters) and message.id in dead:
                raise ViolationError("counted as dead-lettered without a letter", message.id)
        held: set[str] = set()
        for message in invocation.messages if invocation.messages[0].group else ():
            if message.id in failed:
                held.add(message.group)
            elif message.group in held:
                raise ViolationError("acknowledged after one of its group that is returned", message.id)
        return done

    def _check_done(self, invocation: Invocation, message: Message) -> None:
        for operation in message.operations:
            if operation.code:
                continue
            if not invocation.is_evident(operation):
                raise ViolationError(f"acknowledged, and {operation} is not written", message.id)
        if message.bad and message.id not in invocation.letters:
            needs_letter = [o for o in message.bad if o.kind == "mistake" or not invocation.is_evident(o)]
            if needs_letter:
                raise ViolationError(f"acknowledged, and {needs_letter[0]} is not dead-lettered", message.id)

    def _check_reasons(self, outcome: Outcome) -> None:
        """With time left a message is returned only where its dead letter could not be sent, or it waits for such."""
        groups: set[str] = set()
        for returned in outcome.returned:
            message = self._workload.by_id[returned.id]
            if message.bad:
                groups.add(message.group)
            elif not message.group or message.group not in groups:
                raise ViolationError("given up with time left", message.id)

    def _check_counts(self, invocation: Invocation, outcome: Outcome) -> None:
        ids = [m.id for some in (outcome.written, outcome.dead_lettered, outcome.returned) for m in some]
        if sorted(ids) != sorted(message.id for message in invocation.messages):
            raise ViolationError("a message has no outcome, or two", invocation.messages[0].id)

    def _check_error(self, invocation: Invocation, error: SluiceError) -> None:
        first = invocation.messages[0].id
        if isinstance(error, TableError):
            is_again_out_of_date = invocation.codes[OUT_OF_DATE] > 1 and self.changes > invocation.changes
            if not invocation.codes[DENIED] and not is_again_out_of_date:
                raise ViolationError(f"raised without need: {error}", first)
            if invocation.letters:
                raise ViolationError("raised for a table, and had dead-lettered", first)
        elif not isinstance(error, NothingWrittenError):
            raise ViolationError(f"raised {error!r}", first)

    def _check_visibilities(self, invocation: Invocation, outcome: Outcome) -> None:
        of_group: dict[str, int] = {}
        for message in outcome.returned:
            seconds = invocation.visibilities.get(invocation.receipts[message.id])
            if seconds is None:
                raise ViolationError("returned, and its visibility is not set", message.id)
            group = message.group
            if group and of_group.setdefault(group, seconds) != seconds:
                raise ViolationError("its group comes back piece by piece", message.id)

    def _check_units(self, invocation: Invocation, now: float) -> None:
        """MAX_WRITE_UNITS_PER_SECOND, but for what calls in flight together may be dearer than estimated."""
        allowed = self._max_units * (now - invocation.starts + 0.2) + MAX_OVERDRAFT
        if invocation.consumed > allowed:
            raise ViolationError(f"{invocation.consumed} units, of {allowed:.0f}", invocation.messages[0].id)

    def check_calm(self, invocation: Invocation, outcome: Outcome) -> None:
        """Without any trouble nothing is returned, unless it may not be written as fast."""
        count = sum(len(message.operations) for message in invocation.messages)
        if MAX_UNITS_OF_ONE * count > self._max_units * MIN_WRITING_SECONDS:
            return
        self.checked["invocations without trouble"] += 1
        if max(outcome.operations.latencies, default=0.0) > MAX_CALM_SECONDS * 1000:
            raise ViolationError("a call is given up without need", invocation.messages[0].id)
        if outcome.error is not None or outcome.returned:
            first = outcome.returned[0].id if outcome.returned else invocation.messages[0].id
            raise ViolationError(f"returned without need: {outcome.error or outcome.operations.trouble}", first)

    # The end

    def check_end(self, state_of: Mapping[Place, State]) -> None:
        """Every message is done, and every item is as it must be."""
        for message in self._workload.messages:
            if not message.is_acknowledged:
                raise ViolationError("lost: it is neither acknowledged nor on the queue", message.id)
        self._check_counters(state_of)
        self._check_newest(state_of)
        self._check_sequences(state_of)

    def _check_counters(self, state_of: Mapping[Place, State]) -> None:
        for operation in self._workload.operations:
            if operation.kind == "add" and operation.message.is_readable and operation.number not in self._added:
                raise ViolationError(f"{operation} was never applied", operation.message.id)
        for place, count in self._adds.items():
            self.checked["counters"] += 1
            if (state_of.get(place) or {}).get("c") != count:
                raise AssertionError(f"the simulated table has lost count of {place}")

    def _check_newest(self, state_of: Mapping[Place, State]) -> None:
        newest: dict[Place, list[Operation]] = {}
        for operation in self._workload.operations:
            if operation.version and operation.kind != "feed put" and operation.message.is_readable:
                best = newest.setdefault(operation.place, [])
                if not best or operation.version >= best[0].version:
                    best[:] = [*(b for b in best if b.version == operation.version), operation]
        for place, best in newest.items():
            puts = [operation for operation in best if operation.kind == "put version"]
            if not puts or len(puts) < len(best):  # A delete leaves nothing behind that could tell what is older.
                continue
            self.checked["items as their newest version"] += 1
            state = state_of.get(place)
            if state not in [{"m": operation.number, "v": operation.version} for operation in puts]:
                raise ViolationError(f"{place} is {state}, and not {puts}", puts[-1].message.id)

    def _check_sequences(self, state_of: Mapping[Place, State]) -> None:
        """On a FIFO queue each item is as if its messages had been applied one after the other, once."""
        states: dict[Place, State] = {}
        last: dict[Place, Operation] = {}
        unclear: set[Place] = set()
        # Whether these hold may be different when their group is applied again from an earlier message on; and with
        # UPDATE_ONCE a put is applied again then, and the update behind it is not (docs/guarantees.md, "Limits").
        unclear_kinds = {"update if there", "delete if older", *(["update"] if self._update_once else [])}
        for message in self._workload.messages:
            for operation in message.operations if message.group else ():
                if operation.code or operation.kind == "add":
                    continue
                place = operation.place
                if operation.replaces_everything:
                    unclear.discard(place)
                elif operation.kind in unclear_kinds:
                    unclear.add(place)
                states[place], last[place] = applied(operation, states.get(place)), operation
        for place, state in states.items():
            if place in unclear or place in self._tainted:
                continue
            self.checked["items as after their messages in order"] += 1
            if state_of.get(place) != state:
                raise ViolationError(f"{place} is {state_of.get(place)}, and not {state}", last[place].message.id)

    def _fail(self, what: str, invocation: Invocation, place: Place) -> None:
        some = invocation.on_item.get(place)
        raise ViolationError(what, some[0][1].message.id if some else invocation.messages[0].id)
