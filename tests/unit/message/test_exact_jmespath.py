"""What a RECORD_EXPRESSION computes is exact, and what does not fit it is told by function and field."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from sluice.message.errors import SettingsError
from tests.world import World

A, B = "12345678901234567890123456789012345678.5", "12345678901234567890123456789012345678"
NEAR = "12345678901234567890123456789012345677"
HUGE, TINY = "1e9999999999999999999", "1e-9999999999999999999"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def zipped(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def stored(expression: str, body: str) -> Any:
    """The value of the expression, as it stands in the table; else the reason of the dead letter."""
    world = World(settings={"record_expression": f"{{put: {{pk: 'a', v: {expression}}}}}"})
    world.run(body)
    items = world.db.items("orders-table")
    return items[0]["v"] if items else world.reasons()


def reason(body: Any, **settings: Any) -> tuple[str, str]:
    """Code and message of the dead letter of the body."""
    world = World(settings=settings)
    world.run(body)
    (letter,) = world.letters()
    attributes = letter["MessageAttributes"]
    return attributes["ErrorCode"]["StringValue"], attributes["ErrorMessage"]["StringValue"]


TRUE, FALSE = {"BOOL": True}, {"BOOL": False}


@pytest.mark.parametrize(
    ("expression", "body", "value"),
    [
        # Comparisons, with literals and among fields
        ("n == `0.1`", '{"n": 0.1}', TRUE),
        ("n == `0.10`", '{"n": 1e-1}', TRUE),
        ("n == `0.1`", '{"n": 0.1000000000000000055511151231257827}', FALSE),
        ("n != `0.3`", '{"n": 0.3}', FALSE),
        ("n >= `0.1` && n <= `0.1`", '{"n": 0.1}', TRUE),
        ("n > `0.1` || n < `0.1`", '{"n": 0.1}', FALSE),
        (f"n > `{NEAR}`", f'{{"n": {B}}}', TRUE),
        (f"n == `{B}.0`", f'{{"n": {B}}}', TRUE),
        ("n == m", f'{{"n": {B}, "m": {NEAR}}}', FALSE),
        ("[n] == `[1.10]`", '{"n": 1.1}', TRUE),
        ("{x: n} == `{\"x\": 0.1}`", '{"n": 0.1}', TRUE),
        ("n == `true`", '{"n": 1}', FALSE),
        ("[n] == [b]", '{"n": 1, "b": true}', FALSE),
        ("n < 'a'", '{"n": 1}', {"NULL": True}),
        ("d >= '2026-01-01'", '{"d": "2026-01-02"}', TRUE),
        ("length(s) == `3`", '{"s": "abc"}', TRUE),
        (f"n > `{B}`", f'{{"n": {HUGE}}}', TRUE),
        (f"n == `{HUGE}`", f'{{"n": 10{HUGE[1:-1]}8}}', TRUE),
        (f"n < `0` || n > `{TINY}`", f'{{"n": {TINY}}}', FALSE),
        # Kinds and spelling
        ("type(n)", '{"n": 1}', {"S": "number"}),
        ("type(n)", f'{{"n": {A}}}', {"S": "number"}),
        ("type(n)", f'{{"n": {HUGE}}}', {"S": "number"}),
        ("type(`0.5`)", "{}", {"S": "number"}),
        ("to_string(o)", f'{{"o": {{"n": [{B}, 1.50, 1e2, 0.00000010, -0], "é\\"": null}}}}',
         {"S": f'{{"n":[{B},1.50,1e2,0.00000010,-0],"\\u00e9\\"":null}}'}),
        ("to_string(n)", '{"n": 1E5}', {"S": "1E5"}),
        ("to_string(`0.10`)", "{}", {"S": "0.10"}),
        ("to_string(b)", '{"b": true}', {"S": "true"}),
        ("to_string(powertools_json(s))", '{"s": "{\\"n\\": 1e2}"}', {"S": '{"n":1e2}'}),
        ("to_number(s)", f'{{"s": "{B}"}}', {"N": B}),
        ("to_number(s)", '{"s": "+5"}', {"NULL": True}),
        ("to_number(s)", '{"s": "1_000"}', {"NULL": True}),
        ("to_number(s)", '{"s": "NaN"}', {"NULL": True}),
        ("to_number(s)", '{"s": " 5"}', {"NULL": True}),
        # Arithmetic
        ("sum(l) == `24691357802469135780246913578024691356.5`", f'{{"l": [{B}, {A}]}}', TRUE),
        ("sum(l)", '{"l": [1e37, 0.1, -1e37]}', {"N": "0.1"}),
        ("sum(l)", '{"l": [1e120, 1e-120, -1e120]}', {"N": f"0.{'0' * 119}1"}),
        ("sum(l)", '{"l": [0.10, 0.20]}', {"N": "0.3"}),
        ("sum(l)", '{"l": []}', {"N": "0"}),
        ("sum(l)", '{"l": [1e999999999999, 1]}', ["InvalidNumber"]),
        ("sum(l)", f'{{"l": [{HUGE}, 1]}}', ["InvalidNumber"]),
        ("avg(l)", f'{{"l": [{B}, {B}]}}', {"N": B}),
        ("avg(l)", '{"l": [0.1, 0.2]}', {"N": "0.15"}),
        ("avg(l)", '{"l": [1, 0, 0]}', {"N": "0." + "3" * 38}),
        ("avg(l)", '{"l": [2, 0, 0]}', {"N": "0." + "6" * 37 + "7"}),
        ("avg(l)", f'{{"l": [{B[:-1]}1, {B[:-1]}2]}}', {"N": f"{B[:-1]}2"}),
        ("avg(l)", f'{{"l": [{B[:-1]}2, {B[:-1]}3]}}', {"N": f"{B[:-1]}2"}),
        ("avg(l)", '{"l": []}', {"NULL": True}),
        ("abs(n)", f'{{"n": -{B}}}', {"N": B}),
        ("ceil(n) == `12345678901234567890123456789012345679`", f'{{"n": {A}}}', TRUE),
        ("floor(n)", f'{{"n": {A}}}', {"N": B}),
        ("floor(n)", f'{{"n": -{B[:-1]}.5}}', {"N": f"-{B[:-2]}8"}),
        ("ceil(n)", '{"n": -0.5}', {"N": "0"}),
        ("[ceil(n), floor(n)]", f'{{"n": {TINY}}}', {"L": [{"N": "1"}, {"N": "0"}]}),
        ("[ceil(n), floor(n)]", f'{{"n": -{TINY}}}', {"L": [{"N": "0"}, {"N": "-1"}]}),
        # Order
        ("max(l)", f'{{"l": [{NEAR}, {B}, 1e-130, 2.5]}}', {"N": B}),
        ("min(l)", f'{{"l": [{B}, {NEAR}]}}', {"N": NEAR}),
        ("sort(l)", f'{{"l": [{B}, 1.5, {NEAR}, -1]}}', {"L": [{"N": "-1"}, {"N": "1.5"}, {"N": NEAR}, {"N": B}]}),
        (f"sort(l)[0:2] == `[-1, {TINY}]`", f'{{"l": [{HUGE}, 1, -1, {TINY}]}}', TRUE),
        ("sort_by(l, &n)[].k", f'{{"l": [{{"n": {B}, "k": 1}}, {{"n": {NEAR}, "k": 2}}]}}',
         {"L": [{"N": "2"}, {"N": "1"}]}),
        ("[max_by(l, &n).k, min_by(l, &n).k]", f'{{"l": [{{"n": {B}, "k": 1}}, {{"n": {NEAR}, "k": 2}}]}}',
         {"L": [{"N": "1"}, {"N": "2"}]}),
        ("contains(l, `0.1`)", '{"l": [0.10]}', TRUE),
        ("contains(l, `1`)", '{"l": [true]}', FALSE),
        ("contains(l, o)", '{"l": [{"n": 1.0}], "o": {"n": 1}}', TRUE),
        ("contains(s, n)", '{"s": "a1", "n": 1}', FALSE),
        ("merge(o, `{\"n\": 0.1}`)", '{"o": {"n": 1}}', {"M": {"n": {"N": "0.1"}}}),
        ("not_null(x, n)", f'{{"n": {B}}}', {"N": B}),
        ("!n", '{"n": 0}', FALSE),
    ],
)  # fmt: skip
def test_numbers_are_the_numbers_that_were_written(expression: str, body: str, value: Any) -> None:
    assert stored(expression, body) == value


@pytest.mark.parametrize(
    ("expression", "body", "code", "message"),
    [
        ("powertools_json(Message)", {}, "UnknownOperation",
         "powertools_json got null: the body has no field Message"),
        ("powertools_json(Message)", {"Message": None}, "UnknownOperation",
         "powertools_json got null: field Message is null"),
        ("powertools_json(Message)", [], "UnknownOperation",
         "powertools_json got null: the body is an array, and has no field Message"),
        ("powertools_json(Message)", {"Message": {"put": {}}}, "UnknownOperation",
         "powertools_json got an object: it takes a string"),
        ("powertools_json(detail.data)", {"detail": {}}, "UnknownOperation",
         "powertools_json got null: field detail has no field data"),
        ("powertools_json(Records[0].body)", {"Records": []}, "UnknownOperation",
         "powertools_json got null: field Records has no element 0"),
        ("Records[].powertools_json(body)", {"Records": [{}]}, "UnknownOperation",
         "powertools_json got null: the element has no field body"),
        ("powertools_json(a || b)", {}, "UnknownOperation", "powertools_json got null: it takes a string"),
        ("detail.orders", {"detail": 7}, "UnknownOperation",
         "RECORD_EXPRESSION finds nothing: field detail is a number, and has no field orders"),
        ("a || b", {}, "UnknownOperation", "RECORD_EXPRESSION finds nothing in the body"),
        ("detail.orders[?n > `5`].op", {"detail": {}}, "UnknownOperation",
         "RECORD_EXPRESSION finds nothing: field detail has no field orders"),
        ("orders[1:].op", {}, "UnknownOperation", "RECORD_EXPRESSION finds nothing: the body has no field orders"),
        ("sum(orders[].n)", {"orders": {}}, "UnknownOperation", "sum got null: field orders is an object"),
        ("powertools_json(Message)", {"Message": "{"}, "InvalidJson",
         "powertools_json got a string that is not JSON: "
         "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("powertools_json(Message)", {"Message": '{"put": {"n": NaN}}'}, "InvalidJson",
         "powertools_json got a string that is not JSON: NaN is not JSON"),
        ("powertools_base64(d)", {"d": "***"}, "InvalidJson", "powertools_base64 got a string that is not base64"),
        ("powertools_base64(d)", {"d": "QUJD="}, "InvalidJson", "powertools_base64 got a string that is not base64"),
        ("powertools_base64(d)", {"d": "QUJ"}, "InvalidJson", "powertools_base64 got a string that is not base64"),
        ("powertools_base64(d)", {"d": "é"}, "InvalidJson", "powertools_base64 got a string that is not base64"),
        ("powertools_base64(d)", {"d": encoded(b"\xff")}, "InvalidJson",
         "powertools_base64 got a string whose bytes are not UTF-8"),
        ("join(',', l)", {"l": [1]}, "UnknownOperation",
         "join got an array with a number in it as argument 2: it takes an array of strings"),
        ("sum(l)", {"l": [1, None]}, "UnknownOperation",
         "sum got an array with null in it: it takes an array of numbers"),
        ("max(l)", {"l": [1, "a"]}, "UnknownOperation",
         "max got an array of numbers and strings: it takes an array of numbers or an array of strings"),
        ("merge(@, l)", {"l": []}, "UnknownOperation", "merge got an array as argument 2: it takes an object"),
        ("length(n)", {"n": 5}, "UnknownOperation", "length got a number: it takes a string or an array or an object"),
        ("sort_by(l, &n)", {"l": [{"n": 1}, {}]}, "UnknownOperation",
         "sort_by got an array with null in it from its expression: it takes numbers or strings, and not both"),
        ("max_by(l, &n)", {"l": [{"n": 1}, {"n": "x"}]}, "UnknownOperation",
         "max_by got an array of numbers and strings from its expression: it takes numbers or strings, and not both"),
        ("min_by(l, &n)", {"l": [{"n": True}]}, "UnknownOperation",
         "min_by got an array with a boolean in it from its expression: it takes numbers or strings, and not both"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_function_and_what_it_got(expression: str, body: Any, code: str, message: str) -> None:
    assert reason(body, record_expression=expression) == (code, message)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("l[::0]", "the step of a slice cannot be 0"),
        ("sort_by(l, n)", r"sort_by\(\): argument 2 must be an expression with & before it"),
        ("length(&n)", r"length\(\): argument 1 takes no & before it"),
        ("abs(a, b)", r"abs\(\) takes 1 argument, got 2"),
        ("merge()", r"merge\(\) takes at least 1 argument, got 0"),
        ("l[?n == `[1, NaN]`]", "NaN is not JSON"),
        ("n == `Infinity`", "Infinity is not JSON"),
        ("n == `{\"a\": 1.}`", "Expecting"),
        (f"l[{'9' * 5000}]", "is not valid"),
        ("", "is not valid"),
    ],
)  # fmt: skip
def test_an_expression_that_can_fit_no_body_is_refused_at_cold_start(expression: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"RECORD_EXPRESSION.*{message}"):
        World(settings={"record_expression": expression})


PUT_A, PUT_B = '{"put": {"pk": "a"}}', '{"put": {"pk": "b"}}'
BOTH = f"[{PUT_A}, {PUT_B}]"
GZIP = "powertools_json(powertools_base64_gzip(d))"


@pytest.mark.parametrize(
    ("expression", "data"),
    [
        (GZIP, encoded(zipped(BOTH[:20]) + zipped(BOTH[20:]))),
        (GZIP, encoded(zipped("") + zipped(BOTH) + zipped(""))),
        (GZIP, encoded(zipped(BOTH) + b"\0" * 512)),
        (GZIP, encoded(b"".join(zipped(letter) for letter in BOTH))),
        (GZIP, base64.encodebytes(zipped(BOTH)).decode()),
        ("powertools_json(powertools_base64(d))", base64.encodebytes(BOTH.encode() + b" " * 99).decode()),
        ("powertools_json(powertools_base64(d))", encoded(BOTH.encode()).replace("e", "e\r\n")),
        ("powertools_json(join(',', ['[{}', d])) | [1:]", f"{PUT_A}, {PUT_B}]"),
    ],
    ids=["split", "empty members", "padded", "many", "lines", "lines", "lines anywhere", "text"],
)  # fmt: skip
def test_packed_data_is_read_whole(expression: str, data: str) -> None:
    world = World(settings={"record_expression": expression})

    world.run(json.dumps({"d": data}))

    assert {item["pk"]["S"] for item in world.db.items("orders-table")} == {"a", "b"}
    assert world.letters() == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no gzip but an empty string"),
        (b"not gzip", "a string that is no gzip"),
        (zipped(BOTH)[:-9], "gzip that is cut short"),
        (zipped(BOTH)[:10], "gzip that is cut short"),
        (zipped(BOTH) + zipped(BOTH)[:-1], "gzip that is cut short"),
        (zipped(BOTH)[:-8] + b"\0" * 8, "gzip that is damaged"),
        (zipped(BOTH) + b"more", f"gzip with bytes behind it that are no gzip (at byte {len(zipped(BOTH))})"),
        (zipped(BOTH) + b"\0\0more", f"gzip with bytes behind it that are no gzip (at byte {len(zipped(BOTH)) + 2})"),
        (gzip.compress(b"\xff\xfe", mtime=0), "a string whose bytes are not UTF-8"),
    ],
    ids=["empty", "text", "cut", "a header", "cut at the second", "damaged", "more", "more behind zeros", "not UTF-8"],
)
def test_what_is_packed_wrongly_is_never_half_read(data: bytes, message: str) -> None:
    body = {"d": encoded(data)}

    assert reason(body, record_expression=GZIP) == ("InvalidJson", f"powertools_base64_gzip got {message}")


@pytest.mark.parametrize("expression", ["@", "powertools_json(powertools_base64(@))", "powertools_base64(d)"])
@pytest.mark.parametrize("body", ["hello", "aGVsbG8=x", "{", "***"])
def test_a_body_that_is_neither_json_nor_what_the_expression_decodes_is_invalid(body: str, expression: str) -> None:
    assert reason(body, record_expression=expression)[0] == "InvalidJson"


SNS = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": PUT_A}
EVENT = {"version": "0", "id": "1", "detail-type": "order", "source": "shop", "detail": {"put": {"pk": "a"}}}
POINTER = {"s3BucketName": "payloads", "s3Key": "5d2"}
PACKED = encoded(zipped(PUT_A))


@pytest.mark.parametrize(
    ("body", "code", "name", "expression"),
    [
        (SNS, "UnknownOperation", "it is an SNS notification: turn on the sub", "powertools_json(Message)"),
        (EVENT, "UnknownOperation", "it is an EventBridge event", "detail"),
        ([SNS], "UnknownOperation", "its elements are each an SNS notification", "[].powertools_json(Message)"),
        ([EVENT], "UnknownOperation", "its elements are each an EventBridge event", "[].detail"),
        (PACKED, "InvalidJson", "it is gzip in base64", "powertools_json(powertools_base64_gzip(@))"),
        (base64.encodebytes(zipped(PUT_A)).decode(), "InvalidJson", "it is gzip in base64",
         "powertools_json(powertools_base64_gzip(@))"),
        (encoded(PUT_A.encode()), "InvalidJson", "it is base64", "powertools_json(powertools_base64(@))"),
        (json.dumps(PACKED), "UnknownOperation", "it is gzip in base64", "powertools_json(powertools_base64_gzip(@))"),
        ({"data": PACKED}, "UnknownOperation", "it is an object with gzip in base64",
         "powertools_json(powertools_base64_gzip(data))"),
        ({"my-data": encoded(PUT_A.encode())}, "UnknownOperation", "it is an object with base64",
         'powertools_json(powertools_base64("my-data"))'),
        ({"awslogs": {"data": PACKED}}, "UnknownOperation", "it is an object with gzip in base64",
         "powertools_json(powertools_base64_gzip(awslogs.data))"),
        (json.dumps(PUT_A), "UnknownOperation", "it is JSON in a string", "powertools_json(@)"),
        ([PUT_A], "UnknownOperation", "its elements are each JSON in a string", "[].powertools_json(@)"),
    ],
)  # fmt: skip
def test_a_wrapped_body_is_dead_lettered_with_the_setting_that_opens_it(
    body: Any, code: str, name: str, expression: str
) -> None:
    found_code, message = reason(body)
    opened = World(settings={"record_expression": expression})

    opened.run(body)

    assert (found_code, f"; {name}" in message) == (code, True)
    assert message.endswith(f"set RECORD_EXPRESSION to {expression}")
    assert [item["pk"]["S"] for item in opened.db.items("orders-table")] == ["a"]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (["software.amazon.payloadoffloading.PayloadS3Pointer", POINTER], "it is an S3 pointer of the SQS Extended"),
        (
            {"requestContext": {}, "requestPayload": 1, "responsePayload": 2},
            "it is what a Lambda destination gets: set",
        ),
        (["com.amazon.sqs.javamessaging.MessageS3Pointer", POINTER], "it is an S3 pointer of the SQS Extended"),
        ({**SNS, "Type": "SubscriptionConfirmation", "SubscribeURL": "https://x"}, "it is an SNS confirmation"),
        ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, "it is an S3 event notification"),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent"}, "it is an S3 event notification"),
    ],
)
def test_a_body_without_a_record_says_what_it_is(body: Any, name: str) -> None:
    code, message = reason(body)

    assert code == "UnknownOperation"
    assert f"; {name}" in message


@pytest.mark.parametrize("body", [SNS, EVENT])
def test_a_wrapped_body_that_is_taken_for_an_item_says_what_it_is(body: Any) -> None:
    code, message = reason(body, record_format="item")

    assert code == "MissingKey"
    assert "; it is an " in message


@pytest.mark.parametrize("body", ['{"a": 1}', "hello", '"hello"', "[1]", "[[]]", "{", '{"put": {"n": "[1]"}}', "7" * 9])
def test_a_body_that_is_just_wrong_gets_no_such_advice(body: str) -> None:
    assert "RECORD_EXPRESSION" not in reason(body)[1]
