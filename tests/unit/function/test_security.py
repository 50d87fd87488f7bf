"""What a hostile message cannot do: show values, reach another table or item, use up memory or time.

Memory is what tracemalloc sees of the function alone, with a table and a queue that take everything and keep nothing.
"""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.batch_writer import metrics
from functions.batch_writer.pipeline import Outcome, Pipeline
from sluice.aws.answer import Answer
from sluice.aws.in_flight import Running, Submit
from sluice.aws.meanings import Meaning, Reply
from sluice.aws.queue import Queue
from sluice.aws.route import Call
from sluice.cdk.bundle import sources
from sluice.message.decoder import Decoder, Message
from sluice.message.errors import SettingsError
from sluice.message.settings import Settings, Table
from sluice.writing import plan
from tests.fakes import (
    ConnectionLost,
    Fault,
    Refusal,
    RejectIf,
    ServerError,
    Throttle,
    Timeout,
    Unprocessed,
    Unreadable,
)
from tests.world import EVENTS, ORDERS, VERSIONED, Inline, World

MIB = 1024 * 1024
MAX_MESSAGE_BYTES = MIB  # SQS quotas, "Message size"
PEAK_BYTES_PER_BYTE = 400
"""Memory that handling a message may take at its peak, for each byte of its body."""
PEAK_BYTES_BESIDES = 4 * MIB
MAX_UNZIPPED_BYTES = 6 * MIB  # Lambda quotas, "Invocation payload": a message that unzips to more fits no event.

MARK = "TopSecret"
_LOGGERS = itertools.count()


# No item values


def shown(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> str:
    """All that anybody but the reader of the dead-letter queue gets to see of an invocation."""
    stream = io.StringIO()
    name = f"security-{next(_LOGGERS)}"  # Powertools keeps one handler, and so one stream, for each name.
    metrics.log(Logger(service=name, level="DEBUG", stream=stream), outcome)
    emf = Metrics(namespace="Test", service="test")
    emf.clear_metrics()
    capsys.readouterr()
    metrics.count(emf, outcome, now=0.0)
    emf.flush_metrics()
    return f"{stream.getvalue()} {capsys.readouterr().out} {outcome.error!r}"


def attributes(world: World) -> str:
    return str([letter["MessageAttributes"] for letter in world.letters()])


def put_native(value: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"pk": {"S": MARK}, "v": value}}}


def nested(levels: int) -> Any:
    value: Any = MARK
    for _ in range(levels):
        value = [value]
    return value


BAD: dict[str, Any] = {
    "InvalidJson": f'{{"put": {{"pk": "{MARK}", "v": {MARK}',
    "UnknownOperation": {"put": {"pk": MARK}, "Put": MARK},
    "UnknownTable": {"put": {"pk": MARK}, "table": "nowhere"},
    "MissingKey": {"put": {"v": MARK}},
    "UnexpectedKeyAttribute": {"delete": {"pk": MARK, "v": MARK}},
    "KeyTypeMismatch": {"put": {"pk": [MARK]}},
    "EmptyKey": {"put": {"pk": "", "v": MARK}},
    "KeyTooLong": {"put": {"pk": MARK * 1000}},
    "ItemTooLarge": {"put": {"pk": MARK, "v": MARK * 50_000}},
    "NestingTooDeep": {"put": {"pk": MARK, "v": nested(40)}},
    "InvalidNumber": put_native({"N": MARK}),
    "EmptySet": {"PutRequest": {"Item": {"pk": {"S": MARK}, "s": {"SS": []}}}},
    "DuplicateSetElement": put_native({"SS": [MARK, MARK]}),
    "InvalidAttribute": put_native({"BOOL": MARK}),
    "InvalidExpression": {"put": {"pk": MARK}, "condition": f"v = :{MARK}x", "values": {":x": MARK}},
    "MissingVersion": {"put": {"pk": MARK, "v": [MARK]}},
    "ConditionFailed": {
        "put": {"pk": MARK, "v": 1},
        "condition": "attribute_exists(pk) OR v = :v",
        "values": {":v": MARK},
    },
}


def test_every_code_that_the_function_gives_by_itself_is_here() -> None:
    source = "".join(path.read_text() for path in sources().values())
    given = set(re.findall(r'(?:Rejected|Rejection)\(\s*"([A-Za-z]+)"', source))

    assert BAD.keys() == given - {"RejectedByDynamoDB"}


