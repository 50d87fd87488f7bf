"""Everything about the stack that can be chosen, what follows from it, and what contradicts itself."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast

from functions.batch_writer.envelope import Envelope
from functions.batch_writer.errors import SettingsError
from functions.batch_writer.messages import parse_json
from functions.batch_writer.settings import KEY_TYPES, KeyAttribute, KeyType

DEAD_LETTER_RETENTION = 14
"""Days, SQS's maximum (CreateQueue API reference): time to find out, mend and send again."""

LONGEST_BACKOFF = 900
"""Seconds that the function may leave a message to a busy table before its next attempt."""

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


class ConfigError(ValueError):
    """A setting of the stack that is unknown, out of range, or at odds with another."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is read from CDK context, and why it stands where it stands."""

    parse: Callable[[Any], Any]
    """Takes a JSON value, or the text after `-c name=`; raises `ValueError` with what it must be."""
    reason: str


def _read_by(parse: Callable[[Any], Any], reason: str) -> dict[str, Setting]:
    return {"setting": Setting(parse, reason)}


def _whole(low: int, high: int, unit: str) -> Callable[[Any], int]:
    what = f"a whole number of {unit} from {low} to {high}"

    def parse(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(what) from None
        if type(number) is not int or not low <= number <= high:
            raise ValueError(what)
        return number

    return parse


def _number(low: float, high: float, unit: str) -> Callable[[Any], float]:
    what = f"a number of {unit} from {low:g}" + (f" to {high:g}" if high < math.inf else "")

    def parse(value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(what) from None
        if not (low <= number <= high and math.isfinite(number)):
            raise ValueError(what)
        return number

    return parse


def _choice(values: Mapping[Any, Any] | tuple[Any, ...], unit: str = "") -> Callable[[Any], Any]:
    by_text = {str(value): value for value in values}

    def parse(value: Any) -> Any:
        if str(value) not in by_text:
            raise ValueError(f"one of {', '.join(by_text)}{unit}")
        return by_text[str(value)]

    return parse


def _matching(pattern: str, what: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(what)
        return value

    return parse


def _key(value: Any) -> KeyAttribute:
    name, _, kind = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    # Names of key attributes: 1 to 255 bytes of UTF-8 (DynamoDB developer guide, Constraints).
    if kind not in KEY_TYPES or not 1 <= len(name.encode()) <= 255:
        raise ValueError("an attribute's name of 1 to 255 bytes and its type S, N or B, such as 'pk:S'")
    return KeyAttribute(name, cast("KeyType", kind))


def _attribute_name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= 65_535:
        raise ValueError("an attribute's name of 1 to 65,535 bytes")
    return value


def _flag(value: Any) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError("true or false")
    return str(value).lower() == "true"


def _expression(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a JMESPath expression")
    try:
        Envelope(value, parse_json)
    except SettingsError as error:
        raise ValueError(f"a JMESPath expression ({error})") from None
    return value


def _optional(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value in ("", None) else parse(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The stack's settings; `from_context` checks each by itself and all of them together."""

    stack_name: str = field(
        default="Sluice",
        metadata=_read_by(
            _matching(r"[A-Za-z][A-Za-z0-9-]{0,127}", "1 to 128 letters, digits and hyphens, beginning with a letter"),
            "CloudFormation's rule for names. It also names the dashboard and tells the metrics of stacks apart.",
        ),
    )

    partition_key: KeyAttribute = field(
        default=KeyAttribute("pk", "S"),
        metadata=_read_by(_key, "A table's key cannot be changed later: choose it before the first deploy."),
    )
    sort_key: KeyAttribute | None = field(
        default=None,
        metadata=_read_by(
            _optional(_key), "Without one a message has the least to bring. As final as the partition key."
        ),
    )
    table_removal: Literal["retain", "destroy"] = field(
        default="retain",
        metadata=_read_by(
            _choice(("retain", "destroy")),
            "Data outlives the stack and is protected from deletion; `destroy` is for stacks to be thrown away.",
        ),
    )

    record_format: Literal["operation", "item"] = field(
        default="operation",
        metadata=_read_by(
            _choice(("operation", "item")), "`item` is for producers that send items and know of no operations."
        ),
    )
    record_expression: str | None = field(
        default=None,
        metadata=_read_by(_optional(_expression), "Needed only where SNS, EventBridge or others wrap the records."),
    )

    version_attribute: str | None = field(
        default=None,
        metadata=_read_by(
            _optional(_attribute_name),
            "With one the newest version wins, whatever order messages come in; such writes go one by one.",
        ),
    )
    on_condition_failed: Literal["skip", "dead-letter"] = field(
        default="skip",
        metadata=_read_by(
            _choice(("skip", "dead-letter")), "A condition that does not hold is mostly what it was written for."
        ),
    )
    update_once: bool = field(
        default=False,
        metadata=_read_by(
            _flag, "Only updates that add or append need it; it costs twice the write units, by transactions."
        ),
    )

    memory: int = field(
        default=1769,
        metadata=_read_by(
            _whole(128, 10_240, "MB"),
            "One vCPU (Lambda developer guide, Configure memory): all that one Python process can use.",
        ),
    )
    timeout: int = field(
        default=60,
        metadata=_read_by(
            _whole(1, 900, "seconds"),
            "Rides out a burst of throttling inside one invocation; the queue hides a batch six times as long.",
        ),
    )
    deadline_margin: float = field(
        default=5.0,
        metadata=_read_by(_number(0.5, 60, "seconds"), "Kept back from the timeout to report what was written."),
    )
    max_connections: int = field(
        default=8,
        metadata=_read_by(
            _whole(1, 50, "connections"),
            "BatchWriteItem calls in flight at once: at 10 ms a call, as many as one vCPU can keep busy.",
        ),
    )
    max_write_units_per_second: float = field(
        default=math.inf,
        metadata=_read_by(
            _number(1, math.inf, "write units per second"),
            "An on-demand table throttles where it must. It is for all invocations together.",
        ),
    )

    batch_size: int = field(
        default=1000,
        metadata=_read_by(
            _whole(1, 10_000, "messages"),
            "One-record messages: 40 full calls, one second of a partition, and little to repeat after a crash.",
        ),
    )
    batching_window: int = field(
        default=5,
        metadata=_read_by(
            _whole(0, 300, "seconds"),
            "Five records a second are enough to fill a call of 25; a full batch does not wait.",
        ),
    )
    max_concurrency: int = field(
        default=10,
        metadata=_read_by(
            _whole(2, 1000, "invocations"),
            "Leaves the account's concurrency to others, yet can ask for all that a new on-demand table takes.",
        ),
    )

    queue_retention: int = field(
        default=4,
        # Dead letters keep the time at which they were first sent, so theirs must be longer.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        metadata=_read_by(
            _whole(1, DEAD_LETTER_RETENTION - 1, f"days, less than the {DEAD_LETTER_RETENTION} of dead letters,"),
            "SQS's default: longer than a weekend.",
        ),
    )
    max_receive_count: int = field(
        default=20,
        # AWS advises 5 or more for Lambda: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        metadata=_read_by(
            _whole(5, 1000, "receives"),
            "With the function's backoff, about an hour and a half of a table that takes nothing.",
        ),
    )
    log_retention: int = field(
        default=30,
        metadata=_read_by(
            _choice(LOG_RETENTIONS, " days (CloudWatch Logs has no others)"), "A month to look into a dead letter."
        ),
    )
    alarm_email: str | None = field(
        default=None,
        metadata=_read_by(
            _optional(_matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")),
            "Without one, alarms go to the topic alone.",
        ),
    )

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Config:
        """Read CDK context. Raises `ConfigError`, which names the settings and their values."""
        settings = {_camel_case(f.name): (f.name, f.metadata["setting"]) for f in fields(cls)}
        given = {}
        for key, value in context.items():
            if key in settings:
                name, setting = settings[key]
                try:
                    given[name] = setting.parse(value)
                except ValueError as error:
                    raise ConfigError(f"{key} must be {error}, got {value!r}") from None
            elif not _belongs_to_cdk(key):
                raise ConfigError(f"unknown setting {key!r}; {_suggestion(key, list(settings))}")
        config = cls(**given)
        config._refuse_contradictions()
        return config

    @property
    def visibility_timeout(self) -> int:
        """Seconds, six timeouts and the window, so that throttled invocations can be repeated unseen.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        return 6 * self.timeout + self.batching_window

    @property
    def write_units_per_invocation(self) -> float:
        """One invocation's share of `max_write_units_per_second`, were all of them to run."""
        return self.max_write_units_per_second / self.max_concurrency

    @property
    def alarming_message_age(self) -> int:
        """Seconds; a message older than two whole visibility timeouts was not merely unlucky once."""
        return max(LONGEST_BACKOFF, 2 * self.visibility_timeout)

    def _refuse_contradictions(self) -> None:
        if self.batch_size > 10 and self.batching_window < 1:
            raise ConfigError(
                f"batchSize {self.batch_size} needs a batchingWindow of 1 second or more,"
                f" got {self.batching_window} (Lambda waits only for batches of more than 10)"
            )
        if self.deadline_margin > self.timeout / 2:
            raise ConfigError(
                f"deadlineMargin {self.deadline_margin:g} must be at most half of timeout {self.timeout},"
                " or no time is left to write"
            )
        if self.max_write_units_per_second < self.max_concurrency:
            raise ConfigError(
                f"maxWriteUnitsPerSecond {self.max_write_units_per_second:g} must be at least"
                f" maxConcurrency {self.max_concurrency}: one unit a second for each invocation"
            )
        keys = [key.name for key in (self.partition_key, self.sort_key) if key is not None]
        if self.version_attribute in keys:
            raise ConfigError(
                f"versionAttribute {self.version_attribute!r} must not be an attribute of partitionKey or sortKey,"
                f" got {' and '.join(keys)}: keys never change"
            )
        if self.sort_key is not None and self.sort_key.name == self.partition_key.name:
            raise ConfigError(
                "partitionKey and sortKey must be different attributes,"
                f" got {self.partition_key.name!r} and {self.sort_key.name!r}"
            )
        # Otherwise SQS deletes a message for its age before it counts as failed, and no dead letter tells of it.
        days = self.max_receive_count * max(self.visibility_timeout, LONGEST_BACKOFF) / 86_400
        if days >= self.queue_retention:
            raise ConfigError(
                f"queueRetention {self.queue_retention} must be more than the {days:.1f} days that"
                f" maxReceiveCount {self.max_receive_count} attempts may take with timeout {self.timeout}"
            )


def settings_table() -> str:
    """Every setting with its default, its range and its reason, as the Markdown table in docs/settings.md."""
    rows = ["| setting | default | must be | why |", "|---|---|---|---|"]
    for each in fields(Config):
        setting = each.metadata["setting"]
        rows.append(
            f"| `{_camel_case(each.name)}` | {_shown(each.default)} | {_requirement(setting)} | {setting.reason} |"
        )
    return "\n".join(rows)


def _requirement(setting: Setting) -> str:
    try:
        setting.parse(object())  # No setting is one: the refusal says what it must be.
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{setting} takes anything")


def _shown(default: Any) -> str:
    if default is None or default == math.inf:
        return "none"
    if isinstance(default, KeyAttribute):
        return f"`{default.name}:{default.type}`"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _belongs_to_cdk(key: str) -> bool:
    # Feature flags and look-ups hold one of these characters; the rest are what the CLI itself stores.
    return any(mark in key for mark in ":/@") or key in ("cli-telemetry", "acknowledged-issue-numbers")


def _suggestion(key: str, known: list[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower(), lower, n=1)
    return f"did you mean {lower[close[0]]}?" if close else f"there are {', '.join(known)}"


if __name__ == "__main__":
    import sys

    sys.stdout.write(settings_table() + "\n")
