"""The snippets for producers: each of them sends what the function takes."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import sluice
from sluice.message.decoder import Decoder
from sluice.message.settings import Settings
from sluice.schema import message_schema
from tests.fakes import FakeSQS
from tests.fakes.server import serve
from tests.world import ORDERS

DOCS = Path(__file__).parents[3] / "docs"
SDKS = Path(__file__).parent / "sdks"
"""Of other languages, as far as the page uses them."""


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / "producers.md").read_text(), re.DOTALL | re.MULTILINE)


def block(language: str) -> str:
    """The program in a language; of a language with commands to install it the one that sends."""
    (found,) = [each for each in snippets(language) if "install" not in each and "go get" not in each]
    return found


def keys(body: str) -> list[Any]:
    """The keys of the operations in a body that both the function and the schema take."""
    message = Decoder(Settings((ORDERS,))).decode({"messageId": "m", "body": body})
    assert message.rejected == ()
    assert jsonschema.Draft202012Validator(message_schema()).is_valid(json.loads(body))
    return [operation.key[1] for operation in message.operations]


def run_with(sqs: FakeSQS, program: str, url: str) -> None:
    """Run a program that makes a `Producer(queue_url)`; it sends to the fake."""

    class Session:
        region_name = None

        def client(self, *_: Any, **__: Any) -> FakeSQS:
            return sqs

    class Producer(sluice.Producer):
        def __init__(self, queue_url: str, **given: Any) -> None:
            super().__init__(queue_url, session=Session(), **given)

    real, sluice.Producer = sluice.Producer, Producer  # type: ignore[misc]
    try:
        exec(program, {"queue_url": url})
    finally:
        sluice.Producer = real  # type: ignore[misc]


def test_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    (message,) = re.findall(r"^```json\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    sqs = FakeSQS()
    url = sqs.create_queue("work")

    run_with(sqs, program, url)

    assert keys(message) == ["order#1", "stats", "order#0"]
    assert keys(sqs.messages(url)[0]["Body"]) == ["order#1", "order#0"]


def test_python(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = FakeSQS()
    url = sqs.create_queue("work")
    first, second, _ = snippets("python")

    run_with(sqs, first, url)

    (message,) = sqs.messages(url)
    assert keys(message["Body"]) == ["order#1", "order#0", "stats"]
    assert json.loads(message["Body"], parse_float=Decimal)[0]["put"]["total"] == Decimal("12.50")

    class Failing:
        def flush(self) -> None:
            raise sluice.NotSentError([sluice.NotSent(b"{}", "AccessDenied", "no", None)])

    exec(second, {"producer": Failing()})
    assert capsys.readouterr().out == "AccessDenied b'{}'\n"


@pytest.mark.parametrize("buffer", ["", ", message_bytes=1_000, buffer_bytes=2_000"])
def test_asyncio(buffer: str) -> None:
    sqs = FakeSQS()
    url = sqs.create_queue("work")
    _, _, program = snippets("python")

    run_with(sqs, program.replace('when_full="raise"', f'when_full="raise"{buffer}'), url)

    sent = [key for message in sqs.messages(url) for key in keys(message["Body"])]
    assert sorted(sent) == sorted(f"order#{n}" for n in range(500))


def test_shell(tmp_path: Path) -> None:
    sqs = FakeSQS()
    url = sqs.create_queue("work")
    with serve(sqs=sqs) as endpoint:
        result = run(["sh", "-c", block("sh")], with_aws(tmp_path, endpoint) | {"QUEUE_URL": url})

    assert result.returncode == 0, result.stderr
    (body,) = [message["Body"] for message in sqs.messages(url)] or result.stdout.splitlines()[-1:]
    assert keys(body) == ["order#1", "order#0"]


def with_aws(directory: Path, endpoint: str) -> dict[str, str]:
    """An environment with the AWS CLI for an endpoint, or where there is none with one that prints its arguments."""
    aws = shutil.which("aws")
    # Version 1 of the CLI heeds AWS_ENDPOINT_URL for other services, and for SQS only the option.
    call = f'exec "{aws}" --endpoint-url "{endpoint}" "$@"' if aws else "printf '%s\\n' \"$@\""
    (directory / "aws").write_text(f"#!/bin/sh\n{call}\n")
    (directory / "aws").chmod(0o700)
    return {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "localhost,127.0.0.1",
    }


def typescript(directory: Path) -> list[str]:
    node = shutil.which("node", path=str(Path(sys.executable).parent))
    assert node is not None, "requirements.txt has Node"
    shutil.copytree(SDKS / "typescript", directory / "node_modules" / "@aws-sdk" / "client-sqs")
    (directory / "send.mts").write_text(block("typescript"))
    return [node, "send.mts"]


def go(directory: Path) -> list[str]:
    compiler = shutil.which("go") or pytest.skip("Go is not installed")
    sdk = "github.com/aws/aws-sdk-go-v2"
    module = f"module send\n\ngo 1.21\n\nrequire {sdk} v1.0.0\n\nreplace {sdk} => {SDKS / 'go'}\n"
    (directory / "go.mod").write_text(module)
    (directory / "send.go").write_text(block("go"))
    offline = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    built = run([compiler, "build", "-o", "send", "send.go"], offline, directory)
    assert built.returncode == 0, built.stderr
    return [str(directory / "send")]


def java(directory: Path) -> list[str]:
    compiler = shutil.which("javac") or pytest.skip("Java is not installed")
    sources = [str(source) for source in (SDKS / "java").rglob("*.java")]
    (directory / "Send.java").write_text(block("java"))
    built = run([compiler, "-d", "classes", *sources], {}, directory)
    if "invalid flag" in built.stderr or "class, interface, or enum expected" in built.stderr:
        pytest.skip("Java is older than 17")
    assert built.returncode == 0, built.stderr
    return [str(Path(compiler).with_name("java")), "-cp", "classes", "Send.java"]


@pytest.mark.parametrize(
    ("program", "expected"),
    [(typescript, ["order#1", "order#2"]), (go, ["order#1", "order#0"]), (java, ["order#1", "order#0"])],
)
def test_a_program_sends_what_the_function_takes_and_ends_badly_where_sqs_does_not_take_it(
    program: Callable[[Path], list[str]], expected: list[str], tmp_path: Path
) -> None:
    command = program(tmp_path)

    sent = run(command, {"QUEUE_URL": "https://queue"}, tmp_path)
    failed = run(command, {"QUEUE_URL": "https://queue", "FAILED": "InternalError"}, tmp_path)

    assert sent.returncode == 0, sent.stderr
    url, body = sent.stdout.split()
    assert url == "https://queue"
    assert keys(base64.b64decode(body).decode()) == expected
    assert failed.returncode != 0
    assert "not accepted" in failed.stderr
    assert "InternalError" in failed.stderr


def run(command: list[str], environ: dict[str, str], directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a command does in this environment, without what it has of AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "FAILED"}
    return subprocess.run(
        command, cwd=directory, env=kept | environ, capture_output=True, text=True, timeout=600, check=False
    )
