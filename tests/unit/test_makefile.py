"""`make venv` says why it cannot go on, and what to do. Python, pip and npm are scripts here: nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
NOBODY = 65_534

# The Python that makes the environment, and the one inside it; each step fails as `FAIL` says.
PYTHON = """#!/bin/sh
case "$1 $2" in
  "--version ") echo "Python 3.9.1"; exit ;;
  "-c "*) test "$FAIL" != version; exit ;;
esac
test "$FAIL" = venv && { echo "ensurepip is not available" >&2; exit 1; }
mkdir -p "$3/bin"
cp "$(dirname "$0")/inner" "$3/bin/python"
"""
INNER = """#!/bin/sh
case "$1 $2" in
  "-m pip")
    test "$FAIL" = "$(dirname "$0" | cut -d/ -f1) pip" || exit 0
    echo "ERROR: connection refused" >&2
    exit 1 ;;
  *bin*node*) echo "$PWD/node" ;;
esac
"""
NODE = """#!/bin/sh
echo "added 1 package"
test "$FAIL" = npm || exit 0
case "$*" in *--silent*) ;; *) echo "npm error code E403" >&2 ;; esac
exit 1
"""


@pytest.fixture
def project() -> Iterator[Path]:
    """A copy of the Makefile, with scripts for the programs that it calls; readable for every user."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    shutil.copy(MAKEFILE, root / "Makefile")
    for name in ("benchmarks", "second_opinion"):
        (root / "tests" / name).mkdir(parents=True)
        (root / "tests" / name / "requirements.txt").write_text("")
    for name in ("pyproject.toml", "requirements.lock", "package-lock.json"):
        (root / name).write_text("")
    for name, script in (("python", PYTHON), ("inner", INNER), ("node", NODE)):
        (root / name).write_text(script)
        (root / name).chmod(0o755)
    yield root
    shutil.rmtree(root)


def make(project: Path, *arguments: str, fail: str = "", user: int | None = None) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "FAIL": fail, "MAKEFLAGS": "--no-print-directory"}
    command = ["make", f"PYTHON={project}/python", *arguments]
    return subprocess.run(
        command, cwd=project, env=environ, user=user, capture_output=True, text=True, timeout=60, check=False
    )


def test_make_venv_is_quiet_where_all_goes_well(project: Path) -> None:
    done = make(project, "venv")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Setting up .venv")
    assert done.stdout.count("\n") == 1
    assert (project / ".venv/.ready").exists()


@pytest.mark.parametrize(
    ("fail", "goal", "told"),
    [
        (
            "version",
            "demo",
            ["sluice needs Python 3.11 or newer, and {python} is Python 3.9.1", "make PYTHON=python3.12 demo"],
        ),
        ("venv", "venv", ["ensurepip is not available", "apt-get install python3-venv", "make PYTHON={python} venv"]),
        (".venv pip", "venv", ["ERROR: connection refused", "PIP_INDEX_URL", "make PYTHON={python} venv"]),
        (".venv-bench pip", "bench", ["ERROR: connection refused", "PIP_INDEX_URL", "make PYTHON={python} bench"]),
        (".venv-second pip", "second-opinion", ["ERROR: connection refused", "make PYTHON={python} second-opinion"]),
        ("npm", "test", ["npm error code E403", "NPM_CONFIG_REGISTRY", "make PYTHON={python} test"]),
    ],
)
def test_each_failure_tells_its_reason_and_the_way_forward_in_a_sentence(
    project: Path, fail: str, goal: str, told: list[str]
) -> None:
    done = make(project, goal, fail=fail)

    assert done.returncode == 2
    sentence = next(line for line in done.stderr.splitlines() if line.startswith("make: "))
    reason, *way_forward = [text.format(python=project / "python") for text in told]
    assert reason in (sentence if fail == "version" else done.stderr.split(sentence)[0])
    assert all(text in sentence for text in way_forward)


@pytest.mark.parametrize("goal", ["venv", "test"])
def test_a_python_that_is_not_there_is_told_in_one_sentence(project: Path, goal: str) -> None:
    done = make(project, "PYTHON=python9", goal)

    assert done.returncode == 2
    sentence, *of_make = done.stderr.splitlines()
    assert sentence == (
        "make: there is no python9 here; install Python 3.11 or newer, or name one that you have:"
        f" make PYTHON=python3.12 {goal}"
    )
    assert all(line.startswith("make: ***") for line in of_make)


@pytest.mark.parametrize("where", ["", ".venv", "node_modules"])
def test_a_directory_that_one_may_not_write_in_is_told_in_one_sentence(project: Path, where: str) -> None:
    closed = project / where
    closed.mkdir(exist_ok=True)
    is_root = os.getuid() == 0
    if is_root and where:
        project.chmod(0o777)
    closed.chmod(0o555)

    done = make(project, "venv", user=NOBODY if is_root else None)

    closed.chmod(0o755)
    assert done.returncode == 2
    sentence = done.stderr.splitlines()[0]
    assert sentence.startswith(f"make: you may not write in {closed}; make it yours by sudo chown -R ")
    assert "clone the project elsewhere" in sentence
