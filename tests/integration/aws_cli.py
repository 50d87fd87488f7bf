"""As much of the AWS command line as a runbook needs: its words become calls of botocore, a few at a time.

A shell script calls `aws`, a small client that hands its words to a server in the test's own process. There they are
read by the service's own model, so that a command which is not one of AWS's fails, and called on the local AWS.
https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-parameters.html
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sluice.local.aws import LocalAws
from sluice.local.serving import QuietHandler, serving

_CLIENT = """#!{python} -IS
import json, sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:{port}/", json.dumps(sys.argv[1:]).encode())
status, text = json.load(urllib.request.urlopen(request))
print(text, file=sys.stderr if status else sys.stdout)
sys.exit(status)
"""


@dataclass(slots=True)
class Call:
    """One command and what became of it."""

    words: Sequence[str]
    error: str = ""

    @property
    def name(self) -> str:
        """Service and operation, as the command line spells them."""
        return " ".join(self.words[:2])


@dataclass(slots=True)
class AwsCli:
    """Calls in the order in which they came."""

    aws: LocalAws
    calls: list[Call] = field(default_factory=list)

    def run(self, words: Sequence[str]) -> tuple[int, str]:
        """Exit status and output."""
        call = Call(tuple(words))
        self.calls.append(call)
        try:
            return 0, self._answer(*words)
        except (BotoCoreError, ClientError, ValueError, LookupError) as error:
            call.error = f"{type(error).__name__}: {error}"
            return 254, call.error

    def _answer(self, service: str, operation: str, *options: str) -> str:
        client = self.aws.client(service)
        if operation == "wait":
            waiter = options[0].replace("-", "_")
            client.get_waiter(waiter).wait(**_given(_input_of(client, xform(client, waiter)), options[1:])[0])
            return ""
        arguments, query, output = _given(_input_of(client, xform(client, operation.replace("-", "_"))), options)
        answer = getattr(client, operation.replace("-", "_"))(**arguments)
        answer.pop("ResponseMetadata", None)
        found = jmespath.search(query, answer) if query else answer
        return _text(found) if output == "text" else json.dumps(found, indent=4, default=str)


def xform(client: Any, name: str) -> str:
    """The operation behind a client's method or waiter."""
    if name in client.meta.method_to_api_mapping:
        return str(client.meta.method_to_api_mapping[name])
    return str(client.get_waiter(name).config.operation)


def _input_of(client: Any, operation: str) -> StructureShape:
    shape: StructureShape = client.meta.service_model.operation_model(operation).input_shape
    return shape


def _given(shape: StructureShape, options: Sequence[str]) -> tuple[dict[str, Any], str, str]:
    """Arguments of the call, the query and the form of the output."""
    names = {xform_name(member, "-"): member for member in shape.members}
    arguments: dict[str, Any] = {}
    own = {"query": "", "output": "json"}
    words = list(options)
    while words:
        option = words.pop(0)
        if not option.startswith("--"):
            raise ValueError(f"unknown word {option!r}")
        name = option[2:]
        values = []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        if name in own:
            own[name] = values[0]
        elif name.removeprefix("no-") in names and not values:
            arguments[names[name.removeprefix("no-")]] = not name.startswith("no-")
        else:
            member = names[name]
            arguments[member] = _value(shape.members[member], values)
    return arguments, own["query"], own["output"]


def _value(shape: Shape, words: Sequence[str]) -> Any:
    if words[0][:1] in ("{", "[") and shape.type_name in ("structure", "map", "list"):
        return json.loads(words[0])
    if isinstance(shape, ListShape):
        return [_value(shape.member, [word]) for word in words]
    (word,) = words
    if isinstance(shape, StructureShape | MapShape):
        return _shorthand(shape, word)
    if shape.type_name in ("integer", "long"):
        return int(word)
    return float(word) if shape.type_name in ("double", "float") else word


def _shorthand(shape: StructureShape | MapShape, text: str) -> dict[str, Any]:
    """Name=value,Name={key=value}"""
    value: dict[str, Any] = {}
    for part in [text] if "{" in text else text.split(","):
        name, _, rest = part.partition("=")
        member = shape.members[name] if isinstance(shape, StructureShape) else shape.value
        if isinstance(member, StructureShape | MapShape):
            rest = rest.strip("{}")
            value[name] = _shorthand(member, rest) if rest else {}
        else:
            value[name] = _value(member, [rest])
    return value


def _text(found: Any) -> str:
    if isinstance(found, list):
        return "\t".join(map(_text, found))
    return "None" if found is None else str(found)


@contextmanager
def aws_cli(aws: LocalAws, directory: Path) -> Iterator[AwsCli]:
    """A command `aws` in `directory`, for the PATH of a script."""
    made = AwsCli(aws)

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802  # The name that http.server calls.
            self.reply(200, json.dumps(made.run(json.loads(self.payload()))).encode())

    with serving(Handler) as port:
        command = directory / "aws"
        command.write_text(_CLIENT.format(python=sys.executable, port=port))
        command.chmod(0o755)
        yield made
