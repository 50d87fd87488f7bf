"""Changes to the code under which a property must fail: `python -m tests.property.mutants [part of a name ...]`.

Copies the code and the tests, makes one change at a time, and runs the property that is to notice. Exit status 1 when
a change is not noticed, or cannot be made because the code it changes is not there exactly once.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROMISE = (
    "test_promise.py::test_a_message_is_acknowledged_exactly_when_its_operations_are_in_the_table_or_dead_lettered"
)
FIRST = "test_promise.py::test_a_dead_letter_has_the_code_of_the_first_bad_operation"
REFUSAL = "test_promise.py::test_a_refusal_of_the_table_raises_and_dead_letters_nothing"
FAULT = "test_promise.py::test_a_refusal_is_the_tables_fault_a_policys_for_some_items_or_the_items_own"
CALM = "test_promise.py::test_without_trouble_nothing_is_returned"
IN_TIME = "test_promise.py::test_trouble_that_ends_in_time_returns_nothing"
REDELIVERY = "test_promise.py::test_after_redelivery_each_item_is_as_its_last_delivery_left_it"
IN_ORDER = "test_promise.py::test_redelivery_in_order_of_single_operations_ends_as_without_trouble"
ALIKE = "test_promise.py::test_keys_that_read_alike_when_joined_are_different_items"
HIDDEN = "test_promise.py::test_a_returned_message_is_hidden_for_a_time_that_grows_with_its_receives"
WHOLE_RANGE = "test_promise.py::test_the_time_hidden_uses_the_whole_range"
LAST = "test_batches.py::test_the_last_operation_on_an_item_supersedes_those_before_in_order_of_arrival"
FULL = "test_batches.py::test_distinct_items_fill_batches_of_25"
LARGE = "test_batches.py::test_large_items_fill_batches_of_16_mb_and_no_more"
TAKEN = "test_batches.py::test_taking_batches_until_nothing_is_left_loses_nothing"
INTERLEAVED = "test_batches.py::test_interleaving_keeps_each_partition_in_order_and_spreads_them"
UNPROCESSED = "test_batches.py::test_what_comes_back_unprocessed_counts_as_unwritten_and_in_doubt_all_of_it"
FITS = "test_numbers.py::test_a_number_that_fits_is_stored_with_its_value"
FITS_NOT = "test_numbers.py::test_a_number_that_does_not_fit_is_dead_lettered_as_invalid"
ENVELOPE = "test_numbers.py::test_an_envelope_changes_no_number"
EQUAL_KEYS = "test_numbers.py::test_two_numbers_are_one_key_exactly_when_they_are_equal"
NATIVE = "test_agreement.py::test_decoder_and_service_agree_on_native_operations"
ODD = "test_agreement.py::test_decoder_and_service_agree_on_an_odd_value"
PLAIN = "test_agreement.py::test_decoder_and_service_agree_on_plain_operations"
SIZE = "test_agreement.py::test_decoder_and_service_agree_on_the_size_of_an_item"
STANDARD = "test_stateful.py::test_on_a_standard_queue_nothing_is_lost_and_every_item_is_as_a_delivery_may_leave_it"
FIFO = "test_stateful_fifo.py::test_on_a_fifo_queue_each_group_ends_as_if_its_messages_had_been_applied_once_in_order"
JMESPATH = "test_jmespath.py::test_an_expression_finds_what_plain_jmespath_finds"
LEFT = "test_shortcut.py::test_an_odd_body_is_left_to_the_exact_way"
USUAL = "test_shortcut_lanes.py::test_a_usual_body_goes_the_short_way"
COPIED = "test_shortcut.py::test_a_request_that_is_to_be_spelled_otherwise_is_sent_with_each_name_once"
UPDATED = "test_shortcut_lanes.py::test_an_update_behind_a_put_of_its_item_is_for_each_delivery"
INDEXED = "test_shortcut_indexes.py::test_an_item_goes_the_short_way_exactly_if_its_index_keys_are_right"
PUTS = "test_shortcut_puts.py::test_the_two_ways_agree_on_what_nearly_is_a_known_put"
DELETES = "test_shortcut_deletes.py::test_the_two_ways_agree_on_what_nearly_is_a_delete"
LINES = "test_shortcut_deletes.py::test_the_messages_of_an_event_are_decoded_as_each_by_itself"
SIGNED = "test_shortcut_lanes.py::test_a_zero_in_a_list_of_numbers_is_sent_without_a_sign"
BOTO3 = "test_numbers.py::test_plain_json_becomes_what_boto3_makes_of_it"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of the code, and the property that must fail under it."""

    name: str
    file: str
    """Path from the project's root."""
    old: str
    """Stands exactly once in the file."""
    new: str
    killer: str


