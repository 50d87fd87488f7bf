"""Deletes that are read by a pattern: both ways of decoding agree on them, and on texts that nearly are deletes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.message import records
from sluice.message.decoder import Decoder, Message
from sluice.message.fast_deletes import FastDeletes
from sluice.message.fast_path import FastPath
from sluice.message.operation import Source
from sluice.message.settings import KeyAttribute, Settings, Table
from tests.property.two_ways import MARKS, agree, meaning
from tests.strategies import PAIRS, as_json, native, texts
from tests.world import EVENTS, INDEXED_TABLE, ORDERS, VERSIONED

ODD = Table("odd", "odd-table", KeyAttribute('a: "%s', "S"), KeyAttribute("(b|{c}, ", "S"))
SETTINGS = {table.alias: Settings((table, EVENTS)) for table in (ORDERS, PAIRS, INDEXED_TABLE, ODD)}
DECODERS = {alias: Decoder(settings) for alias, settings in SETTINGS.items()}
FORMS = ("delete", "DeleteRequest")
PIECES = (*MARKS, "delete", "pk", '"pk":"b",', "[]", "1")


def deletes(table: Table, form: str, keys: Sequence[tuple[str, str]], *, in_array: bool, spaced: bool = False) -> str:
    """A body, as json.dumps writes it with or without its usual blanks."""
    elements = []
    for values in keys:
        key = dict(zip([attribute.name for attribute in table.key], values, strict=False))
        as_it_is = {"delete": key}
        as_dynamodb = {"DeleteRequest": {"Key": {name: native(value) for name, value in key.items()}}}
        elements.append(as_it_is if form == "delete" else as_dynamodb)
    content = elements if in_array else elements[0]
    return json.dumps(content, ensure_ascii=False) if spaced else as_json(content)


@given(
    st.sampled_from(sorted(SETTINGS)),
    st.sampled_from(FORMS),
    st.lists(st.tuples(texts, texts), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_the_two_ways_agree_on_deletes(
    alias: str, form: str, keys: list[tuple[str, str]], in_array: bool, spaced: bool
) -> None:
    settings = SETTINGS[alias]

    agree(deletes(settings.tables[0], form, keys, in_array=in_array, spaced=spaced), DECODERS[alias], settings)


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("in_array", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alias", sorted(SETTINGS))
def test_a_usual_delete_is_found_by_its_pattern(alias: str, form: str, in_array: bool, spaced: bool) -> None:
    table = SETTINGS[alias].tables[0]
    body = deletes(table, form, [("a %s é", "x"), ("b", "y")][: 1 + in_array], in_array=in_array, spaced=spaced)

    assert FastDeletes(table).operations(body, "m", True)
    answers, exact = agree(body, DECODERS[alias], SETTINGS[alias])
    assert answers
    assert not exact.rejected


def test_the_two_ways_agree_on_what_nearly_is_a_delete() -> None:
    seen: Counter[bool] = Counter()
    for number in range(2_000):
        random = Random(f"deletes/{number}")
        alias = random.choice(sorted(SETTINGS))
        settings, keys = SETTINGS[alias], [("a", "x"), ("b" * random.choice((1, 512, 513)), "y")]
        in_array = random.random() < 0.7
        body = deletes(settings.tables[0], random.choice(FORMS), keys, in_array=in_array, spaced=random.random() < 0.3)
        for _ in range(random.randrange(1, 3)):
            start = random.randrange(len(body) + 1)
            end = start + random.choice((0, 0, 1, 2, 20))
            body = body[:start] + random.choice(("", *PIECES, body[end : end + 5])) + body[end:]

        answers, _ = agree(body, DECODERS[alias], settings)
        seen[answers] += 1

    assert min(seen.values()) > 150


def test_only_keys_that_are_text_have_a_pattern() -> None:
    assert FastDeletes.takes(ORDERS)
    assert not FastDeletes.takes(EVENTS)
    assert not FastDeletes.takes(VERSIONED)


def test_an_item_that_looks_like_a_delete_is_an_item() -> None:
    table = Table("orders", "orders-table", KeyAttribute("pk", "S"))
    settings = Settings((table,), record_format="item")

    answers, exact = agree('{"delete":{"pk":"a"}}', Decoder(settings), settings)

    assert not answers
    assert [rejection.code for _, rejection in exact.rejected] == ["MissingKey"]


def delivered(number: int, body: str) -> dict[str, Any]:
    """A message of a FIFO queue, for the second time where its number is odd."""
    attributes = {"ApproximateReceiveCount": str(1 + number % 2), "MessageGroupId": f"group-{number % 3}"}
    arn = "arn:aws:sqs:us-east-1:123456789012:orders.fifo"
    return {"messageId": f"m{number}", "body": body, "attributes": attributes, "eventSourceARN": arn}


def told(message: Message) -> Any:
    """All that counts of a message."""
    return message.id, message.group, list(map(meaning, message.operations)), message.rejected, message.unreadable


def test_the_messages_of_an_event_are_decoded_as_each_by_itself() -> None:
    seen: Counter[bool] = Counter()
    for number in range(2_000):
        random = Random(f"events/{number}")
        alias = random.choice(sorted(SETTINGS))
        decoder, form = DECODERS[alias], random.choice(FORMS)
        bodies = [
            deletes(SETTINGS[alias].tables[0], form, [(f"a{each}", "x")], in_array=False, spaced=random.random() < 0.3)
            for each in range(random.randrange(1, 5))
        ]
        for _ in range(random.choice((0, 1, 1, 2))):
            body = bodies[place := random.randrange(len(bodies))]
            start = random.choice((0, len(body), random.randrange(len(body) + 1)))
            bodies[place] = body[:start] + random.choice((*PIECES, "\n" + body, body)) + body[start:]
        event = [delivered(*each) for each in enumerate(bodies)]
        if random.random() < 0.1:
            del random.choice(event)["body"]

        together = decoder.decode_all(event)

        assert list(map(told, together)) == [told(decoder.decode(record)) for record in event]
        assert decoder._fast_path is not None
        seen[decoder._fast_path.deletes(list(map(records.usual, event))) is not None] += 1

    assert min(seen.values()) > 150


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alias", sorted(SETTINGS))
def test_messages_of_a_delete_each_are_found_by_one_pattern(alias: str, form: str, spaced: bool) -> None:
    bodies = [
        deletes(SETTINGS[alias].tables[0], form, [(key, "x")], in_array=False, spaced=spaced)
        for key in ("a %s é", "b\x7f", "{}")
    ]
    event = [delivered(*each) for each in enumerate(bodies)]

    found = FastPath(SETTINGS[alias]).deletes(list(map(records.usual, event)))

    assert found
    assert [operation.source for operation in found] == [
        Source("m0", False, 0),
        Source("m1", True, 0),
        Source("m2", False, 0),
    ]


def test_a_body_of_two_deletes_in_two_lines_is_none() -> None:
    body = as_json({"delete": {"pk": "a"}})

    [message, _] = DECODERS["orders"].decode_all([delivered(0, f"{body}\n{body}"), delivered(1, body)])

    assert [rejection.code for _, rejection in message.rejected] == ["InvalidJson"]
