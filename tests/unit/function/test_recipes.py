"""docs/recipes.md: every message of it, through the real handler with the settings beside it, ends as the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from msgspec.structs import fields

from infra.reading import from_context
from sluice.cdk.environment import function_settings
from sluice.message.settings import Settings, Table
from tests.fakes import FakeDynamoDB
from tests.world import World

PAGE = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text()
SESSION = botocore.session.Session()
RENAMED = {("sns", "--notification-endpoint"): "--endpoint"}
"""Options that the AWS CLI names otherwise than the API, whose --endpoint-url they would be taken for."""
AWS = """#!/bin/sh
printf '%s\\n' '--- call' "$@"
"""


def recipes() -> dict[str, str]:
    """The text below each heading that has a message."""
    parts = re.split(r"^### (.*)\n", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(recipe: str, what: str) -> list[str]:
    return re.findall(rf"^```{what}\n(.*?)^```$", recipe, re.DOTALL | re.MULTILINE)


def settings_of(recipe: str) -> tuple[Settings, bool]:
    """The function's settings as the stack would set them in its environment, and whether the queue is FIFO."""
    given = [json.loads(block) for block in blocks(recipe, "json settings")] or [{}]
    (context,) = given
    config = from_context(context)
    names = {table.alias: f"{table.alias}-table" for table in config.tables}
    settings = function_settings(config, config.tables, names, "https://sqs.us-east-1.amazonaws.com/1/dead")
    return Settings.from_environ(settings.to_environ()), config.queue_type == "fifo"


def world_of(recipe: str) -> World:
    settings, fifo = settings_of(recipe)
    besides = {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if field.name not in ("tables", "dead_letter_queue_url")
    }
    return World(tables=settings.tables, settings=besides, fifo=fifo, fifo_dead_letters=fifo)


def plain(value: dict[str, Any]) -> Any:
    """An attribute value as JSON would have it, with a number as Decimal; sets stay as they are written."""
    ((kind, content),) = value.items()
    if kind == "M":
        return {name: plain(member) for name, member in content.items()}
    if kind == "L":
        return [plain(element) for element in content]
    if kind == "N":
        return Decimal(content)
    return {"S": content, "BOOL": content, "NULL": None}.get(kind, value)


def stored(db: FakeDynamoDB, tables: tuple[Table, ...]) -> list[dict[str, Any]]:
    return [{name: plain(value) for name, value in item.items()} for table in tables for item in db.items(table.name)]


def expected(recipe: str) -> list[dict[str, Any]]:
    """The items that the page says are in the table, in whichever way it spells them."""
    (block,) = blocks(recipe, "json (?:table|dynamodb)")
    items: list[dict[str, Any]] = json.loads(block, parse_float=Decimal, parse_int=Decimal)
    if blocks(recipe, "json dynamodb"):
        return [{name: plain(value) for name, value in item.items()} for item in items]
    return items


def in_order(items: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True, default=float) for item in items)


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that Lambda imports."""
    environ = Settings((World().tables[0],)).to_environ()
    environ |= {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    from functions.batch_writer import handler

    return handler


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_ends_as_the_page_says(name: str, handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes()[name]
    world = world_of(recipe)
    monkeypatch.setattr(handler, "_PIPELINE", world.pipeline)
    bodies = blocks(recipe, "json received")
    assert bodies
    world.send(*bodies)
    event = {"Records": world.receive()}

    # As SQS may deliver it: twice.
    answers = [handler.lambda_handler(event, None) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    assert in_order(stored(world.db, tuple(world.tables))) == in_order(expected(recipe))
    letters = [code for block in blocks(recipe, "json letters") for code in json.loads(block)]
    assert world.reasons() == letters * 2


def calls(script: str, directory: Path) -> list[list[str]]:
    """The arguments of each call of the AWS CLI in a script."""
    (directory / "aws").write_text(AWS)
    (directory / "aws").chmod(0o700)
    environ = {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:orders",
        "QUEUE_ARN": "arn:aws:sqs:us-east-1:123456789012:messages",
        "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/messages",
        "ROLE_ARN": "arn:aws:iam::123456789012:role/orders",
        "STREAM_ARN": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/stream/2026-11-29T08:00:00.000",
        "API_ID": "a1b2c3",
        "BUCKET": "photos",
    }
    printed = subprocess.run(["sh", "-euc", script], env=environ, capture_output=True, text=True, check=True).stdout
    return [call.splitlines() for call in printed.split("--- call\n")[1:]]


def parameters(call: list[str]) -> dict[str, Any]:
    """What the AWS CLI would send for its arguments, read by the shapes of botocore's model of the service."""
    service, operation, *options = call
    model = SESSION.get_service_model({"s3api": "s3"}.get(service, service))
    (name,) = (each for each in model.operation_names if xform_name(each, "-") == operation)
    shape = model.operation_model(name).input_shape
    members = {xform_name(each, "-"): each for each in shape.members}
    found = {}
    for option, text in zip(options[::2], options[1::2], strict=True):
        assert option.startswith("--")
        member = members[RENAMED.get((service, option), option).removeprefix("--")]
        found[member] = _read(text, shape.members[member].type_name)
    report = ParamValidator().validate(found, shape)
    assert not report.has_errors(), report.generate_report()
    return found


def _read(text: str, kind: str) -> Any:
    """JSON or the shorthand `Name=value,…`."""
    if kind == "string" or text.startswith(("{", "[")):
        return text if kind == "string" else json.loads(text)
    pairs = dict(pair.split("=", 1) for pair in text.split(","))
    return [pairs] if kind == "list" else pairs


@pytest.mark.parametrize("name", [name for name, recipe in recipes().items() if blocks(recipe, "sh")])
def test_the_calls_of_a_recipe_have_the_parameters_that_aws_takes(name: str, tmp_path: Path) -> None:
    (script,) = blocks(recipes()[name], "sh")

    made = calls(script, tmp_path)

    assert len(made) == len(re.findall("^aws ", script, re.MULTILINE)) > 0
    for call in made:
        given = parameters(call)
        for pattern in (given[each] for each in given if each == "EventPattern"):
            assert json.loads(pattern)["source"]


def test_both_apis_make_a_message_of_the_requests_body(tmp_path: Path) -> None:
    recipe = recipes()["API Gateway"]
    (body,) = blocks(recipe, "json received")
    (template,) = blocks(recipe, "text template")
    (script,) = blocks(recipe, "sh")

    form = parse_qs(template.strip().replace("$util.urlEncode($input.body)", quote_plus(body)), strict_parsing=True)
    given = parameters(calls(script, tmp_path)[0])

    assert form == {"Action": ["SendMessage"], "MessageBody": [body]}
    assert given["RequestParameters"] == {
        "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/messages",
        "MessageBody": "$request.body",
    }


def test_the_pipe_groups_by_the_key_of_each_record(tmp_path: Path) -> None:
    recipe = recipes()["DynamoDB Streams, through a pipe"]
    (script,) = blocks(recipe, "sh")
    queue = parameters(calls(script, tmp_path)[0])["TargetParameters"]["SqsQueueParameters"]

    def found(path: str, record: Any) -> Any:
        for name in path.removeprefix("$.").split("."):
            record = record[name]
        return record

    records = [json.loads(block) for block in blocks(recipe, "json received")]
    assert [found(queue["MessageGroupId"], record) for record in records] == ["order#1", "order#2", "order#2"]
    assert len({found(queue["MessageDeduplicationId"], record) for record in records}) == len(records)