SORT_KEY = "return (table.name, partition, _key_value(table.sort_key, attributes, MAX_SORT_KEY_BYTES))"
SUPERSEDED = "self.outcome.superseded.update(superseded)"
UNCHANGED = "sluice/writing/unchanged.py"
TRY_LATER_THROTTLED = """                self.outcome.throttled_calls += 1
                self.outcome.trouble = reply.error
                self._try_later(sent.batch, sent.alone, now)"""

# ruff: noqa: E501
# fmt: off
MUTANTS: Sequence[Mutant] = (
    # Batches
    Mutant("26 per batch", "sluice/writing/plan.py", "MAX_REQUESTS = 25", "MAX_REQUESTS = 26", FULL),
    Mutant("24 per batch", "sluice/writing/plan.py", "MAX_REQUESTS = 25", "MAX_REQUESTS = 24", FULL),
    Mutant("16 MB ignored", "sluice/writing/plan.py", "if bytes_left < 0 and batch:", "if False:", LARGE),
    Mutant("requests counted as half of their bytes", "sluice/writing/plan.py", "bytes_left -= len(queue[0].body) + 1",
           "bytes_left -= len(queue[0].body) // 2", LARGE),
    Mutant("batches of half the bytes", "sluice/writing/plan.py", "MAX_BATCH_BYTES = 16 *", "MAX_BATCH_BYTES = 8 *", LARGE),
    Mutant("one table per batch", "sluice/writing/plan.py", "        while queue and len(batch) < MAX_REQUESTS:",
           "        while queue and len(batch) < MAX_REQUESTS and (not batch or queue[0].table == batch[0].table):",
           FULL),
    Mutant("newest of the queue first", "sluice/writing/plan.py", "batch.append(queue.popleft())", "batch.append(queue.pop())", TAKEN),
    Mutant("partitions one after the other", "sluice/writing/plan.py", "return [operation for row in rows for operation in row]",
           "return sorted(arrived, key=lambda o: str(o.key[:2]))", INTERLEAVED),
    Mutant("partitions in reverse", "sluice/writing/plan.py", "return [operation for row in rows for operation in row]",
           "return [operation for row in reversed(rows) for operation in row]", INTERLEAVED),
    Mutant("partitions as they come", "sluice/writing/plan.py", "if len(seen) == 1:", "if seen:", INTERLEAVED),
    # Identity
    Mutant("keys joined as strings", "sluice/message/fast_tables.py", "return (self._name, partition, sort)",
           'return (self._name, f"{partition}{sort}", None)', ALIKE),
    Mutant("keys joined with a separator", "sluice/message/fast_tables.py", "return (self._name, partition, sort)",
           'return (self._name, f"{partition}|{sort}", None)', ALIKE),
    Mutant("sort key ignored", "sluice/message/items.py", SORT_KEY, "return (table.name, partition, None)", CALM),
    Mutant("number keys compared as text", "sluice/message/items.py", "return Decimal(content)", "return str(content)", EQUAL_KEYS),
    Mutant("number keys compared as floats", "sluice/message/items.py", "return Decimal(content)", "return Decimal(float(content))",
           EQUAL_KEYS),
    # Superseding
    Mutant("superseded ids forgotten", "sluice/writing/writer.py", SUPERSEDED, "pass", CALM),
    Mutant("superseded counted before the write", "sluice/writing/writer.py",
           "self._lanes.add(plan.interleave(operations)))\n",
           "self._lanes.add(plan.interleave(operations)))\n"
           "        self.outcome.superseded.update(o for lane in self._lanes._steps.values() for s in lane for o in s.superseded)\n",
           PROMISE),
    Mutant("the oldest wins", "sluice/writing/plan.py", "lane.append(Step(operation, _flattened(before)))",
           "lane.append(Step(before[-1].operation, [operation]) if before else Step(operation, []))", CALM),
    Mutant("nothing superseded, all sent", "sluice/writing/plan.py", "while lane and operation.goes_in_batches:",
           "while lane and False:", LAST),
    Mutant("rejected superseder keeps the others out", "sluice/writing/lanes.py", "lane.extendleft(reversed(lane.popleft().without()))",
           "lane.popleft()", CALM),
    # What did not get through
    Mutant("unprocessed dropped", "sluice/writing/writer.py", "unwritten = set(reply.unwritten)",
           "unwritten: set[Operation] = set()", PROMISE),
    Mutant("unprocessed not tried again", "sluice/writing/writer.py",
           "self._try_later([operation for operation in sent.batch if operation in unwritten], sent.alone, now)",
           "pass", IN_TIME),
    Mutant("unmatched unprocessed counted as written", "sluice/aws/tables.py", "                    return batch\n",
           "                    continue\n", UNPROCESSED),
    Mutant("unprocessed matched by spelling", "sluice/aws/tables.py", "by_key.pop(self._key(table, request), None)",
           "next((o for o in batch if o.request == request), None)", UNPROCESSED),
    Mutant("throttled calls not tried again", "sluice/writing/writer.py", TRY_LATER_THROTTLED,
           "                self.outcome.throttled_calls += 1\n                self.outcome.trouble = reply.error", IN_TIME),
    Mutant("a 500 counted as written", "sluice/aws/meanings.py", '"InternalServerError": Meaning.UNSURE',
           '"InternalServerError": Meaning.ACCEPTED', PROMISE),
    Mutant("a lost connection counted as written", "sluice/aws/meanings.py",
           "return Reply(Meaning.UNSURE, error=answer.reason)", "return Reply(Meaning.ACCEPTED)", PROMISE),
    Mutant("a throttle counted as written", "sluice/aws/meanings.py", '"ThrottlingException": Meaning.THROTTLED',
           '"ThrottlingException": Meaning.ACCEPTED', PROMISE),
    Mutant("a throttle is the item's fault", "sluice/aws/meanings.py", '"RequestLimitExceeded": Meaning.THROTTLED',
           '"RequestLimitExceeded": Meaning.REJECTED', PROMISE),
    Mutant("denied access is the item's fault", "sluice/aws/meanings.py", '"AccessDeniedException": Meaning.DENIED',
           '"AccessDeniedException": Meaning.REJECTED', REFUSAL),
    Mutant("writes until the timeout", "functions/batch_writer/pipeline.py", "deadline=ends - margin,", "deadline=ends,", PROMISE),
    # Bad operations
    Mutant("bisecting loses a half", "sluice/writing/refusals.py", "(batch[:half], batch[half:])", "(batch[half:],)", CALM),
    Mutant("the neighbour of a bad item is rejected too", "sluice/writing/writer.py", "if len(sent.batch) > 1:",
           "if len(sent.batch) > 2:", CALM),
    Mutant("acknowledged before the dead letter is sent", "functions/batch_writer/notices.py", " if position in sent.taken}", "}", PROMISE),
    Mutant("dead-lettered while others are pending", "functions/batch_writer/pipeline.py", " for message, why in rejections.items() if message in settled}",
           " for message, why in rejections.items()}", PROMISE),
    Mutant("dead letters of an invocation that raises", "functions/batch_writer/pipeline.py", "        if written.error is not None:",
           "        if written.error is not None and self._notices.dead_letters(rejections, outcome.failures, until) is not None:",
           REFUSAL),
    Mutant("the whole body is dead-lettered", "functions/batch_writer/notices.py",
           "self._carries_whole_body = settings.record_expression is not None", "self._carries_whole_body = True", CALM),
    Mutant("good messages of a bad invocation dead-lettered", "functions/batch_writer/fates.py",
           "(bad := _of_message(message, refused))",
           "(bad := [r for m in received for r in _of_message(m, refused)])",
           CALM),
    Mutant("bad messages returned again and again", "functions/batch_writer/notices.py", "if self._url is None or not rejected:", "if True:", REDELIVERY),
    Mutant("operations after a bad one skipped", "sluice/message/decoder.py", "refused.append((source, rejected.rejection()))",
           "refused.append((source, rejected.rejection())); break", CALM),
    Mutant("delete without key check", "sluice/message/items.py", "if name not in names:", "if False:", NATIVE),
    Mutant("any table goes", "sluice/message/forms.py", "table = self._tables.get(name)\n",
           "table = self._tables.get(name, self._default)\n", CALM),
    Mutant("reasons in the order in which they were found", "functions/batch_writer/fates.py", "    if len(bad) > 1:\n", "    if False:\n",
           FIRST),
    Mutant("reasons in the order of their place in a table's list", "functions/batch_writer/fates.py",
           "place[each[0]] if each[0] is not None else -1", "each[0].position if each[0] is not None else -1", FIRST),
    Mutant("RequestItems of one table only", "sluice/message/decoder.py", 'for table, requests in element["RequestItems"].items():',
           'for table, requests in list(element["RequestItems"].items())[:1]:', CALM),
    # Whose fault it is
    Mutant("the same words are each item's own fault", "sluice/writing/refusals.py",
           " or _refusing_table(rejected, denied, open_tables)", "", FAULT),
    Mutant("one bad item is the table's fault", "sluice/writing/refusals.py", "for operation in operations}) > 1:",
           "for operation in operations}) > 0:", FAULT),
    Mutant("any two bad items are the table's fault", "sluice/writing/refusals.py", "if len(texts) == 1 and", "if", FAULT),
    Mutant("the same words are the table's fault though it has taken others", "sluice/writing/refusals.py",
           "others = {*open_tables, *", "others = {*", FAULT),
    Mutant("denied items are dead-lettered", "sluice/writing/writer.py", "self.outcome.denied[sent.batch[0]] = reply.error",
           "self._reject(sent.batch[0], reply)", FAULT),
    # What goes back
    Mutant("nothing is returned", "functions/batch_writer/fates.py", "if message not in proven]", "if False]", PROMISE),
    Mutant("only what was tried is returned", "functions/batch_writer/fates.py", "if message not in proven]",
           "if message not in proven and message.operations]", PROMISE),
    Mutant("everything is returned", "functions/batch_writer/fates.py", "if message not in proven]", "]", CALM),
    Mutant("visibility is 30 seconds", "sluice/message/redelivery.py", "return 1 + int(chance * ceiling)", "return 30", HIDDEN),
    Mutant("visibility is 1 second", "sluice/message/redelivery.py", "return 1 + int(chance * ceiling)", "return 1", WHOLE_RANGE),
    Mutant("visibility not set", "functions/batch_writer/pipeline.py", "        self._notices.visibilities(outcome.returned, outcome.failures, until)\n", "", HIDDEN),
    Mutant("no NothingWrittenError", "functions/batch_writer/pipeline.py", "if written.trouble and is_nothing_done", "if False and is_nothing_done",
           PROMISE),
    Mutant("NothingWrittenError though something is written", "functions/batch_writer/pipeline.py", "if written.trouble and is_nothing_done",
           "if written.trouble", PROMISE),
    # Message groups
    Mutant("within_message ignored", "functions/batch_writer/pipeline.py", "within_message=groups.are_ordered,", "within_message=False,",
           f"{FIFO}[default]"),
    Mutant("a group goes on after the first operation of a message", "functions/batch_writer/fifo.py",
           "if self._left[message] == 0 and", "if self._left[message] >= 0 and", f"{FIFO}[default]"),
    Mutant("a mistake lets its group pass without a dead-letter queue", "functions/batch_writer/fifo.py",
           "(self._are_dead_lettered or not message.rejected)", "True", f"{FIFO}[no dead letters]"),
    Mutant("a refusal lets its group pass without a dead-letter queue", "functions/batch_writer/pipeline.py",
           "if not self._is_refused(operation, so_far)]", "]", f"{FIFO}[no dead letters]"),
    Mutant("a failed condition lets its group pass without a dead-letter queue", "functions/batch_writer/pipeline.py",
           "if not self._is_refused(operation, so_far)]",
           "if operation not in so_far.rejected]",
           f"{FIFO}[refuse conditions, no dead letters]"),
    Mutant("acknowledged after the first of its group that is not done", "functions/batch_writer/fates.py",
           "if message.group not in held and is_done(message):", "if is_done(message):", f"{FIFO}[default]"),
    Mutant("a group comes back piece by piece", "functions/batch_writer/notices.py",
           "seconds = of_group.setdefault(message.group, seconds)", "pass", f"{FIFO}[default]"),
    Mutant("dead letters in groups of their own", "sluice/aws/dead_letters.py", "self.group or self.message_id", "self.message_id",
           f"{FIFO}[default]"),
    # Updates once, and conditions
    Mutant("UPDATE_ONCE ignored", "sluice/aws/tables.py", "if operation.is_once:", "if False:", f"{STANDARD}[update once]"),
    Mutant("UPDATE_ONCE ignored on FIFO", "sluice/aws/tables.py", "if operation.is_once:", "if False:", f"{FIFO}[update once]"),
    Mutant("a token of its own for every call", "sluice/aws/tables.py", 'name = f"{source.message_id}/', 'name = f"{id(source)}/',
           f"{FIFO}[update once]"),
    Mutant("one token for all updates of a message", "sluice/aws/tables.py", "/{source.element}/", "/0/",
           f"{STANDARD}[update once]"),
    Mutant("failed conditions are never dead-lettered", "functions/batch_writer/pipeline.py",
           'self._settings.on_condition_failed == "dead-letter"', "False", f"{STANDARD}[refuse conditions]"),
    Mutant("stale versions are dead-lettered", "functions/batch_writer/pipeline.py", "written.conditions_failed.get(operation) is False",
           "operation in written.conditions_failed", f"{FIFO}[refuse conditions]"),
    Mutant("what an earlier delivery has written fails its condition", "sluice/writing/writer.py",
           "operation in self._unsure or operation.source.redelivered", "operation in self._unsure",
           f"{FIFO}[refuse conditions]"),
    Mutant("what an earlier call has written fails its condition", "sluice/writing/writer.py",
           "operation in self._unsure or operation.source.redelivered", "operation.source.redelivered",
           f"{STANDARD}[refuse conditions]"),
    Mutant("a dead-lettered message counts as written, too", "functions/batch_writer/fates.py",
           "message in proven and message not in bad]", "message in proven]", f"{STANDARD}[default]"),
    Mutant("bad messages are acknowledged without a dead-letter queue", "functions/batch_writer/notices.py",
           "if self._url is None or not rejected:\n            return set()",
           "if self._url is None or not rejected:\n            return set(rejected)",
           f"{STANDARD}[no dead letters]"),
    # Numbers, values, sizes
    Mutant("numbers through float", "sluice/message/exact_json.py", "        return Decimal(text)\n",
           "        return Decimal(repr(float(text)))\n",
           FITS),
    Mutant("numbers through float in envelopes", "sluice/message/envelope.py", "return parse_json(text, self._keep_spelling)",
           "return __import__('json').loads(text)", ENVELOPE),
    Mutant("<= means < in expressions", "sluice/message/exact_jmespath.py", "order <= 0", "order < 0", JMESPATH),
    Mutant("true is 1 in expressions", "sluice/message/exact_functions.py", "    if of != kind(other):\n        return False\n", "",
           JMESPATH),
    Mutant("numbers sort as texts in expressions", "sluice/message/exact_functions.py", "if plain else ascending",
           "if not keys or isinstance(keys[0], str) else str", JMESPATH),
    Mutant("numbers are strings in to_string", "sluice/message/exact_functions.py", "        return str(value)\n",
           "        return json.dumps(str(value))\n", JMESPATH),
    Mutant("39 digits accepted", "sluice/message/items.py", "MAX_DIGITS = 38", "MAX_DIGITS = 39", FITS_NOT),
    Mutant("37 digits at most", "sluice/message/items.py", "MAX_DIGITS = 38", "MAX_DIGITS = 37", FITS),
    Mutant("1E+126 accepted", "sluice/message/items.py", "MIN_ADJUSTED_EXPONENT = 125, -130", "MIN_ADJUSTED_EXPONENT = 126, -130",
           FITS_NOT),
    Mutant("1E-130 refused", "sluice/message/items.py", "MIN_ADJUSTED_EXPONENT = 125, -130", "MIN_ADJUSTED_EXPONENT = 125, -129",
           FITS),
    Mutant("409,601 bytes accepted", "sluice/message/items.py", "MAX_ITEM_BYTES = 400 * 1024", "MAX_ITEM_BYTES = 400 * 1024 + 1",
           SIZE),
    Mutant("list elements cost nothing", "sluice/message/items.py", "size = [], 3 + len(values)", "size = [], 3", SIZE),
    Mutant("map members cost nothing", "sluice/message/items.py", "3 + len(attributes) + size", "3 + size", SIZE),
    Mutant("names cost nothing", "sluice/message/items.py", "size += bytes_of_name + bytes_of_value", "size += bytes_of_value", SIZE),
    Mutant("characters counted as bytes", "sluice/message/items.py", "return len(text) if text.isascii() else len(text.encode())",
           "return len(text)", SIZE),
    Mutant("index keys unchecked on the short way", "sluice/message/fast_tables.py",
           "FastIndexedTable(table) if table.indexes else FastTable(table)", "FastTable(table)", INDEXED),
    Mutant("empty index keys accepted on the exact way", "sluice/message/forms.py",
           "    items.check_index_keys(table, attributes)\n", "", INDEXED),
    Mutant("33 levels accepted", "sluice/message/items.py", "if level >= MAX_NESTING:", "if level > MAX_NESTING:", PLAIN),
    Mutant("2,049 bytes of partition key", "sluice/message/items.py", "MAX_SORT_KEY_BYTES = 2048, 1024",
           "MAX_SORT_KEY_BYTES = 2049, 1024",
           NATIVE),
    Mutant("sort key as long as a partition key", "sluice/message/items.py", "MAX_SORT_KEY_BYTES = 2048, 1024",
           "MAX_SORT_KEY_BYTES = 2048, 2048", NATIVE),
    Mutant("empty keys accepted", "sluice/message/items.py", "    if length == 0:", "    if False:", PLAIN),
    Mutant("keys of any type", "sluice/message/items.py", "    if kind != attribute.type:", "    if False:", PLAIN),
    Mutant("duplicates in a set by spelling", "sluice/message/items.py",
           '{Decimal(member) for member in members} if kind == "NS" else ', "",
           ODD),
    Mutant("empty sets accepted", "sluice/message/items.py", "    if not content:\n", "    if False:\n", NATIVE),
    Mutant("NULL false accepted", "sluice/message/items.py", '_require_value(content is True, "NULL must be true")', "pass", ODD),
    Mutant("true is the number 1", "sluice/message/items.py", "    if value is True or value is False:\n",
           "    if value is True:\n        return _number('1')\n    if value is False:\n", BOTO3),
    # The short way
    Mutant("signed zeros in an embedding", "sluice/message/fast_values.py",
           'max(map(len, texts)) <= MAX_DIGITS and not _negative_zero(joined)', "max(map(len, texts)) <= MAX_DIGITS", SIGNED),
    Mutant("two numbers in one text", "sluice/message/fast_values.py",
           "return floats if len(floats) == len(texts) else None", "return floats", LEFT),
    Mutant("different texts are different numbers", "sluice/message/fast_values.py",
           "len(set(floats)) == len(floats)", "True", LEFT),
    Mutant("names twice in a request sent as it came", "sluice/message/fast_path.py",
           "and text.count(b'\"') == quotes", "", COPIED),
    Mutant("a set's numbers sent as they were spelled", "sluice/message/fast_values.py",
           '(member)["N"] for member in members]\n            quotes = _REPLACED', '(member)["N"] for member in members]', COPIED),
    Mutant("any base64 taken as it is", "sluice/message/fast_values.py",
           "if binascii.b2a_base64(data, newline=False).decode() != text:", "if False:", LEFT),
    Mutant("something else behind deletes", "sluice/message/fast_deletes.py", "        if found[-1][2]:", "        if False:", DELETES),
    Mutant("a message of two deletes taken for two messages", "sluice/message/fast_deletes.py",
           "if len(found) != len(bodies) or found[-1][2]:", "if found[-1][2]:", LINES),
    Mutant("a delete with something behind it", "sluice/message/fast_deletes.py", "fullmatch(text)", "match(text)", DELETES),
    Mutant("signed zeros in a known put", "sluice/message/fast_puts.py",
           r"|0\.0{0,9}[1-9][0-9]{0,20})", r"|0\.[0-9]{1,20})", PUTS),
    Mutant("a known put with something behind it", "sluice/message/fast_puts.py",
           "match=compiled.fullmatch", "match=compiled.match", PUTS),
    Mutant("a known put with a sort key as long as a partition key", "sluice/message/fast_puts.py",
           '_KEY % (b"sort", MAX_SORT_KEY_BYTES)', '_KEY % (b"sort", MAX_PARTITION_KEY_BYTES)', PUTS),
    Mutant("null taken for no condition", "sluice/message/fast_path.py", "_require_usual(type(text) is str)", "pass", LEFT),
    Mutant("unknown members dropped", "sluice/message/fast_path.py", "_require_usual(not element)", "pass", LEFT),
    Mutant("key attributes updated", "sluice/message/fast_tables.py", "set() if update is None else self._key_names", "set()", LEFT),
    Mutant("expressions known by their texts alone", "sluice/message/fast_tables.py", "tuple(given.names.items()), ", "(), ", USUAL),
    Mutant("the table's version forgotten", "sluice/message/fast_tables.py", "version=newest, ", "", USUAL),
    Mutant("updates behind a put applied once", "sluice/message/decoder.py",
           "again = delivery if operation.key in written else 0", "again = 0", UPDATED),
    # Metrics
    Mutant("unprocessed counted by the batch", "sluice/writing/writer.py", "self.outcome.unprocessed += len(unwritten)",
           "self.outcome.throttled_calls += 1", PROMISE),
    Mutant("consumed units not added up", "sluice/writing/writer.py", "self.outcome.consumed += sum(",
           "self.outcome.consumed = sum(", CALM),
    Mutant("dead letters counted as written", "functions/batch_writer/metrics.py", '"MessagesWritten": len(outcome.written),',
           '"MessagesWritten": len(outcome.written) + len(outcome.dead_lettered),', CALM),
    # What is read before it is written
    Mutant("every item that is there counts as unchanged", UNCHANGED, "if wanted is not None and are_equal(wanted, stored):",
           "if wanted is not None:", f"{STANDARD}[default]"),
    Mutant("a delete of what is there is skipped", UNCHANGED, "return found.unchanged if wanted is None else found.to_write",
           "return found.unchanged", f"{STANDARD}[default]"),
    Mutant("a newer version that stands there is overlooked", UNCHANGED, "not items.is_newer(version, held)",
           "items.is_newer(version, held)", f"{FIFO}[default]"),
    Mutant("what could not be read counts as unchanged", UNCHANGED,
           "                found.to_write.append(operation)\n                continue",
           "                found.unchanged.append(operation)\n                continue", f"{STANDARD}[no dead letters]"),
    Mutant("a skipped operation leaves its lane as it was", "sluice/writing/writer.py", "        self._finish(found.unchanged)",
           "        self.outcome.written.update(found.unchanged)", f"{FIFO}[default]"),
)
# fmt: on


