"""Puts that are read by the pattern of one before: both ways agree on them, and on texts that nearly are such puts."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from sluice.message.decoder import Decoder
from sluice.message.fast_path import FastPath
from sluice.message.fast_puts import FIRST_LESSON, FastPuts
from sluice.message.operation import Source
from sluice.message.settings import KeyAttribute, Settings, Table
from tests import strategies
from tests.property.two_ways import MARKS, agree, meaning, record
from tests.strategies import PAIRS, as_json
from tests.world import EVENTS, INDEXED_TABLE, ORDERS, VERSIONED

ODD = Table("odd", "odd-table", KeyAttribute('a: "%s, %b', "S"), KeyAttribute("(b|{c}, ", "S"))
TABLES = {table.alias: table for table in (ORDERS, PAIRS, ODD)}
FORMS = ("put", "PutRequest", "item")
SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"n": 1, "x": -0.25, "note": "é %b %s", "paid": True, "gone": None},
    {"100%": {"lat": 1.5, "at": {"pk": "inner"}}, "tags": ["a", 2, [False]], "empty": [{}, []], "price": 0.0},
)
PIECES: tuple[str, ...] = (*MARKS, "-", "0", "-0.0", "1e5", "null", "9" * 19, "true", "pk", "put", "Item")
PIECES += ('"n":1,', '{"N":"1"}', "x" * 2040)
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
NUMBERS: tuple[str, ...] = (
    "0",
    "-0",
    "0.0",
    "-0.00",
    "1.0",
    "01",
    "+1",
    "1.",
    ".5",
    "1e5",
    "-1E-7",
    "0.0000001",
    "1" * 18,
    "9" * 39,
)
NUMBERS += (
    "1" * 18 + "." + "2" * 17,
    "1" * 18 + "." + "2" * 21,
    "0." + "0" * 9 + "1" * 21,
    "0." + "0" * 140 + "1",
)
SOURCE = Source("m", True, 0)


def other_values(random: Random, value: Any) -> Any:
    """A value that is written as another one."""
    match value:
        case bool():
            return random.random() < 0.5
        case str():
            return random.choice(("", "text", "ż" * 3, "{}", "%b"))
        case int() | float():
            return random.choice((0, 7, -7, 10**17, 0.5, -0.001, 12.75, 100.0))
        case dict():
            return {name: other_values(random, each) for name, each in value.items()}
        case list():
            return [other_values(random, each) for each in value]
    return value


def native(value: Any) -> dict[str, Any]:
    match value:
        case int() | float() if not isinstance(value, bool):
            return {"N": json.dumps(value)}
        case list():
            return {"L": [native(each) for each in value]}
        case dict():
            return {"M": {name: native(each) for name, each in value.items()}}
    return strategies.native(value)


def written(table: Table, form: str, shape: dict[str, Any], key: str, *, spaced: bool) -> str:
    """A body, as json.dumps writes it with or without its usual blanks."""
    item = {table.key[0].name: key, **shape, **{attribute.name: "s" + key for attribute in table.key[1:]}}
    as_it_is = {"put": item} if form == "put" else item
    content = {"PutRequest": {"Item": native(item)["M"]}} if form == "PutRequest" else as_it_is
    return json.dumps(content, ensure_ascii=False) if spaced else as_json(content)


def settings_of(alias: str, form: str) -> Settings:
    return Settings((TABLES[alias], EVENTS), record_format="item" if form == "item" else "operation")


@cache
def experienced(alias: str, form: str, spaced: bool) -> Decoder:
    """A decoder that has seen each of the shapes often enough."""
    decoder = Decoder(settings_of(alias, form))
    for number, shape in enumerate(SHAPES):
        for _ in range((number + 1) * FIRST_LESSON + 1):
            decoder.decode(record(written(TABLES[alias], form, shape, "k", spaced=spaced)))
    return decoder


def is_known(decoder: Decoder, text: str) -> bool:
    assert decoder._fast_path is not None
    assert decoder._fast_path._puts is not None
    return decoder._fast_path._puts.operation(text.encode(), SOURCE) is not None


@pytest.mark.parametrize("in_array", [False, True])
@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alias", sorted(TABLES))
def test_a_put_is_found_by_the_pattern_of_one_before(alias: str, form: str, spaced: bool, in_array: bool) -> None:
    decoder, random = experienced(alias, form, spaced), Random(f"{alias}/{form}/{spaced}/{in_array}")
    for shape in SHAPES:
        bodies = [
            written(TABLES[alias], form, other_values(random, shape), f"a %s é {number}", spaced=spaced)
            for number in range(3)
        ]

        assert all(is_known(decoder, body) for body in bodies)
        for body in [f"[{','.join(bodies)}]"] if in_array else bodies:
            answers, exact = agree(body, decoder, settings_of(alias, form))
            assert answers
            assert not exact.rejected


def test_the_two_ways_agree_on_what_nearly_is_a_known_put() -> None:
    seen: Counter[str] = Counter()
    for number in range(6_000):
        random = Random(f"puts/{number}")
        alias, form, spaced = random.choice(sorted(TABLES)), random.choice(FORMS), random.random() < 0.3
        decoder, shape = experienced(alias, form, spaced), other_values(random, random.choice(SHAPES))
        key = "k" * random.choice((1, 1, 1, 1, 1023, 1024, 2048, 2049))
        body = written(TABLES[alias], form, shape, key, spaced=spaced)
        if random.random() < 0.5:
            body = NUMBER.sub(random.choice(NUMBERS), body, count=random.randrange(3))
        for _ in range(random.choice((0, 0, 1, 2))):
            start = random.randrange(len(body) + 1)
            end = start + random.choice((0, 0, 1, 2, 20))
            body = body[:start] + random.choice(("", *PIECES, body[end : end + 5])) + body[end:]

        answers, exact = agree(body, decoder, settings_of(alias, form))
        known = "\ud800" not in body and is_known(decoder, body)
        if known:
            assert exact.rejected == ()
            assert list(map(meaning, decoder.decode(record(body)).operations)) == list(map(meaning, exact.operations))
        seen["known" if known else "short" if answers else "rejected" if exact.rejected else "exact"] += 1

    assert len(seen) == 4
    assert min(seen.values()) > 100


def test_a_large_put_is_left_to_the_exact_way() -> None:
    decoder, settings = experienced("orders", "put", False), settings_of("orders", "put")
    body = written(ORDERS, "put", SHAPES[1] | {"note": "é" * 40_000}, "k", spaced=False)

    answers, exact = agree(body, decoder, settings)

    assert not answers
    assert not exact.rejected


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The patterns that are made."""
    patterns: list[bytes] = []
    compiled = re.compile

    def compiling(pattern: bytes) -> re.Pattern[bytes]:
        patterns.append(pattern)
        return compiled(pattern)

    monkeypatch.setattr("sluice.message.fast_puts.re.compile", compiling)
    return patterns


