"""Objects of S3 as files: listed, and read as a stream that goes on where a connection broke.

Each object is read as it was when it was listed (`If-Match`); one that has changed since is refused.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sluice.cli import CommandError, UsageError

from .source import Identity

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]+[a-z0-9])(?:/(.*))?")
_ATTEMPTS = 5
"""Times in a row that a broken stream is opened again."""


def is_s3(name: str) -> bool:
    return name.startswith("s3://")


class S3:
    """The objects of S3; a store of `Source`. The client is made when the first object is named."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._make = client
        self._made: Any = None
        self._known: dict[str, Identity] = {}

    @property
    def _client(self) -> Any:
        self._made = self._made or self._make()
        return self._made

    def listed(self, name: str) -> list[str]:
        """The objects whose names begin so, in order."""
        bucket, prefix = address(name)
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
            for one in page.get("Contents", ()):
                found.append(f"s3://{bucket}/{one['Key']}")
                self._known[found[-1]] = _identity(one["Size"], one["LastModified"], one["ETag"])
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def identity(self, name: str) -> Identity:
        if name not in self._known:
            from botocore.exceptions import ClientError

            bucket, key = address(name)
            try:
                one = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                what = {"404": "there is no such object", "403": "access is denied (s3:GetObject, s3:ListBucket)"}
                code = error.response["Error"].get("Code", "")
                raise CommandError(f"cannot read {name}: {what.get(code, str(error))}") from None
            self._known[name] = _identity(one["ContentLength"], one["LastModified"], one["ETag"])
        return self._known[name]

    def size(self, name: str) -> int:
        return self.identity(name).size

    def open(self, name: str) -> io.RawIOBase:
        return _Object(self._client, name, self.identity(name))


def address(name: str) -> tuple[str, str]:
    """Bucket and key. Raises `UsageError`."""
    match = _ADDRESS.fullmatch(name)
    if match is None:
        raise UsageError(f"an object of S3 is named s3://BUCKET/KEY, got {name!r}")
    return match[1], match[2] or ""


def _identity(size: int, modified: Any, etag: str) -> Identity:
    return Identity(size, int(modified.timestamp()) * 10**9, etag)


class _Object(io.RawIOBase):
    """One object from any place on."""

    def __init__(self, client: Any, name: str, identity: Identity) -> None:
        self._client, self._name = client, name
        self._size, self._etag = identity.size, identity.head
        self._place = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        place += {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if place != self._place:
            self._place = place
            self._end_body()
        return place

    def readinto(self, buffer: Any) -> int:
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        for attempt in range(1, _ATTEMPTS + 1):
            if self._place >= self._size:
                return 0
            try:
                self._body = self._body or self._opened()
                block: bytes = self._body.read(len(buffer))
                if not block:
                    raise OSError("the connection ended early")
            except ClientError as error:
                raise OSError(self._refusal(error.response["Error"].get("Code", ""), str(error))) from error
            except (BotoCoreError, HTTPError, OSError) as error:
                self._end_body()
                if attempt == _ATTEMPTS:
                    raise OSError(f"no answer from S3, {_ATTEMPTS} times: {error}") from error
                continue
            buffer[: len(block)] = block
            self._place += len(block)
            return len(block)
        raise AssertionError

    def close(self) -> None:
        self._end_body()
        super().close()

    def _opened(self) -> Any:
        bucket, key = address(self._name)
        return self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes={self._place}-", IfMatch=self._etag)[
            "Body"
        ]

    def _end_body(self) -> None:
        if self._body is not None:
            with suppress(Exception):
                self._body.close()
            self._body = None

    def _refusal(self, code: str, text: str) -> str:
        if code == "PreconditionFailed":
            return "the object has changed since this send began; --restart sends it again"
        if code == "InvalidObjectState":
            return "the object is in an archive: `aws s3api restore-object` brings it back first"
        return text