def source(mutant: Mutant) -> Path:
    return Path(mutant.file)


def run(directory: Path, tests: Sequence[str]) -> tuple[int, str, float]:
    """Exit status of pytest, its output, and the seconds it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=line"]
    finished = subprocess.run(
        [*command, "--hypothesis-profile=mutants", *(f"tests/property/{test}" for test in tests)],
        cwd=directory,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr, time.monotonic() - started


def survives(directory: Path, mutant: Mutant) -> str:
    """Empty when the property fails under the mutant, else what is wrong. Leaves the copy as it was."""
    path = directory / source(mutant)
    text = path.read_text()
    if text.count(mutant.old) != 1:
        return f"its text stands {text.count(mutant.old)} times in {mutant.file}"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        status, output, seconds = run(directory, [mutant.killer])
    finally:
        path.write_text(text)
    # Status 1 is a failed test; code that cannot even be imported has another one, and proves nothing.
    verdict = {0: "SURVIVES", 1: "killed"}.get(status, "BROKEN")
    print(f"{verdict:9} {seconds:5.1f} s  {mutant.name:55} {mutant.killer.partition('::')[2]}", flush=True)  # noqa: T201
    return "" if status == 1 else f"{verdict} {output[-2000:] if status != 0 else ''}"


def main(parts: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not parts or any(part in mutant.name for part in parts)]
    problems: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        ignored = shutil.ignore_patterns("__pycache__")
        for part in ("functions", "infra", "sluice", "tests"):
            shutil.copytree(ROOT / part, directory / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", directory)
        status, output, seconds = run(directory, sorted({mutant.killer for mutant in chosen}))
        print(f"{'fails' if status else 'passes':9} {seconds:5.1f} s  without any change", flush=True)  # noqa: T201
        if status:
            problems["without any change"] = output[-4000:]
        else:
            problems |= {mutant.name: problem for mutant in chosen if (problem := survives(directory, mutant))}
    for name, problem in problems.items():
        print(f"\n{name}: {problem}", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
