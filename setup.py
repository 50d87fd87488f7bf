"""What pyproject.toml cannot say: the wheel carries the function, which is not part of the package in the repository.

`sluice.cdk` makes the function's package from it. In a checkout, and installed from one with `--editable`, it takes
`functions/batch_writer` itself, so that there is one source of it.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FUNCTION = Path("functions/batch_writer")


class BuildWithFunction(build_py):
    """Copies the function's modules and its locked requirements beside what makes a package of them."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "sluice", "cdk", FUNCTION.name)
            self.mkpath(str(target))
            for source in (*sorted(FUNCTION.rglob("*.py")), FUNCTION / "requirements.txt"):
                self.copy_file(str(source), str(target / source.relative_to(FUNCTION)))


setup(cmdclass={"build_py": BuildWithFunction})
