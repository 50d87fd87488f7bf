"""Records to messages, and messages to calls."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.message.operation import Rejection
from sluice.send import packing
from sluice.send.packing import Packing, StoppedAtError, Window, group_of
from sluice.sending.outbox import MAX_BYTES, Outbox, Outgoing
from sluice.sending.record import START, Position, Record

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=60)


def rejecting_zeros(body: bytes) -> Rejection | None:
    return Rejection("MissingKey", "zero") if b'"n":0' in body else None


def record(number: int, value: int, group: str, length: int) -> Record:
    body = json.dumps({"put": {"g": group, "n": value, "x": "x" * length}}, separators=(",", ":")).encode()
    return Record(number + 1, Position(1000 * (number + 1), number + 1), body)


files = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.sampled_from([0, 10, 300, 2000])), max_size=60
).map(lambda rows: [record(number, *row) for number, row in enumerate(rows)])
packings = st.builds(
    Packing,
    check=st.just(rejecting_zeros),
    message_bytes=st.sampled_from([1024, 4096]),
    most_bytes=st.just(MAX_BYTES),
    group_by=st.sampled_from([None, "g"]),
    run=st.just("run"),
)


def sent(windows: Iterable[Window]) -> list[Any]:
    return [element for window in windows for message in window.messages for element in json.loads(message.body)]


@REPEATABLE
@given(files, packings)
def test_every_record_is_sent_or_rejected_once(found: list[Record], how: Packing) -> None:
    windows = list(how.windows(found, START))

    good = [json.loads(record.body) for record in found if not rejecting_zeros(record.body)]
    by_text = sorted(map(json.dumps, sent(windows)))
    assert by_text == sorted(map(json.dumps, good))
    rejected = [one.line for window in windows for one in window.rejected]
    assert rejected == [record.line for record in found if rejecting_zeros(record.body)]


@REPEATABLE
@given(files, packings)
def test_messages_keep_their_size_and_their_order(found: list[Record], how: Packing) -> None:
    windows = list(how.windows(found, START))

    for window in windows:
        for message in window.messages:
            assert message.size == len(message.body.encode())
            assert message.size <= how.message_bytes or message.records == 1
            assert message.records == len(json.loads(message.body))
    for group in "abc":
        of_group = [element for element in sent(windows) if element["put"]["g"] == group]
        kept = [json.loads(record.body) for record in found if not rejecting_zeros(record.body)]
        assert of_group == [element for element in kept if element["put"]["g"] == group]


@REPEATABLE
@given(files, packings, st.data())
def test_from_the_beginning_of_any_window_on_all_comes_out_the_same(
    found: list[Record], how: Packing, data: st.DataObject
) -> None:
    def described(windows: list[Window]) -> list[Any]:
        return [
            (
                window.start,
                window.end,
                [(message.body, message.deduplication_id, message.origin) for message in window.messages],
            )
            for window in windows
        ]

    windows = list(how.windows(found, START))
    if windows:
        number = data.draw(st.integers(0, len(windows) - 1))
        start = windows[number].start
        ids = [message.deduplication_id for window in windows for message in window.messages]
        assert len(set(ids)) == len(ids)

        again = list(how.windows([record for record in found if record.end > start], start))

        assert described(again) == described(windows[number:])


@REPEATABLE
@given(files, packings)
def test_windows_join_without_a_gap(found: list[Record], how: Packing) -> None:
    windows = list(how.windows(found, START))

    ends = [START, *(window.end for window in windows)]
    assert [window.start for window in windows] == ends[:-1]
    assert ends[-1] == (found[-1].end if found else START)


def test_messages_are_filled_to_the_size_that_was_asked_for() -> None:
    found = [record(number, 1, "a", 200) for number in range(3000)]

    messages = [message for window in Packing(rejecting_zeros).windows(found, START) for message in window.messages]

    assert all(message.size > 65_536 - 300 for message in messages[:-1])


@pytest.mark.parametrize(("spare", "records"), [(0, [3, 3]), (-1, [2, 2, 2])])
def test_a_message_is_filled_to_the_last_byte(spare: int, records: list[int]) -> None:
    found = [record(number, 1, "a", 500) for number in range(6)]
    exactly = len(b"[" + b",".join(one.body for one in found[:3]) + b"]")

    (window,) = Packing(rejecting_zeros, message_bytes=exactly + spare).windows(found, START)

    assert [message.records for message in window.messages] == records


def test_the_messages_of_a_window_go_in_one_call() -> None:
    found = [record(number, 1, "a", 60_000) for number in range(40)]

    windows = list(Packing(rejecting_zeros, message_bytes=130_000).windows(found, START))

    assert len(windows) > 1
    for window in windows:
        outbox = Outbox(in_order=False)
        for message in window.messages:
            outbox.add(message)
        assert outbox.take() == list(window.messages)


def test_a_record_that_no_message_can_hold_is_rejected() -> None:
    found = [record(0, 1, "a", 2000), record(1, 1, "a", 10)]

    (window,) = Packing(rejecting_zeros, most_bytes=1024).windows(found, START)

    assert [(one.line, one.reason.code) for one in window.rejected] == [(1, "MessageTooLarge")]


def test_a_file_of_nothing_but_bad_records_does_not_pile_up_in_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_BYTES", 10_000)
    found = [record(number, 0, "a", 300) for number in range(100)]

    windows = list(Packing(rejecting_zeros).windows(found, START))

    assert len(windows) > 5
    assert sum(len(window.rejected) for window in windows) == 100


def test_a_window_of_very_many_groups_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "GROUPED_MESSAGES", 10)
    found = [record(number, 1, f"g{number}", 1) for number in range(25)]

    windows = list(Packing(rejecting_zeros, group_by="g").windows(found, START))

    assert [len(window.messages) for window in windows] == [10, 10, 5]


def test_on_request_the_first_bad_record_ends_it_after_all_before() -> None:
    found = [record(0, 1, "a", 1), record(1, 0, "a", 1), record(2, 1, "a", 1)]
    windows: list[Window] = []

    with pytest.raises(StoppedAtError, match="line 2: MissingKey"):
        windows.extend(Packing(rejecting_zeros, stops=True).windows(found, START))
    # `extend` keeps what came before the error.
    assert [window.end for window in windows] == [found[0].end]
    assert len(sent(windows)) == 1


def test_a_record_without_a_group_is_rejected_where_groups_are_wanted() -> None:
    found = [Record(1, Position(9, 1), b'{"put":{"n":1}}')]

    (window,) = Packing(rejecting_zeros, group_by="g").windows(found, START)

    assert window.rejected[0].reason.code == "MissingGroup"


@pytest.mark.parametrize(
    ("body", "group"),
    [
        ('{"put": {"g": "a"}}', "a"),
        ('{"put": {"g": 1.50}}', "1.50"),
        ('{"delete": {"g": 7}}', "7"),
        ('{"update": {"g": "a"}, "expression": "REMOVE x"}', "a"),
        ('{"PutRequest": {"Item": {"g": {"N": "1"}}}}', "1"),
        ('{"DeleteRequest": {"Key": {"g": {"S": "a"}}}}', "a"),
        ('{"Put": {"Item": {"g": {"S": "a"}}}}', "a"),
        ('{"Update": {"Key": {"g": {"S": "a"}}}}', "a"),
        ('{"put": {"g": true}}', None),
        ('{"put": {"g": ["a"]}}', None),
        ('{"put": {}}', None),
        ('{"put": {"g": "a"}}, {"put": {"g": "b"}}', None),
        ('[{"put": {"g": "a"}}]', None),
    ],
)
def test_the_group_is_the_attributes_value(body: str, group: str | None) -> None:
    assert group_of(body.encode(), "g") == group


@pytest.mark.parametrize("name", ["put", "update", "PutRequest", "Delete", "Update"])
def test_an_attribute_of_a_bare_item_is_no_operation_whatever_its_name(name: str) -> None:
    found = [Record(1, Position(9, 1), json.dumps({name: {"g": "inner"}, "g": "outer"}).encode())]

    (window,) = Packing(lambda _: None, group_by="g", bare=True).windows(found, START)

    assert [message.group for message in window.messages] == ["outer"]


def test_values_that_sqs_takes_for_no_group_stand_as_their_hash() -> None:
    groups = [group_of(json.dumps({"put": {"g": value}}).encode(), "g") for value in ("a b", "é", "x" * 129, "")]

    assert len({*groups}) == 4
    assert all(group is not None and len(group) == 64 for group in groups)


# The outbox


def message(group: str | None = None, size: int = 10) -> Outgoing:
    return Outgoing("x", size, 1, group)


def test_a_call_has_ten_messages_and_1_mib_at_most() -> None:
    outbox = Outbox(in_order=False)
    small, large = [message() for _ in range(12)], [message(size=600_000) for _ in range(2)]
    for one in small + large:
        outbox.add(one)

    calls = [outbox.take(), outbox.take(), outbox.take(), outbox.take()]

    assert calls == [small[:10], [*small[10:], large[0]], [large[1]], []]
    assert outbox.size == 0


def test_no_message_overtakes_an_earlier_one_of_its_group() -> None:
    outbox = Outbox(in_order=True)
    first, second, third, other = message("a"), message("a"), message("a"), message("b")
    for one in (first, second, third, other):
        outbox.add(one)

    assert outbox.take() == [first, other]
    assert outbox.take() == []
    outbox.done([first])
    assert outbox.take() == [second]
    outbox.done([second, other])
    assert outbox.take() == [third]


def test_groups_of_a_standard_queue_do_not_wait() -> None:
    outbox = Outbox(in_order=False)
    both = [message("a"), message("a")]
    for one in both:
        outbox.add(one)

    assert outbox.take() == both
