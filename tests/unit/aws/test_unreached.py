"""Trouble on the way to a service is told by host and reason, the same by either way, and repeats no secret."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from sluice.aws import boto, unreached
from sluice.aws.answer import NoAnswer
from sluice.aws.http_parser import ProtocolError
from tests.fakes import FakeDynamoDB, Raised

HOST = "dynamodb.eu-west-9.amazonaws.com"
URL = f"https://user:secret@{HOST}/path"


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


SOCKETS_OWN: list[tuple[OSError, str]] = [
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), f"could not look up {HOST}: name not known"),
    (socket.gaierror(socket.EAI_NODATA, "No address"), f"could not look up {HOST}: name not known"),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary"), f"could not look up {HOST}: the name server does not answer"),
    (socket.gaierror(socket.EAI_FAIL, "Bad luck"), f"could not look up {HOST}: bad luck"),
    (
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        f"could not connect to {HOST}: connection refused",
    ),
    (OSError(errno.ENETUNREACH, "Network is unreachable"), f"could not connect to {HOST}: network is unreachable"),
    (TimeoutError(errno.ETIMEDOUT, "timed out"), f"could not connect to {HOST}: timed out"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset"), f"lost the connection to {HOST}: connection reset"),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), f"lost the connection to {HOST}: broken pipe"),
    (TimeoutError("the call takes too long"), f"no answer from {HOST}: the call takes too long"),
    (ProtocolError("a head without end"), f"no answer from {HOST}: a head without end"),
    (untrusted(), f"could not trust {HOST}: self-signed certificate"),
    (ssl.SSLError(1, "handshake"), f"no TLS connection to {HOST}: handshake"),
    (OSError(), f"no answer from {HOST}: OSError"),
]


@pytest.mark.parametrize(("error", "words"), SOCKETS_OWN, ids=[words for _, words in SOCKETS_OWN])
def test_an_error_of_the_socket_is_told_by_host_and_reason(error: OSError, words: str) -> None:
    assert unreached.reason(error, HOST) == words


def by_boto3(error: Exception) -> NoAnswer:
    db = FakeDynamoDB()
    db.create_table("t", partition_key=("pk", "S"))
    db.script(Raised(error))
    answer = boto.answer(db, "put_item", {"TableName": "t", "Item": {"pk": {"S": "a"}}})
    assert isinstance(answer, NoAnswer)
    return answer


@pytest.mark.parametrize(("cause", "words"), SOCKETS_OWN, ids=[words for _, words in SOCKETS_OWN])
@pytest.mark.parametrize("made", [EndpointConnectionError, ConnectionClosedError, SSLError, ReadTimeoutError])
def test_boto3s_errors_are_told_as_the_sockets_own(made: type[Exception], cause: OSError, words: str) -> None:
    library = ValueError("of urllib3")
    library.__cause__ = cause

    assert by_boto3(made(endpoint_url=URL, error=library)).reason == words  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ConnectTimeoutError(endpoint_url=URL, error=TimeoutError("timed out")),
            f"could not connect to {HOST}: timed out",
        ),
        (ReadTimeoutError(endpoint_url=URL), f"no answer from {HOST}: ReadTimeoutError"),
        (HTTPClientError(error=ValueError("s3cret")), "no answer from the service: HTTPClientError"),
        (
            ProxyConnectionError(
                proxy_url=f"http://user:secret@{HOST}:3128", error=ConnectionRefusedError(111, "Refused")
            ),
            f"could not connect to the proxy {HOST}:3128: refused",
        ),
        (CredentialRetrievalError(provider="process", error_msg="s3cret"), "CredentialRetrievalError"),
        (RecursionError("maximum recursion depth exceeded"), "an answer that cannot be read"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_boto3_alone_can_say_is_told_without_secrets(error: Exception, words: str) -> None:
    assert by_boto3(error) == NoAnswer(words)
