"""DynamoDB and SQS through boto3: all but the short way of BatchWriteItem, and that too where it must not be taken.

Loaded when it is first needed, as boto3 takes longer to load than all the rest together.
"""

from __future__ import annotations

import contextvars
import os
import re
import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import botocore.credentials
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies

from . import endpoint
from .answer import Answer, NoAnswer, NotConfigured, Refusal
from .endpoint import Endpoint
from .signature import Credentials

READ_TIMEOUTS = (1, 2, 4, 8)  # Seconds.

_REGION = re.compile("[a-z]+(-[a-z]+)+-[0-9]+")  # Not "local", which is signed for another one.

_body: contextvars.ContextVar[bytes | None] = contextvars.ContextVar("body", default=None)
"""What this thread's BatchWriteItem shall send."""


class Sdk:
    """boto3's clients; DynamoDB's by how long a call may take, so that one that hangs leaves time for another."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._core = botocore.session.Session()
        self._session = boto3.Session(botocore_session=self._core)
        self._lock = threading.Lock()  # boto3 makes one client at a time.
        self._by_timeout: dict[int, Any] = {}

    def batch_write(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer:
        """BatchWriteItem with a body that is JSON already: boto3 gets no more than the names of the tables."""
        token = _body.set(body)
        try:
            nothing: dict[str, Any] = {table: [{"PutRequest": {"Item": {}}}] for table in tables}
            return answer(self.client(seconds), "batch_write_item", {"RequestItems": nothing})
        finally:
            _body.reset(token)

    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        """Any other operation, by the name that boto3's clients give it."""
        return answer(self.client(seconds), operation, arguments)

    def sqs(self) -> Any:
        """A client for SQS; its calls are repeated once."""
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=self._connections,
            connect_timeout=1,
            read_timeout=2,
        )
        with self._lock:
            return self._new("sqs", config)

    def client(self, seconds: float) -> Any:
        """The client for a call that must be over in so many seconds: it takes half of them at most."""
        timeout = max([choice for choice in READ_TIMEOUTS if choice <= seconds / 2], default=READ_TIMEOUTS[0])
        with self._lock:
            if timeout not in self._by_timeout:
                self._by_timeout[timeout] = self._made(timeout)
            return self._by_timeout[timeout]

    def endpoint(self) -> Endpoint | None:
        """Where boto3 would send a BatchWriteItem, and as whom; None where only boto3 knows how."""
        client = self.client(READ_TIMEOUTS[-1] * 2)
        url, region, config = client.meta.endpoint_url.rstrip("/"), client.meta.region_name, client.meta.config
        is_usual = (
            _REGION.fullmatch(region)
            and config.signature_version == "v4"
            and not config.client_cert
            and not self._core.get_config_variable("auth_scheme_preference")
            and not get_environ_proxies(url)
        )
        source = self._session.get_credentials()
        if source is None or not is_usual:
            return None

        def credentials() -> Credentials | None:
            try:
                frozen = source.get_frozen_credentials()  # Refreshed where they are about to expire.
            except BotoCoreError:  # boto3's own call will say what is wrong.
                return None
            if frozen.account_id:  # Then the host depends on the account.
                return None
            found = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
            return found if endpoint.are_printable(found) else None

        bundle = self._core.get_config_variable("ca_bundle") or endpoint.ca_bundle(os.environ)
        # Any other kind may ask a service for new ones before they expire.
        are_static = type(source) is botocore.credentials.Credentials
        return endpoint.at(url, region, bundle, credentials, are_static=are_static)

    def _made(self, timeout: int) -> Any:
        config = Config(
            # Retries are the writer's: it knows the deadline, the pace, and which of the 25 are still to be written.
            retries={"mode": "standard", "total_max_attempts": 1},
            parameter_validation=False,  # Every request has been checked more strictly than botocore would.
            max_pool_connections=self._connections,
            connect_timeout=min(timeout, 2),
            read_timeout=timeout,
            tcp_keepalive=True,
            user_agent_extra="Sluice",
        )
        client = self._new("dynamodb", config)
        client.meta.events.register("before-call.dynamodb.BatchWriteItem", _send_body)
        client.meta.events.register("before-parse.dynamodb", _check_checksum)
        return client

    def _new(self, service: str, config: Config) -> Any:
        is_replaced = getattr(boto3.client, "__module__", None) != "boto3"
        return (boto3.client if is_replaced else self._session.client)(service, config=config)


def answer(client: Any, operation: str, arguments: Mapping[str, Any]) -> Answer:
    """What the service answers, or why it does not. Raises only what is a defect."""
    try:
        said: Mapping[str, Any] = getattr(client, operation)(**arguments)
    except ClientError as error:
        return _refusal(error.response)
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        return NotConfigured(str(error))
    except ParamValidationError:
        raise
    except (HTTPClientError, BotoCoreError, ResponseParserError) as error:  # Connection, timeout, an unreadable answer.
        return NoAnswer(type(error).__name__)
    return said


def _refusal(response: Mapping[str, Any]) -> Refusal:
    details = response.get("Error", {})
    code, words, stored = details.get("Code", ""), details.get("Message", ""), response.get("Item")
    if code == "TransactionCanceledException" and (reasons := response.get("CancellationReasons")):
        code, words, stored = reasons[0].get("Code"), reasons[0].get("Message"), reasons[0].get("Item")
    return Refusal(str(code), str(words), stored)


def _send_body(params: dict[str, Any], **_: Any) -> None:
    body = _body.get()
    if body is not None:
        params["body"] = body


def _check_checksum(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse a spoilt answer: botocore compares the checksum only to decide on a retry, and then takes the answer."""
    expected = response_dict["headers"].get("x-amz-crc32")
    actual = zlib.crc32(response_dict["body"])
    if expected is not None and expected != str(actual):
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)
