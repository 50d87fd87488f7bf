"""The AWS clients of the function, made once at cold start."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from sluice.aws import endpoint, queue, tables
from sluice.aws.endpoint import Endpoint
from sluice.aws.http import HttpClient
from sluice.aws.route import Route
from sluice.writing.calls import SINGLES_PER_CONNECTION

if TYPE_CHECKING:
    from sluice.aws.boto import BotoClient


class Aws:
    """What talks to AWS. boto3 is loaded where the environment needs it, or somebody watches it."""

    def __init__(self, connections: int) -> None:
        """`connections`: calls at once, where each takes a thread."""
        self._connections = connections
        self._lock = threading.Lock()
        self._boto: BotoClient | None = None
        endpoint.check(os.environ)

    def dynamodb(self) -> Route:
        return self._route(endpoint.plain(os.environ, "dynamodb") or self.boto().endpoint(), tables.PREFIX)

    def sqs(self) -> Route:
        return self._route(endpoint.plain(os.environ, "sqs"), queue.PREFIX)

    def sqs_url(self) -> str:
        """The URL below which the queues are, by account and name."""
        found = endpoint.plain(os.environ, "sqs")
        return self.boto().sqs_url() if found is None else found.url

    def _route(self, found: Endpoint | None, prefix: str) -> Route:
        return Route(
            self.boto,
            None if found is None else HttpClient(found, SINGLES_PER_CONNECTION * self._connections),
            (lambda: None) if found is None else found.credentials,
            prefix=prefix,
            connections=self._connections,
            are_static=found is None or found.are_static,
            renew=self.renew,
            host="AWS" if found is None else found.authority,
        )

    def renew(self) -> None:
        """Have credentials looked up anew where they come from; those of the environment cannot be others."""
        if self._boto is not None:
            self._boto.renew()

    def boto(self) -> BotoClient:
        from sluice.aws.boto import BotoClient  # boto3: it takes longer to load than all the rest.

        with self._lock:
            if self._boto is None:
                self._boto = BotoClient(self._connections)
            return self._boto
