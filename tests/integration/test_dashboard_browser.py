"""The page in a real browser: what is drawn can be seen, and nothing lies upon something else.

Needs Chromium or Chrome on the PATH (`apt-get install chromium`), or where SLUICE_BROWSER says.
"""

from __future__ import annotations

import html as markup
import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from sluice.local.dashboard.alarms import State
from sluice.local.dashboard.definition import widgets
from sluice.local.dashboard.page import html
from sluice.local.dashboard.recording import Recording

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = os.environ.get("SLUICE_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is on the PATH")

SECONDS = 600
MEASURE = """<script>
const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const all = s => [...document.querySelectorAll(s)];
const measured = {
  page: [document.documentElement.scrollWidth, document.documentElement.clientWidth],
  texts: all("text").map(e => [e.textContent, ...box(e)]),
  cards: all(".card").map(box),
  states: all(".state").map(box),
  curves: all("polyline").map(e => {
    const m = e.getScreenCTM();
    return [...e.points].map(p => [p.x * m.a + m.e, p.y * m.d + m.f]);
  }),
  dots: all("circle").map(box),
};
const out = document.createElement("pre");
out.id = "measured";
out.textContent = JSON.stringify(measured);
document.body.append(out);
</script>"""


def place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "width": width, "height": height}


def dashboard() -> str:
    """Two graphs whose thresholds are as low and as high as their curves, and the card of alarms."""

    def graph(x: int, title: str, threshold: float) -> dict[str, Any]:
        return {
            "type": "metric",
            **place(x, 3, 6, 6),
            "properties": {
                "title": title,
                "metrics": [["AWS/SQS", title, "QueueName", "q", {"label": "messages waiting"}]],
                "period": 60,
                "stat": "Sum",
                "annotations": {
                    "horizontal": [{"value": threshold, "label": "alarm FunctionThrottles", "color": "#d62728"}]
                },
            },
        }

    card = {"type": "alarm", **place(0, 0, 24, 3), "properties": {"title": "Is anything wrong?", "alarms": []}}
    return json.dumps({"widgets": [card, graph(0, "Low", 0), graph(6, "High", 50), graph(12, "Alone", 5)]})


@pytest.fixture(scope="module", params=[1280, 700])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser with a window of this width says of the page."""
    recording = Recording(1000.0, 1060.0)
    for second in range(60):
        recording.add(1000.5 + second, "AWS/SQS", "Low", {"QueueName": "q"}, second % 2)
        recording.add(1000.5 + second, "AWS/SQS", "High", {"QueueName": "q"}, 15 + second % 5)
    recording.add(1030.0, "AWS/SQS", "Alone", {"QueueName": "q"}, 7)
    names = ("Unhealthy", "DeadLetters", "FunctionThrottles", "ProvisionedCapacity-archive", "NoProgress")
    states = [State(name, "Look at the log. " * 20, [(5.0, None)]) for name in names * 2]
    directory = tmp_path_factory.mktemp("page")
    file = directory / "page.html"
    file.write_text(html(widgets(dashboard()), recording, "Title", 3.0, states).replace("</body>", f"{MEASURE}</body>"))
    done = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={request.param},900"),
            *(f"--user-data-dir={directory / 'profile'}", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    measured: dict[str, Any] = json.loads(markup.unescape(found[1]))
    return measured


def is_inside(inner: list[float], outer: list[float]) -> bool:
    left, top, right, bottom = inner
    return left >= outer[0] - 1 and top >= outer[1] - 1 and right <= outer[2] + 1 and bottom <= outer[3] + 1


def test_no_text_covers_a_curve(page: dict[str, Any]) -> None:
    points = [point for curve in page["curves"] for point in curve]
    assert len(points) > 30

    covered = [
        (text, point)
        for text, left, top, right, bottom in page["texts"]
        for point in points
        if left < point[0] < right and top < point[1] < bottom
    ]

    assert covered == []


def test_no_text_lies_upon_another(page: dict[str, Any]) -> None:
    texts = page["texts"]
    upon = [
        (one[0], other[0])
        for number, one in enumerate(texts)
        for other in texts[:number]
        if min(one[3], other[3]) - max(one[1], other[1]) > 1 and min(one[4], other[4]) - max(one[2], other[2]) > 3
    ]

    assert upon == []


def test_every_text_is_inside_its_card_and_the_page_needs_no_scrolling_sideways(page: dict[str, Any]) -> None:
    heading = min(card[1] for card in page["cards"])
    outside = [
        text
        for text, *box in page["texts"]
        if box[1] > heading and not any(is_inside(box, card) for card in page["cards"])
    ]

    assert outside == []
    assert page["page"][0] <= page["page"][1]


def test_an_alarms_name_is_inside_its_box(page: dict[str, Any]) -> None:
    named = [text for text, *box in page["texts"] if any(is_inside(box, state) for state in page["states"])]

    assert named.count("ProvisionedCapacity-archive") == 2
    assert len(named) == 2 * len(page["states"])


def test_a_lone_value_is_large_enough_to_be_seen(page: dict[str, Any]) -> None:
    scale = page["cards"][0][2] / 1110

    assert page["dots"]
    assert all(right - left >= 5.5 * scale for left, _, right, _ in page["dots"])
