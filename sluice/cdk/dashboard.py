"""One screen, top to bottom in the order in which an operator asks; the alarms' thresholds are drawn in."""

from __future__ import annotations

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from sluice.cost.prices import Prices

from . import sections
from .alarms import Alarms
from .cost_metrics import cost_of_a_million
from .metrics import Watched
from .widgets import WIDTH, section


class Dashboard(Construct):
    """The stack's dashboard."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        watched: Watched,
        alarms: Alarms,
        memory: int,
        max_invocations: int,
        max_write_units_per_second: float,
        freshness_target: int | None,
        is_fair: bool,
        prices: Prices | None = None,
    ) -> None:
        """`memory` is the function's, in MB; `freshness_target` is in seconds; `prices` are those of `sluice cost`."""
        super().__init__(scope, construct_id)
        cost = cost_of_a_million(watched, prices or Prices.load(), memory=memory)
        table_limits = sections.table_limits(watched, alarms, max_write_units_per_second=max_write_units_per_second)
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            # Dashboards are global to an account: without the region, stacks in two regions would share one.
            dashboard_name=f"{name}-{Aws.REGION}",
            default_interval=Duration.hours(3),
            widgets=[
                [self._states(alarms)],
                *section("Is it keeping up?", sections.progress(watched, alarms)),
                sections.freshness(watched, alarms, target=freshness_target, is_fair=is_fair),
                *section("Is the table the limit?", table_limits),
                *section("Is the data bad?", sections.rejections(watched, alarms)),
                *section("Is it efficient?", sections.efficiency(watched, cost)),
                *section("Is it healthy?", sections.health(watched, alarms, max_invocations=max_invocations)),
            ],
        )

    def _states(self, alarms: Alarms) -> cloudwatch.IWidget:
        # By their names: local AWSs know no alarms in a template, so they cannot tell an ARN either.
        arns = [
            Stack.of(self).format_arn(
                service="cloudwatch",
                resource="alarm",
                resource_name=alarm.alarm_name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for alarm in alarms.shown
        ]
        return cloudwatch.AlarmStatusWidget(
            title="Is anything wrong?",
            alarms=[cloudwatch.Alarm.from_alarm_arn(self, f"State{n}", arn) for n, arn in enumerate(arns)],
            width=WIDTH,
            height=3,
        )
