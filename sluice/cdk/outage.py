"""How many receives a message needs to survive an outage, calculated from the function's backoff."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from statistics import NormalDist

from sluice.message.redelivery import visibility

UNLUCKY = 1e-6
"""Share of the messages whose pauses may, by chance, be too short to survive the outage."""
MIN_RECEIVES = 5
"""What AWS advises for Lambda: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
MAX_RECEIVES = 1000
"""Of SQS's redrive policy (SetQueueAttributes API reference)."""

_QUANTILE = NormalDist().inv_cdf(UNLUCKY)
_MAX_CHANCE = 1 - 2**-53


def survived(visibility_timeout: int) -> Iterator[float]:
    """Seconds of an outage that all but the unlucky messages survive, with 1, 2, 3… receives.

    A returned message pauses for a uniformly random time. The sum of the pauses is taken as normally distributed,
    which is slightly pessimistic: a sum of uniform ones has shorter tails. Messages of an invocation that raised or
    timed out stay hidden for the whole `visibility_timeout` instead.
    """
    mean = variance = minimum = 0.0
    for receive in itertools.count(1):
        shortest, longest = visibility(receive, 0.0), visibility(receive, _MAX_CHANCE)
        mean += (shortest + longest) / 2
        variance += (longest - shortest) ** 2 / 12
        minimum += shortest
        yield min(max(minimum, mean + _QUANTILE * math.sqrt(variance)), receive * visibility_timeout)


def receives_needed(outage: float, visibility_timeout: int) -> int:
    """The smallest maxReceiveCount that survives `outage` seconds; `MAX_RECEIVES + 1` if none does."""
    within_reach = itertools.islice(survived(visibility_timeout), MAX_RECEIVES)
    for receives, seconds in enumerate(within_reach, start=1):
        if seconds >= outage and receives >= MIN_RECEIVES:
            return receives
    return MAX_RECEIVES + 1


def outage_survived(receives: int, visibility_timeout: int) -> float:
    """Seconds of an outage that messages survive with this maxReceiveCount."""
    return next(itertools.islice(survived(visibility_timeout), receives - 1, None))
