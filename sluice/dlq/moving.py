"""SQS moves the letters itself: StartMessageMoveTask, watched until it ends.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from sluice.cli import CommandError, Progress, counted

MAX_RATE = 500  # Messages a second (StartMessageMoveTask API reference).
LOOK = 2.0
"""Seconds between looks at a task."""
_REFUSALS = ("UnsupportedOperation", "ResourceNotFound", "InvalidAddress", "InvalidAction", "AccessDenied")
"""It is no queue that SQS moves from, nobody may, or the endpoint knows no tasks: each letter is sent instead."""


class CannotMove(Exception):
    """SQS does not move these letters; the text says why."""


def move(
    sqs: Any,
    source_arn: str,
    destination_arn: str,
    *,
    rate: int | None,
    wait: Callable[[float], object],
    check: Callable[[], None],
    show: Progress,
) -> int:
    """Move all letters; how many have been moved.

    Raises `CannotMove` where SQS refuses, `CommandError` where the task fails, and what `check` raises after the task
    has been cancelled.
    """
    # Always with a destination: SQS knows none for letters that the function sent (CouldNotDetermineMessageSource).
    request: dict[str, Any] = {"SourceArn": source_arn, "DestinationArn": destination_arn}
    if rate is not None:
        request["MaxNumberOfMessagesPerSecond"] = min(rate, MAX_RATE)
    try:
        handle = sqs.start_message_move_task(**request)["TaskHandle"]
    except ClientError as error:
        code = str(error.response["Error"].get("Code", ""))
        # A bare status in place of a code is no answer of SQS, but of a local one that knows no such call.
        if not code.isdecimal() and not any(refusal in code for refusal in _REFUSALS):
            raise
        raise CannotMove(code) from error
    while True:
        task = sqs.list_message_move_tasks(SourceArn=source_arn, MaxResults=1)["Results"][0]
        moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
        show(moved)
        match task["Status"]:
            case "COMPLETED":
                return moved
            case "FAILED" | "CANCELLED":
                reason = task.get("FailureReason", "it was cancelled")
                raise CommandError(f"SQS moved {counted(moved, 'letter')} and then stopped: {reason}")
        wait(LOOK)
        try:
            check()
        except BaseException:
            sqs.cancel_message_move_task(TaskHandle=handle)  # What has been moved stays moved.
            raise
