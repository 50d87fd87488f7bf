"""The alarms of a template, and what each of them watches."""

from __future__ import annotations

from typing import Any

from tests.infra.template import Template, resolved


def alarms_of(template: Template) -> dict[str, dict[str, Any]]:
    """Construct id → properties, of the alarms on metrics."""
    found: dict[str, dict[str, Any]] = resolved(template.all("AWS::CloudWatch::Alarm"))
    return {id.removeprefix("Alarms")[:-8]: properties for id, properties in found.items()}


def queries_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm watches, each with namespace, name and dimensions."""
    if "MetricName" in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


def math_of(alarm: dict[str, Any]) -> str:
    [expression] = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
    return str(expression)
