"""Many files as one: which are meant, on this machine and in S3, and where a reader goes on."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from sluice import cli
from sluice.cli import CommandError, UsageError, main
from sluice.send.files import Found, beside, found
from sluice.send.inputs import Inputs
from sluice.send.options import Input
from sluice.send.s3 import S3
from sluice.sending.record import Record
from tests.fakes import FakeSQS, Refusal

MODIFIED = datetime(2026, 11, 1, tzinfo=UTC)
EXPORT = "AWSDynamoDB/01693685827463-2d8752fd"


class FakeS3:
    """Objects by bucket and key, listed two to a page; `breaks` bytes after which a connection ends, one by one."""

    def __init__(self, objects: dict[str, bytes], breaks: list[int | str] | None = None) -> None:
        self.objects = objects
        self.breaks = breaks or []
        self.asked: list[str] = []

    def list_objects_v2(self, Bucket: str, Prefix: str, ContinuationToken: str = "") -> Any:  # noqa: N803
        names = sorted(
            name for name in self.objects if name.startswith(f"{Bucket}/{Prefix}") and name > ContinuationToken
        )
        page = [
            {
                "Key": name.partition("/")[2],
                "Size": len(self.objects[name]),
                "LastModified": MODIFIED,
                "ETag": self.etag(name),
            }
            for name in names[:2]
        ]
        more = {"IsTruncated": True, "NextContinuationToken": names[1]} if len(names) > 2 else {"IsTruncated": False}
        return {"Contents": page, **more} if page else {"IsTruncated": False}

    def head_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803
        content = self.objects.get(f"{Bucket}/{Key}")
        if content is None:
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")
        return {"ContentLength": len(content), "LastModified": MODIFIED, "ETag": self.etag(f"{Bucket}/{Key}")}

    def get_object(self, Bucket: str, Key: str, Range: str, IfMatch: str) -> Any:  # noqa: N803
        self.asked.append(Range)
        if self.etag(f"{Bucket}/{Key}") != IfMatch:
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": ""}}, "GetObject")
        rest = self.objects[f"{Bucket}/{Key}"][int(Range.removeprefix("bytes=").removesuffix("-")) :]
        how = self.breaks.pop(0) if self.breaks else len(rest)
        if isinstance(how, str):
            raise ReadTimeoutError(endpoint_url="https://s3")
        return {"Body": io.BytesIO(rest[:how])}

    def etag(self, name: str) -> str:
        return str(hash(self.objects[name]))


def lines(*keys: str) -> str:
    return "".join(f'{{"pk": "{key}"}}\n' for key in keys)


def part(*keys: str) -> bytes:
    return gzip.compress("".join(f'{{"Item":{{"pk":{{"S":"{key}"}}}}}}\n' for key in keys).encode())


def manifest(*keys: str) -> bytes:
    return "".join(json.dumps({"itemCount": 1, "dataFileS3Key": key}) + "\n" for key in keys).encode()


def keys(records: list[Record]) -> list[str]:
    texts = [json.loads(record.body) for record in records]
    return [one["put"]["pk"] if "put" in one else one["PutRequest"]["Item"]["pk"]["S"] for one in texts]


def inputs_of(names: list[str], fake: FakeS3 | None = None, **given: Any) -> Inputs:
    s3 = S3(lambda: fake)
    files = found(names, s3)
    return Inputs(Input(names[0], **given), files, {"pk": "S"}, s3, beside(names, files))


def tree(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


FILES: dict[str, str | bytes] = {
    "a/1.csv": "pk,n\n1,x\n2,y\n",
    "a/2.JSONL": lines("3", "4"),
    "a/b/3.json.gz": gzip.compress(json.dumps([{"pk": "5"}, {"pk": "6"}], indent=1).encode()),
    "a/b/4.json": '{"Items": [{"pk": {"S": "7"}}], "Count": 1}',
    "a/1.csv.rejected.jsonl": "{}\n",
    "a/1.csv.sluice-journal": "{}\n",
    "a/.hidden.csv": "x",
    "a/README.md": "x",
}


@pytest.mark.parametrize("is_s3", [False, True])
def test_a_directory_is_all_files_of_records_in_it_and_a_reader_goes_on_after_any_record(
    tmp_path: Path, is_s3: bool
) -> None:
    tree(tmp_path, FILES)
    fake = FakeS3({f"bucket/{n}": c.encode() if isinstance(c, str) else c for n, c in FILES.items()})
    inputs = inputs_of(["s3://bucket/a/" if is_s3 else str(tmp_path / "a")], fake)

    every = list(inputs.records())

    assert keys(every) == ["1", "2", "3", "4", "5", "6", "7"]
    assert sorted(every, key=lambda record: record.end) == every
    assert len({record.end.offset for record in every}) == 7
    assert [inputs.name_at(record.end).rpartition("/")[2] for record in every[::2]] == [
        "1.csv", "2.JSONL", "3.json.gz", "4.json"
    ]  # fmt: skip
    for position, record in enumerate(every):
        assert list(inputs.records(record.end)) == every[position + 1 :]
    size = inputs.size()
    assert size is not None
    list(inputs.records())
    assert inputs.done(every[-1].end) <= size


def test_names_and_patterns_come_in_their_order_and_each_file_once(tmp_path: Path) -> None:
    tree(tmp_path, {"b.jsonl": lines("b"), "a.jsonl": lines("a"), "c[1].jsonl": lines("c")})
    names = [str(tmp_path / "b.jsonl"), str(tmp_path / "[ab].jsonl"), str(tmp_path / "c[1].jsonl")]

    inputs = inputs_of(names)

    assert keys(list(inputs.records())) == ["b", "a", "c"]
    assert inputs.path == f"{tmp_path / 'b.jsonl'}.and-2-more"
    assert inputs.name == f"{tmp_path / 'b.jsonl'} and 2 more"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["nothing*.csv"], "no file matches 'nothing\\*.csv'"),
        (["."], "no file of records in the directory .: .csv, .tsv"),
        (["-", "a.csv"], "standard input"),
        (["s3://bucket/no/"], "no object with records under s3://bucket/no/"),
        (["s3://bucket/no*"], "no object matches"),
        (["s3://B/x"], "s3://BUCKET/KEY"),
    ],
)
def test_where_no_file_is_meant_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=told):
        inputs_of(names, FakeS3({}))


def test_one_bad_file_of_many_is_named_before_anything_is_read(tmp_path: Path) -> None:
    tree(tmp_path, {"1.csv": "pk,a\n1,x\n", "2.csv": "id,a\n1,x\n"})

    with pytest.raises(UsageError, match=r"'pk' is no column of .*2\.csv"):
        inputs_of([str(tmp_path)])


def test_types_are_inferred_of_all_files_together(tmp_path: Path) -> None:
    tree(tmp_path, {"1.csv": "pk,a,b,c\n1,1,1,\n", "2.csv": "pk,a,b,c\n2,2,x,3\n", "3.csv": "pk,d\n3,true\n"})

    found = [json.loads(record.body)["put"] for record in inputs_of([str(tmp_path)], infer=True).records()]

    assert found == [{"pk": "1", "a": 1, "b": "1"}, {"pk": "2", "a": 2, "b": "x", "c": 3}, {"pk": "3", "d": True}]


# Exports


EXPORTS = {
    "full": (f"{EXPORT}/data/", f"{EXPORT}/"),
    "incremental": ("AWSDynamoDB/data/", f"{EXPORT}/"),
}


@pytest.mark.parametrize("name", ["manifest-files.json", "manifest-summary.json", ""])
@pytest.mark.parametrize(("data", "beside_it"), EXPORTS.values(), ids=EXPORTS)
@pytest.mark.parametrize("is_s3", [False, True])
def test_all_parts_of_an_export_are_found_by_its_manifest(
    tmp_path: Path, data: str, beside_it: str, name: str, is_s3: bool
) -> None:
    parts = [f"pre/{data}z.json.gz", f"pre/{data}a.json.gz"]
    objects = {parts[0]: part("1", "2"), parts[1]: part(), f"pre/{data}other.json.gz": part("9")}
    objects |= {
        f"pre/{beside_it}manifest-files.json": manifest(*parts),
        f"pre/{beside_it}manifest-summary.json": b'{"outputFormat": "DYNAMODB_JSON"}\n',
    }
    tree(tmp_path, dict(objects))
    fake = FakeS3({f"bucket/{key}": content for key, content in objects.items()})
    place = f"pre/{beside_it}{name}"

    inputs = inputs_of([f"s3://bucket/{place}" if is_s3 else str(tmp_path / place)], fake)

    assert keys(list(inputs.records())) == ["1", "2"]
    assert len(inputs) == 2


@pytest.mark.parametrize("is_s3", [False, True])
def test_a_part_that_is_not_there_and_an_export_in_ion_are_refused(tmp_path: Path, is_s3: bool) -> None:
    objects = {
        "1/manifest-files.json": manifest("1/data/a.json.gz"),
        "2/manifest-files.json": manifest("2/data/a.ion.gz"),
        "3/manifest-summary.json": b'{"outputFormat": "ION"}\n',
        "4/manifest-files.json": b"[1]\n",
    }
    tree(tmp_path, dict(objects))
    fake = FakeS3({f"bucket/{key}": content for key, content in objects.items()})
    names = [f"s3://bucket/{key}" if is_s3 else str(tmp_path / key) for key in objects]

    with pytest.raises(CommandError, match="names the part"):
        inputs_of([names[0]], fake)
    for name in names[1:3]:
        with pytest.raises(UsageError, match="export the table again as DYNAMODB_JSON"):
            inputs_of([name], fake)
    with pytest.raises(CommandError, match="is no manifest"):
        inputs_of([names[3]], fake)


# S3


def test_a_stream_that_breaks_goes_on_where_it_broke() -> None:
    content = lines(*map(str, range(5000))).encode()
    inputs = inputs_of(["s3://bucket/a.jsonl"], fake := FakeS3({"bucket/a.jsonl": content}))
    every = list(inputs.records())
    fake.asked.clear()
    fake.breaks = [20_000, "timeout", 0, 1000]

    assert list(inputs.records(every[9].end)) == every[10:]
    start = every[9].end.offset
    assert fake.asked[:5] == [f"bytes={start + more}-" for more in (0, 20_000, 20_000, 20_000, 21_000)]


def test_an_object_that_does_not_answer_has_changed_or_is_not_there_is_told() -> None:
    fake = FakeS3({"bucket/a.jsonl": lines("1").encode()})
    inputs = inputs_of(["s3://bucket/a.jsonl"], fake)

    fake.breaks = ["timeout"] * 9
    with pytest.raises(CommandError, match="no answer from S3, 5 times"):
        list(inputs.records())
    fake.breaks = []
    fake.objects["bucket/a.jsonl"] += b"\n"
    with pytest.raises(CommandError, match="has changed since"):
        list(inputs.records())
    with pytest.raises(CommandError, match="cannot read s3://bucket/b: there is no such object"):
        inputs_of(["s3://bucket/b"], fake)


# The whole command


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeSQS, str]:
    sqs = FakeSQS()
    monkeypatch.setattr("sluice.send.command.client", lambda *_, **__: sqs)
    monkeypatch.setattr("sluice.send.command.queue", lambda *_: (False, 2048))
    return sqs, sqs.create_queue("work")


def sent(sqs: FakeSQS, url: str) -> list[str]:
    return [one["put"]["pk"] for message in sqs.messages(url) for one in json.loads(message["Body"])]


@pytest.mark.parametrize("is_s3", [False, True])
def test_a_send_of_many_files_is_resumed_in_the_middle_of_one(
    queue: tuple[FakeSQS, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_s3: bool,
) -> None:
    sqs, url = queue
    files: dict[str, str | bytes] = {
        f"in/{file}.jsonl": "".join(f'{{"pk": "{file}-{n}", "x": "{"x" * 600}"}}\n' for n in range(25))
        for file in "abc"
    }
    files["in/d.csv"] = "pk\nd-1\n,\n"
    tree(tmp_path, files)
    fake = FakeS3({f"bucket/{n}": c.encode() if isinstance(c, str) else c for n, c in files.items()})
    monkeypatch.setattr("sluice.send.inputs.client", lambda *_, **__: fake)
    monkeypatch.chdir(tmp_path)
    arguments = ["send", "s3://bucket/in/" if is_s3 else "in", "--queue-url", url, "--key", "pk:S"]
    arguments += ["--connections", "1"]
    sqs.script(None, Refusal("AccessDenied", "not allowed"), operation="SendMessageBatch")

    assert main(arguments) == cli.FAILED
    assert "b.jsonl line 5 without a gap. --resume goes on from there." in capsys.readouterr().err
    assert main(arguments) == cli.USAGE
    assert main([*arguments, "--resume"]) == cli.FAILED  # For the bad row.

    assert sorted(sent(sqs, url)) == sorted([f"{file}-{n}" for file in "abc" for n in range(25)] + ["d-1"])
    (rejected,) = (tmp_path / "in.rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["file"].endswith("in/d.csv")
    assert json.loads(rejected)["header"] == "pk"
    assert "InvalidRow, such as" in (out := capsys.readouterr().out)
    assert "in/d.csv line 3: 2 cells in a row; the header has 1" in out


def test_a_file_that_is_gone_or_new_is_not_resumed(queue: tuple[FakeSQS, str], tmp_path: Path) -> None:
    sqs, url = queue
    tree(tmp_path, {"in/a.jsonl": lines("1"), "in/b.jsonl": lines("2")})
    arguments = ["send", str(tmp_path / "in"), "--queue-url", url, "--key", "pk:S"]
    sqs.script(None, operation="SendMessageBatch")
    assert main([*arguments, "--limit", "1"]) == cli.DONE
    (tmp_path / "in/c.jsonl").write_text(lines("3"))

    assert main([*arguments, "--resume"]) == cli.FAILED
    assert sent(sqs, url) == ["1"]


def test_a_limit_sends_no_more_and_a_resume_goes_on(
    queue: tuple[FakeSQS, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs, url = queue
    tree(tmp_path, {"a.jsonl": lines(*map(str, range(10)))})
    arguments = ["send", str(tmp_path / "a.jsonl"), "--queue-url", url, "--key", "pk:S"]

    said = [
        (main([*arguments, *more]), capsys.readouterr().out, sent(sqs, url))
        for more in (["--limit", "3"], [], ["--resume", "--limit", "4"], ["--resume", "--limit", "3", "--json"])
    ]

    assert [status for status, _, _ in said] == [0, 2, 0, 0]
    assert [len(there) for _, _, there in said] == [3, 3, 7, 10]
    assert "no more, by --limit; --resume sends the others" in said[0][1]
    assert json.loads(said[3][1])["limit_reached"] is False
    assert sent(sqs, url) == [str(n) for n in range(10)]


def test_files_may_stand_between_options(queue: tuple[FakeSQS, str], tmp_path: Path) -> None:
    sqs, url = queue
    tree(tmp_path, {"a.jsonl": lines("a"), "b.jsonl": lines("b")})

    assert (
        main(["send", str(tmp_path / "a.jsonl"), "--queue-url", url, str(tmp_path / "b.jsonl"), "--key", "pk:S"]) == 0
    )
    assert sent(sqs, url) == ["a", "b"]


def test_the_name_of_what_is_noted_follows_what_was_named() -> None:
    files = [Found("x/a.csv"), Found("x/b.csv")]

    assert beside(["x/"], files) == "x"
    assert beside(["x/*.csv"], files) == "x/a.csv.and-1-more"
    assert beside(["s3://bucket/deep/x.csv"], [Found("s3://bucket/deep/x.csv")]) == "x.csv"
    assert beside(["s3://bucket/"], files) == "bucket"
    assert beside(["-"], [Found("-")]) == "stdin"