def test_shapes_are_made_less_and_less_often(made: list[bytes]) -> None:
    path = FastPath(Settings((ORDERS,)))

    for number in range(50 * FIRST_LESSON):  # No two of them are alike.
        assert path.operations(as_json({"put": {"pk": "a", f"n{number}": "x"}}), "m", False)

    assert len(made) == 9


def test_an_embedding_gets_no_shape(made: list[bytes]) -> None:
    path = FastPath(Settings((ORDERS,)))

    for _ in range(2 * FIRST_LESSON):
        assert path.operations(as_json({"put": {"pk": "a", "vector": ["x"] * 100}}), "m", False)

    assert made == []


def test_only_tables_with_keys_of_text_and_nothing_more_have_shapes() -> None:
    assert FastPuts.takes(ORDERS)
    assert not FastPuts.takes(EVENTS)
    assert not FastPuts.takes(VERSIONED)
    assert not FastPuts.takes(INDEXED_TABLE)


def test_a_put_into_another_table_is_no_put_into_the_first() -> None:
    settings = Settings((ORDERS, PAIRS))
    decoder = Decoder(settings)
    body = as_json({"put": {"pk": "a", "sk": "b"}, "table": "pairs"})

    for _ in range(2 * FIRST_LESSON):
        decoder.decode(record(body))

    [operation] = decoder.decode(record(body)).operations
    assert operation.key == ("pairs-table", "a", "b")
    assert not is_known(decoder, body)
