"""The function's deployment package: its sources and pinned wheels, the same bytes on every machine."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUNCTION = ROOT / "functions" / "batch_writer"
LIBRARY = ROOT / "sluice"
WINGS = ("message", "aws", "writing")
"""The parts of the library that the function imports; the tools stay out of its package."""
REQUIREMENTS = FUNCTION / "requirements.txt"

# pip takes wheels only of platforms that are named. Amazon Linux 2023, under Python 3.12 and newer, has glibc 2.34.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")

# botocore describes every AWS service in 28 MB of JSON; these and the files beside them are all that is asked for.
SERVICES = ("dynamodb", "sqs")


class BundleError(RuntimeError):
    """pip could not install the function's requirements."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the package is made for."""

    python: str
    """Version of the runtime, such as `3.14`."""
    machine: str
    """As wheels name it: `aarch64` or `x86_64`."""

    def digest(self) -> str:
        """The inputs' hash: with it CDK knows an existing package without pip, network or unpacking.

        Every input is a file of this repository, pip checks each wheel against its hash, and paths and times
        do not enter: equal digests mean equal packages, on whichever machine.
        """
        digest = hashlib.sha256(f"{self.python} {self.machine}".encode())
        for name, path in {**sources(), "requirements": REQUIREMENTS, "bundling": Path(__file__)}.items():
            content = path.read_bytes()
            digest.update(f"\n{name} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def write(self, target: Path) -> None:
        """Fill the empty directory `target`. Raises `BundleError` with pip's own words."""
        self._install_requirements(target)
        _remove_what_is_not_needed(target)
        for name, path in sources().items():
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        for path in target.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def _install_requirements(self, target: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-color"]
        command += [
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            "--no-compile",
        ]
        command += ["--implementation", "cp", "--python-version", self.python]
        for platform in PLATFORMS:
            command += ["--platform", f"{platform}_{self.machine}"]
        command += ["--target", str(target), "--requirement", str(REQUIREMENTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BundleError(f"pip could not install {REQUIREMENTS} for the function:\n{done.stdout}{done.stderr}")


def sources() -> dict[str, Path]:
    """Path in the package → file: the function's modules and those of the library that it imports, in a fixed order."""
    library = [LIBRARY / "__init__.py", *(path for wing in WINGS for path in (LIBRARY / wing).rglob("*.py"))]
    named = {path.relative_to(FUNCTION.parent).as_posix(): path for path in FUNCTION.rglob("*.py")}
    named |= {path.relative_to(LIBRARY.parent).as_posix(): path for path in library}
    return dict(sorted(named.items()))


def _remove_what_is_not_needed(target: Path) -> None:
    # Nothing in the package reads its own metadata; `bin` holds scripts that name the interpreter of this machine.
    unwanted: Iterable[Path] = [*target.glob("*.dist-info"), target / "bin", *target.rglob("__pycache__")]
    for path in unwanted:
        shutil.rmtree(path, ignore_errors=True)
    for path in (target / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in SERVICES:
            shutil.rmtree(path)
