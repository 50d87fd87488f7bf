"""The AWS clients of the function, made once at cold start."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from sluice.aws import endpoint
from sluice.aws.http import HttpClient
from sluice.aws.queue import SQSClient
from sluice.aws.route import Route

if TYPE_CHECKING:
    from sluice.aws.boto import BotoClient


class Aws:
    """What talks to AWS. boto3 is loaded where the environment needs it, or else when something needs it."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._lock = threading.Lock()
        self._sdk: BotoClient | None = None
        self._loading: threading.Thread | None = None

    def dynamodb(self) -> Route:
        endpoint.check(os.environ)
        found = endpoint.plain(os.environ) or self.sdk().endpoint()
        if found is None:
            return Route(self.sdk, None, lambda: None, on_trouble=self.load_beside, renew=self.renew)
        return Route(
            self.sdk,
            HttpClient(found, self._connections),
            found.credentials,
            are_static=found.are_static,
            on_trouble=self.load_beside,
            renew=self.renew,
            host=found.authority,
        )

    def renew(self) -> None:
        """Have credentials looked up anew where they come from; those of the environment cannot be others."""
        if self._sdk is not None:
            self._sdk.renew()

    def sdk(self) -> BotoClient:
        from sluice.aws.boto import BotoClient  # boto3: it takes longer to load than all the rest.

        with self._lock:
            if self._sdk is None:
                self._sdk = BotoClient(self._connections)
            return self._sdk

    def sqs(self) -> SQSClient:
        sqs: SQSClient = self.sdk().sqs()
        return sqs

    def load_beside(self) -> None:
        """Make the client for SQS in a thread of its own, once: at the end there may be no time for it."""
        if self._loading is None:
            self._loading = threading.Thread(target=self.sqs, daemon=True)
            self._loading.start()
