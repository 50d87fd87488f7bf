"""A dashboard's body, as CloudWatch keeps it, in the terms that a drawing needs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .recording import Metric


@dataclass(frozen=True, slots=True)
class Place:
    """Where a widget is, in units of the grid of 24 columns."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a graph's metrics: a metric or an expression."""

    id: str | None
    metric: Metric | None
    expression: str | None
    statistic: str
    period: int
    """Seconds."""
    label: str
    is_visible: bool
    is_right: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """A horizontal line."""

    value: float
    label: str
    color: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A widget of type `metric`."""

    place: Place
    title: str
    entries: Sequence[Entry]
    thresholds: Sequence[Threshold]
    is_stacked: bool


@dataclass(frozen=True, slots=True)
class LogGraph:
    """A widget of type `log`."""

    place: Place
    title: str
    query: str


@dataclass(frozen=True, slots=True)
class Text:
    """A widget of type `text`."""

    place: Place
    markdown: str


@dataclass(frozen=True, slots=True)
class States:
    """A widget of type `alarm`."""

    place: Place
    title: str
    alarms: Sequence[str]
    """ARNs."""


Widget = Graph | LogGraph | Text | States


def widgets(body: str) -> list[Widget]:
    """The widgets of a DashboardBody. Raises ValueError for a type of widget that is not known here."""
    return [_widget(content) for content in json.loads(body)["widgets"]]


def _widget(content: Mapping[str, Any]) -> Widget:
    place = Place(content["x"], content["y"], content["width"], content["height"])
    properties = content["properties"]
    title = properties.get("title", "")
    match content["type"]:
        case "metric":
            lines = properties.get("annotations", {}).get("horizontal", [])
            return Graph(
                place,
                title,
                _entries(properties),
                [Threshold(line["value"], line.get("label", ""), line.get("color", "#7f7f7f")) for line in lines],
                properties.get("stacked", False),
            )
        case "log":
            return LogGraph(place, title, properties["query"])
        case "text":
            return Text(place, properties["markdown"])
        case "alarm":
            return States(place, title, properties["alarms"])
    raise ValueError(f"a widget of type {content['type']!r} cannot be drawn")


def _entries(properties: Mapping[str, Any]) -> list[Entry]:
    entries = []
    for row in properties["metrics"]:
        *names, options = row if isinstance(row[-1], dict) else [*row, {}]
        metric = None
        if names:
            namespace, name, *dimensions = names
            metric = Metric.of(namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)))
        entries.append(
            Entry(
                id=options.get("id"),
                metric=metric,
                expression=options.get("expression"),
                statistic=options.get("stat", properties.get("stat", "Average")),
                period=options.get("period", properties.get("period", 300)),
                label=options.get("label", metric.name if metric else options.get("expression", "")),
                is_visible=options.get("visible", True),
                is_right=options.get("yAxis") == "right",
            )
        )
    return entries
