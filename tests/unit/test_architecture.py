"""The wings of the house: what imports what, what knows the outside, and what the function's package is made of."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.cdk import bundle
from sluice.local.sources import ROOT, link_sources

MAY_IMPORT: dict[str, set[str]] = {
    # The library, from top to bottom.
    "sluice.writing": {"sluice.aws", "sluice.message"},
    "sluice.aws": {"sluice.message"},
    "sluice.message": set(),
    # What Lambda calls, and what deploys it.
    "functions": {"sluice.writing", "sluice.aws", "sluice.message"},
    "sluice.cdk": {"sluice.writing", "sluice.message", "sluice.cost"},
    "infra": {"sluice.cdk", "sluice.message"},
    # The tools around the library.
    "sluice": {"sluice.producer", "sluice.direct"},
    "sluice.__main__": {"sluice.cli"},
    "sluice.direct": {"sluice.writing", "sluice.aws", "sluice.message", "sluice.producer"},
    "sluice.producer": {"sluice.sending", "sluice.message"},
    "sluice.send": {
        "sluice.writing",
        "sluice.aws",
        "sluice.sending",
        "sluice.message",
        "sluice.cli",
        "sluice.arguments",
        "sluice.interrupt",
    },
    "sluice.verify": {
        "sluice.send",
        "sluice.sending",
        "sluice.message",
        "sluice.cli",
        "sluice.arguments",
        "sluice.interrupt",
    },
    "sluice.dlq": {"sluice.sending", "sluice.cli", "sluice.arguments", "sluice.interrupt"},
    "sluice.cost": {"sluice.cli", "sluice.arguments"},
    "sluice.sending": {"sluice.message"},
    "sluice.schema": set(),
    # AWS on one machine. It runs the function as a process and imports nothing of it.
    "sluice.local": {"sluice.cli", "sluice.arguments", "sluice.interrupt", "sluice.terminal"},
    # The frame of every command.
    "sluice.cli": {"sluice", "sluice.terminal"},
    "sluice.completion": {"sluice.cli"},
    "sluice.arguments": set(),
    "sluice.interrupt": set(),
    "sluice.terminal": set(),
}
PURE = ("sluice.message", "sluice.writing")
PURE_MODULES = {
    "functions.batch_writer.fates",
    "functions.batch_writer.fifo",
    "sluice.aws.answer",
    "sluice.aws.dead_letters",
    "sluice.aws.http_parser",
    "sluice.aws.meanings",
}
KNOW_THE_SDK = {"sluice.aws.boto"}
OUTSIDE = {"time", "random", "os", "socket", "threading", "boto3", "botocore", "datetime", "concurrent"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for top in ("functions", "infra", "sluice") for path in (ROOT / top).rglob("*.py")}
IN_THE_FUNCTION = {name_of(path) for path in bundle.sources().values()}


def wing(module: str) -> str:
    """The longest name in MAY_IMPORT that the module's name begins with."""
    return max((name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")), key=len)


def imported(module: str) -> Iterator[str]:
    """Absolute names of what a module imports: of a module of ours the module, of others the top-level name."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found = [name if (name := f"{source}.{alias.name}") in MODULES else source for alias in node.names]
        else:
            continue
        yield from (name if name in MODULES else name.split(".")[0] for name in found)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_wing_imports_only_what_it_may(name: str) -> None:
    wings = {
        wing(other): module
        for module in MODULES
        if wing(module) == name
        for other in imported(module)
        if other in MODULES and wing(other) != name
    }

    assert wings.keys() <= MAY_IMPORT[name], wings


def test_the_document_shows_what_each_wing_may_import() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text()

    for name, others in MAY_IMPORT.items():
        wings = ", ".join(f"`{other}`" for other in sorted(others)) or "nothing"
        assert f"| `{name}` | {wings} |" in document


def test_nothing_imports_in_a_circle() -> None:
    left = {module: {other for other in imported(module) if other in MODULES} - {module} for module in MODULES}
    left["sluice"] = set()  # It imports the producer only when it is asked for it.

    while free := [module for module, others in left.items() if not others]:
        for module in free:
            del left[module]
        for others in left.values():
            others.difference_update(free)

    assert not left


@pytest.mark.parametrize("module", sorted(m for m in MODULES if wing(m) in PURE or m in PURE_MODULES))
def test_the_middle_knows_no_clock_no_chance_no_network_and_no_environment(module: str) -> None:
    assert not OUTSIDE & set(imported(module))


@pytest.mark.parametrize("module", sorted(IN_THE_FUNCTION - KNOW_THE_SDK))
def test_only_the_ports_of_the_function_know_the_aws_sdk(module: str) -> None:
    assert not {"boto3", "botocore"} & set(imported(module))


def test_the_package_of_the_function_holds_every_module_that_it_imports_and_no_other() -> None:
    reached, ahead = set[str](), ["functions.batch_writer.handler"]
    while ahead:
        module = ahead.pop()
        if module in reached or module not in MODULES:
            continue
        reached.add(module)
        ahead += [".".join(module.split(".")[:n]) for n in range(2, module.count(".") + 1)]
        ahead += imported(module) if module != "sluice" else []

    assert reached - {"sluice"} == IN_THE_FUNCTION - {"sluice"}


def test_the_function_imports_as_lambda_lays_it_out(tmp_path: Path) -> None:
    tables = '[{"name": "orders", "partition_key": {"name": "pk", "type": "S"}}]'
    code = "import batch_writer.handler; print(batch_writer.handler.lambda_handler.__module__)"

    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=link_sources(tmp_path / "task"),
        env={"TABLES": tables, "AWS_DEFAULT_REGION": "us-east-1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stdout == "batch_writer.handler\n", result.stderr
