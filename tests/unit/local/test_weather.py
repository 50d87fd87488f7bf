"""The demo's data set arrives digit by digit, and its bad records are bad in the way they say."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from sluice.local.aws import LocalError
from sluice.local.demo import weather

HEADER = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
LINE = "EWR,2013,1,1,1,39.02,26.06,59.37,270,10.357019999999999,NA,0,1e3,10,2013-01-01T06:00:00Z"


@pytest.fixture(scope="module")
def items() -> list[weather.Item]:
    return weather.read()


def file_of(directory: Path, *lines: str) -> Path:
    path = directory / "weather.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_data_file_is_the_one_that_its_readme_describes() -> None:
    readme = (weather.DATA.parent / "README.md").read_text()

    assert hashlib.sha256(weather.DATA.read_bytes()).hexdigest() in readme
    assert f"{weather.DATA.stat().st_size:,} bytes" in readme


def test_every_field_of_the_file_is_in_its_item_as_it_is_written(items: list[weather.Item]) -> None:
    by_key = {(item["origin"]["S"], item["time_hour"]["S"]): item for item in items}
    with weather.DATA.open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == len(items) == len(by_key) == 26_115
    for row in rows:
        item = by_key[row["origin"], row["time_hour"]]
        assert {name: text for name, text in row.items() if text != "NA"} == {
            name: text for name, value in item.items() for text in value.values()
        }


def test_a_put_keeps_the_very_digits_of_the_file(tmp_path: Path) -> None:
    (item,) = weather.read(file_of(tmp_path, HEADER, LINE))

    text = weather.put(item)

    put = json.loads(text, parse_float=str, parse_int=str)["put"]
    assert put["wind_speed"] == "10.357019999999999"
    assert put["pressure"] == "1e3"
    assert put["year"] == "2013"
    assert put["origin"] == "EWR"
    assert "wind_gust" not in put


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([HEADER, LINE, LINE.replace("39.02", "mild")], "line 3: temp is neither a number nor NA: 'mild'"),
        ([HEADER, LINE.replace("39.02", "NaN")], "line 2: temp is neither a number nor NA: 'NaN'"),
        ([HEADER, LINE.replace("39.02", "039")], "line 2: temp is neither a number nor NA: '039'"),
        ([HEADER, LINE.replace("EWR", "NA")], "line 2: origin is part of the key"),
        ([HEADER, LINE + ",more"], "line 2: expected 15 fields, found 16"),
        ([HEADER.replace("visib", "visibility"), LINE], "must have the columns origin, year"),
        ([HEADER], "holds no records"),
    ],
)
def test_a_broken_data_file_is_refused_with_its_line(tmp_path: Path, lines: list[str], complaint: str) -> None:
    with pytest.raises(LocalError, match=complaint):
        weather.read(file_of(tmp_path, *lines))


def test_a_missing_data_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"nowhere\.csv cannot be read: No such file or directory\."):
        weather.read(tmp_path / "nowhere.csv")


def test_a_data_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weather.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe")

    with pytest.raises(LocalError, match="is no CSV file"):
        weather.read(path)


@pytest.mark.parametrize("number", [1, 99, 100, 101, 1100, 5000])
def test_messages_hold_every_record_once(items: list[weather.Item], number: int) -> None:
    bad = weather.bad_records()

    messages = list(weather.messages(items[:number], bad))

    assert sum(message.records for message in messages) == number + len(bad)
    sent = Counter(text for message in messages for text in _records(message.body))
    assert sent == Counter([weather.put(item) for item in items[:number]] + [record.text for record in bad])


def _records(body: str) -> list[str]:
    """The texts of the records in a body; none of the data set's holds an object in an object."""
    if not body.startswith("["):
        return [body]
    decoder, texts, position = json.JSONDecoder(), [], 1
    while position < len(body) - 1:
        _, end = decoder.raw_decode(body, position)
        texts.append(body[position:end])
        position = end + 1
    return texts


def test_what_is_sent_at_once_is_what_sqs_takes_at_once(items: list[weather.Item]) -> None:
    messages = list(weather.messages(items, weather.bad_records()))

    groups = list(weather.sends(messages))

    assert [message for group in groups for message in group] == messages
    assert max(map(len, groups)) == 10
    assert all(sum(len(message.body.encode()) for message in group) <= 1_048_576 for group in groups)


def test_a_send_is_cut_where_the_next_message_would_make_it_too_large() -> None:
    large = weather.Message("x" * 524_288, 1)

    assert list(map(len, weather.sends([large] * 5))) == [2, 2, 1]


def test_no_bad_record_has_a_key_of_the_data_set(items: list[weather.Item]) -> None:
    origins = {item["origin"]["S"] for item in items}

    assert origins == {"EWR", "JFK", "LGA"}
    assert not any(f'"{origin}"' in record.text for record in weather.bad_records() for origin in origins)
