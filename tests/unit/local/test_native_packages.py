"""The deployed bundle holds machine code for Lambda; here it runs with this Python's own, of the same version."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sluice.local import native_packages
from sluice.local.aws import LocalError

VERSION = importlib.metadata.version("msgspec")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle as for Lambda: msgspec's sources with code that no machine can load, and a package that is pure."""
    package = tmp_path / "bundle" / "msgspec"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import _core")
    (package / "_core.cpython-314-aarch64-linux-gnu.so").write_bytes(b"for another machine")
    pure = package.parent / "pure"
    pure.mkdir()
    (pure / "__init__.py").write_text("HERE = True")
    return package.parent


def requirements(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    return path


def run(bundle: Path, code: str) -> subprocess.CompletedProcess[str]:
    """As the function's process runs: without this Python's site-packages."""
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(
        command, env={"PYTHONPATH": str(bundle)}, capture_output=True, text=True, check=False, timeout=600
    )


def test_a_native_package_runs_from_this_python_and_all_else_from_the_bundle(bundle: Path, tmp_path: Path) -> None:
    code = "import msgspec, pure; print(msgspec.json.decode('[1]'), pure.__file__)"
    assert run(bundle, code).returncode != 0

    linked = native_packages.link(bundle, requirements(tmp_path, f"msgspec=={VERSION} \\\n    --hash=sha256:0\n"))

    assert linked == [f"msgspec {VERSION}"]
    assert run(bundle, code).stdout == f"[1] {bundle / 'pure' / '__init__.py'}\n"
    assert Path(msgspec.__file__).exists()  # The link is replaced, never what it leads to.


@pytest.mark.parametrize("pinned", ["msgspec==0.0.1", "msgspec-more==1", ""])
def test_another_version_is_refused_by_name(pinned: str, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=rf"bundle holds msgspec .*; this Python has {VERSION}"):
        native_packages.link(bundle, requirements(tmp_path, pinned))

    assert (bundle / "msgspec" / "_core.cpython-314-aarch64-linux-gnu.so").exists()


def test_a_native_package_that_this_python_has_not_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "nobodys.cpython-314-aarch64-linux-gnu.so").write_bytes(b"")

    with pytest.raises(LocalError, match="bundle holds nobodys 1, which is native; this Python has none"):
        native_packages.link(bundle, requirements(tmp_path, f"msgspec=={VERSION}\nnobodys==1\n"))


def test_a_bundle_without_machine_code_is_left_as_it_is(bundle: Path, tmp_path: Path) -> None:
    (bundle / "msgspec" / "_core.cpython-314-aarch64-linux-gnu.so").unlink()

    assert native_packages.link(bundle, requirements(tmp_path, "")) == []
    assert not (bundle / "msgspec").is_symlink()


def test_the_function_pins_the_version_that_this_python_has() -> None:
    pins = (Path(__file__).parents[3] / "functions" / "batch_writer" / "requirements.txt").read_text()

    assert f"msgspec=={VERSION} " in pins
