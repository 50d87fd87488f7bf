"""DynamoDB and SQS through boto3, where a call must not go straight over HTTP: see `Route`.

Loaded when it is first needed, as boto3 takes longer to load than all the rest together.
"""

from __future__ import annotations

import contextvars
import math
import os
import re
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.credentials
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies

from . import endpoint, shapes, unreached
from .answer import Answer, NoAnswer, NotConfigured, Refusal, error_code, json_object, throttling_reasons
from .endpoint import Endpoint
from .signature import Credentials

READ_TIMEOUTS = (1, 2, 4, 8)  # Seconds.

_REGION = re.compile("[a-z]+(-[a-z]+)+-[0-9]+")  # Not "local", which is signed for another one.

_body: contextvars.ContextVar[bytes | None] = contextvars.ContextVar("body", default=None)
"""What this thread's BatchWriteItem shall send."""
_ends: contextvars.ContextVar[float] = contextvars.ContextVar("ends", default=math.inf)
"""When this thread's call must have been sent, of `time.monotonic`: nobody waits for what is sent later."""


class TooLateError(BotoCoreError):  # type: ignore[misc]  # botocore has no types.
    """Connecting, credentials or an earlier attempt have taken all the time that a call had."""

    fmt = "no time was left to send it"


class BotoClient:
    """boto3's clients; DynamoDB's by how long a call may take, so that one that hangs leaves time for another."""

    def __init__(self, connections: int, *, session: Any = None, url: str | None = None) -> None:
        """By the environment, or by a boto3 `session` of the caller's and the `url` of its DynamoDB."""
        self._connections = connections
        self._given, self._url = session, url
        self._lock = threading.Lock()  # boto3 makes one client at a time.
        self._by_timeout: dict[int, Any] = {}
        self._sqs: Any = None
        self.renew()

    def renew(self) -> None:
        """Begin anew: credentials are asked for where they come from, whatever they were until now.

        Those of a caller's own session are asked for by that.
        """
        session = self._given or _session()
        with self._lock:
            self._core, self._session = session._session, session
            self._by_timeout.clear()
            self._sqs = None

    def batch_write(self, tables: Sequence[str], body: bytes, seconds: float) -> Answer:
        """BatchWriteItem with a body that is JSON already: boto3 gets no more than the names of the tables."""
        token = _body.set(body)
        try:
            nothing: dict[str, Any] = {table: [{"PutRequest": {"Item": {}}}] for table in tables}
            return self.call("batch_write_item", {"RequestItems": nothing}, seconds)
        finally:
            _body.reset(token)

    def call(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        """Any other operation of DynamoDB, by the name that boto3's clients give it."""
        started = time.monotonic()
        client = self.client(seconds)
        return answer(client, operation, arguments, seconds=seconds - (time.monotonic() - started))

    def call_sqs(self, operation: str, arguments: Mapping[str, Any], seconds: float) -> Answer:
        """An operation of SQS, by the name that boto3's clients give it."""
        started = time.monotonic()
        try:
            client = self.sqs()
        except BotoCoreError as error:  # SQS has settings of its own; what is written stays written.
            return NotConfigured(str(error))
        return answer(client, operation, arguments, seconds=seconds - (time.monotonic() - started))

    def sqs(self) -> Any:
        """The client for SQS."""
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=self._connections,
            connect_timeout=1,
            read_timeout=2,
        )
        with self._lock:
            if self._sqs is None:
                self._sqs = self._new("sqs", config)
            return self._sqs

    def client(self, seconds: float) -> Any:
        """The client for a call that must be over in so many seconds: it takes half of them at most."""
        timeout = max([choice for choice in READ_TIMEOUTS if choice <= seconds / 2], default=READ_TIMEOUTS[0])
        with self._lock:
            if timeout not in self._by_timeout:
                self._by_timeout[timeout] = self._made(timeout)
            return self._by_timeout[timeout]

    def describe_table(self, name: str) -> Mapping[str, Any]:
        """DynamoDB's description of a table. Raises what boto3 raises."""
        table: Mapping[str, Any] = self.client(READ_TIMEOUTS[-1] * 2).describe_table(TableName=name)["Table"]
        return table

    def sqs_url(self) -> str:
        """Where SQS is; empty where its settings make no client, of which the call itself will say what is wrong."""
        try:
            return str(self.sqs().meta.endpoint_url).rstrip("/")
        except BotoCoreError:
            return ""

    def endpoint(self) -> Endpoint | None:
        """Where boto3 would send a call to DynamoDB, and as whom; None where only boto3 knows how."""
        client = self.client(READ_TIMEOUTS[-1] * 2)
        url, region, config = client.meta.endpoint_url.rstrip("/"), client.meta.region_name, client.meta.config
        is_usual = (
            _REGION.fullmatch(region)
            and config.signature_version == "v4"
            and not config.client_cert
            and not self._core.get_config_variable("auth_scheme_preference")
            and not get_environ_proxies(url)
        )
        session = self._session
        source = session.get_credentials()
        if source is None or not is_usual:
            return None

        def credentials() -> Credentials | None:
            try:
                current = self._session.get_credentials()  # Others, after `renew`.
                if current is None:
                    return None
                frozen = current.get_frozen_credentials()  # Refreshed where they are about to expire.
            except BotoCoreError:  # boto3's own call will say what is wrong.
                return None
            if frozen.account_id:  # Then the host depends on the account.
                return None
            found = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
            return found if endpoint.are_printable(found) else None

        bundle = self._core.get_config_variable("ca_bundle")

        def are_at_hand() -> bool:
            # Those that expire are asked for anew some minutes before; nobody knows of any other kind.
            if type(source) is botocore.credentials.Credentials:
                return True
            is_known = isinstance(source, botocore.credentials.RefreshableCredentials) and self._session is session
            return is_known and not source.refresh_needed()

        return endpoint.at(url, "dynamodb", region, os.environ, credentials, bundle=bundle, are_at_hand=are_at_hand)

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
        return client

    def _new(self, service: str, config: Config) -> Any:
        if self._given is not None:
            client = self._given.client(service, config=config, endpoint_url=self._url)
        else:
            config = config.merge(Config(region_name=endpoint.region(os.environ) or None))
            is_replaced = getattr(boto3.client, "__module__", None) != "boto3"
            client = (boto3.client if is_replaced else self._session.client)(service, config=config)
        client.meta.events.register(f"before-send.{service}", _check_time)
        client.meta.events.register(f"before-parse.{service}", _check_answer)
        return client