@pytest.mark.parametrize("code", BAD)
def test_no_reason_shows_an_item_value(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = VERSIONED if code == "MissingVersion" else ORDERS
    world = World(tables=(table, EVENTS), settings={"on_condition_failed": "dead-letter"})

    outcome = world.run(BAD[code])

    assert world.reasons() == [code]
    assert MARK not in attributes(world).replace(f":{MARK}x", "")  # A placeholder is a name.
    assert MARK not in shown(outcome, capsys).replace(f":{MARK}x", "")


TROUBLE: dict[str, Fault] = {
    "throttled": Throttle(),
    "unprocessed": Unprocessed(25),
    "server error": ServerError(applied=True),
    "connection lost": ConnectionLost(True),
    "timeout": Timeout(True),
    "unreadable": Unreadable(True),
    "denied": Refusal("AccessDeniedException", "not authorized to perform dynamodb:BatchWriteItem"),
    "missing table": Refusal("ResourceNotFoundException", "Requested resource not found"),
    "rejected": RejectIf(lambda _table, _request: True, f"One or more parameter values were invalid: {MARK} is no day"),
}
ONE_OF_EACH = [
    {"put": {"pk": MARK, "v": MARK}},
    {"put": {"pk": MARK + "2", "v": MARK}, "condition": "v <> :v", "values": {":v": MARK}},
    {"update": {"pk": MARK + "3"}, "expression": "SET v = :v", "values": {":v": MARK}},
    {"delete": {"pk": MARK + "4"}},
]


@pytest.mark.parametrize("update_once", [False, True])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_trouble_shows_an_item_value(trouble: str, update_once: bool, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(settings={"update_once": update_once})
    world.db.always(TROUBLE[trouble])

    outcome = world.run(*ONE_OF_EACH)

    assert world.db.calls
    assert MARK not in shown(outcome, capsys)
    assert set(world.reasons()) <= {"RejectedByDynamoDB"}  # Its ErrorMessage is the service's own words.


@pytest.mark.parametrize("fault", [Refusal("AccessDenied", MARK), Timeout(), ServerError()])
def test_no_trouble_with_sqs_shows_an_item_value(fault: Fault, capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.sqs.always(fault, "SendMessageBatch")
    world.sqs.always(fault, "ChangeMessageVisibilityBatch")

    outcome = world.run({"put": {"v": MARK}}, MARK, *ONE_OF_EACH)

    assert len(outcome.item_failures) == 2
    assert MARK not in shown(outcome, capsys)


def test_the_words_of_an_unknown_error_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.db.always(Refusal("BrandNewException", f"the value {MARK} is in the way"))

    outcome = world.run(*ONE_OF_EACH)

    assert MARK not in shown(outcome, capsys)


# Tables


ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"
ELSEWHERE = [
    "secrets", "secrets-table", "", " orders-table", "orders-table ", "ORDERS", "orders-table\x00", "orders-table\n",
    "../orders-table", "orders-table/../secrets-table", "orders-table/index/i", "*", "orders%2Dtable",
    "orders-tabl\u0435",
    ARN + "secrets-table", ARN + "orders", ARN + "orders-table/index/i", ARN + "orders-table/stream/x", ARN + "*",
    f"{ARN}secrets-table:table/orders-table", ARN.replace("us-east-1", "eu-west-1") + "orders-table",
    ARN.replace("us-east-1", "us-east-1 ") + "orders-table", ARN.replace("dynamodb", "s3") + "orders-table",
    ARN.replace("123456789012", "") + "orders-table", f"x{ARN}orders-table", f"{ARN}orders-table\n",
]  # fmt: skip
FORMS: dict[str, Callable[[Any], Any]] = {
    "plain put": lambda table: {"put": {"pk": "a"}, "table": table},
    "plain delete": lambda table: {"delete": {"pk": "a"}, "table": table},
    "plain update": lambda table: {"update": {"pk": "a"}, "expression": "REMOVE v", "table": table},
    "Put": lambda table: {"Put": {"Item": {"pk": {"S": "a"}}, "TableName": table}},
    "Update": lambda table: {"Update": {"Key": {"pk": {"S": "a"}}, "UpdateExpression": "REMOVE v", "TableName": table}},
    "RequestItems": lambda table: {"RequestItems": {table: [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_message_names_no_table_outside_tables(name: str, form: str) -> None:
    world = World(tables=(ORDERS,))
    world.db.create_table("secrets-table", partition_key=("pk", "S"))

    world.run(FORMS[form](name))

    assert world.reasons() == ["UnknownTable"]
    assert world.db.calls == []


@pytest.mark.parametrize("name", [5, None, True, ["orders"], {"orders": 1}])
def test_only_a_text_names_a_table(name: Any) -> None:
    world = World()

    world.run(FORMS["plain put"](name), FORMS["Put"](name))

    assert world.reasons() == ["UnknownTable"] * 2


def test_a_table_of_another_account_is_not_ours() -> None:
    world = World(tables=(ORDERS,))

    world.run(FORMS["plain put"](ARN.replace("123456789012", "999999999999") + "orders-table"))

    assert world.reasons() == ["UnknownTable"]


def test_a_table_of_a_partition_that_does_not_exist_is_not_ours() -> None:
    world = World(tables=(ORDERS,))

    world.run(FORMS["plain put"](ARN.replace("arn:aws:", "arn:awsue:") + "orders-table"))

    assert world.reasons() == ["UnknownTable"]


def test_a_long_table_name_fills_no_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()

    outcome = world.run(FORMS["plain put"](ARN.replace("us-east-1", "x" * 500_000) + "orders-table"))

    assert len(shown(outcome, capsys)) < 10_000


# Expressions


@pytest.mark.parametrize(
    "condition",
    [
        "attribute_exists(pk)) OR (attribute_exists(pk)",
        "attribute_exists(pk) OR attribute_exists(pk)",
        "NOT attribute_not_exists(pk) OR size(pk) > :zero) OR (size(pk) > :zero",
        "attribute_not_exists(#sluice_version) OR #sluice_version < :high",
        "#sluice_version < :sluice_version",
        "mark = :sluice_version",
    ],
)
@pytest.mark.parametrize("defines", [True, False])
def test_no_condition_gets_round_the_version(condition: str, defines: bool) -> None:
    world = World(tables=(VERSIONED,))
    world.run({"put": {"pk": "a", "v": 5, "mark": "newest"}})
    every = {":zero": 0, ":high": 9, ":sluice_version": 9}
    names = {"#sluice_version": "mark"} if defines and "#sluice" in condition else {}
    values = {name: value for name, value in every.items() if name in condition and (defines or "sluice" not in name)}

    world.run({"put": {"pk": "a", "v": 1, "mark": "stale"}, "condition": condition, "names": names, "values": values})
    world.run({"delete": {"pk": "a"}, "version": 1, "condition": condition, "names": names, "values": values})

    assert world.item() == {"v": {"N": "5"}, "mark": {"S": "newest"}}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("SET pk = :v", {}), ("SET #k = :v", {"#k": "pk"}), ("set x=:v,pk=:v", {}), ("REMOVE pk", {}),
        ("ADD pk :v", {}),
        ("SET x = if_not_exists(x, :v), #k = :v", {"#k": "pk"}), ("SET x = :v REMOVE #k", {"#k": "pk"}),
        ("SET x = :v pk = :v", {}), ("SET pk.x = :v", {}), ("SET pk[0] = :v", {}), ("SET x[0] = :v, pk = :v", {}),
    ],
)  # fmt: skip
def test_an_update_reaches_no_other_item(expression: str, names: dict[str, str]) -> None:
    world = World()
    world.run({"put": {"pk": "a", "v": "old"}}, {"put": {"pk": "b", "v": "old"}})
    before = world.db.items("orders-table")

    world.run({"update": {"pk": "a"}, "expression": expression, "names": names, "values": {":v": "b"}})

    assert world.db.items("orders-table") == before
    assert len(world.letters()) == 1


@pytest.mark.parametrize(
    "text", ["Type mismatch for key x", "Missing the key ", "The provided key element does not match the schema"]
)
def test_what_a_message_makes_the_service_say_stops_no_other_message(text: str) -> None:
    world = World()
    bad = {"put": {"pk": "a"}, "condition": "attribute_type(v, :t)", "values": {":t": text}}

    outcome = world.run(bad, {"put": {"pk": "b"}})

    assert outcome.error is None
    assert world.reasons() == ["RejectedByDynamoDB"]
    assert world.item("b") == {}


# JMESPath


def decode(body: str, expression: str | None = None) -> Message:
    settings = Settings((ORDERS,), record_expression=expression)
    return Decoder(settings, "us-east-1").decode({"messageId": "m", "body": body})


def codes(message: Message) -> list[str]:
    return [rejection.code for _, rejection in message.rejected]


def peak(work: Callable[[], object]) -> int:
    """The most memory, in bytes, that the work held at one time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def zipped(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def test_a_gzip_bomb_is_not_unzipped() -> None:
    body = json.dumps({"data": zipped(b" " * (500 * MIB))})
    found: list[Message] = []

    assert len(body) < MAX_MESSAGE_BYTES
    assert peak(lambda: found.append(decode(body, "powertools_base64_gzip(data)"))) < 3 * MAX_UNZIPPED_BYTES
    assert codes(found[0]) == ["InvalidJson"]


def test_a_gzip_bomb_inside_a_gzip_bomb_is_not_unzipped() -> None:
    body = json.dumps({"data": zipped(zipped(b" " * (50 * MIB)).encode())})
    expression = "powertools_base64_gzip(powertools_base64_gzip(data))"

    assert peak(lambda: decode(body, expression)) < 3 * MAX_UNZIPPED_BYTES
    assert codes(decode(body, expression)) == ["InvalidJson"]


def test_a_gzip_bomb_of_many_members_is_not_unzipped() -> None:
    member = gzip.compress(b" " * MIB, 9, mtime=0)
    body = json.dumps({"data": base64.b64encode(member * 500).decode()})

    assert len(body) < MAX_MESSAGE_BYTES
    assert peak(lambda: decode(body, "powertools_base64_gzip(data)")) < 3 * MAX_UNZIPPED_BYTES
    assert codes(decode(body, "powertools_base64_gzip(data)")) == ["InvalidJson"]


def test_many_gzip_bombs_in_one_message_are_not_unzipped() -> None:
    body = json.dumps([zipped(b" " * (6 * MIB - 2) + b"[]")] * 10)

    assert peak(lambda: decode(body, "[].powertools_base64_gzip(@)")) < 3 * MAX_UNZIPPED_BYTES


@pytest.mark.parametrize("expression", ["[][][]", "[*][*]", "*.*.*", "@[?@]", "map(&[@, @], @)", "powertools_json(x)"])
@pytest.mark.parametrize("start", ["[", '{"x":', '[{"x":'])
def test_deep_nesting_stops_no_expression(start: str, expression: str) -> None:
    body = (
        start * 2000
        + "1"
        + "".join("]" if bracket == "[" else "}" for bracket in reversed(start * 2000) if bracket in "[{")
    )

    message = decode(body, expression)

    assert message.operations == ()
    assert set(codes(message)) <= {"NestingTooDeep", "UnknownOperation"}


@pytest.mark.parametrize(
    "expression",
    [
        "[]",
        "[*].x",
        "[].[@, @]",
        "to_string(@)",
        "[?@ == `{}`]",
        "contains(@, `{}`)",
        "[].{put: @}",
        "[?x == 'a']",
        "map(&{put: @}, @)",
        "reverse(@)",
        "sort_by(@, &x)",
    ],
)
def test_an_expression_over_a_whole_message_stays_in_its_bounds(expression: str) -> None:
    body = json.dumps([{"x": "a"}] * (MIB // 8 // 12))

    assert peak(lambda: decode(body, expression)) < PEAK_BYTES_BESIDES + 2 * PEAK_BYTES_PER_BYTE * len(body)


def test_an_expression_nested_too_deeply_is_refused_at_cold_start() -> None:
    with pytest.raises(SettingsError, match="RECORD_EXPRESSION"):
        Decoder(Settings((ORDERS,), record_expression="(" * 1500 + "a" + ")" * 1500))


@pytest.mark.parametrize("number", ["1e5000", "-1e5000", "1e99999999999999999"])
@pytest.mark.parametrize("function", ["ceil", "floor"])
def test_a_huge_number_stops_no_expression(function: str, number: str) -> None:
    message = decode(f'{{"pk": "a", "n": {number}}}', f"{{put: {{pk: pk, n: {function}(n)}}}}")

    assert codes(message)[0] in ("InvalidNumber", "UnknownOperation")


# Bombs


class TakesAll:
    """A table that takes everything at once and keeps nothing."""

    def __init__(self, meaning: Meaning = Meaning.ACCEPTED) -> None:
        self._reply = Reply(meaning)

    def begin(self, batch: plan.Batch, seconds: float, submit: Submit) -> Running[Reply]:  # noqa: ARG002
        return submit(lambda: self._reply)

    def renew(self) -> None:
        """Nothing to do: no credentials are needed."""

    def has_room(self, in_flight: int) -> bool:  # noqa: ARG002
        return True

    def reply(self, batch: plan.Batch, answer: Reply) -> Reply:  # noqa: ARG002
        return answer


class TakesMessages:
    """A queue that takes everything at once and keeps nothing."""

    def begin(self, call: Call, seconds: float, submit: Submit) -> Running[Answer]:  # noqa: ARG002
        return submit(lambda: {"Successful": [{"Id": entry["Id"]} for entry in json.loads(call.body)["Entries"]]})

    def has_room(self, in_flight: int) -> bool:  # noqa: ARG002
        return True

    def renew(self) -> None:
        """Nothing to do: no credentials are needed."""


def handle(*bodies: str, tables: tuple[Table, ...] = (ORDERS,), meaning: Meaning = Meaning.ACCEPTED) -> Outcome:
    """The function over messages with these bodies, with all the time that it needs."""
    everything = TakesAll(meaning)
    pipeline = Pipeline(
        Settings(tables, dead_letter_queue_url="https://sqs/dead-letters"),
        everything,
        Queue(TakesMessages(), lambda: "https://sqs", clock=lambda: 0.0, executor=Inline),
        clock=lambda: 0.0,
        sleep=lambda _: None,
        executor=Inline,
    )
    arn = "arn:aws:sqs:us-east-1:123456789012:work"
    record = {"eventSource": "aws:sqs", "eventSourceARN": arn, "attributes": {}, "receiptHandle": "r"}
    return pipeline.run([record | {"messageId": str(n), "body": body} for n, body in enumerate(bodies)], 30.0)


def array(element: str, size: int) -> str:
    """An array as long as fits into `size` bytes; # in the element is its position."""
    count = size // (len(element.replace("#", "10000")) + 1)
    return f"[{','.join(element.replace('#', str(n)) for n in range(count))}]"


def members(member: str, size: int) -> str:
    return array(member, size)[1:-1]


def text_of(character: str, size: int) -> str:
    """A put of a text of this character, as it is escaped in JSON."""
    return '{"put":{"pk":"a","s":"?"}}'.replace("?", character * (size // len(character)))


LARGE = MIB - 4096  # Room for the attributes of a dead letter.
SMALL = MIB // 4

# What a body of so many bytes looks like, and its outcome. Bodies of few large parts have 1 MiB; those of many small
# ones a quarter: tracemalloc makes them slow, and the bound is by the byte.
BOMBS: dict[str, tuple[Callable[[int], str], int, str]] = {
    "brackets never closed": (lambda size: "[" * size, LARGE, "dead-lettered"),
    "brackets": (lambda size: "[" * (size // 2) + "]" * (size // 2), LARGE, "dead-lettered"),
    "objects in objects": (lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6), LARGE, "dead-lettered"),
    "a deep item": (lambda size: '{"put":{"pk":' * (size // 15) + "1" + "}}" * (size // 15), LARGE, "dead-lettered"),
    "a deep native item": (
        lambda size: '{"PutRequest":{"Item":{"pk":' + '{"L":[' * (size // 8) + "]}" * (size // 8) + "}}}",
        LARGE,
        "dead-lettered",
    ),
    "digits": (lambda size: "1" * size, LARGE, "dead-lettered"),
    "a number of digits": (lambda size: f'{{"put":{{"pk":"a","n":{"1" * (size - 30)}}}}}', LARGE, "dead-lettered"),
    "zeros": (lambda size: f'{{"put":{{"pk":"a","n":1{"0" * (size - 30)}}}}}', LARGE, "dead-lettered"),
    "decimals": (lambda size: f'{{"put":{{"pk":"a","n":0.{"0" * (size - 30)}1}}}}', LARGE, "dead-lettered"),
    "a native number": (
        lambda size: f'{{"PutRequest":{{"Item":{{"pk":{{"S":"a"}},"n":{{"N":"{"9" * (size - 60)}"}}}}}}}}',
        LARGE,
        "dead-lettered",
    ),
    "an exponent": (lambda _: '{"put":{"pk":"a","n":1e9999999999}}', LARGE, "dead-lettered"),
    "an exponent of a megabyte": (lambda size: f'{{"put":{{"pk":"a","n":1e{"9" * (size - 30)}}}}}', LARGE, "dead-lettered"),  # noqa: E501
    "zero with an exponent": (lambda size: f'{{"put":{{"pk":"a","n":0e{"9" * (size - 30)}}}}}', LARGE, "written"),
    "escapes": (lambda size: text_of("\\u00e9", size), LARGE, "written"),
    "surrogates": (lambda size: text_of("\\ud83d\\ude00", size), LARGE, "written"),
    "backslashes": (lambda size: text_of("\\\\", size), LARGE, "dead-lettered"),
    "a long name": (lambda size: f'{{"put":{{"pk":"a","{"n" * (size - 30)}":1}}}}', LARGE, "dead-lettered"),
    "a long operation": (lambda size: f'{{"{"n" * (size - 30)}":1}}', LARGE, "dead-lettered"),
    "a long condition": (lambda size: f'{{"put":{{"pk":"a"}},"condition":"{"(" * (size - 50)}"}}', LARGE, "dead-lettered"),  # noqa: E501
    "white space": (lambda size: " " * (size - 20) + '{"put":{"pk":"a"}}', LARGE, "written"),
    "keys": (
        lambda size: '{"put":{"pk":"a",?}}'.replace("?", members('"#":1', size)), SMALL, "written",
    ),
    "one key again and again": (
        lambda size: '{"put":{"pk":"a",?}}'.replace("?", members('"n":1', size)), SMALL, "written",
    ),
    "numbers": (lambda size: array("1", size), SMALL, "dead-lettered"),
    "empty objects": (lambda size: array("{}", size), SMALL, "dead-lettered"),
    "a set": (
        lambda size: '{"PutRequest":{"Item":{"pk":{"S":"a"},"s":{"NS":?}}}}'.replace("?", array('"#"', size)),
        SMALL,
        "written",
    ),
    "puts": (lambda size: array('{"put":{"pk":"#"}}', size), SMALL, "written"),
    "bad puts": (lambda size: array('{"put":{"x":"#"}}', size), SMALL, "dead-lettered"),
    "good and bad puts": (
        lambda size: array('{"put":{"pk":"#"}},{"put":{}}', size), SMALL, "dead-lettered",
    ),
    "deletes of one item": (lambda size: array('{"delete":{"pk":"a"}}', size), SMALL, "written"),
    "updates of one item": (
        lambda size: array('{"update":{"pk":"a"},"expression":"REMOVE v"}', size), SMALL, "written",
    ),
    "conditions on one item": (
        lambda size: array('{"delete":{"pk":"a"},"condition":"a=b"}', size), SMALL, "written",
    ),
    "requests": (
        lambda size: '{"RequestItems":{"orders":?}}'.replace("?", array('{"DeleteRequest":{"Key":{"pk":{"S":"#"}}}}', size)),  # noqa: E501
        SMALL,
        "written",
    ),
    "tables": (lambda size: '{"RequestItems":{?}}'.replace("?", members('"#":[1]', size)), SMALL, "dead-lettered"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_stays_within_the_bound_of_memory(bomb: str) -> None:
    make, size, end = BOMBS[bomb]
    body = make(size)
    outcomes: list[Outcome] = []

    used = peak(lambda: outcomes.append(handle(body)))

    assert used < PEAK_BYTES_BESIDES + PEAK_BYTES_PER_BYTE * len(body)
    ends = {"written": outcomes[0].written, "dead-lettered": outcomes[0].dead_lettered}
    assert [name for name, messages in ends.items() if messages] == [end]


def test_ten_thousand_messages_stay_within_the_bound_of_memory() -> None:
    bodies = [f'{{"put":{{"pk":"{n}"}}}}' for n in range(10_000)]  # Lambda takes no more into one batch.
    outcomes: list[Outcome] = []

    used = peak(lambda: outcomes.append(handle(*bodies)))

    assert used < 64 * MIB
    assert len(outcomes[0].written) == 10_000
