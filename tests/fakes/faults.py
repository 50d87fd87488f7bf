"""What can go wrong with a call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Request = dict[str, Any]
Predicate = Callable[[str, Request], bool]


class Sleeper(Protocol):
    """A Clock, or the time module where a test really waits."""

    def sleep(self, seconds: float, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """The last `count` requests of the call come back in UnprocessedItems, the others are applied."""

    count: int


@dataclass(frozen=True, slots=True)
class UnprocessedIf:
    """The requests for which predicate(table, request) is true come back, the others are applied."""

    predicate: Predicate


@dataclass(frozen=True, slots=True)
class Throttle:
    """The whole call is throttled.

    Codes: ProvisionedThroughputExceededException, ThrottlingException, RequestLimitExceeded.
    """

    code: str = "ProvisionedThroughputExceededException"
    reason: str = "TableWriteProvisionedThroughputExceeded"


@dataclass(frozen=True, slots=True)
class Canceled:
    """The whole transaction is canceled because of its first element, for a reason other than its condition.

    Reasons: TransactionConflict, ThrottlingError, ProvisionedThroughputExceeded, ItemCollectionSizeLimitExceeded.
    """

    reason: str = "TransactionConflict"


@dataclass(frozen=True, slots=True)
class ServerError:
    """The service failed; with `applied` only after it had written everything."""

    code: str = "InternalServerError"
    status: int = 500
    applied: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection broke; with `applied` on the way back, when everything was written."""

    applied: bool = False


@dataclass(frozen=True, slots=True)
class Timeout:
    """No answer in time; with `applied` although everything was written."""

    applied: bool = False


@dataclass(frozen=True, slots=True)
class Raised:
    """botocore itself raises this error; with `applied` when everything was written. Not for the HTTP server."""

    error: Exception
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Status 200, but botocore finds no member in the body (cut off, or a proxy's page); `applied` or not."""

    applied: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Any other error of the service, such as AccessDeniedException."""

    code: str
    message: str = ""
    status: int = 400


@dataclass(frozen=True, slots=True)
class RejectIf:
    """ValidationException for the whole call if predicate(table, request) is true of any request in it."""

    predicate: Predicate
    message: str = "One or more parameter values were invalid"


@dataclass(frozen=True, slots=True)
class Delay:
    """`clock.sleep(seconds)` before the call is looked at; then `then`."""

    seconds: float
    clock: Sleeper
    then: "Fault | None" = None


Fault = (
    Unprocessed
    | UnprocessedIf
    | Throttle
    | Canceled
    | ServerError
    | ConnectionLost
    | Timeout
    | Raised
    | Unreadable
    | Refusal
    | RejectIf
    | Delay
)
