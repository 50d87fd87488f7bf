"""The snippets for producers: each of them sends what the function takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
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


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / "producers.md").read_text(), re.DOTALL | re.MULTILINE)


def snippet(language: str) -> str:
    (found,) = snippets(language)
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
    aws = shutil.which("aws")
    if aws is None:
        pytest.skip("the AWS CLI is not installed")
    sqs = FakeSQS()
    url = sqs.create_queue("work")
    with serve(sqs=sqs) as endpoint:
        # Version 1 of the CLI heeds AWS_ENDPOINT_URL for other services, and for SQS only the option.
        (tmp_path / "aws").write_text(f'#!/bin/sh\nexec "{aws}" --endpoint-url "{endpoint}" "$@"\n')
        (tmp_path / "aws").chmod(0o700)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environ |= {
            "QUEUE_URL": url,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "localhost,127.0.0.1",
        }
        result = subprocess.run(
            ["sh", "-c", snippet("sh")], env=environ, capture_output=True, text=True, timeout=600, check=False
        )

    assert result.returncode == 0, result.stderr
    (message,) = sqs.messages(url)
    assert keys(message["Body"]) == ["order#1", "order#0"]


def test_go_and_java() -> None:
    (go,) = re.findall(r"`(.*?)`", snippet("go"))
    (java,) = re.findall(r'"""\n(.*?)"""', snippet("java"), re.DOTALL)

    assert keys(go) == keys(java) == ["order#1", "order#0"]


def test_typescript(tmp_path: Path) -> None:
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    assert node is not None, "requirements.txt has Node"
    package = tmp_path / "node_modules" / "@aws-sdk" / "client-sqs"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text(
        "export class SendMessageCommand { constructor(input) { this.input = input; } }\n"
        "export class SQSClient { async send(command) { console.log(JSON.stringify(command.input)); } }\n"
    )
    (tmp_path / "snippet.mjs").write_text(snippet("typescript"))

    result = subprocess.run(
        [node, "snippet.mjs"],
        cwd=tmp_path,
        env={"QUEUE_URL": "https://queue", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    sent = json.loads(result.stdout)
    assert sent["QueueUrl"] == "https://queue"
    assert keys(sent["MessageBody"]) == ["order#1", "order#2"]
