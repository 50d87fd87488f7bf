"""What a call to DynamoDB may come to: an answer in JSON, or one of three reasons why there is none."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the service: its code, its words, and the stored item where a condition failed."""

    code: str
    words: str
    stored: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing came back that can be believed; the call may or may not have been carried out."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotConfigured:
    """There was no call: credentials or region are missing."""

    reason: str


Answer = Mapping[str, Any] | Refusal | NoAnswer | NotConfigured

_decode = msgspec.json.Decoder().decode


def understood(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """What an HTTP answer of AWS's JSON protocol 1.0 says; `headers` by name in lower case.

    A spoilt answer is none: an UnprocessedItems that got lost in it would read as "all written".
    https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
    """
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(content)):
        return NoAnswer("a checksum that does not match")
    try:
        said = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = None
    if status != 200:
        return _refusal(status, headers, said or {})
    return NoAnswer("an answer that cannot be read") if said is None else said


def _refusal(status: int, headers: Mapping[str, str], said: Mapping[str, Any]) -> Refusal:
    # Without a code the status has to do, as in boto3. "prefix#Code:https://..." has more than the code.
    code = str(said.get("__type", status)).partition(":")[0].rpartition("#")[2]
    if query_error := headers.get("x-amzn-query-error"):  # "Code;Sender": what the service called it before JSON.
        code = query_error.partition(";")[0] or code
    return Refusal(code, str(said.get("message", said.get("Message", ""))))
