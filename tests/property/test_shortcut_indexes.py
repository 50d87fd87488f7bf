"""Index keys: both ways of decoding agree on them, and with what the service would say."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.property import fuzz
from tests.property.two_ways import agree
from tests.strategies import as_json, native, ordinary_numbers, texts
from tests.world import INDEXED_TABLE

SETUP = fuzz.INDEXED
INDEX_KEYS = {attribute.name: attribute.type for index in INDEXED_TABLE.indexes for attribute in index.key}

values = st.one_of(
    st.one_of(texts.filter(bool), ordinary_numbers, st.booleans(), st.none(), st.just("")).map(native),
    st.sampled_from([{"B": "eA=="}, {"B": ""}, {"SS": ["x"]}, {"NS": ["1"]}]),
)
items = st.dictionaries(st.sampled_from(["other", *INDEX_KEYS]), values, max_size=4)


@given(items, st.booleans())
def test_an_item_goes_the_short_way_exactly_if_its_index_keys_are_right(
    values: dict[str, Any], in_requests: bool
) -> None:
    request = {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}} | values}}
    body = {"RequestItems": {"indexed": [request]}} if in_requests else request

    answers, exact = agree(as_json(body), SETUP.decoder, SETUP.settings)

    of_indexes = [(INDEX_KEYS[name], *value.items()) for name, value in values.items() if name in INDEX_KEYS]
    codes = {"KeyTypeMismatch" for wanted, (kind, _) in of_indexes if kind != wanted}
    codes |= {"EmptyKey" for wanted, (kind, content) in of_indexes if kind == wanted and not content}
    assert answers == (not codes)
    assert {rejection.code for _, rejection in exact.rejected} <= codes
    assert bool(exact.rejected) == bool(codes)


def test_what_is_refused_for_an_index_is_what_the_service_refuses() -> None:
    refused: Counter[str] = Counter()
    for number in range(1_500):
        random = Random(f"indexes/{number}")
        text = as_json(fuzz._element(random, SETUP))

        assert fuzz.judge(fuzz.Case(SETUP, text, text)).problems == []
        _, exact = agree(text, SETUP.decoder, SETUP.settings)
        refused.update(rejection.code for _, rejection in exact.rejected if "of index" in rejection.message)

    assert refused["KeyTypeMismatch"] > 20
