"""An SQS client that makes one call after the other, for moto's queues."""

from __future__ import annotations

import threading
import time
from typing import Any

IDLE = 0.1
"""Seconds between two looks into an empty queue."""


class OneAtATime:
    """An SQS client for moto, whose queues lose messages, or give them out twice, to calls at the same time.

    It makes one call after the other, and does the waiting of ReceiveMessage itself, between two calls.
    """

    def __init__(self, client: Any, stopping: threading.Event) -> None:
        self._client = client
        self._stopping = stopping
        self._lock = threading.Lock()

    def send_message_batch(self, **request: Any) -> Any:
        with self._lock:
            return self._client.send_message_batch(**request)

    def delete_message_batch(self, **request: Any) -> Any:
        with self._lock:
            return self._client.delete_message_batch(**request)

    def get_queue_attributes(self, **request: Any) -> Any:
        with self._lock:
            return self._client.get_queue_attributes(**request)

    def receive_message(self, **request: Any) -> Any:
        end = time.monotonic() + request.pop("WaitTimeSeconds", 0)
        while True:
            with self._lock:
                response = self._client.receive_message(**request, WaitTimeSeconds=0)
            if response.get("Messages") or time.monotonic() >= end or self._stopping.wait(IDLE):
                return response
