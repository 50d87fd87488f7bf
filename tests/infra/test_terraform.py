"""What docs/terraform.md has others build is what the stack builds, and its command makes the package."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sluice.cdk import bundle
from sluice.cdk.bundle import BUNDLE, Bundle
from tests.infra.template import ROOT, Template, resolved

pytestmark = pytest.mark.xdist_group("synth")

PAGE = (ROOT / "docs" / "terraform.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def actions(statements: list[dict[str, Any]]) -> list[list[str]]:
    return sorted([s["Action"]] if isinstance(s["Action"], str) else sorted(s["Action"]) for s in statements)


def test_the_policy_allows_what_the_stacks_role_may_do(template: Template) -> None:
    [policy] = blocks("json")

    assert actions(json.loads(policy)["Statement"]) == actions(list(template.allowed("AWS::IAM::Policy")))


def test_both_examples_set_what_the_stack_sets(template: Template) -> None:
    function = template.only("AWS::Lambda::Function")
    mapping = template.only("AWS::Lambda::EventSourceMapping")
    variables = {name for name in function["Environment"]["Variables"] if name != "POWERTOOLS_LOG_LEVEL"}  # INFO.
    window = mapping["MaximumBatchingWindowInSeconds"]

    [terraform], [sam] = blocks("hcl"), blocks("yaml")
    for text in (terraform, sam):
        for value in (function["Handler"], function["Runtime"], *function["Architectures"], *variables):
            assert str(value) in text
        for value in mapping["FunctionResponseTypes"]:
            assert value in text
    for name, value in {
        "memory_size": function["MemorySize"],
        "timeout": function["Timeout"],
        "batch_size": mapping["BatchSize"],
        "maximum_batching_window_in_seconds": window,
        "maximum_concurrency": mapping["ScalingConfig"]["MaximumConcurrency"],
    }.items():
        assert re.search(rf"{name} += {value}$", terraform, re.MULTILINE), name
    for name, value in {
        "MemorySize": function["MemorySize"],
        "Timeout": function["Timeout"],
        "BatchSize": mapping["BatchSize"],
        "MaximumBatchingWindowInSeconds": window,
        "MaximumConcurrency": mapping["ScalingConfig"]["MaximumConcurrency"],
    }.items():
        assert re.search(rf"{name}: {value}(}}|$)", sam, re.MULTILINE), name


def test_the_table_of_the_queue_is_true(templates: dict[str, Template]) -> None:
    rows = {
        cells[0].strip(" `"): [cell.strip() for cell in cells[1:3]]
        for cells in (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("|"))
    }

    for column, name in enumerate(("default", "fifo")):
        queues = resolved(templates[name].all("AWS::SQS::Queue"))
        (queue,) = (q for q in queues.values() if "RedrivePolicy" in q)
        mapping = templates[name].only("AWS::Lambda::EventSourceMapping")
        assert rows["visibility timeout"][column].startswith(f"{queue['VisibilityTimeout']} seconds")
        assert rows["maxReceiveCount"][column].startswith(str(queue["RedrivePolicy"]["maxReceiveCount"]))
        assert rows["batch size"][column] == str(mapping["BatchSize"])
        assert rows["batching window"][column] == (
            f"{window} seconds" if (window := mapping.get("MaximumBatchingWindowInSeconds")) else "none"
        )
        assert rows["maximum concurrency"][column] == str(mapping["ScalingConfig"]["MaximumConcurrency"])


def test_the_command_of_the_page_makes_the_package(tmp_path: Path) -> None:
    command = re.search(r"^python (-m sluice\.cdk\.bundle) (\S+)$", PAGE, re.MULTILINE)
    assert command is not None
    code = "import sys; sys.modules['aws_cdk'] = sys.modules['jsii'] = None; import runpy;"
    code += " runpy.run_module('sluice.cdk.bundle', run_name='__main__', alter_sys=True)"

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / command[2])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "handler batch_writer.handler.lambda_handler, runtime python3.14, arm64" in done.stdout
    assert "pip installs the function's packages" in done.stderr
    names = zipfile.ZipFile(tmp_path / command[2]).namelist()
    assert {"batch_writer/handler.py", "sluice/aws/http.py", "boto3/__init__.py"} <= set(names)


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the sources are in the package, and no pip runs."""

    def write(_: Bundle, target: Path) -> None:
        for name, path in bundle.sources().items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)

    monkeypatch.setattr(Bundle, "write", write)


@pytest.mark.usefixtures("packed")
def test_two_archives_are_the_same_bytes_and_lambda_may_read_what_is_in_them(tmp_path: Path) -> None:
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    bundle.write_zip(BUNDLE, first)
    bundle.write_zip(BUNDLE, second)

    assert first.read_bytes() == second.read_bytes()
    assert {entry.external_attr >> 16 & 0o777 for entry in zipfile.ZipFile(first).infolist()} == {0o644}


def test_pip_that_hangs_is_ended_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], *, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)

    with pytest.raises(bundle.BundleError, match=r"pip took more than 600 seconds .* is its index reachable"):
        BUNDLE.write(tmp_path)


def test_an_environment_without_pip_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", f"{sys.executable}: No module named pip\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)

    with pytest.raises(bundle.BundleError, match="has no pip, which makes the function's package: run"):
        BUNDLE.write(tmp_path)
