"""What stands on the wire, beside what boto3 puts there; TLS; and boto3 itself where it carries our batches."""

from __future__ import annotations

import base64
import ipaddress
import itertools
import json
import os
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import botocore.client
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.aws import endpoint
from sluice.aws.answer import NoAnswer
from sluice.aws.boto import BotoClient
from sluice.aws.dead_letters import DeadLetter
from sluice.aws.endpoint import Endpoint
from sluice.aws.http import HttpClient
from sluice.aws.http import Request as Asked
from sluice.aws.http_parser import HttpResponse
from sluice.aws.in_flight import Executor, Running
from sluice.aws.meanings import Meaning, Reply
from sluice.aws.queue import Queue
from sluice.aws.route import Route
from sluice.aws.signature import Credentials
from sluice.aws.tables import PREFIX, Tables
from sluice.aws.threads import Threads
from sluice.message.decoder import Decoder
from sluice.message.operation import Operation
from sluice.message.settings import KeyAttribute, Settings, Table
from tests.fakes import FakeDynamoDB, Unprocessed
from tests.fakes.scripted import ScriptedServer
from tests.fakes.server import serve

TABLE = Table("t", "the-table", KeyAttribute("pk", "S"))
ENVIRON = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret/+",
    "AWS_SESSION_TOKEN": "token==",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
SAID = b'{"UnprocessedItems":{}}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nx-amz-crc32: %d\r\n\r\n%b" % (len(SAID), zlib.crc32(SAID), SAID)
SECONDS = 20.0

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(lambda name: name != "pk")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(str),
    # No -0.0: the function writes it as 0, which is what DynamoDB makes of it.
    st.from_regex(r"-?(0|[1-9][0-9]{0,9})\.[0-9]{1,20}", fullmatch=True).filter(
        lambda text: float(text) or "-" not in text
    ),
    st.sampled_from(["1.50", "1e0", "1E-130", "9.9E+125", "10.357019999999999"]),
)
SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, TEXTS),
    st.builds(lambda number: {"N": number}, NUMBERS),
    st.builds(lambda binary: {"B": binary}, st.binary(max_size=9)),
    st.sampled_from([{"BOOL": True}, {"BOOL": False}, {"NULL": True}]),
    st.builds(lambda members: {"SS": members}, st.lists(TEXTS, min_size=1, max_size=3, unique=True)),
    st.builds(
        lambda members: {"NS": [str(member) for member in members]},
        st.lists(st.integers(), min_size=1, max_size=3, unique=True).filter(lambda them: max(map(abs, them)) < 10**38),
    ),
    st.builds(lambda members: {"BS": members}, st.lists(st.binary(max_size=5), min_size=1, max_size=3, unique=True)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda elements: {"L": elements}, st.lists(inner, max_size=3)),
        st.builds(lambda members: {"M": members}, st.dictionaries(NAMES, inner, max_size=3)),
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(NAMES, VALUES, max_size=6)
REQUESTS = st.lists(st.one_of(ITEMS, st.none()), min_size=1, max_size=25)  # None: a delete.


@dataclass(frozen=True, slots=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, raw: bytes) -> Request:
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        return cls(line, dict(header.split(": ", 1) for header in headers), body)

    def signature(self, service: str = "dynamodb") -> str:
        """The Authorization that botocore makes for a request with this body and these headers."""
        given = {name: self.headers[name] for name in ("Content-Type", "X-Amz-Target")}
        request = AWSRequest("POST", f"http://{self.headers['Host']}/", headers=given, data=self.body)
        moment = datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        credentials = BotocoreCredentials("ASIAEXAMPLE", "secret/+", "token==")
        with patch("botocore.auth.get_current_datetime", return_value=moment):
            SigV4Auth(credentials, service, "eu-west-1").add_auth(request)
        return str(request.headers["Authorization"])


