"""What a call to AWS may come to: an answer in JSON, or one of three reasons why there is none."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sluice.message import items
from sluice.message.items import Rejected


class ThrottlingReason(msgspec.Struct, frozen=True):
    """Which limit a throttled call met, and of what.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html
    """

    reason: str
    """Resource, operation and limit, such as TableWriteKeyRangeThroughputExceeded or IndexWriteAccountLimitExceeded."""
    table: str = ""
    """Empty where the answer does not say."""
    index: str = ""

    @property
    def is_of_a_part(self) -> bool:
        """A range of keys or an index is too fast; the table may take other writes."""
        return self.reason.startswith("Index") or "KeyRange" in self.reason

    def __str__(self) -> str:
        resource = f"{self.table}/index/{self.index}" if self.index else self.table
        return f"{self.reason} of {resource}" if resource else self.reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the service: its code, its words, and the stored item where a condition failed."""

    code: str
    words: str
    stored: Mapping[str, Any] | None = None
    status: int = field(default=400, compare=False)
    """Of HTTP: 500 or more is the service's own trouble."""
    reasons: Sequence[ThrottlingReason] = ()
    """Of a throttled call; none where the answer gives none that can be understood."""

    @property
    def name(self) -> str:
        """The code as it may stand in a log: what does not look like one may be what was sent."""
        return self.code if _CODE.fullmatch(self.code) else "an error without a code"

    @property
    def is_out_of_date(self) -> bool:
        """Whether time or credentials were those of a while ago: Lambda was frozen, or they have expired meanwhile."""
        return self.code in _OUT_OF_DATE or self.words.startswith(_IS_OUT_OF_DATE)


class NoAnswer(msgspec.Struct, frozen=True):
    """Nothing came back that can be believed; the call may or may not have been carried out."""

    reason: str


class NotConfigured(msgspec.Struct, frozen=True):
    """There was no call: credentials or region are missing."""

    reason: str


Answer = Mapping[str, Any] | Refusal | NoAnswer | NotConfigured
Decode = Callable[[bytes], dict[str, Any] | None]
"""What an answer's content says, None where it cannot be read."""

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
_OUT_OF_DATE = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired", "RequestTimeTooSkewed"})
# Of an InvalidSignatureException or one of its kin. Only how the words begin counts: further on they may quote.
_IS_OUT_OF_DATE = (
    "Signature expired",
    "Signature not yet current",
    "The security token included in the request is exp",
)

_CODE = re.compile("[A-Za-z0-9._-]{1,100}")
_REASON = re.compile("(Table|Index)(Read|Write)[A-Za-z]{1,80}")
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
_RESOURCE = re.compile(
    "arn:[a-z-]+:dynamodb:[^:]*:[^:]*:table/([A-Za-z0-9_.-]{1,255})(?:/index/([A-Za-z0-9_.-]{1,255}))?"
)

_UNREADABLE: Mapping[str, Any] = {"": None}
"""In the place of a stored item that is none."""

_decode = msgspec.json.Decoder().decode


def understood(status: int, headers: Mapping[str, str], content: bytes, decode: Decode | None = None) -> Answer:
    """What an HTTP answer of AWS's JSON protocol 1.0 says; `headers` by name in lower case. `decode` reads a success.

    A corrupt answer counts as no answer: an UnprocessedItems lost in it would read as "all written".
    https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
    """
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(content)):
        return NoAnswer("a checksum that does not match")
    if status != 200:
        return _refusal(status, headers, json_object(content) or {})
    said = (decode or json_object)(content)
    return NoAnswer("an answer that cannot be read") if said is None else said


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that the bytes are; None where they are anything else."""
    try:
        said = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def error_code(said: Mapping[str, Any]) -> str | None:
    """What an error is called: of "prefix#Code:https://..." the code; None where nothing can be read."""
    name = said.get("__type")
    return name.partition(":")[0].rpartition("#")[2] if isinstance(name, str) else None


def throttling_reasons(said: Mapping[str, Any]) -> Sequence[ThrottlingReason]:
    """Of an error's members, those that look as they must: they are logged, and others may be what was sent.

    ThrottlingException spells the member's name in lower case, the other errors do not.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html#API_BatchWriteItem_Errors
    """
    listed = said.get("ThrottlingReasons", said.get("throttlingReasons"))
    found = []
    for each in listed if isinstance(listed, list) else ():
        reason, resource = (each.get("reason"), each.get("resource")) if isinstance(each, dict) else (None, None)
        if isinstance(reason, str) and _REASON.fullmatch(reason):
            named = _RESOURCE.fullmatch(resource) if isinstance(resource, str) else None
            found.append(ThrottlingReason(reason, *(named.groups("") if named else ())))
    return tuple(found)


def _refusal(status: int, headers: Mapping[str, str], said: Mapping[str, Any]) -> Refusal:
    code = error_code(said)
    if code is None:  # Then the status has to do, as in boto3.
        code = str(status)
    if query_error := headers.get("x-amzn-query-error"):  # "Code;Sender": what the service called it before JSON.
        code = query_error.partition(";")[0] or code
    words = said.get("message", said.get("Message", ""))
    stored = said.get("Item")
    if code == "TransactionCanceledException" and isinstance(reason := _first_reason(said), dict):
        code, words, stored = str(reason.get("Code", "")), reason.get("Message", ""), reason.get("Item")
    return Refusal(code, words if isinstance(words, str) else "", _item(stored), status, throttling_reasons(said))


def _first_reason(said: Mapping[str, Any]) -> Any:
    """Of the transaction's first operation; no transaction here has more."""
    reasons = said.get("CancellationReasons")
    return reasons[0] if isinstance(reasons, list) and reasons else None


def _item(stored: Any) -> Mapping[str, Any] | None:
    """The attributes of an item in an answer, with binary decoded."""
    if stored is None:
        return None
    try:
        return items.native_item(stored)[0]
    except (Rejected, RecursionError):
        return _UNREADABLE
