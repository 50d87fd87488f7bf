from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.cdk import bundle
from sluice.cdk.bundle import Bundle, BundleError
from sluice.local import native_packages
from tests.infra.command import run_app
from tests.infra.template import ROOT, resolved

pytestmark = pytest.mark.xdist_group("synth")


@pytest.fixture(scope="module")
def deployed() -> Bundle:
    """What the package is made for."""
    from sluice.cdk.bundle import BUNDLE  # Here, for it loads CDK.

    return BUNDLE


@pytest.fixture(scope="module")
def package(assembly: Path) -> Path:
    (directory,) = assembly.glob("asset.*")
    return directory


def files(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Path → mode and content."""
    return {
        path.relative_to(directory).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_two_bundlings_give_the_same_bytes(deployed: Bundle, package: Path, tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        deployed.write(tmp_path)
    finally:
        os.umask(umask)

    assert files(tmp_path) == files(package)


def test_a_second_synthesis_needs_neither_pip_nor_network(assembly: Path, package: Path) -> None:
    template = (assembly / "Sluice.template.json").read_bytes()

    done = run_app(assembly, {}, PIP_NO_INDEX="1", PIP_NO_CACHE_DIR="1")

    assert done.returncode == 0, done.stderr
    assert (assembly / "Sluice.template.json").read_bytes() == template
    assert list(assembly.glob("asset.*")) == [package]


def test_the_template_names_the_package(assembly: Path, package: Path) -> None:
    template = json.loads((assembly / "Sluice.template.json").read_text())

    (function,) = (r for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function")
    assert function["Properties"]["Code"]["S3Key"] == f"{package.name.removeprefix('asset.')}.zip"


def test_the_package_is_small(package: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "package"), "zip", package)

    assert Path(archive).stat().st_size <= 5_000_000


def test_the_package_holds_the_function_and_nothing_of_its_making(package: Path) -> None:
    modules = {
        path.relative_to(package).as_posix()
        for top in ("batch_writer", "sluice")
        for path in (package / top).rglob("*")
        if path.is_file()
    }

    assert modules == set(bundle.sources())
    assert {path.name for path in (package / "sluice").iterdir()} == {"__init__.py", "message", "aws", "writing"}
    assert {path.name for path in package.iterdir()} == {
        "aws_lambda_powertools",
        "batch_writer",
        "boto3",
        "botocore",
        "dateutil",
        "jmespath",
        "msgspec",
        "s3transfer",
        "six.py",
        "sluice",
        "typing_extensions.py",
        "urllib3",
    }
    assert {path.name for path in (package / "botocore" / "data").iterdir() if path.is_dir()} == {"dynamodb", "sqs"}
    unwanted = {"__pycache__", "tests", "requirements.in", "requirements.txt"}
    assert [path for path in package.rglob("*") if path.name in unwanted] == []


def test_the_package_names_no_path_of_this_machine(package: Path) -> None:
    here = [str(ROOT).encode(), str(package.parent).encode(), sys.prefix.encode()]

    assert [path for path, (_, content) in files(package).items() if any(part in content for part in here)] == []


def test_the_native_code_is_for_the_function_and_not_for_this_machine(package: Path) -> None:
    native = {path.name for path in package.rglob("*.so")}

    assert native == {"_core.cpython-314-aarch64-linux-gnu.so"}


def test_the_package_runs_alone_with_the_environment_of_the_template(
    assembly: Path, package: Path, tmp_path: Path
) -> None:
    package = shutil.copytree(package, tmp_path / "package")
    native_packages.link(package, ROOT / "functions" / "batch_writer" / "requirements.txt")
    template = json.loads((assembly / "Sluice.template.json").read_text())
    (function,) = (r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function")
    environ = resolved(function["Environment"]["Variables"])
    environ |= {
        "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/dead",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    module, name = function["Handler"].rsplit(".", 1)
    script = f"""
import sys
sys.path.insert(0, {str(package)!r})
from {module} import {name} as handler
import boto3
boto3.client("dynamodb"), boto3.client("sqs")
assert callable(handler)
files = [getattr(module, "__file__", "") or "" for module in list(sys.modules.values())]
elsewhere = [file for file in files if "site-packages" in file and "msgspec" not in file]
assert not elsewhere, elsewhere
"""

    # -I and -S: nothing but the standard library and the package; -B: the package stays as it is.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script], env=environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_what_pip_cannot_get_is_an_error_in_pips_words(
    deployed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(BundleError, match="No matching distribution found for aws-lambda-powertools"):
        deployed.write(tmp_path)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The function and the library, elsewhere and with other times."""
    function, library = tmp_path / "elsewhere" / "batch_writer", tmp_path / "elsewhere" / "sluice"
    shutil.copytree(bundle.FUNCTION, function, copy_function=shutil.copyfile)
    shutil.copytree(bundle.LIBRARY, library, copy_function=shutil.copyfile)
    monkeypatch.setattr(bundle, "FUNCTION", function)
    monkeypatch.setattr(bundle, "LIBRARY", library)
    monkeypatch.setattr(bundle, "REQUIREMENTS", function / "requirements.txt")
    return function.parent


def test_the_digest_depends_on_no_path_and_no_time(copy: Path, deployed: Bundle) -> None:
    elsewhere = deployed.digest()
    os.utime(copy / "batch_writer" / "handler.py", (0, 0))

    assert elsewhere == deployed.digest()


def test_the_digest_is_the_same_elsewhere(copy: Path, deployed: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = deployed.digest()
    monkeypatch.undo()

    assert copy != bundle.FUNCTION.parent
    assert elsewhere == deployed.digest()


@pytest.mark.parametrize(
    "name", ["batch_writer/handler.py", "batch_writer/requirements.txt", "sluice/__init__.py", "sluice/aws/http.py"]
)
def test_the_digest_changes_with_what_is_shipped(copy: Path, deployed: Bundle, name: str) -> None:
    before = deployed.digest()
    content = (copy / name).read_text()
    (copy / name).write_text(content.swapcase())  # Of the same length.

    assert before != deployed.digest()


def test_the_digest_does_not_change_with_what_is_not_shipped(copy: Path, deployed: Bundle) -> None:
    before = deployed.digest()
    (copy / "batch_writer" / "requirements.in").write_text("")
    (copy / "sluice" / "send").mkdir(exist_ok=True)
    (copy / "sluice" / "send" / "more.py").write_text("")
    (copy / "batch_writer" / "__pycache__").mkdir(exist_ok=True)
    (copy / "batch_writer" / "__pycache__" / "settings.cpython-314.pyc").write_bytes(b"")

    assert before == deployed.digest()


@pytest.mark.parametrize("other", [{"python": "3.13"}, {"machine": "x86_64"}], ids=str)
def test_the_digest_changes_with_the_target(other: dict[str, str], deployed: Bundle) -> None:
    assert replace(deployed, **other).digest() != deployed.digest()
