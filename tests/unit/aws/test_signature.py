"""The signature is AWS's own: by its published examples, and byte for byte as botocore signs."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from email.utils import formatdate
from hashlib import sha256
from unittest.mock import patch

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.aws import signature
from sluice.aws.endpoint import Endpoint
from sluice.aws.signature import Credentials, Signer, canonical, signed, signing_key

TARGET = "DynamoDB_20120810.BatchWriteItem"
HOST = "dynamodb.eu-west-1.amazonaws.com"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
DAY = 24 * 3600.0


class Wall:
    """A clock that is set by hand."""

    def __init__(self, now: float = NEW_YEAR) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def headers(signer: Signer, body: bytes = b"{}", target: str = TARGET, **credentials: str | None) -> dict[str, str]:
    given = Credentials(**{"access_key": "access", "secret_key": "secret", "token": None, **credentials})  # type: ignore[arg-type]
    *lines, end = signer.lines(target, body, given).split("\r\n")
    assert end == ""
    return dict(line.split(": ", 1) for line in lines)


def signer(
    wall: Wall | None = None, *, service: str = "dynamodb", region: str = "eu-west-1", host: str = HOST
) -> Signer:
    return Signer(service, region, host, wall or Wall())


def botocores(
    url: str, body: bytes, target: str, credentials: Credentials, region: str, service: str, now: float
) -> dict[str, str]:
    """What botocore adds to a request, and what it signs of it."""
    request = AWSRequest(
        method="POST",
        url=url,
        data=body,
        headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target},
    )
    with patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(int(now), UTC)):
        botocore.auth.SigV4Auth(BotoCredentials(*credentials), service, region).add_auth(request)
    return dict(request.headers.items())


# As others sign

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
NAMES = st.from_regex("[a-z]+(-[a-z0-9]+){0,3}", fullmatch=True)
HOSTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,20}(\.[a-z0-9]{1,10}){0,3}", fullmatch=True)
TARGETS = st.from_regex(r"(DynamoDB_20120810|AmazonSQS)\.[A-Z][A-Za-z]{1,30}", fullmatch=True)


@given(
    st.binary(max_size=200),
    TARGETS,
    st.sampled_from(["http", "https"]),
    HOSTS,
    st.one_of(st.sampled_from([80, 443]), st.integers(1, 65535)),
    st.builds(Credentials, PRINTABLE, PRINTABLE, st.none() | PRINTABLE),
    NAMES,
    st.sampled_from(["dynamodb", "sqs"]),
    st.floats(1, 4e9),
)
@example(b"", TARGET, "https", "H.test", 443, Credentials("a", "s", "t"), "us-east-1", "sqs", 1_709_164_800.0 - 0.5)
def test_a_request_is_signed_byte_for_byte_as_by_botocore(
    body: bytes,
    target: str,
    scheme: str,
    host: str,
    port: int,
    credentials: Credentials,
    region: str,
    service: str,
    now: float,
) -> None:
    endpoint = Endpoint(service, scheme, host.lower(), port, region, "", lambda: credentials)  # type: ignore[arg-type]

    ours = headers(Signer(service, region, endpoint.authority, Wall(now)), body, target, **credentials._asdict())

    assert ours == botocores(f"{scheme}://{host}:{port}/", body, target, credentials, region, service, now)


# AWS's Signature Version 4 test suite: https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html
# The same files: https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4
FORM = ("content-type", "application/x-www-form-urlencoded")
SUITE: dict[str, tuple[str, list[tuple[str, str]], bytes, str]] = {
    "get-vanilla": ("GET", [], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "post-vanilla": ("POST", [], b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-x-www-form-urlencoded": (
        "POST",
        [FORM],
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}


@pytest.mark.parametrize("name", SUITE)
def test_the_examples_that_aws_publishes_come_out(name: str) -> None:
    method, more, body, expected = SUITE[name]
    lines = sorted([*more, ("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")])
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "service")

    request = canonical(method, "/", lines) + sha256(body).hexdigest()
    found = signed(key, "20150830T123600Z", "20150830/us-east-1/service/aws4_request", request)

    assert found == expected


# What is sent


def test_all_that_the_service_needs_is_there() -> None:
    found = headers(signer())

    assert found.pop("Authorization").startswith(
        "AWS4-HMAC-SHA256 Credential=access/20260101/eu-west-1/dynamodb/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
    )
    assert found == {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": TARGET,
        "X-Amz-Date": "20260101T000000Z",
    }


def test_a_token_is_sent_and_signed() -> None:
    found = headers(signer(), token="token/+=")

    assert found["X-Amz-Security-Token"] == "token/+="
    assert "x-amz-security-token;" in found["Authorization"]


def test_the_signature_depends_on_each_part_of_a_request() -> None:
    found = [
        headers(signer()),
        headers(signer(), b"[]"),
        headers(signer(), target="DynamoDB_20120810.PutItem"),
        headers(signer(), secret_key="other"),
        headers(signer(), token="t"),
        headers(signer(Wall(NEW_YEAR + 1))),
        headers(signer(Wall(NEW_YEAR + DAY))),
        headers(signer(service="sqs")),
        headers(signer(region="eu-west-2")),
        headers(signer(host="other.test")),
    ]

    signatures = {each["Authorization"].rpartition("Signature=")[2] for each in found}
    assert len(signatures) == len(found)
    assert all(len(each) == 64 for each in signatures)


# The key of the day


def test_the_key_is_made_once_a_day_and_anew_at_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    days: list[str] = []

    def counted(secret_key: str, day: str, region: str, service: str) -> bytes:
        days.append(day)
        return signing_key(secret_key, day, region, service)

    monkeypatch.setattr(signature, "signing_key", counted)
    wall = Wall(NEW_YEAR - 10)
    one = signer(wall)
    found = []
    for wall.now in (NEW_YEAR - 10, NEW_YEAR - 0.1, NEW_YEAR, NEW_YEAR + DAY - 0.1):
        found.append(headers(one)["Authorization"])

    assert days == ["20251231", "20260101"]
    assert found == [
        headers(signer(Wall(now)))["Authorization"]
        for now in (NEW_YEAR - 10, NEW_YEAR - 0.1, NEW_YEAR, NEW_YEAR + DAY - 0.1)
    ]


def test_new_credentials_sign_with_a_key_of_their_own() -> None:
    one = signer()
    found = [headers(one, secret_key=secret) for secret in ("first", "second", "first")]

    assert found == [headers(signer(), secret_key=secret) for secret in ("first", "second", "first")]
    assert found[0] != found[1]


def test_of_many_credentials_and_targets_each_request_is_signed_with_its_own() -> None:
    one = signer()
    asked = [(f"T.{n % 3}", f"secret-{n // 3}") for n in range(6 * signature.MAX_FORMS)] * 2

    found = [headers(one, target=target, secret_key=secret) for target, secret in asked]

    assert found == [headers(signer(), target=target, secret_key=secret) for target, secret in asked]
    assert len(one._today) <= signature.MAX_FORMS


# Whose clock


@pytest.mark.parametrize("skew", [-DAY, -3600.0, -1.0, 0.0, 1.0, 3600.0, DAY])
def test_requests_are_signed_by_the_services_clock_once_it_is_known(skew: float) -> None:
    wall = Wall()
    one = signer(wall)
    headers(one)

    one.correct(formatdate(NEW_YEAR + skew, usegmt=True))
    wall.now += 60

    assert headers(one) == headers(signer(Wall(NEW_YEAR + skew + 60)))


def test_the_clock_may_be_corrected_again() -> None:
    one = signer()
    for skew in (3600, -7200, 0):
        one.correct(formatdate(NEW_YEAR + skew, usegmt=True))

        assert headers(one) == headers(signer(Wall(NEW_YEAR + skew)))


WORDS = ("", "yesterday", "Thu, 32 Jan 2026 00:00:00 GMT", "0", "Thu, 01 Jan 99999 00:00:00 GMT", "Thu, 01 Jan", "é")


@pytest.mark.parametrize("date", WORDS)
def test_a_date_that_is_none_changes_nothing(date: str) -> None:
    one = signer()
    one.correct(formatdate(NEW_YEAR + 3600, usegmt=True))

    one.correct(date)

    assert headers(one) == headers(signer(Wall(NEW_YEAR + 3600)))


@given(st.text(max_size=40))
def test_no_date_raises(date: str) -> None:
    signer().correct(date)


@pytest.mark.parametrize("skew", [-DAY - 1, DAY + 1, -365 * DAY, 100 * 365 * DAY])
def test_a_clock_that_is_more_than_a_day_away_is_not_believed(skew: float) -> None:
    one = signer()

    one.correct(formatdate(NEW_YEAR + skew, usegmt=True))

    assert headers(one) == headers(signer())


def test_every_second_has_a_stamp_of_its_own() -> None:
    wall = Wall()
    one = signer(wall)
    stamps = []
    for second in range(3):
        for fraction in (0.0, 0.999):
            wall.now = NEW_YEAR + second + fraction
            stamps.append(headers(one)["X-Amz-Date"])

    assert [stamp for stamp, _ in itertools.groupby(stamps)] == [f"20260101T00000{second}Z" for second in range(3)]
    assert len(stamps) == 6
