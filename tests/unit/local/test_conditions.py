"""A malformed condition gets DynamoDB's refusal where moto breaks on it, and a good one is never refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.local import conditions
from sluice.local.conditions import SyntaxProblem, check, refusal
from sluice.local.faults.upstream import Upstream
from tests.fakes.attribute_values import InvalidValueError
from tests.fakes.expressions import condition, placeholders
from tests.unit.local.test_playground import SQS, ask, served

NAMES = {"#n": "name"}
VALUES: dict[str, Any] = {":a": {"N": "1"}, ":b": {"N": "2"}, ":s": {"S": "S"}}
GOOD = [
    "attribute_exists(pk)",
    "attribute_not_exists(#n) OR #n < :a",
    "NOT (a.b[0].#n = :a) AND size(a) >= :b",
    "a BETWEEN :a AND :b",
    "a in (:a, :b) or not contains(a, :a)",
    "begins_with(a, :s) and attribute_type(a, :s)",
    "NOT NOT a <> :a",
    "((a = :a))",
]
BAD = {
    "attribute_exists(": 'Syntax error; token: "<EOF>", near: "("',
    "a = = :a": 'Syntax error; token: "=", near: "= = :a"',
    "a :a": 'Syntax error; token: ":a", near: "a :a"',
    "a = :a AND": 'Syntax error; token: "<EOF>", near: "AND"',
    "a & :a": 'Syntax error; token: "&", near: "a & :a"',
    "(a = :a": 'Syntax error; token: "<EOF>", near: ":a"',
    "a = :a)": 'Syntax error; token: ")", near: ":a )"',
    "AND = :a": 'Syntax error; token: "AND", near: "AND ="',
    "exists(a)": "Invalid function name; function: exists",
    "begins_with(a)": "Incorrect number of operands for operator or function; operator or function: begins_with,"
    " number of operands: 1",
    "attribute_exists(:a)": "Operator or function requires a document path; operator or function: attribute_exists",
    "a = :x": "An expression attribute value used in expression is not defined; attribute value: :x",
    "#x = :a": "An expression attribute name used in the document path is not defined; attribute name: #x",
    " ": "The expression can not be empty;",
    "a = :a OR " * 500: "Expression size has exceeded the maximum allowed size;",
    f"a IN ({', '.join([':a'] * 101)})": "The IN operator is provided with too many operands;",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_good_condition_is_not_refused(text: str) -> None:
    condition(text, placeholders(NAMES, VALUES, True))  # The strict fake takes it too.

    check(text, NAMES, VALUES)


@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=range(len(BAD)))
def test_a_malformed_condition_is_refused_in_the_services_words(text: str, why: str) -> None:
    with pytest.raises(InvalidValueError):
        condition(text, placeholders(NAMES, VALUES, True))

    with pytest.raises(SyntaxProblem) as refused:
        check(text, NAMES, VALUES)
    assert str(refused.value) == why


def test_the_refusal_is_one_of_the_whole_request() -> None:
    put = {"TableName": "t", "Item": {}, "ConditionExpression": "a = = :a", "ExpressionAttributeValues": VALUES}

    for request in (put, {"TransactItems": [{"Delete": {"TableName": "t"}}, {"Put": put}]}):
        refused = json.loads(refusal(json.dumps(request).encode()) or b"")
        assert refused["__type"].endswith("#ValidationException")
        assert refused["message"].startswith("Invalid ConditionExpression: Syntax error")
    assert refusal(json.dumps({**put, "ConditionExpression": "a = :a"}).encode()) is None
    assert refusal(b'{"TableName": "t"}') is None
    assert refusal(b'"ConditionExpression" and no JSON') is None


@pytest.mark.parametrize(("service", "status"), [("dynamodb", 400), ("s3", 500)])
def test_the_door_refuses_what_moto_breaks_on(service: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"ConditionExpression": "a = ="}'
    with served() as (_, front, port):
        monkeypatch.setattr(front, "_forward", lambda *_: (500, {}, b"<!doctype html>"))

        answer = ask(port, body, Authorization=SQS["Authorization"].replace("/sqs/", f"/{service}/"))

    assert answer[0] == status


def test_the_function_is_refused_alike_and_what_moto_takes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as (_, front, port):
        statuses = iter([500, 200])
        monkeypatch.setattr(front, "_forward", lambda *_: (next(statuses), {}, b"{}"))
        upstream = Upstream(f"http://127.0.0.1:{port}")
        answers = [upstream.forward({}, b'{"ConditionExpression": "a = ="}') for _ in range(2)]

    assert [answer.status for answer in answers] == [400, 200]
    assert b"ValidationException" in answers[0].body


def test_a_condition_that_moto_breaks_on_though_it_is_good_stays_an_error_of_the_server() -> None:
    assert conditions.refusal(b'{"FilterExpression": "attribute_exists(a)"}') is None
