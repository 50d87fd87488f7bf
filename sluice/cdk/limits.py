"""Limits of AWS that several parts of the stack keep to, with the page that states each."""

from __future__ import annotations

DEAD_LETTER_RETENTION = 14
"""Days, SQS's maximum (CreateQueue API reference): time to notice, fix and redrive."""

INVOCATIONS_PER_POLLER = 10
"""https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""

MIN_RESERVED_CONCURRENCY = 5
"""With less, Lambda's pollers, five at the start, are throttled (the same page)."""

UNRESERVED = 100
"""Invocations that Lambda keeps for functions without a reserve.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

LOG_RETENTIONS = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    5: "FIVE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    60: "TWO_MONTHS",
    90: "THREE_MONTHS",
    120: "FOUR_MONTHS",
    150: "FIVE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    400: "THIRTEEN_MONTHS",
    545: "EIGHTEEN_MONTHS",
    731: "TWO_YEARS",
    1096: "THREE_YEARS",
    1827: "FIVE_YEARS",
    3653: "TEN_YEARS",
}
"""Days → the name that CDK's `RetentionDays` has for them."""
