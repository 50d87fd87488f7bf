"""The measurement of `sluice send` runs; how fast anything is, no test asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import files


def test_every_form_of_a_file_is_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    files.main(["--records", "20", "--rounds", "1"])

    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(files.forms(1))


def test_a_file_that_is_not_read_whole_ends_the_measurement(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"pk": "a", "sk": "b"}\n{"pk": "a"}\n')

    with pytest.raises(RuntimeError, match="MissingKey"):
        files.sent(path, 2)
