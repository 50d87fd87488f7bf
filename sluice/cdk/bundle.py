"""The function's deployment package: its sources and pinned wheels, the same bytes on every machine.

`python -m sluice.cdk.bundle function.zip` writes it for tools other than the CDK, of which it needs nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIBRARY = Path(__file__).absolute().parents[1]
_IN_WHEEL = Path(__file__).absolute().parent / "batch_writer"
FUNCTION = _IN_WHEEL if _IN_WHEEL.exists() else LIBRARY.parent / "functions" / "batch_writer"
"""setup.py copies it into the wheel; in a checkout there is no copy."""
HANDLER = f"{FUNCTION.name}.handler.lambda_handler"
PYTHON = "3.14"
"""Version of the runtime."""
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's word for an architecture → that of wheels."""
WINGS = ("message", "aws", "writing")
"""The parts of the library that the function imports; the tools stay out of its package."""
REQUIREMENTS = FUNCTION / "requirements.txt"

# pip takes wheels only of platforms that are named. Amazon Linux 2023, under Python 3.12 and newer, has glibc 2.34.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")

# botocore describes every AWS service in 28 MB of JSON; these and the files beside them are all that is asked for.
SERVICES = ("dynamodb", "sqs")


PIP_SECONDS = 600
"""On an ordinary connection it takes some five."""


class BundleError(RuntimeError):
    """pip could not install the function's requirements."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the package is made for."""

    python: str
    """Version of the runtime, such as `3.14`."""
    machine: str
    """As wheels name it: `aarch64` or `x86_64`."""

    @classmethod
    def of(cls, architecture: str) -> Bundle:
        """The package for one of Lambda's architectures."""
        return cls(PYTHON, MACHINES[architecture])

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
        print("sluice: pip installs the function's packages, once for each change", file=sys.stderr)  # noqa: T201
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PIP_SECONDS)
        except subprocess.TimeoutExpired:
            raise BundleError(
                f"pip took more than {PIP_SECONDS} seconds to install {REQUIREMENTS}: is its index reachable?"
                " Behind a proxy set HTTPS_PROXY, with a mirror of PyPI PIP_INDEX_URL, and try again"
            ) from None
        if "No module named pip" in done.stderr:
            raise BundleError(
                f"{sys.executable} has no pip, which makes the function's package: run {sys.executable} -m ensurepip"
            )
        if done.returncode != 0:
            raise BundleError(f"pip could not install {REQUIREMENTS} for the function:\n{done.stdout}{done.stderr}")


BUNDLE = Bundle.of("arm64")
"""What is deployed unless another architecture is chosen."""


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


def write_zip(bundle: Bundle, archive: Path) -> None:
    """The package as a ZIP file, the same bytes on every machine."""
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        package = Path(directory)
        bundle.write(package)
        for path in sorted(path for path in package.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(package).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16  # Lambda reads files as another user than the one that owns them.
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, path.read_bytes())


def main() -> None:
    """Write the package to the file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m sluice.cdk.bundle", description="The function's ZIP package.")
    parser.add_argument("archive", type=Path, metavar="FILE", help="such as function.zip; one that exists is replaced")
    parser.add_argument("--architecture", choices=MACHINES, default="arm64", help="the function's (default: arm64)")
    arguments = parser.parse_args()
    try:
        write_zip(Bundle.of(arguments.architecture), arguments.archive)
    except (BundleError, OSError) as error:
        sys.exit(f"sluice: {error}")
    print(f"{arguments.archive}: handler {HANDLER}, runtime python{PYTHON}, {arguments.architecture}")  # noqa: T201


if __name__ == "__main__":
    main()