def session_of(client: Any) -> Any:
    """A session that signs as a client does that the caller has made, in its region."""
    core = botocore.session.Session()
    core.set_config_variable("region", client.meta.region_name)
    core._credentials = client._get_credentials()  # Refreshed as the client's own are.
    return boto3.Session(botocore_session=core)


def _session() -> Any:
    core = botocore.session.Session()
    region = endpoint.region(os.environ)
    if region:  # boto3 by itself knows only one of the two variables.
        core.set_config_variable("region", region)
    return boto3.Session(botocore_session=core)


def answer(client: Any, operation: str, arguments: Mapping[str, Any], *, seconds: float = math.inf) -> Answer:
    """What the service answers, or why it does not. Raises only what is a defect.

    It is sent within so many seconds or not at all.
    """
    token = _ends.set(time.monotonic() + seconds)
    try:
        said: Mapping[str, Any] = getattr(client, operation)(**arguments)
    except ClientError as error:
        return _refusal(error.response)
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        return NotConfigured(str(error))
    except ParamValidationError:
        raise
    except (HTTPClientError, BotoCoreError, ResponseParserError, RecursionError) as error:
        return NoAnswer(_no_answer(error))
    finally:
        _ends.reset(token)
    return said


def _no_answer(error: Exception) -> str:
    if isinstance(error, ResponseParserError | RecursionError):
        return "an answer that cannot be read"
    if isinstance(error, ChecksumError):
        return "a checksum that does not match"
    if isinstance(error, TooLateError):
        return str(error)
    about = getattr(error, "kwargs", {})
    proxy, url = about.get("proxy_url"), about.get("endpoint_url")
    if not (proxy or url or isinstance(error, HTTPClientError)):
        return type(error).__name__  # The words of others may quote what nobody should read.
    host = urlsplit(str(proxy or url or "")).netloc.rpartition("@")[2] or "the service"
    if isinstance(error, ConnectTimeoutError):
        return f"could not connect to {host}: timed out"
    return unreached.reason(error, f"the proxy {host}" if proxy else host)


def _refusal(response: Mapping[str, Any]) -> Refusal:
    details = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    code, words, stored = details.get("Code", ""), details.get("Message", ""), response.get("Item")
    if code == "TransactionCanceledException" and (reasons := response.get("CancellationReasons")):
        code, words, stored = reasons[0].get("Code"), reasons[0].get("Message"), reasons[0].get("Item")
    return Refusal(str(code), str(words), stored, status, throttling_reasons(response))


def _send_body(params: dict[str, Any], **_: Any) -> None:
    body = _body.get()
    if body is not None:
        params["body"] = body


def _check_time(**_: Any) -> None:
    if time.monotonic() > _ends.get():
        raise TooLateError()


def _check_answer(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    """Let botocore's parser see only what it can parse: a success as it must be, an error by its status at least.

    Of an answer with another checksum nothing is believed: botocore itself compares it only to decide on a retry.
    """
    status, body = response_dict["status_code"], response_dict["body"]
    expected = response_dict["headers"].get("x-amz-crc32")
    actual = zlib.crc32(body)
    if expected is not None and expected.strip() != str(actual):
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)
    said = json_object(body)
    if status == 200:
        if said is None or not shapes.fits(said, operation_model.output_shape):
            raise ResponseParserError("not what the service answers")
    elif status < 301:  # botocore would take it for a success.
        raise ResponseParserError(f"status {status}")
    elif said is None or not _is_error(said, operation_model.service_model):
        response_dict["body"] = b"{}"


def _is_error(said: Mapping[str, Any], service: Any) -> bool:
    texts = [said[name] for name in ("__type", "message", "Message") if name in said]
    if not all(isinstance(text, str) for text in texts):
        return False
    shape = service.shape_for_error_code(error_code(said) or "")
    return shape is None or shapes.fits(said, shape)
