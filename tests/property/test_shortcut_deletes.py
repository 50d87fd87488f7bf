"""Deletes that are read by a pattern: both ways of decoding agree on them, and on texts that nearly are deletes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.message.decoder import Decoder
from sluice.message.fast_deletes import FastDeletes
from sluice.message.settings import KeyAttribute, Settings, Table
from tests.property.two_ways import agree
from tests.strategies import PAIRS, as_json, native, texts
from tests.world import EVENTS, INDEXED_TABLE, ORDERS, VERSIONED

ODD = Table("odd", "odd-table", KeyAttribute('a: "%s', "S"), KeyAttribute("(b|{c}, ", "S"))
SETTINGS = {table.alias: Settings((table, EVENTS)) for table in (ORDERS, PAIRS, INDEXED_TABLE, ODD)}
DECODERS = {alias: Decoder(settings) for alias, settings in SETTINGS.items()}
FORMS = ("delete", "DeleteRequest")
PIECES = (
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\0",
    "\ud800",
    "é",
    "delete",
    "pk",
    '"pk":"b",',
    "[]",
    "1",
)


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
