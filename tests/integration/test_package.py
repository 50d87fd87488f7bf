"""What `pip install` brings: the wheel in an environment of its own, beside a project with its own functions/."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import sluice
from sluice.cdk.bundle import BUNDLE
from sluice.local.sources import FUNCTION, ROOT

LOCK = ROOT / "requirements.lock"

USERS_PROGRAM = """\
from sluice import NotSent, NotSentError, Producer


def send(url: str) -> list[NotSent]:
    try:
        with Producer(url) as producer:
            producer.put({"pk": "order#1", "total": 12})
    except NotSentError as error:
        return list(error.not_sent)
    return []
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--wheel-dir", str(directory), str(ROOT)], check=True)
    (built,) = directory.glob("*.whl")
    return built


class Project:
    """A user's project, and the environment that it has installed Sluice into."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bin = directory / ".venv" / "bin"

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of the environment in the project's directory."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "AWS_"))
        }
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.directory,
            env={**kept, **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    directory = tmp_path_factory.mktemp("project")
    for package in ("functions", "infra"):
        (directory / package).mkdir()
        (directory / package / "__init__.py").write_text(f"OWNER = 'the user, {package}'\n")
    (directory / "program.py").write_text(USERS_PROGRAM)
    (directory / "orders.csv").write_text("pk,total\norder#1,12.5\norder#2,7\n")
    venv.create(directory / ".venv", with_pip=False)
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--constraint", str(LOCK)]
    subprocess.run([*uv, "--python", str(directory / ".venv" / "bin" / "python"), str(wheel)], check=True)
    return Project(directory)


def test_the_wheel_brings_one_name_and_nothing_that_only_this_project_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {"sluice", f"sluice-{sluice.__version__}.dist-info"}
    assert "sluice/py.typed" in names
    assert not [name for name in names if name.startswith(("sluice/local/demo", "sluice/local/soak"))]
    assert wheel.stat().st_size < 500_000


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))

    fields = HeaderParser().parsestr(archive.read(metadata).decode())

    assert fields["Version"] == sluice.__version__
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Author"] == "The Sluice authors"
    assert fields["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in fields.get_all("Classifier", [])
    assert set(fields.get_all("Provides-Extra", [])) == {"cli", "local", "cdk", "parquet"}
    assert [n for n in archive.namelist() if n.endswith("licenses/LICENSE")]


def test_a_base_installation_is_boto3_and_msgspec_alone(project: Project) -> None:
    installed = {
        path.name.partition("-")[0] for path in (project.directory / ".venv").glob("lib/*/site-packages/*.dist-info")
    }

    of_boto3 = {"boto3", "botocore", "s3transfer", "jmespath", "python_dateutil", "six", "urllib3"}
    assert installed == {"sluice", "msgspec"} | of_boto3


def test_the_users_own_functions_and_infra_stay_his(project: Project) -> None:
    code = "import functions, infra, sluice; sluice.Producer; print(functions.OWNER, infra.OWNER, sluice.__file__)"

    done = project.run("python", "-c", code)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"the user, functions the user, infra {project.directory}/.venv/")


def test_a_producer_of_a_base_installation_checks_a_record(project: Project) -> None:
    code = """
from sluice import InvalidRecordError, Producer
producer = Producer("http://127.0.0.1:9/123456789012/orders")
try:
    producer.put({"pk": float("nan")})
except InvalidRecordError as error:
    print(error)
"""

    done = project.run(
        "python", "-c", code, AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_REGION="eu-west-1"
    )

    assert done.returncode == 0, done.stderr
    assert "NaN" in done.stdout or "nan" in done.stdout


def test_the_command_works_from_any_directory(project: Project) -> None:
    version = project.run("sluice", "--version")
    dry = project.run(
        "sluice",
        "send",
        "orders.csv",
        "--dry-run",
        "--key",
        "pk:S",
        "--types",
        "total=N",
    )

    assert version.stdout == f"sluice {sluice.__version__}\n"
    assert dry.returncode == 0, dry.stderr
    assert re.search(r"would send +2 +records", dry.stdout)


def test_a_command_that_needs_an_extra_names_it(project: Project) -> None:
    (project.directory / "orders.jsonl.zst").write_bytes(b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51")

    done = project.run("sluice", "send", "orders.jsonl.zst", "--dry-run", "--key", "pk:S")

    assert done.returncode == 1
    assert "pip install 'sluice[cli]'" in done.stderr


def test_a_users_program_is_typed(project: Project) -> None:
    python = str(project.bin / "python")

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--python-executable",
            python,
            "--cache-dir",
            str(project.directory / ".mypy"),
            "program.py",
        ],
        cwd=project.directory,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_wheel_carries_the_function_and_its_locked_requirements(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    carried = {
        name.removeprefix("sluice/cdk/"): archive.read(name)
        for name in archive.namelist()
        if name.startswith("sluice/cdk/batch_writer/")
    }

    sources = [*FUNCTION.rglob("*.py"), FUNCTION / "requirements.txt"]
    assert carried == {path.relative_to(FUNCTION.parent).as_posix(): path.read_bytes() for path in sources}


def test_a_wheel_made_of_the_source_distribution_carries_the_function_too(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(tmp_path), "sdist"]

    subprocess.run([*command, "--dist-dir", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)

    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"setup.py", "functions/batch_writer/handler.py", "functions/batch_writer/requirements.txt"} <= names


def test_the_app_of_the_docs_is_synthesised_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    app, *_ = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "construct.md").read_text(), re.MULTILINE | re.DOTALL
    )
    told = "from sluice.cdk import bundle\nprint(bundle.__file__, bundle.BUNDLE.digest())\n"
    context: dict[str, list[str]] = {"aws:cdk:bundling-stacks": []}

    # The CDK comes from this environment, Sluice from the wheel; the package is not made, but its digest is taken.
    done = subprocess.run(
        [sys.executable, "-c", app + told],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(installed),
            "CDK_OUTDIR": str(tmp_path / "out"),
            "CDK_CONTEXT_JSON": json.dumps(context),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    file, digest = done.stdout.splitlines()[-1].split()
    assert file.startswith(str(installed))
    assert digest == BUNDLE.digest()
    template = json.loads((tmp_path / "out" / "Shop.template.json").read_text())
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    assert {"AWS::SQS::Queue", "AWS::DynamoDB::GlobalTable", "AWS::Lambda::EventSourceMapping"} <= kinds
    assert len([line for line in app.splitlines() if line.strip()]) <= 22
