"""The short way through envelopes finds what JMESPath finds, and loads it only for what is unusual."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.message.decoder import Decoder
from sluice.message.errors import SettingsError
from sluice.message.fast_path import steps_of
from sluice.message.settings import Settings
from tests.property.two_ways import agree, short_way
from tests.strategies import TABLES, as_json

SIMPLE = (
    "detail",
    "a.b.c",
    '"a-b"."c d".e',
    "powertools_json(Message)",
    "powertools_json(a.b)",
    'powertools_json("a-b").c',
    "powertools_json(Message).a.b",
)
OTHERS = (
    "@", "*", "detail.*", "a[0]", "Records[].body", "a || b", "detail | x", "a .b", "powertools_json(@)", "a.b-c",
    "a..b", "powertools_json(a).powertools_json(b)", "powertools_base64(a)", "length(a)", "powertools_json(a, b)",
    "'a'", "`1`", '"a\\u0062"', '"a', "1a", "é", "", ".".join("a" * 20), "powertools_json", "powertools_json()",
)  # fmt: skip


@pytest.mark.parametrize("expression", SIMPLE)
def test_a_simple_expression_has_steps(expression: str) -> None:
    assert steps_of(expression)


@given(
    st.one_of(
        st.sampled_from(SIMPLE + OTHERS),
        st.text('ab.-"()@[] \\1é', max_size=8),
        st.text('ab."()', max_size=6).map(lambda text: f"powertools_json({text}"),
    )
)
def test_an_expression_that_has_steps_is_valid_and_finds_what_they_lead_to(expression: str) -> None:
    steps = steps_of(expression)
    if not steps:
        return
    records: Any = {"put": {"pk": "a"}}
    body = records
    for step in reversed(steps):
        body = as_json(body) if step is None else {step: body, "other": 1}

    settings = Settings(TABLES, record_expression=expression)
    decoder = Decoder(settings)

    answers, exact = agree(as_json(body), decoder, settings)
    assert answers
    assert len(exact.operations) == 1


ODD_ENVELOPES = {
    "null": '{"detail": null}',
    "nothing": "{}",
    "text": '{"detail": "{}"}',
    "a number": '{"detail": 1.5}',
    "an empty list": '{"detail": []}',
    "a list of lists": '{"detail": [[{"put": {"pk": "a"}}]]}',
    "a list around it": '[{"detail": {"put": {"pk": "a"}}}]',
    "a lone surrogate beside it": '{"x": "\\ud800", "detail": {"put": {"pk": "a"}}}',
    "NaN beside it": '{"x": NaN, "detail": {"put": {"pk": "a"}}}',
    "something behind it": '{"detail": {"put": {"pk": "a"}}} x',
}
ODD_TEXTS = {
    "an object": '{"Message": {"put": {"pk": "a"}}}',
    "no JSON": '{"Message": "put"}',
    "null": '{"Message": "null"}',
    "a number": '{"Message": 1.5}',
    "an empty text": '{"Message": ""}',
    "a lone surrogate": json.dumps({"Message": '{"put": {"pk": "\\ud800"}}'}),
    "an empty list": '{"Message": "[]"}',
}


@pytest.mark.parametrize("body", ODD_ENVELOPES.values(), ids=ODD_ENVELOPES)
def test_an_odd_envelope_is_left_to_the_exact_way(body: str) -> None:
    settings = Settings(TABLES, record_expression="detail")

    assert short_way(Decoder(settings), settings, body) is None


@pytest.mark.parametrize("body", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_an_odd_text_in_an_envelope_is_left_to_the_exact_way(body: str) -> None:
    settings = Settings(TABLES, record_expression="powertools_json(Message)")

    assert short_way(Decoder(settings), settings, body) is None


def test_a_name_twice_in_an_envelope_counts_as_the_last() -> None:
    settings = Settings(TABLES, record_expression="detail")
    body = '{"detail": {"put": {"pk": "first"}}, "detail": {"put": {"pk": "last"}}}'

    answers, exact = agree(body, Decoder(settings), settings)

    assert answers
    assert [operation.key[1] for operation in exact.operations] == ["last"]


def test_jmespath_is_loaded_when_the_first_unusual_body_comes() -> None:
    code = """
import sys
from sluice.message.decoder import Decoder
from sluice.message.settings import Settings
from tests.strategies import TABLES
for module in [name for name in sys.modules if name.split(".")[0] == "jmespath" or name == "sluice.message.envelope"]:
    del sys.modules[module]
decoder = Decoder(Settings(TABLES, record_expression="detail"))
for body in ('{"detail": {"put": {"pk": "a"}}}', '{"detail": null}', '{"detail": {"put": {"pk": ["a"]}}}'):
    message = decoder.decode({"messageId": "m", "body": body})
    print(len(message.operations), [rejection.code for _, rejection in message.rejected], "jmespath" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.splitlines() == ["1 [] False", "0 ['UnknownOperation'] True", "0 ['KeyTypeMismatch'] True"]


@pytest.mark.parametrize("expression", ["detail[", "a..b", "no_function(a)", "powertools_json(a, b)", '"a'])
def test_a_bad_expression_is_refused_before_any_message_comes(expression: str) -> None:
    with pytest.raises(SettingsError, match="RECORD_EXPRESSION"):
        Decoder(Settings(TABLES, record_expression=expression))
