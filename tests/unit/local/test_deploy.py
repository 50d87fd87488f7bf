"""What the local deployment needs is asked for by name when it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice.local import deploy
from sluice.local.aws import LocalAws, LocalError
from sluice.local.deploy import Outputs, cdk_command

OUTPUTS = {
    "QueueUrl": "https://queue",
    "QueueArn": "arn:queue",
    "DeadLetterQueueUrl": "https://dead",
    "TableName": "table",
    "FunctionName": "function",
    "DashboardName": "dashboard",
    "AlarmTopicArn": "arn:topic",
}


def test_outputs_are_read_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps({"Sluice": {**OUTPUTS, "More": "ignored"}}))

    outputs = Outputs.from_file(path)

    assert (outputs.queue_url, outputs.dead_letter_queue_url) == ("https://queue", "https://dead")
    assert (outputs.table_name, outputs.alarm_topic_arn) == ("table", "arn:topic")


def test_a_stack_may_have_no_dashboard(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps({"Sluice": {name: value for name, value in OUTPUTS.items() if name != "DashboardName"}}))

    assert Outputs.from_file(path).dashboard_name == ""


@pytest.mark.parametrize("text", [json.dumps({"Sluice": {"QueueUrl": "https://queue"}}), "{}", "", "[]"])
def test_outputs_that_are_not_complete_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(text)

    with pytest.raises(LocalError, match=r"outputs in .*outputs\.json are not complete"):
        Outputs.from_file(path)


def test_a_command_line_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "ROOT", tmp_path)

    with pytest.raises(LocalError, match=r"The CDK command line .* is not installed; `make venv` installs it"):
        cdk_command()


def test_nothing_of_the_users_own_account_reaches_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://mine")
    monkeypatch.setenv("NO_PROXY", "mine.example")
    aws = LocalAws(port=4599)

    environ = aws.environ()
    client = aws.client("sqs")

    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_SQS"} & set(environ)
    assert environ["AWS_ENDPOINT_URL"] == "http://localhost:4599"
    assert environ["NO_PROXY"] == "mine.example,localhost,127.0.0.1"
    assert client.meta.endpoint_url == "http://127.0.0.1:4599"
