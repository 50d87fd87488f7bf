"""What a million operations cost, as CloudWatch works it out from the metrics that AWS bills by."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch

from sluice.cost.prices import Prices

from .metrics import MINUTE, Watched

MILLION = 1_000_000


def cost_of_a_million(watched: Watched, prices: Prices, *, memory: int) -> list[cloudwatch.IMetric]:
    """Dollars, to the order of magnitude; storage, logs and alarms are not in it. `memory` is the function's, in MB."""
    own, queue, function = watched.own, watched.queue, watched.function
    request = prices.sqs_fifo_request if queue.fifo else prices.sqs_request
    millisecond = memory / 1024 * prices.lambda_gb_second / 1000
    written = own("OperationsWritten")

    def cost(label: str, expression: str, **metrics: cloudwatch.IMetric) -> cloudwatch.MathExpression:
        return cloudwatch.MathExpression(
            expression=f"({expression}) / written",
            using_metrics={**metrics, "written": written},
            label=label,
            period=MINUTE,
        )

    return [
        cost(
            "write units, on demand",
            f"{_of_a_million(prices.write_request_unit)} * units",
            units=own("ConsumedWriteUnits"),
        ),
        cost(
            "function",
            f"{_of_a_million(millisecond)} * duration + {_of_a_million(prices.lambda_request)} * invocations",
            duration=function.metric_duration(statistic="Sum"),
            invocations=function.metric_invocations(statistic="Sum"),
        ),
        cost(
            "queue, ten messages a request",
            f"{_of_a_million(request)} * (empty + (sent + received + deleted) / 10)",
            empty=queue.metric_number_of_empty_receives(statistic="Sum"),
            sent=queue.metric_number_of_messages_sent(statistic="Sum"),
            received=queue.metric_number_of_messages_received(statistic="Sum"),
            deleted=queue.metric_number_of_messages_deleted(statistic="Sum"),
        ),
    ]


def _of_a_million(price: float) -> str:
    return f"{MILLION * price:.6g}"
