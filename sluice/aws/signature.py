"""Signature Version 4 of a BatchWriteItem request, by botocore's own signer.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

from typing import NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem",
}


class Credentials(NamedTuple):
    """What signs a request, as botocore has it; `token` where they are temporary."""

    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Signs requests to one URL in one region."""

    def __init__(self, url: str, region: str) -> None:
        self._url = url
        self._region = region

    def headers(self, body: bytes, credentials: Credentials) -> str:
        """The lines of all headers that are signed, but for Host."""
        request = AWSRequest("POST", self._url, headers=_HEADERS, data=body)
        SigV4Auth(credentials, "dynamodb", self._region).add_auth(request)
        return "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
