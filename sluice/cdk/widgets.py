"""The dashboard's widgets: headings, and graphs that all look alike."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from .metrics import MINUTE

WIDTH = 24  # Columns of a dashboard (CloudWatch user guide, Dashboard Body Structure and Syntax).
QUARTER = WIDTH // 4


def section(question: str, widgets: list[cloudwatch.IWidget]) -> list[list[cloudwatch.IWidget]]:
    """Rows: the question across the whole width, and the widgets that answer it."""
    heading = cloudwatch.TextWidget(
        markdown=f"## {question}", width=WIDTH, height=1, background=cloudwatch.TextWidgetBackground.TRANSPARENT
    )
    return [[heading], widgets]


def graph(
    title: str,
    *metrics: cloudwatch.IMetric,
    right: Sequence[cloudwatch.IMetric] = (),
    alarms: Sequence[cloudwatch.Alarm] = (),
    lines: Sequence[cloudwatch.HorizontalAnnotation] = (),
    stacked: bool = False,
    period: Duration | None = MINUTE,
    width: int = QUARTER,
) -> cloudwatch.IWidget:
    """A graph from zero upwards, with alarms' thresholds and other lines; without a `period` metrics keep their own."""
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        right=list(right),
        left_annotations=[*map(_threshold, alarms), *lines],
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        right_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        stacked=stacked,
        period=period,
        width=width,
        height=6,
    )


def _threshold(alarm: cloudwatch.Alarm) -> cloudwatch.HorizontalAnnotation:
    is_made = alarm.node.scope is not None and alarm.node.scope.node.try_find_child(alarm.node.id) is not None
    label = f"alarm {alarm.node.id}" if is_made else "limit"  # One that was left out, `alarms` being essential.
    return cloudwatch.HorizontalAnnotation(value=alarm.to_annotation().value, label=label, color=cloudwatch.Color.RED)


def line(value: float, label: str) -> cloudwatch.HorizontalAnnotation:
    """A limit that no alarm guards."""
    return cloudwatch.HorizontalAnnotation(value=value, label=label, color=cloudwatch.Color.GREY)
