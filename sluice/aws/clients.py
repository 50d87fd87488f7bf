"""The AWS clients: by the environment, or as a boto3 session has them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from . import endpoint, http, queue, tables
from .endpoint import Endpoint, Service
from .http import HttpClient
from .route import Route

if TYPE_CHECKING:
    from .boto import BotoClient


class Aws:
    """What talks to AWS. boto3 is loaded where the environment needs it, or somebody watches it."""

    def __init__(self, connections: int, most: int, *, session: Any = None, client: Any = None) -> None:
        """At most `most` calls are on their way at once, and `connections` where each takes a thread.

        Where not the environment shall say where DynamoDB is, and who calls it, a boto3 `session` does or a `client`.
        """
        self._connections = connections
        self._most = most
        self._session = session
        self._client = client if session is None else None
        self._lock = threading.Lock()
        self._boto: BotoClient | None = None
        endpoint.check(os.environ)

    def dynamodb(self) -> Route:
        found = self._plain("dynamodb") or self.boto().endpoint()
        if found is not None and found.scheme == "https":
            http.tls(found.ca_bundle)  # At cold start, when Lambda gives most CPU. SQS may never be called.
        return self._route(found, tables.PREFIX)

    def sqs(self) -> Route:
        return self._route(self._plain("sqs"), queue.PREFIX)

    def sqs_url(self) -> str:
        """The URL below which the queues are, by account and name."""
        found = self._plain("sqs")
        return self.boto().sqs_url() if found is None else found.url

    def _plain(self, service: Service) -> Endpoint | None:
        return endpoint.plain(os.environ, service) if self._session is None and self._client is None else None

    def _route(self, found: Endpoint | None, prefix: str) -> Route:
        return Route(
            self.boto,
            None if found is None else HttpClient(found, self._most),
            (lambda: None) if found is None else found.credentials,
            prefix=prefix,
            connections=self._connections,
            are_at_hand=_always if found is None else found.are_at_hand,
            renew=self.renew,
            host="AWS" if found is None else found.authority,
        )

    def renew(self) -> None:
        """Have credentials looked up anew where they come from; those of the environment cannot be others."""
        if self._boto is not None:
            self._boto.renew()

    def boto(self) -> BotoClient:
        from .boto import BotoClient, session_of  # boto3: it takes longer to load than all the rest.

        with self._lock:
            if self._boto is None:
                if self._client is None:
                    self._boto = BotoClient(self._connections, session=self._session)
                else:
                    url = self._client.meta.endpoint_url
                    self._boto = BotoClient(self._connections, session=session_of(self._client), url=url)
            return self._boto


def _always() -> bool:
    return True
