"""mypy looks at as much of CDK as the stack's types can come from."""

from __future__ import annotations

import ast
import importlib.util
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.infra.template import ROOT


def source(module: str) -> Path | None:
    """The file of a module of CDK; None where the name is no module's."""
    spec = importlib.util.find_spec("aws_cdk")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    file = Path(spec.submodule_search_locations[0], *module.split(".")[1:], "__init__.py")
    return file if file.exists() else None


def imported_here() -> Iterator[str]:
    """CDK's modules that the project's own import."""
    for top in ("infra", "sluice", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [each.name for each in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
                yield from (name for name in names if f"{name}.".startswith("aws_cdk.") and source(name))


def imported_by(module: str) -> Iterator[str]:
    """What the signatures of a module of CDK can name, by lines such as `import aws_cdk.aws_s3 as _aws_s3_0115`."""
    path = source(module)
    assert path is not None
    for line in path.read_text().splitlines():
        words = line.split()
        if line.startswith("    import aws_cdk") and words[2] == "as" and words[3].startswith("_"):
            yield words[1]


def test_mypy_follows_all_that_the_stacks_types_can_come_from() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (followed,) = (each["module"] for each in overrides if each.get("follow_imports") == "normal")

    found, left = set[str](), set(imported_here())
    while left:
        found |= left
        left = {name for module in left for name in imported_by(module)} - found

    assert {"aws_cdk", "aws_cdk.aws_sqs", "aws_cdk.interfaces.aws_sqs"} <= found
    assert {name for name in found if not any(fnmatch(name, pattern) for pattern in followed)} == set()
    assert {pattern for pattern in followed if not any(fnmatch(name, pattern) for name in found)} == set()
