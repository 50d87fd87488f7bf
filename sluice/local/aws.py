"""A local AWS: moto_server on 127.0.0.1, and clients for it."""

from __future__ import annotations

import functools
import http.client
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from .processes import child, tail

START_SECONDS = 300


class LocalError(Exception):
    """The local run cannot go on; the text says why in one sentence, perhaps with the tail of a log below."""


@dataclass(frozen=True, slots=True)
class LocalAws:
    """Where the local AWS answers, and as whom to speak to it."""

    port: int
    region: str = "us-east-1"
    account: str = "123456789012"
    exit_status: Callable[[], int | None] = field(default=lambda: None, repr=False, compare=False)
    """Of the process that is it, once it has ended."""

    def require_running(self) -> None:
        """Raises `LocalError` where it has ended."""
        if (status := self.exit_status()) is not None:
            raise LocalError(f"the local AWS (moto) has ended with status {status}")

    @property
    def url(self) -> str:
        # By name: moto finds a stack's template in S3 only where the URL says localhost.
        return f"http://localhost:{self.port}"

    def settings(self) -> dict[str, str]:
        """The variables that lead any AWS SDK here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def environ(self) -> dict[str, str]:
        """This process's environment with the user's own AWS account taken out and the local one put in."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        for name in ("NO_PROXY", "no_proxy"):
            environ[name] = ",".join(filter(None, [environ.get(name), "localhost,127.0.0.1"]))
        return environ | self.settings()

    def client(self, service: str, connections: int = 10) -> Any:
        """A boto3 client that ignores the user's profile, configuration files and proxies; the same one each time."""
        return _client(service, self.port, self.region, connections)


@functools.cache  # To make one takes a tenth of a second.
def _client(service: str, port: int, region: str, connections: int) -> Any:
    nothing = (None, None, None, None)
    no_file = (None, None, os.devnull, None)
    session = botocore.session.Session(
        session_vars={"profile": nothing, "config_file": no_file, "credentials_file": no_file}
    )
    return boto3.Session(
        botocore_session=session,
        region_name=region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    ).client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(
            proxies={},
            connect_timeout=60,
            read_timeout=300,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )


@contextmanager
def local_aws(directory: Path, port: int | None = None, check: Callable[[], None] = lambda: None) -> Iterator[LocalAws]:
    """Run moto_server, its log in `directory`; raises `LocalError` if it does not start."""
    aws = LocalAws(port or free_port())
    if not is_free(aws.port):
        raise LocalError(f"Port {aws.port} is taken by another program; choose another one with --port.")
    log = directory / "moto.log"
    environ = aws.environ() | {"MOTO_ACCOUNT_ID": aws.account, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "sluice.local.moto_server", "-H", "127.0.0.1", "-p", str(aws.port)]
    with child(command, environ=environ, directory=directory, log=log) as process:
        end = time.monotonic() + START_SECONDS
        while not _answers(aws.port):
            check()
            if process.poll() is not None or time.monotonic() > end:
                raise LocalError(f"The local AWS (moto_server) did not start; {log} ends:\n{tail(log)}")
            time.sleep(0.05)
        yield LocalAws(aws.port, exit_status=process.poll)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As moto's own server does.
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/moto-api/data.json")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
