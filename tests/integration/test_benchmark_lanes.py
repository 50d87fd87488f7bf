"""The lanes of the benchmark are all there, and count right; how fast anything is, no test asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.benchmarks import page
from tests.benchmarks.lanes.bodies import FORMS, event, native
from tests.benchmarks.lanes.counted import Counted, CountError, Output
from tests.benchmarks.lanes.matrix import LANES
from tests.benchmarks.machine import this_machine
from tests.benchmarks.processes import Round, ServerProcess, environment
from tests.benchmarks.records import MEDIUM, SMALL, Load, encoded
from tests.benchmarks.report import Section, at_least, at_most

KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as process:
        yield process


@pytest.fixture
def client(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in environment(server.port).items():
        monkeypatch.setenv(name, value)
    return boto3.client("dynamodb")


def test_every_form_of_a_message_has_a_lane() -> None:
    assert {lane.form for lane in LANES} == set(FORMS)


def test_puts_have_a_lane_for_each_form_size_and_packing() -> None:
    lanes = {(lane.form, lane.record_bytes, lane.per_message) for lane in LANES if not lane.environ}

    for form in ("put", "native put"):
        assert {(form, size, packing) for size in (SMALL, MEDIUM) for packing in (1, 100)} <= lanes
    for form in ("delete", "native delete"):
        assert {(form, SMALL, packing) for packing in (1, 100)} <= lanes


def test_no_two_lanes_have_one_name() -> None:
    assert len({lane.name for lane in LANES}) == len(LANES)


@pytest.mark.parametrize("size", [SMALL, MEDIUM])
def test_a_record_has_seven_attributes_of_which_one_is_between_minus_one_and_zero(size: int) -> None:
    records = [json.loads(each["body"])["put"] for each in event(Load(20, size, form="put"))["Records"]]

    assert {len(encoded(record).encode()) for record in records} == {size}
    assert {len(record) for record in records} == {7}
    for record in records:
        numbers = [value for value in record.values() if isinstance(value, float | int)]
        assert [-1 < number < 0 for number in numbers].count(True) == 1


@pytest.mark.parametrize(("form", "plain"), [("native put", "put"), ("native delete", "delete")])
def test_a_peer_with_plain_json_gets_the_records_of_the_native_lane(form: str, plain: str) -> None:
    natives = [json.loads(each["body"]) for each in event(Load(20, SMALL, form=form))["Records"]]
    plains = [json.loads(each["body"]) for each in event(Load(20, SMALL, form=plain))["Records"]]

    found = [next(iter(next(iter(each.values())).values())) for each in natives]

    assert found == [native(each[plain])["M"] for each in plains]


def test_a_fifo_event_has_ten_messages_of_several_groups_in_order() -> None:
    lane = next(lane for lane in LANES if lane.form == "fifo")
    records = event(Load(lane.records or 0, SMALL, form="fifo"))["Records"]

    assert len(records) == 10
    assert 1 < len({each["attributes"]["MessageGroupId"] for each in records}) < 10
    numbers = [int(each["attributes"]["SequenceNumber"]) for each in records]
    assert numbers == sorted(set(numbers))
    assert {each["eventSourceARN"].endswith(".fifo") for each in records} == {True}


def put(client: Any, **more: Any) -> Any:
    return client.put_item(TableName="bench", Item=KEY, **more)


def delete(client: Any, **more: Any) -> Any:
    return client.delete_item(TableName="bench", Key=KEY, **more)


def update(client: Any, **more: Any) -> Any:
    return client.update_item(TableName="bench", Key=KEY, UpdateExpression="REMOVE a", **more)


def transact(client: Any, **more: Any) -> Any:
    change = {"Update": {"TableName": "bench", "Key": KEY, "UpdateExpression": "REMOVE a"}}
    return client.transact_write_items(TransactItems=[change], **more)


def batch(client: Any, **more: Any) -> Any:
    return client.batch_write_item(RequestItems={"bench": [{"DeleteRequest": {"Key": KEY}}]}, **more)


@pytest.mark.parametrize("call", [put, delete, update, transact, batch])
def test_the_server_counts_a_write_and_tells_its_capacity_where_it_is_asked(
    server: ServerProcess, client: Any, call: Callable[..., Any]
) -> None:
    server.control("/check")

    without, asked = call(client), call(client, ReturnConsumedCapacity="TOTAL")

    assert "ConsumedCapacity" not in without
    assert asked["ConsumedCapacity"]
    assert int(asked["ResponseMetadata"]["HTTPHeaders"]["x-amz-crc32"]) > 0
    told = server.control("/counts")
    assert (told["written"], told["items"], told["distinct"]) == (2, 2, 1)


class Said:
    """A writer that says how much it has written, which is not so."""

    name = "said"

    def __init__(self, output: Path, said: int, send: Callable[[], object] = lambda: None) -> None:
        self._output, self._said, self._send = output, said, send
        output.touch()

    def invoke(self, load: Load, times: int = 1) -> Round:
        for _ in range(load.records * times):
            self._send()
        with self._output.open("a") as output:
            output.write(json.dumps({"OperationsWritten": [self._said]}) + "\n")
        return Round(1.0, 1.0)


def test_a_writer_whose_records_have_not_arrived_is_not_measured(server: ServerProcess, tmp_path: Path) -> None:
    writer = Counted(Said(tmp_path / "output", said=3), server, Output(tmp_path / "output"))

    with pytest.raises(CountError, match="3 given, 3 written as it says, 0 arrived"):
        writer.invoke(Load(3, SMALL))


def test_a_writer_that_says_less_than_it_has_written_is_not_measured(
    server: ServerProcess, client: Any, tmp_path: Path
) -> None:
    writer = Counted(Said(tmp_path / "output", 2, lambda: put(client)), server, Output(tmp_path / "output"))

    with pytest.raises(CountError, match="3 given, 2 written as it says, 3 arrived"):
        writer.invoke(Load(3, SMALL))


def test_a_writer_that_writes_one_item_again_and_again_is_not_measured(
    server: ServerProcess, client: Any, tmp_path: Path
) -> None:
    writer = Counted(Said(tmp_path / "output", 3, lambda: put(client)), server, Output(tmp_path / "output"))

    assert writer.invoke(Load(3, SMALL)) == Round(1.0, 1.0)
    with pytest.raises(CountError, match="1 distinct items"):
        writer.prove(Load(3, SMALL))


def test_an_aim_stands_beside_its_goal() -> None:
    targets = [
        at_least("fast", 13, 12, "", aim=16),
        at_most("start", 0.4, 0.5, "", aim=0.35),
        at_most("calls", 1, 1, ""),
    ]
    section = Section("Some", targets)

    lines = page.markdown([section], this_machine()).splitlines()

    assert "| fast | ≥ 12x | ≥ 16x | **13.0x** | met |  |" in lines
    assert "| start | ≤ 0.5x | ≤ 0.35x | **0.400x** | met |  |" in lines
    assert "| calls | ≤ 1x |  | **1.00x** | met |  |" in lines
    assert "aim ≥ 16x" in page.terminal([section], this_machine())
