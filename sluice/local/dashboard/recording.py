"""What a run has reported: data points of metrics and lines of the function's log, each with its time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as CloudWatch tells it from others."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        return cls(namespace, name, frozenset(dimensions.items()))


Point = tuple[float, float]
"""Seconds since the epoch, and a value."""


@dataclass(slots=True)
class Recording:
    """A run, from its first second on; thread-safe as far as `list.append` is."""

    start: float
    """Seconds since the epoch."""
    end: float
    points: dict[Metric, list[Point]] = field(default_factory=dict)
    log: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """Structured lines of the function's log, and when they were written."""

    def add(self, at: float, namespace: str, name: str, dimensions: Mapping[str, str], *values: float) -> None:
        """Add values of a metric at a time in seconds since the epoch."""
        points = self.points.setdefault(Metric.of(namespace, name, dimensions), [])
        points += [(at, value) for value in values]

    def read_log(self, lines: Iterable[str]) -> None:
        """Add what lines of the function's log say: metrics in the embedded metric format, and structured messages.

        Format: CloudWatch user guide, CloudWatch_Embedded_Metric_Format_Specification.
        """
        for line in lines:
            document = _json_object(line)
            if isinstance(directive := document.get("_aws"), dict):
                self._read_metrics(float(directive["Timestamp"]) / 1000, directive, document)
            elif (at := _time_of(document)) is not None:
                self.log.append((at, document))

    def _read_metrics(self, at: float, directive: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        for definition in directive.get("CloudWatchMetrics", ()):
            for names in definition["Dimensions"]:
                dimensions = {name: str(document[name]) for name in names}
                for metric in definition["Metrics"]:
                    value = document[metric["Name"]]
                    values = value if isinstance(value, list) else [value]
                    self.add(at, definition["Namespace"], metric["Name"], dimensions, *values)

    def to_json(self) -> str:
        """The recording as a file keeps it."""
        points = [
            {
                "metric": [metric.namespace, metric.name, dict(sorted(metric.dimensions))],
                "points": [[round(at, 3), round(value, 4)] for at, value in points],
            }
            for metric, points in self.points.items()
        ]
        return json.dumps({"start": self.start, "end": self.end, "metrics": points, "log": self.log})

    @classmethod
    def from_json(cls, text: str) -> Recording:
        """Raises ValueError or KeyError for what is not a recording."""
        content = json.loads(text)
        recording = cls(content["start"], content["end"])
        for entry in content["metrics"]:
            namespace, name, dimensions = entry["metric"]
            metric = Metric.of(namespace, name, dimensions)
            recording.points[metric] = [(at, value) for at, value in entry["points"]]
        recording.log = [(at, document) for at, document in content["log"]]
        return recording


def read_logs(recording: Recording, logs: Iterable[Path]) -> None:
    """Add everything in files of the function's output."""
    for log in logs:
        recording.read_log(log.read_text(encoding="utf-8", errors="replace").splitlines())


def _time_of(document: Mapping[str, Any]) -> float | None:
    """Seconds since the epoch of a line by Powertools' Logger; None for what is no such line."""
    try:
        return datetime.strptime(str(document.get("timestamp")), "%Y-%m-%d %H:%M:%S,%f%z").timestamp()
    except ValueError:
        return None


def _json_object(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
