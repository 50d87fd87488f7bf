"""The app as `cdk` runs it: settings in, a cloud assembly or one sentence out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.command import WITHOUT_PACKAGE, run_app

pytestmark = pytest.mark.xdist_group("synth")


def test_a_synthesis_writes_the_stack_of_the_settings(tmp_path: Path) -> None:
    settings = {**WITHOUT_PACKAGE, "stage": "dev", "tableRemoval": "destroy"}

    done = run_app(tmp_path, settings, CDK_VALIDATION="true")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "Sluice-dev.template.json").exists()
    assert "warning" not in done.stdout + done.stderr


def test_every_synthesis_is_checked_by_cdk_nag(monkeypatch: pytest.MonkeyPatch) -> None:
    from aws_cdk import Stack
    from aws_cdk import aws_sqs as sqs

    import infra.app

    monkeypatch.setattr(infra.app, "SluiceStack", lambda scope, _: sqs.Queue(Stack(scope, "Careless"), "Queue"))

    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        infra.app.main()


def test_a_setting_that_stands_in_no_file_is_told(tmp_path: Path) -> None:
    done = run_app(tmp_path, {**WITHOUT_PACKAGE, "partitionKey": "customer:S", "sortKey": "time:S"})

    assert done.returncode == 0, done.stderr
    metadata = (tmp_path / "Sluice.metadata.json").read_text()
    assert "partitionKey, sortKey: given on the command line alone" in metadata


def test_a_bad_setting_ends_it_with_one_sentence_on_standard_error(tmp_path: Path) -> None:
    done = run_app(tmp_path, {**WITHOUT_PACKAGE, "batchSize": "0"})

    assert done.returncode == 1
    assert done.stderr.endswith("sluice: batchSize must be a whole number of messages from 1 to 10000, got '0'\n")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
