"""Imports go one way through infra's modules; settings need no Node, and constructs know no settings."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import infra
from infra.settings_docs import settings_tables
from tests.infra.template import ROOT

MODULES = sorted(path.stem for path in Path(infra.__path__[0]).glob("*.py") if path.stem != "__init__")


def imports_of(module: str) -> set[str]:
    """Modules of infra that this one imports, even if only for types."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / "infra" / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "infra":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("infra."):
            found.add(str(node.module).removeprefix("infra."))
    return found


def uses_cdk(module: str) -> bool:
    return "from aws_cdk import" in (ROOT / "infra" / f"{module}.py").read_text()


def test_no_two_modules_import_each_other_directly_or_by_way_of_others() -> None:
    TopologicalSorter({module: imports_of(module) for module in MODULES}).prepare()  # Raises CycleError.


@pytest.mark.parametrize("module", MODULES)
def test_only_app_and_stack_know_both_settings_and_constructs(module: str) -> None:
    reached, unseen = set[str](), [module]
    while unseen:
        reached.add(unseen.pop())
        unseen = sorted(set().union(*map(imports_of, reached)) - reached)
    settings = reached & {"config", "table_config"}

    assert not (settings and any(map(uses_cdk, reached))) or module in ("app", "stack")


def test_settings_are_read_and_their_tables_printed_without_node() -> None:
    # jsii starts Node; a module that is None cannot be imported.
    code = (
        "import runpy, sys; sys.modules['jsii'] = None; import infra.reading; infra.reading.from_context({});"
        " runpy.run_module('infra.settings_docs', run_name='__main__')"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout == settings_tables(), done.stderr
