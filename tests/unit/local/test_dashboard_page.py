"""Pictures: everything of the definition is on them, in its place, and they need nothing from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sluice.local.dashboard.__main__ import main
from sluice.local.dashboard.definition import widgets
from sluice.local.dashboard.page import html, svg
from sluice.local.dashboard.recording import Recording

SVG = "{http://www.w3.org/2000/svg}"
PLACE = {"x": 0, "y": 0, "width": 6, "height": 6}
SENT: list[Any] = ["AWS/SQS", "NumberOfMessagesSent", "QueueName", "q"]


def body(*metrics: list[Any], **properties: Any) -> str:
    """A dashboard with one graph."""
    graph = {"title": "A <graph> & more", "metrics": list(metrics), "period": 60, "stat": "Sum", **properties}
    return json.dumps({"widgets": [{"type": "metric", **PLACE, "properties": graph}]})


def run_of(*points: tuple[float, float], seconds: float = 60.0) -> Recording:
    recording = Recording(1000.0, 1000.0 + seconds)
    for at, value in points:
        recording.add(1000.0 + at, "AWS/SQS", "NumberOfMessagesSent", {"QueueName": "q"}, value)
    return recording


def drawn(definition: str, recording: Recording, minute: float = 10.0) -> ElementTree.Element:
    return ElementTree.fromstring(svg(widgets(definition), recording, "Title", minute))


def texts(picture: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def heights(picture: ElementTree.Element) -> list[list[float]]:
    """The y of every point of every line, from left to right."""
    lines = [element.attrib["points"].split() for element in picture.iter(f"{SVG}polyline")]
    return [[float(point.split(",")[1]) for point in line] for line in lines]


def test_a_line_goes_up_where_its_metric_does() -> None:
    [line] = heights(drawn(body(SENT), run_of((5, 1), (15, 5), (25, 3))))

    low, high, between = line
    assert high < between < low  # Downwards is positive in SVG.
    assert (low - between) / (low - high) == pytest.approx(0.5, abs=0.02)


def test_a_gap_is_not_bridged_and_a_lone_value_is_a_dot() -> None:
    picture = drawn(body(SENT), run_of((5, 1), (15, 5), (35, 3)))

    assert [len(line) for line in heights(picture)] == [2]
    assert len(list(picture.iter(f"{SVG}circle"))) == 1


def test_a_minute_of_the_definition_lasts_as_many_seconds_as_one_says() -> None:
    points = [(number + 0.5, 1.0) for number in range(60)]

    assert [len(line) for line in heights(drawn(body(SENT), run_of(*points), 1.0))] == [60]
    assert [len(line) for line in heights(drawn(body(SENT), run_of(*points), 20.0))] == [3]


def test_rates_stay_those_of_a_second() -> None:
    rate = [{"expression": "m / PERIOD(m)", "label": "rate"}]
    metric = [*SENT, {"id": "m", "visible": False}]
    threshold = {"horizontal": [{"value": 8, "label": "eight", "color": "#d62728"}]}
    points = [(number + 0.5, 8.0) for number in range(60)]

    picture = drawn(body(rate, metric, annotations=threshold), run_of(*points), 5.0)

    [line] = heights(picture)
    [guard] = [e for e in picture.iter(f"{SVG}line") if e.attrib.get("stroke") == "#d62728"]
    assert set(line) == {float(guard.attrib["y1"])}
    assert "rate" in texts(picture)
    assert "NumberOfMessagesSent" not in texts(picture)


def test_thresholds_are_drawn_even_far_above_the_line() -> None:
    threshold = {"horizontal": [{"value": 900, "label": "alarm Age", "color": "#d62728"}]}

    picture = drawn(body(SENT, annotations=threshold), run_of((5, 10), (15, 20)))

    [guard] = [e for e in picture.iter(f"{SVG}line") if e.attrib.get("stroke") == "#d62728"]
    assert float(guard.attrib["y1"]) < min(heights(picture)[0])
    assert "alarm Age: 900" in texts(picture)


def test_stacked_lines_stand_on_each_other() -> None:
    other = ["AWS/SQS", "NumberOfMessagesSent", "QueueName", "other", {"label": "other"}]
    recording = run_of((5, 1), (15, 1))
    for at in (1005.0, 1015.0):
        recording.add(at, "AWS/SQS", "NumberOfMessagesSent", {"QueueName": "other"}, 2)

    areas = [
        e.attrib["points"].split() for e in drawn(body(SENT, other, stacked=True), recording).iter(f"{SVG}polygon")
    ]

    top, below = [float(area[0].split(",")[1]) for area in areas]
    ground = float(areas[0][-1].split(",")[1])
    assert (ground - top) / (ground - below) == pytest.approx(3, rel=0.02)


def test_the_right_axis_has_a_scale_of_its_own() -> None:
    other = ["AWS/SQS", "NumberOfMessagesSent", "QueueName", "other", {"label": "other", "yAxis": "right"}]
    recording = run_of((5, 8), (15, 8))
    for at in (1005.0, 1015.0):
        recording.add(at, "AWS/SQS", "NumberOfMessagesSent", {"QueueName": "other"}, 8000)

    picture = drawn(body(SENT, other), recording)

    left, right = heights(picture)
    assert left == right
    assert "other (right)" in texts(picture)
    assert {"10", "10k"} <= set(texts(picture))


def test_every_widget_is_inside_the_picture() -> None:
    content = json.loads(body(SENT))
    content["widgets"][0] |= {"x": 18, "y": 30}

    picture = drawn(json.dumps(content), run_of())

    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    [card] = [e for e in picture.iter(f"{SVG}rect") if e.attrib.get("class") == "card"]
    box = {name: float(card.attrib[name]) for name in ("x", "y", "width", "height")}
    assert box["x"] + box["width"] < width
    assert box["y"] + box["height"] < height
    assert box["x"] > width / 2


def test_text_is_text_whatever_is_in_it() -> None:
    picture = drawn(body([*SENT, {"label": '"<b>"'}]), run_of((5, 1)))

    assert {"A <graph> & more", '"<b>"', "no data"} - {"no data"} <= set(texts(picture))


def test_a_graph_without_data_says_so() -> None:
    assert "no data" in texts(drawn(body(SENT), run_of()))
    assert "no data" not in texts(drawn(body(SENT), run_of((5, 1))))


def test_the_same_recording_gives_the_same_picture() -> None:
    definition, recording = widgets(body(SENT)), run_of((5, 1), (15, 2))

    assert svg(definition, recording, "T") == svg(definition, Recording.from_json(recording.to_json()), "T")


def test_a_picture_needs_nothing_from_elsewhere() -> None:
    page = html(widgets(body(SENT)), run_of((5, 1)), "Title")

    assert re.findall(r"https?://[^\"' ]+", page) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|<link|<img|@import|url\(", page)


def test_a_widget_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="'custom'"):
        widgets(json.dumps({"widgets": [{"type": "custom", **PLACE, "properties": {}}]}))


def test_the_command_draws_a_recording_that_was_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, picture, page = tmp_path / "run.json", tmp_path / "d.svg", tmp_path / "d.html"
    recording = run_of((5, 1), (15, 2))
    kept.write_text(json.dumps({"body": body(SENT), "recording": json.loads(recording.to_json())}))

    status = main([str(kept), "--svg", str(picture), "--html", str(page), "--minute", "10"])

    assert status == 0
    assert picture.read_text() == svg(widgets(body(SENT)), recording, "Sluice", 10)
    assert page.read_text().startswith("<!doctype html>")
    assert capsys.readouterr().out == f"Drawn: {picture}\nDrawn: {page}\n"


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"body": "", "recording": {"start": 1}}'])
def test_what_is_no_recording_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)

    assert main([str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"{path} does not hold a recording: ")


@pytest.mark.parametrize("minute", ["0", "-1", "nan", "soon"])
def test_a_minute_that_is_none_is_refused(minute: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["run.json", "--minute", minute])

    assert end.value.code == 2
    assert "must be a number of seconds" in capsys.readouterr().err
