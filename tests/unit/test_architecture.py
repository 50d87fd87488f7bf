"""Data flows one way through the function's rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "functions" / "batch_writer"
ORDER = (
    "handler",
    "metrics",
    "pipeline",
    "groups",
    "messages",
    "envelope",
    "shortcut",
    "forms",
    "excerpt",
    "parsing",
    "expressions",
    "writer",
    "refusals",
    "backlog",
    "heat",
    "plan",
    "pace",
    "table",
    "queue",
    "records",
    "threads",
    "items",
    "sdk",
    "dynamodb",
    "wire",
    "endpoint",
    "signature",
    "calls",
    "answer",
    "operation",
    "settings",
    "errors",
)
PURE = (
    "groups",
    "messages",
    "envelope",
    "shortcut",
    "forms",
    "excerpt",
    "parsing",
    "expressions",
    "refusals",
    "backlog",
    "heat",
    "plan",
    "pace",
    "items",
    "answer",
    "operation",
    "records",
    "errors",
    "settings",
)
KNOW_THE_SDK = ("handler", "sdk", "queue", "endpoint", "signature")
IMPURE = {"time", "random", "os", "socket", "threading", "boto3", "botocore", "datetime", "concurrent"}


def imports_of(module: str) -> list[str]:
    """What the module imports: siblings as `.name`, others by their top-level name."""
    names = []
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [f".{node.module}"] if node.module else [f".{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names += [alias.name.split(".")[0] for alias in node.names]
    return names


def test_every_room_has_its_place_in_the_order() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_a_room_imports_only_what_is_to_its_right(module: str) -> None:
    to_its_right = {f".{name}" for name in ORDER[ORDER.index(module) + 1 :]}

    siblings = {name for name in imports_of(module) if name.startswith(".")}

    assert siblings <= to_its_right


@pytest.mark.parametrize("module", PURE)
def test_the_middle_knows_no_clock_no_chance_no_network_and_no_environment(module: str) -> None:
    assert not IMPURE & set(imports_of(module))


@pytest.mark.parametrize("module", [name for name in ORDER if name not in KNOW_THE_SDK])
def test_only_the_ports_know_the_aws_sdk(module: str) -> None:
    assert not {"boto3", "botocore"} & set(imports_of(module))


def test_the_package_imports_alone_as_lambda_lays_it_out() -> None:
    tables = '[{"name": "tbl", "partition_key": {"name": "pk", "type": "S"}}]'
    code = "import batch_writer.handler; print(batch_writer.handler.lambda_handler.__module__)"

    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        env={"TABLES": tables, "AWS_DEFAULT_REGION": "us-east-1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.stdout == "batch_writer.handler\n", result.stderr
