"""What the package says of its stacks' monthly cost is counted from their templates; less can be had."""

from __future__ import annotations

import pytest

from sluice.cost.fixed import FUNCTION_METRICS, stacks
from tests.infra.counts import counted
from tests.infra.reported import emitted
from tests.infra.template import Template, resolved
from tests.infra.watching import alarms_of

pytestmark = pytest.mark.xdist_group("synth")


def test_the_counts_are_those_of_the_templates(templates: dict[str, Template]) -> None:
    assert stacks() == counted(templates), "python -m tests.infra.counts writes them anew"


def test_the_functions_metrics_are_counted() -> None:
    names = {metric.name for metric in emitted()} | {"OperationsUnchanged"}  # Where a table skips what is unchanged.

    assert len(names) == FUNCTION_METRICS


def test_essential_alarms_still_tell_of_whatever_lasts(templates: dict[str, Template]) -> None:
    template = templates["lean"]
    (topic,) = template.ids("AWS::SNS::Topic")

    assert alarms_of(template).keys() == {
        *("DeadLetters", "ExpiringDeadLetters", "MessageAge", "NoProgress", "FunctionErrors")
    }
    assert all(alarm["AlarmActions"] == [topic] for alarm in alarms_of(template).values())
    assert template.ids("AWS::CloudWatch::CompositeAlarm") == set()


def test_without_a_dashboard_there_is_no_output_of_it(templates: dict[str, Template]) -> None:
    assert templates["lean"].ids("AWS::CloudWatch::Dashboard") == set()
    assert "DashboardName" not in templates["lean"].content["Outputs"]
    assert "DashboardName" in resolved(templates["default"].content["Outputs"])
