"""How often a message must be receivable to outlive an outage, from the function's own backoff."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from statistics import NormalDist

from functions.batch_writer.pace import visibility

UNLUCKY = 1e-6
"""Share of the messages whose pauses may, by chance, be too short to outlive the outage."""
MIN_RECEIVES = 5
"""What AWS advises for Lambda: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
MAX_RECEIVES = 1000

_QUANTILE = NormalDist().inv_cdf(UNLUCKY)
_MAX_CHANCE = 1 - 2**-53


def survived(visibility_timeout: int) -> Iterator[float]:
    """Seconds of an outage that all but the unlucky outlive, with 1, 2, 3… receives.

    A returned message pauses for a uniformly random time. The normal distribution says for how long in sum at least:
    a little less than is true, for a sum of uniform ones has shorter tails. Messages of an invocation that raised or
    timed out stay hidden for the whole `visibility_timeout` instead.
    """
    mean = variance = least = 0.0
    for receive in itertools.count(1):
        shortest, longest = visibility(receive, 0.0), visibility(receive, _MAX_CHANCE)
        mean += (shortest + longest) / 2
        variance += (longest - shortest) ** 2 / 12
        least += shortest
        yield min(max(least, mean + _QUANTILE * math.sqrt(variance)), receive * visibility_timeout)


def receives_needed(outage: float, visibility_timeout: int) -> int:
    """The least maxReceiveCount that outlives `outage` seconds; one more than `MAX_RECEIVES` if none does."""
    within_reach = itertools.islice(survived(visibility_timeout), MAX_RECEIVES)
    for receives, seconds in enumerate(within_reach, start=1):
        if seconds >= outage and receives >= MIN_RECEIVES:
            return receives
    return MAX_RECEIVES + 1


def outage_survived(receives: int, visibility_timeout: int) -> float:
    """Seconds of an outage that messages outlive with this maxReceiveCount."""
    return next(itertools.islice(survived(visibility_timeout), receives - 1, None))
