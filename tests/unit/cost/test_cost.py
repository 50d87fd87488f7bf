"""`sluice cost`: from measured work and a price table to dollars per million records."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from sluice.cdk.config import Config
from sluice.cost import Cost, Measured, Prices, PricesError, Workload, designs, estimate, table
from sluice.cost import prices as price_table
from sluice.cost.load import BULK_PUT, IMPORT_TABLE, NO_PRICE, QUEUE, advice, loads
from sluice.cost.measured import Size, Work
from sluice.cost.model import FULL_VCPU_MB
from sluice.cost.report import CONNECTIONS, FLOOR, PACKED, PUT_ITEM, SINGLE, markdown
from sluice.cost.sizes import SizeError, sized
from sluice.cost.unchanged import skipping

# Round numbers, none like another, so that a mix-up shows.
PRICES = Prices(
    write_request_unit=1e-6,
    sqs_request=2e-6,
    sqs_fifo_request=9e-6,
    lambda_request=3e-6,
    lambda_gb_second=5e-5,
    log_gb=0.7,
    import_gb=0.11,
)
SINGLE_WORK = Workload(
    record_bytes=1000,
    item_bytes=1024,
    records_per_message=1,
    records_per_invocation=1000,
    records_per_call=25,
    calls_at_once=8,
    cpu_seconds=20e-6,
    log_bytes=2000,
    memory_mb=FULL_VCPU_MB,
    latency=0.005,
)


def test_dynamodb_bills_each_kilobyte_begun() -> None:
    assert estimate(SINGLE_WORK, PRICES).dynamodb == pytest.approx(1.0)
    assert estimate(replace(SINGLE_WORK, item_bytes=1025), PRICES).dynamodb == pytest.approx(2.0)
    assert estimate(replace(SINGLE_WORK, item_bytes=1), PRICES).dynamodb == pytest.approx(1.0)


def test_ten_small_messages_are_one_request_to_send_to_receive_and_to_delete() -> None:
    assert SINGLE_WORK.sqs_requests(1_000_000) == pytest.approx(300_000)
    assert estimate(SINGLE_WORK, PRICES).sqs == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("records_per_message", "message_bytes", "requests"),
    [
        # 1,008 bytes of operation and a comma each, and two brackets that replace one comma.
        (64, 64_577, 10 * 2 + 1),  # Ten of them have 9.9 chunks of 64 KB.
        (65, 65_586, 11 * 2 + 1),  # 10.01 chunks.
        (109, 109_982, 10 / 9 * 16 * 2 + 1),  # Nine fill a request, with 15.1 chunks.
        (1039, 1_048_352, 160 * 2 + 1),  # One message fills a request; ten need ten, of 16 chunks each.
    ],
)
def test_each_64_kilobytes_of_a_request_are_billed(records_per_message: int, message_bytes: int, requests: int) -> None:
    packed = replace(SINGLE_WORK, records_per_message=records_per_message)

    assert packed.message_bytes == message_bytes
    assert packed.sqs_requests(10 * records_per_message) == pytest.approx(requests)


def test_lambda_bills_computing_and_waiting_by_memory_and_whole_milliseconds() -> None:
    # 1,000 records: 20 ms of CPU, and 40 calls of which 8 wait together for 5 ms.
    assert SINGLE_WORK.gb_seconds(1000) == pytest.approx(0.045 * 1769 / 1024)
    assert replace(SINGLE_WORK, cpu_seconds=20.1e-6).gb_seconds(1000) == pytest.approx(0.046 * 1769 / 1024)
    assert estimate(SINGLE_WORK, PRICES).lambda_duration == pytest.approx(45 * 1769 / 1024 * 5e-5)
    assert estimate(SINGLE_WORK, PRICES).lambda_requests == pytest.approx(1000 * 3e-6)


def test_less_memory_is_less_cpu_and_more_than_a_core_does_not_help() -> None:
    half = replace(SINGLE_WORK, memory_mb=FULL_VCPU_MB // 2, cpu_seconds=884e-6)
    double = replace(SINGLE_WORK, memory_mb=2 * FULL_VCPU_MB)

    assert half.gb_seconds(1000) == pytest.approx((1.769 + 0.025) * 884 / 1024)
    assert double.gb_seconds(1000) == pytest.approx(2 * SINGLE_WORK.gb_seconds(1000))


def test_the_lines_of_each_invocation_are_ingested() -> None:
    assert estimate(SINGLE_WORK, PRICES).logs == pytest.approx(1000 * 2000 / 1e9 * 0.7)


def test_the_total_is_the_sum_and_is_compared_with_dynamodb_alone() -> None:
    cost = Cost(dynamodb=2.0, sqs=0.1, lambda_duration=0.2, lambda_requests=0.3, logs=0.4)

    assert cost.total == pytest.approx(3.0)
    assert cost.over_floor == pytest.approx(1.5)


WORK = Work(cpu_seconds=1e-5, records_per_message=1, records_per_invocation=100, records_per_call=25.0, log_bytes=1500)
SIZE = Size(300, 280, packed=replace(WORK, records_per_message=100), single=WORK, put_item=replace(WORK, log_bytes=0))


def test_the_table_has_every_way_of_writing_and_the_floor() -> None:
    rows = table(PRICES, Measured("here", [SIZE]))

    assert [row.design for row in rows] == [PACKED, SINGLE, PUT_ITEM, FLOOR]
    assert rows[-1].cost == Cost(rows[0].cost.dynamodb, 0, 0, 0, 0)
    assert len(markdown(rows).splitlines()) == 2 + 4


def test_lambdas_own_lines_are_added_to_the_handlers() -> None:
    assert designs(SIZE)[SINGLE].log_bytes > 1500
    assert designs(SIZE)[PUT_ITEM].log_bytes > 0


def test_memory_and_latency_are_the_users_choice() -> None:
    chosen = designs(SIZE, memory_mb=512, latency=0.02)[PACKED]

    assert (chosen.memory_mb, chosen.latency) == (512, 0.02)


def test_the_function_is_the_one_that_the_stack_deploys_by_default() -> None:
    assert Config().memory == FULL_VCPU_MB
    assert Config().max_connections == CONNECTIONS


def test_measurements_survive_being_saved(tmp_path: Path) -> None:
    measured = Measured("2026-11-22, 2 cores", [SIZE])

    measured.save(tmp_path / "measured.json")

    assert Measured.load(tmp_path / "measured.json") == measured


def test_the_shipped_numbers_keep_the_promise_at_one_kilobyte() -> None:
    rows = table(Prices.load(), Measured.load())

    (packed,) = (row for row in rows if row.design == PACKED and row.record_bytes == 1024)
    assert packed.cost.over_floor <= 1.10
    assert sorted({row.record_bytes for row in rows}) == [300, 1024, 4096]


MEASURED = Measured.load()


@pytest.mark.parametrize("size", MEASURED.sizes, ids=lambda size: size.record_bytes)
def test_a_measured_size_comes_out_as_it_was_measured(size: Size) -> None:
    found = sized(MEASURED, size.record_bytes)

    assert found.item_bytes == size.item_bytes
    for way in ("packed", "single", "put_item"):
        expected = {name: pytest.approx(value) for name, value in asdict(getattr(size, way)).items()}
        assert asdict(getattr(found, way)) == expected


def test_between_two_measured_sizes_work_is_in_proportion() -> None:
    large = Size(700, 680, packed=replace(WORK, cpu_seconds=5e-5), single=WORK, put_item=WORK)

    found = sized(Measured("here", [large, SIZE]), 400)

    assert found.item_bytes == 380
    assert found.packed.cpu_seconds == pytest.approx(2e-5)
    assert sized(Measured("here", [large, SIZE]), 800).packed.cpu_seconds == pytest.approx(6e-5)


@pytest.mark.parametrize(
    ("record_bytes", "per_message", "in_message", "in_invocation"),
    [
        (700, None, 92, 920),  # 92 of 709 bytes, and a bracket, are 65,229.
        (1000, None, 64, 960),  # 65 would have 65,586 bytes.
        (700, 1, 1, 1000),
        (700, 400, 400, 800),
        (700, 1100, 1100, 1100),
        (70_000, None, 1, 89),  # 6 MiB an invocation.
        (20_000, None, 3, 312),
    ],
)
def test_messages_and_invocations_are_filled_as_far_as_they_may_be(
    record_bytes: int, per_message: int | None, in_message: int, in_invocation: int
) -> None:
    packed = sized(MEASURED, record_bytes, per_message).packed

    assert (packed.records_per_message, packed.records_per_invocation) == (in_message, in_invocation)
    assert packed.records_per_call == pytest.approx(in_invocation / math.ceil(in_invocation / 25))


def test_an_item_may_be_given_its_size() -> None:
    assert sized(MEASURED, 2500, None, 1990).item_bytes == 1990


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((500_000,), "over 400 KB"),
        ((1000, None, 409_601), "over 400 KB"),
        ((1000, 1040), "1,040 records of 1,000 bytes make a message over 1 MiB"),
    ],
)
def test_a_size_that_aws_does_not_take_is_refused(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(SizeError, match=words):
        sized(MEASURED, *arguments)


def test_a_file_is_imported_by_its_bytes_and_put_through_the_queue_by_its_records() -> None:
    found = loads(PRICES, SIZE, 20_000_000, memory_mb=FULL_VCPU_MB, latency=0.005)

    dollars = {load.way: load.dollars for load in found}
    assert dollars == {
        QUEUE: pytest.approx(20 * estimate(designs(SIZE)[PACKED], PRICES).total),
        IMPORT_TABLE: pytest.approx(20e6 * 300 / 1e9 * 0.11),
        BULK_PUT: None,
    }
    assert NO_PRICE in advice(found)


def test_a_bulk_put_is_compared_once_its_price_is_known() -> None:
    prices = replace(PRICES, bulk_put_gb=0.2)

    found = loads(prices, SIZE, 20_000_000, memory_mb=FULL_VCPU_MB, latency=0.005)

    assert {load.way: load.dollars for load in found}[BULK_PUT] == pytest.approx(20e6 * 300 / 1e9 * 0.2)
    assert NO_PRICE not in advice(found)


def test_a_queue_is_not_talked_into_for_a_file() -> None:
    prices = Prices.load()

    for size in MEASURED.sizes:
        found = loads(prices, size, 1_000_000, memory_mb=FULL_VCPU_MB, latency=0.005)
        dollars = {load.way: load.dollars or math.inf for load in found}
        assert dollars[IMPORT_TABLE] < dollars[QUEUE]
        assert advice(found)[0] == "A file that is loaded once does not need a queue."


def changed(path: Path, change: dict[str, Any]) -> Path:
    content = json.loads(price_table.DEFAULT.read_text())
    content["prices"] |= change
    path.write_text(json.dumps(content))
    return path


def test_a_price_may_be_given_for_any_number(tmp_path: Path) -> None:
    path = changed(tmp_path / "mine.json", {"sqs_request": {"dollars": 5, "per": 10_000_000}})

    prices = Prices.load(path)

    assert prices.sqs_request == pytest.approx(5e-7)
    assert prices.write_request_unit == Prices.load().write_request_unit


def test_prices_say_which_of_them_aws_has_not_confirmed() -> None:
    prices = Prices.load()

    assert "sqs_request" in prices.assumed
    assert "write_request_unit" not in prices.assumed
    content = json.loads(price_table.DEFAULT.read_text())["prices"]
    assert all(entry["source"].startswith("https://aws.amazon.com/") for entry in content.values())


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (None, "no price named 'log_gb'"),
        ({"per": 1}, "'dollars' of log_gb must be a number of at least 0, got None"),
        ({"dollars": "0.5"}, "got '0.5'"),
        ({"dollars": True}, "got True"),
        ({"dollars": -1}, "got -1"),
        ({"dollars": float("nan")}, "got nan"),
        ({"dollars": float("inf")}, "got inf"),
        ({"dollars": 1, "per": 0}, "'per' of log_gb must be a number of at least 1, got 0"),
    ],
)
def test_a_price_that_cannot_be_used_is_named(tmp_path: Path, entry: Any, words: str) -> None:
    path = changed(tmp_path / "mine.json", {"log_gb": entry})

    with pytest.raises(PricesError) as raised:
        Prices.load(path)

    assert words in str(raised.value)
    assert "mine.json" in str(raised.value)


def test_a_price_that_is_not_confirmed_may_be_given(tmp_path: Path) -> None:
    assert Prices.load().bulk_put_gb is None
    path = changed(tmp_path / "mine.json", {"bulk_put_gb": {"dollars": 3, "per": 20}})

    assert Prices.load(path).bulk_put_gb == pytest.approx(0.15)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"prices": []}', "{"])
def test_a_file_that_is_no_price_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)

    with pytest.raises(PricesError, match=r"mine\.json"):
        Prices.load(tmp_path / "mine.json")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sluice.cost", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_prints_the_table_its_prices_and_its_assumptions() -> None:
    done = command()

    assert done.returncode == 0, done.stderr
    assert PACKED in done.stdout
    assert "Prices: us-east-1" in done.stdout
    assert "sqs_request" in done.stdout


def test_the_command_follows_the_users_prices(tmp_path: Path) -> None:
    path = changed(tmp_path / "mine.json", {"write_request_unit": {"dollars": 100, "per": 1_000_000}})

    done = command("--json", "--prices", str(path))

    rows = json.loads(done.stdout)["per_million_records"]
    assert [row["dynamodb"] for row in rows if row["record_bytes"] == 1024] == pytest.approx([100.0] * 4)


def test_the_command_names_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    done = command("--prices", str(tmp_path / "none.json"))

    assert done.returncode == 2
    assert "none.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"machine": "m", "sizes": [{}]}'])
def test_the_command_names_measurements_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)

    done = command("--measured", str(tmp_path / "mine.json"))

    assert done.returncode == 2
    assert "mine.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--record-size", "0"),
        ("--record-size", "1,x"),
        ("--record-size", "500000"),
        ("--record-size", "1,2", "--item-size", "1"),
        ("--item-size", "1"),
        ("--records-per-message", "5000"),
        ("--latency", "-1"),
        ("--latency", "nan"),
    ],
)
def test_a_workload_that_cannot_be_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = command(*arguments)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_command_calculates_the_users_own_workload() -> None:
    done = command("--record-size", "2500", "--item-size", "1990", "--memory", "512", "--latency", "8")

    assert done.returncode == 0, done.stderr
    assert "| 2,500 bytes | DynamoDB's write units alone | $1.2500 |" in done.stdout
    assert "Memory: 512 MB for sluice" in done.stdout
    assert "answers in 8 ms" in done.stdout


def test_a_load_is_in_the_json_too() -> None:
    done = command("--json", "--record-size", "700", "--records", "1000000")

    [through, imported, put] = json.loads(done.stdout)["loaded_once"]
    assert (through["record_bytes"], through["records"], through["way"]) == (700, 1_000_000, QUEUE)
    assert imported["dollars"] == pytest.approx(0.7 * Prices.load().import_gb)
    assert put["dollars"] is None


def test_only_prices_that_were_used_are_called_doubtful() -> None:
    assert "import_gb" not in command().stdout
    assert "import_gb" in command("--records", "5").stdout


# What stands in the table already


@pytest.mark.parametrize(
    ("item_bytes", "share", "of_always", "pays_from"),
    [
        (300, 0.9, 0.3, 0.2),
        (1024, 0.5, 0.7, 0.2),
        (1025, 0.9, 0.2, 0.1),
        (4096, 0.9, 0.15, 0.05),
        (4097, 0.9, 0.18, 0.08),
        (20_480, 0.99, 0.06, 0.05),
        (1024, 0.2, 1.0, 0.2),
        (1024, 0.0, 1.02, 0.2),
    ],
)
def test_a_read_pays_by_the_share_that_is_unchanged_and_the_size(
    item_bytes: int, share: float, of_always: float, pays_from: float
) -> None:
    found = skipping(item_bytes, item_bytes, share, Prices.load())

    assert found.skipping / found.always == pytest.approx(of_always)
    assert found.pays_from == pytest.approx(pays_from)


def test_a_price_table_without_a_read_unit_has_a_fifth_of_the_write_units_price(tmp_path: Path) -> None:
    table = json.loads(price_table.DEFAULT.read_text())
    del table["prices"]["read_request_unit"]
    (tmp_path / "prices.json").write_text(json.dumps(table))

    assert Prices.load(tmp_path / "prices.json").read_unit == pytest.approx(Prices.load().read_unit)


def test_what_skipping_saves_is_said_and_in_the_json() -> None:
    told, as_json = command("--unchanged", "0.9"), command("--unchanged", "0.9", "--json")

    assert "90% of which stand in the table already" in told.stdout
    assert "| 1 KB | $0.6250 | $0.1875 | 0.30x | 20% unchanged |" in told.stdout
    assert [each["pays_from"] for each in json.loads(as_json.stdout)["skip_unchanged"]] == pytest.approx(
        [0.2, 0.2, 0.05]
    )


@pytest.mark.parametrize("share", ["1.1", "-0.1", "nan", "most"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    assert command("--unchanged", share).returncode == 2