def with_base64(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: with_base64(inner) for name, inner in value.items()}
    return [with_base64(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def _environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    with ScriptedServer(*(itertools.repeat(OK) for _ in range(99))) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{started.port}")
        yield started


def tables(dynamodb: Any = None) -> Tables:
    found = endpoint.plain(os.environ, "dynamodb")
    assert found is not None
    return Tables([TABLE], dynamodb or by_http(found))


def by_http(found: Endpoint, boto: Callable[[], Any] = lambda: no_boto3()) -> Route:
    return Route(boto, HttpClient(found, 8), found.credentials, prefix=PREFIX, connections=8, host="DynamoDB")


def no_boto3() -> Any:
    raise AssertionError("boto3 is not needed")


def write(to: Tables, requests: list[dict[str, Any]]) -> Reply:
    """Decodes the requests as of a message in native form, and writes them as one batch."""
    record = {"messageId": "m", "body": json.dumps({"RequestItems": {TABLE.name: with_base64(requests)}})}
    message = Decoder(Settings((TABLE,))).decode(record)
    assert list(message.rejected) == []
    return written(to, message.operations)


def written(to: Tables, operations: Sequence[Operation]) -> Reply:
    executor = Threads()(1)
    call = to.begin(operations, SECONDS, executor.submit)
    executor.wait([call], SECONDS)
    return to.reply(operations, call.result())


def as_requests(drawn: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
    keys = ({"pk": {"S": f"k{number}"}} for number in itertools.count())
    return [
        {"DeleteRequest": {"Key": key}} if item is None else {"PutRequest": {"Item": {**key, **item}}}
        for key, item in zip(keys, drawn, strict=False)
    ]


NOT_COMPARED = {
    "User-Agent",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "X-Amz-Date",
    "Authorization",
    "Content-Length",
}


def test_the_request_is_boto3s_own_in_all_that_means_something(server: ScriptedServer) -> None:
    client = boto3.Session().client("dynamodb")  # Not the default session, which may know another environment.
    ours = tables()

    @settings(max_examples=100, deadline=None)
    @given(REQUESTS)
    def check(drawn: list[dict[str, Any] | None]) -> None:
        requests = as_requests(drawn)
        server.requests.clear()

        assert write(ours, requests) == Reply(Meaning.ACCEPTED)
        client.batch_write_item(RequestItems={TABLE.name: requests}, ReturnConsumedCapacity="TOTAL")

        mine, theirs = (Request.read(raw) for raw in server.requests)
        assert mine.line == theirs.line == "POST / HTTP/1.1"
        assert {name: value for name, value in mine.headers.items() if name not in NOT_COMPARED} == {
            name: value for name, value in theirs.headers.items() if name not in NOT_COMPARED
        }
        for request in (mine, theirs):
            assert request.headers["Authorization"] == request.signature()
            assert int(request.headers["Content-Length"]) == len(request.body)
        signed, theirs_signed = (r.headers["Authorization"].split(", ")[1] for r in (mine, theirs))
        assert signed == theirs_signed
        assert json.loads(mine.body) == json.loads(theirs.body)
        assert len(mine.body) <= len(theirs.body)

    check()


SINGLES: dict[str, dict[str, Any]] = {
    "PutItem": {"put": {"pk": "a", "n": 1.50, "t": ["x", None]}, "condition": "attribute_not_exists(pk) OR n < :n",
                "values": {":n": 1}},
    "DeleteItem": {"delete": {"pk": "\u00e9\""}, "condition": "#n = :b", "names": {"#n": "n"},
                   "values": {":b": {"deep": [True]}}},
    "UpdateItem": {"update": {"pk": "a"}, "expression": "SET #n = :v ADD m :v", "names": {"#n": "n"},
                   "values": {":v": 2}},
    "TransactWriteItems": {"update": {"pk": "a"}, "expression": "REMOVE n"},
}  # fmt: skip


def compare(server: ScriptedServer, target: str) -> None:
    """The two requests that the server got: the same, by HTTP and by boto3."""
    mine, theirs = (Request.read(raw) for raw in server.requests)
    assert mine.line == theirs.line == "POST / HTTP/1.1"
    assert mine.headers["X-Amz-Target"] == theirs.headers["X-Amz-Target"] == target
    compared = [{n: v for n, v in each.headers.items() if n not in NOT_COMPARED} for each in (mine, theirs)]
    # boto3 tells SQS that its errors should come as they did before JSON.
    compared[1].pop("x-amzn-query-mode", None)
    assert compared[0] == compared[1]
    assert json.loads(mine.body) == json.loads(theirs.body)
    service = "sqs" if target.startswith("AmazonSQS") else "dynamodb"
    assert mine.headers["Authorization"] == mine.signature(service)


@pytest.mark.parametrize("action", SINGLES)
def test_a_single_write_is_boto3s_own_request(action: str, server: ScriptedServer) -> None:
    settings = Settings((TABLE,), update_once=action == "TransactWriteItems")
    message = Decoder(settings).decode({"messageId": "m", "body": json.dumps(SINGLES[action])})
    found = endpoint.plain(os.environ, "dynamodb")
    assert found is not None

    for route in (by_http(found), _by_boto3()):
        to = Tables([TABLE], route)
        written(to, message.operations)

    compare(server, f"DynamoDB_20120810.{action}")


def test_what_goes_to_sqs_is_boto3s_own_request(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{server.port}")
    found = endpoint.plain(os.environ, "sqs")
    assert found is not None
    client = BotoClient(connections=1)
    http = HttpClient(found, 8)
    routes = [
        Route(no_boto3, http, found.credentials, prefix="AmazonSQS.", connections=1),
        Route(lambda: client, None, lambda: None, prefix="AmazonSQS.", connections=1),
    ]
    attributes = {"ErrorCode": {"DataType": "String", "StringValue": '\u00e9"'}}
    letters = [DeadLetter("{\u00e9", attributes, 20), DeadLetter("x" * 1000, {}, 1000)]

    for route in routes:
        queue = Queue(route, lambda: found.url)
        queue.send("https://sqs.eu-west-1.amazonaws.com/123456789012/dead.fifo", letters, until=time.monotonic() + 60)
    compare(server, "AmazonSQS.SendMessageBatch")
    server.requests.clear()
    for route in routes:
        queue = Queue(route, lambda: found.url)
        queue.delay("arn:aws:sqs:eu-west-1:123456789012:work", [("r1", 5), ("r2", 0)], until=time.monotonic() + 60)
    compare(server, "AmazonSQS.ChangeMessageVisibilityBatch")


def test_what_boto3_carries_for_us_is_the_same_body(server: ScriptedServer) -> None:
    requests = as_requests([{"b": {"B": b"\x00\xff"}, "n": {"N": "1.50"}}, None])
    write(tables(), requests)
    write(tables(_by_boto3()), requests)

    mine, carried = (Request.read(raw) for raw in server.requests)
    assert carried.body == mine.body
    assert carried.headers["Authorization"] == carried.signature()
    assert "Sluice" in carried.headers["User-Agent"]
    assert "Boto3" in carried.headers["User-Agent"]


def test_bodies_that_boto3_carries_at_the_same_time_are_not_mixed_up(server: ScriptedServer) -> None:
    by_boto3 = BotoClient(connections=8)
    bodies = [b'{"RequestItems":{"the-table":[]},"n":%d}' % number for number in range(40)]
    threads = [threading.Thread(target=by_boto3.batch_write, args=(["the-table"], body, SECONDS)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(Request.read(raw).body for raw in server.requests) == sorted(bodies)


def test_a_call_that_boto3_makes_by_itself_keeps_its_own_body(server: ScriptedServer) -> None:
    by_boto3 = BotoClient(connections=1)
    by_boto3.batch_write(["the-table"], b'{"ours":1}', SECONDS)

    by_boto3.client(SECONDS).batch_write_item(RequestItems={"the-table": as_requests([None])})

    assert "DeleteRequest" in Request.read(server.requests[1]).body.decode()


def test_who_has_wrapped_boto3_sees_every_batch(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str]]] = []
    original = botocore.client.BaseClient._make_api_call

    def traced(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        seen.append((operation, list(arguments["RequestItems"])))
        return original(self, operation, arguments)

    found = endpoint.plain(os.environ, "dynamodb")
    assert found is not None
    by_boto3 = BotoClient(connections=1)
    ours = tables(by_http(found, lambda: by_boto3))
    requests = as_requests([{"a": {"S": "b"}}])
    write(ours, requests)
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", traced)

    reply = write(ours, requests)

    assert reply == Reply(Meaning.ACCEPTED)
    assert seen == [("BatchWriteItem", ["the-table"])]
    assert json.loads(Request.read(server.requests[1]).body) == json.loads(Request.read(server.requests[0]).body)


def test_boto3_takes_no_corrupt_answer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt = OK.replace(b"Unprocessed", b"unprocessed")
    with ScriptedServer([corrupt]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.port}")

        assert BotoClient(connections=1).batch_write(["t"], b"{}", SECONDS) == NoAnswer(
            "a checksum that does not match"
        )


def _by_boto3() -> Route:
    return Route(lambda: BotoClient(connections=1), None, lambda: None, prefix=PREFIX, connections=1)


@pytest.mark.parametrize("way", [lambda: None, _by_boto3], ids=["wire", "boto3"])
def test_binary_keys_that_come_back_unprocessed_are_known_again(
    way: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = FakeDynamoDB()
    db.create_table("blobs", partition_key=("id", "B"))
    table = Table("blobs", "blobs", KeyAttribute("id", "B"))
    body = [{"PutRequest": {"Item": {"id": {"B": key}}}} for key in (b"\0", b"\xff")]
    record = {"messageId": "m", "body": json.dumps(with_base64(body))}
    operations = Decoder(Settings((table,))).decode(record).operations
    with serve(db=db) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        db.script(Unprocessed(1))
        found = endpoint.plain(os.environ, "dynamodb")
        assert found is not None
        to = way() or by_http(found)

        reply = written(Tables([table], to), operations)

    assert list(reply.unwritten) == [operations[1]]
    assert db.item("blobs", {"id": {"B": b"\0"}}) == {"id": {"B": b"\0"}}


# TLS


@dataclass(frozen=True, slots=True)
class Certificate:
    file: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Self-signed, for 127.0.0.1 and nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    file, secret = directory / "certificate.pem", directory / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file, secret)
    return Certificate(file, server)


@pytest.fixture
def secure(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    with ScriptedServer(*([OK] * 5 for _ in range(5)), tls=certificate.server) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"https://127.0.0.1:{server.port}")
        yield server


def test_batches_go_over_tls_on_one_connection(
    secure: ScriptedServer, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate.file))
    ours = tables()

    replies = [write(ours, as_requests([{"a": {"S": "x" * size}}])) for size in (1, 100_000, 1)]

    assert replies == [Reply(Meaning.ACCEPTED)] * 3
    assert secure.connections == 1
    assert len(secure.requests) == 3


def asking(body: bytes = b"{}") -> Asked:
    return Asked(f"{PREFIX}BatchWriteItem", body, Credentials("a", "s"))


def begun(wire: HttpClient, body: bytes, executor: Executor) -> Running[bytes]:
    """A call whose result is the answer's content."""

    def content(outcome: HttpResponse | OSError) -> bytes:
        assert isinstance(outcome, HttpResponse)
        return outcome.content

    return wire.begin(asking(body), SECONDS, content, executor.submit)


def test_calls_without_a_thread_go_over_tls_side_by_side(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate.file))
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
    hold = threading.Event()

    def held() -> Iterator[bytes]:
        yield OK
        hold.wait(SECONDS)
        yield large

    def freed() -> Iterator[bytes]:
        yield OK
        yield large
        hold.set()  # It was asked again, so the other one has not kept this one waiting.
        yield large

    with ScriptedServer(held(), freed(), tls=certificate.server) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"https://127.0.0.1:{server.port}")
        found = endpoint.plain(os.environ, "dynamodb")
        assert found is not None
        wire, executor = HttpClient(found, 2), Threads()(2)
        both = [begun(wire, b"{}", executor) for _ in range(2)]
        assert len(executor.wait(both, SECONDS, for_all=True)) == 2

        bodies = [bytes([65 + number]) * 5_000_000 for number in range(3)]
        running = [begun(wire, body, executor) for body in bodies[:2]]
        [first] = executor.wait(running, SECONDS)
        running.remove(first)
        running.append(begun(wire, bodies[2], executor))
        assert len(executor.wait(running, SECONDS, for_all=True)) == 2

    assert {call.result() for call in [first, *running]} == {b"x" * 3_000_000}
    assert sorted(request[-1] for request in server.requests[2:]) == [65, 66, 67]
    assert all(len(request) > 5_000_000 for request in server.requests[2:])
    assert server.connections == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: ScriptedServer) -> None:
    reply = write(tables(), as_requests([None]))

    assert reply == Reply(Meaning.UNSURE, error="could not trust DynamoDB: self-signed certificate")
    assert secure.requests == []


def test_a_certificate_of_another_host_is_refused(
    secure: ScriptedServer, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate.file))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"https://localhost:{secure.port}")

    reply = write(tables(), as_requests([None]))

    assert reply.meaning is Meaning.UNSURE
    assert reply.error.startswith("could not trust DynamoDB: hostname mismatch")
    assert secure.requests == []


def test_a_directory_of_certificates_is_taken_too(secure: ScriptedServer, tmp_path: Path) -> None:
    url = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
    found = endpoint.at(url, "dynamodb", "eu-west-1", os.environ, lambda: None, bundle=str(tmp_path))
    assert found is not None

    with pytest.raises(ssl.SSLCertVerificationError):  # It is empty.
        HttpClient(found, 1).post(asking(), SECONDS)
    assert secure.requests == []
