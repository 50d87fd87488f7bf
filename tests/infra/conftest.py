"""The stack in each configuration, synthesised once for all tests that only read its template."""

from __future__ import annotations

import fcntl
import json
import os

import pytest

from tests.infra.configurations import CONFIGURATIONS
from tests.infra.template import Template, synthesise


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All configurations by name; neither cdk-nag nor CDK's check of templates has found anything in them."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    found = {}
    for name, context in CONFIGURATIONS.items():
        file = shared / f"template-{name}.json"
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # The first worker synthesises for all.
            if not file.exists():
                made = synthesise(tmp_path_factory.mktemp(name), json.loads(json.dumps(context)), is_validated=True)
                file.write_text(json.dumps([made.content, dict(made.acknowledged)]))
        found[name] = Template(*json.loads(file.read_text()))
    return found


@pytest.fixture(scope="session")
def template(templates: dict[str, Template]) -> Template:
    """The stack without any settings."""
    return templates["default"]
