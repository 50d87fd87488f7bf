"""Where the calls go and who makes them is what boto3 says, in any environment; what is unusual is left to boto3."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import botocore.httpsession
import botocore.loaders
import botocore.session
import pytest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import get_cert_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.aws import endpoint, trust
from sluice.aws.boto import BotoClient
from sluice.aws.clients import Aws
from sluice.aws.endpoint import Endpoint, Service
from sluice.message.errors import SettingsError

LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "writer",
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.14",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret/with+signs",
    "AWS_SESSION_TOKEN": "token==",
    "HOME": "/nonexistent",
    "TABLES": "[]",
}
PROFILE = """
[default]
region = eu-west-1
[profile other]
region = eu-west-2
aws_access_key_id = AKIAOTHER
aws_secret_access_key = of-the-profile
"""
SERVICES = """
[default]
services = here
[services here]
dynamodb =
  endpoint_url = http://127.0.0.1:7
"""
# Besides what Lambda sets; None takes a variable away.
PLAIN: dict[str, dict[str, str | None]] = {
    "Lambda": {},
    "no token": {"AWS_SESSION_TOKEN": None},
    "empty token": {"AWS_SESSION_TOKEN": ""},
    "another region": {"AWS_DEFAULT_REGION": "ap-southeast-7"},
    "regions that differ": {"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-3"},
    "an endpoint": {"AWS_ENDPOINT_URL": "http://127.0.0.1:8000"},
    "an endpoint with a slash": {"AWS_ENDPOINT_URL": "http://127.0.0.1:8000/"},
    "an endpoint over TLS": {"AWS_ENDPOINT_URL_DYNAMODB": "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com"},
    "two endpoints": {"AWS_ENDPOINT_URL": "http://a.test", "AWS_ENDPOINT_URL_DYNAMODB": "http://b.test:81"},
    "the queue's endpoint": {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1"},
    "the usual port": {"AWS_ENDPOINT_URL": "https://a.test:443"},
    "certificates": {"AWS_CA_BUNDLE": "/etc/ssl/own.pem"},
    "certificates of requests": {"REQUESTS_CA_BUNDLE": "/etc/ssl/own.pem"},
    "no region but AWS_REGION": {"AWS_DEFAULT_REGION": None, "AWS_REGION": "eu-west-3"},
    "an empty region beside AWS_REGION": {"AWS_DEFAULT_REGION": "", "AWS_REGION": "eu-west-3"},
    "retries": {"AWS_MAX_ATTEMPTS": "7", "AWS_RETRY_MODE": "adaptive", "AWS_DEFAULTS_MODE": "in-region"},
    "a role": {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent"},
    "other credentials": {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY": "of another SDK",
    },
    "metadata": {"AWS_EC2_METADATA_DISABLED": "true", "AWS_METADATA_SERVICE_TIMEOUT": "1", "AWS_IMDS_USE_IPV6": "true"},
    "other services": {
        "AWS_STS_REGIONAL_ENDPOINTS": "legacy",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_S3_ACCELERATE": "1",
    },
    "the body": {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "1"},
    "other tools": {"AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "on", "AWS_SDK_LOAD_CONFIG": "1", "AWS_SDK_UA_APP_ID": "a"},
    "extensions": {"AWS_LWA_PORT": "8080", "AWS_APPCONFIG_EXTENSION_LOG_LEVEL": "info"},
    "empty files": {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
}
UNUSUAL: dict[str, dict[str, str | None]] = {
    "no region": {"AWS_DEFAULT_REGION": None, "AWS_REGION": None},
    "empty region": {"AWS_DEFAULT_REGION": "", "AWS_REGION": None},
    "no credentials": {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None},
    "half of the credentials": {"AWS_SECRET_ACCESS_KEY": None},
    "China": {"AWS_DEFAULT_REGION": "cn-north-1"},
    "government": {"AWS_DEFAULT_REGION": "us-gov-west-1"},
    "secret": {"AWS_DEFAULT_REGION": "us-iso-east-1"},
    "sovereign": {"AWS_DEFAULT_REGION": "eusc-de-east-1"},
    "pseudo region": {"AWS_DEFAULT_REGION": "aws-global"},
    "local": {"AWS_DEFAULT_REGION": "local"},
    "FIPS": {"AWS_USE_FIPS_ENDPOINT": "true"},
    "dual stack": {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
    "both": {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
    "endpoints ignored": {"AWS_ENDPOINT_URL": "http://a.test", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    "endpoint with a path": {"AWS_ENDPOINT_URL": "http://a.test/prefix"},
    "empty endpoint": {"AWS_ENDPOINT_URL": ""},
    "profile": {"AWS_PROFILE": "other", "AWS_CONFIG_FILE": "PROFILE"},
    "default profile": {"AWS_DEFAULT_PROFILE": "other", "AWS_CONFIG_FILE": "PROFILE"},
    "config file": {"AWS_CONFIG_FILE": "PROFILE", "AWS_DEFAULT_REGION": None, "AWS_REGION": None},
    "endpoint in a file": {"AWS_CONFIG_FILE": "SERVICES"},
    "credentials in a file": {"AWS_SHARED_CREDENTIALS_FILE": "PROFILE"},
    "old token": {"AWS_SECURITY_TOKEN": "old"},
    "expiring": {"AWS_CREDENTIAL_EXPIRATION": "2199-01-01T00:00:00Z"},
    "account": {"AWS_ACCOUNT_ID": "123456789012"},
    "account, no endpoint of its own": {
        "AWS_ACCOUNT_ID": "123456789012",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    },
    "proxy": {"HTTPS_PROXY": "http://127.0.0.1:3128"},
    "proxy in small letters": {"https_proxy": "http://127.0.0.1:3128"},
    "proxy that is bypassed": {"HTTPS_PROXY": "http://127.0.0.1:3128", "NO_PROXY": "amazonaws.com"},
    "signature": {"AWS_AUTH_SCHEME_PREFERENCE": "sigv4a"},
    "no certificates": {"AWS_CA_BUNDLE": ""},
    "discovery": {"AWS_ENDPOINT_DISCOVERY_ENABLED": "true"},
    "monitoring": {"AWS_CSM_ENABLED": "true"},
    "models": {"AWS_DATA_PATH": "/nonexistent"},
    "something new": {"AWS_SOMETHING_NEW": "1"},
}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environ:
    return Environ(monkeypatch, tmp_path)


class Environ:
    """Sets os.environ to what Lambda sets, with changes, and nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self._monkeypatch = monkeypatch
        self._files = {"PROFILE": directory / "profile", "SERVICES": directory / "services"}
        self._files["PROFILE"].write_text(PROFILE)
        self._files["SERVICES"].write_text(SERVICES)

    def set(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        for name in list(os.environ):
            self._monkeypatch.delenv(name)
        for name, value in {**LAMBDA, **changes}.items():
            if value is not None:
                self._monkeypatch.setenv(name, str(self._files.get(value, value)))
        return dict(os.environ)


SERVICES_CALLED: tuple[Service, ...] = ("dynamodb", "sqs")
both_services = pytest.mark.parametrize("service", SERVICES_CALLED)


def check_is_boto3s(found: Endpoint) -> None:
    assert found.are_at_hand()
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")  # boto3 reads only the first.
    core = botocore.session.Session()
    client = boto3.Session(region_name=region, botocore_session=core).client(found.service)
    frozen = boto3.Session().get_credentials().get_frozen_credentials()
    credentials = found.credentials()
    assert credentials is not None
    assert found.url == client.meta.endpoint_url.lower().rstrip("/").removesuffix(":443")
    assert found.region == client.meta.region_name
    assert credentials == (frozen.access_key, frozen.secret_key, frozen.token or None)
    given = botocore.session.Session().get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    assert found.ca_bundle == (get_cert_path(given or True) if found.scheme == "https" else "")


@both_services
@pytest.mark.parametrize("changes", PLAIN.values(), ids=PLAIN)
def test_a_plain_environment_is_understood_as_by_boto3(
    changes: dict[str, str | None], service: Service, environ: Environ
) -> None:
    found = endpoint.plain(environ.set(changes), service)

    assert found is not None
    assert found.service == service
    check_is_boto3s(found)


@both_services
@pytest.mark.parametrize("changes", UNUSUAL.values(), ids=UNUSUAL)
def test_anything_unusual_is_left_to_boto3(changes: dict[str, str | None], service: Service, environ: Environ) -> None:
    assert endpoint.plain(environ.set(changes), service) is None


@both_services
def test_a_file_in_the_home_directory_is_left_to_boto3(service: Service, environ: Environ, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(PROFILE)

    assert endpoint.plain(environ.set({"HOME": str(tmp_path)}), service) is None


REGIONS = [
    (service, region) for service in SERVICES_CALLED for region in boto3.Session().get_available_regions(service)
]


@pytest.mark.parametrize(("service", "region"), REGIONS)
def test_every_region_of_the_partition_is_plain(service: Service, region: str, environ: Environ) -> None:
    found = endpoint.plain(environ.set({"AWS_DEFAULT_REGION": region}), service)

    assert found is not None
    check_is_boto3s(found)


VALUES = st.sampled_from(
    [None, "", "true", "us-west-2", "http://a.test:1", "https://B.test", "http://u:p@a.test", "x y"]
)
NAMES = st.sampled_from(
    [
        *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"),
        *("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.sampled_from(SERVICES_CALLED), st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_taken_for_plain_is_what_boto3_finds(
    environ: Environ, service: Service, changes: dict[str, str | None]
) -> None:
    found = endpoint.plain(environ.set(changes), service)

    if found is not None:
        check_is_boto3s(found)


def test_each_service_has_an_endpoint_of_its_own(environ: Environ) -> None:
    given = environ.set({"AWS_ENDPOINT_URL_SQS": "http://queue.test:1"})

    found = [endpoint.plain(given, service) for service in SERVICES_CALLED]

    assert [each and each.url for each in found] == ["https://dynamodb.us-east-1.amazonaws.com", "http://queue.test:1"]


# What boto3 is asked for

REFUSED_BY_BOTO3 = {"no region", "empty region", "half of the credentials", "no certificates"}
LEFT_TO_BOTO3 = {
    *("no credentials", "pseudo region", "local", "endpoint with a path", "proxy", "proxy in small letters"),
    "signature",
}
BY_ACCOUNT = {"account", "account, no endpoint of its own"}


@pytest.mark.parametrize("name", sorted(UNUSUAL.keys() - REFUSED_BY_BOTO3 - LEFT_TO_BOTO3 - BY_ACCOUNT))
def test_boto3_is_asked_where_and_who(name: str, environ: Environ) -> None:
    environ.set(UNUSUAL[name])

    found = BotoClient(connections=1).endpoint()

    assert found is not None
    check_is_boto3s(found)


@pytest.mark.parametrize("name", sorted(LEFT_TO_BOTO3))
def test_what_only_boto3_can_do_is_not_copied(name: str, environ: Environ) -> None:
    environ.set(UNUSUAL[name])

    assert BotoClient(connections=1).endpoint() is None


@pytest.mark.parametrize("name", sorted(BY_ACCOUNT))
def test_credentials_that_name_their_account_are_left_to_boto3(name: str, environ: Environ) -> None:
    environ.set(UNUSUAL[name])

    found = BotoClient(connections=1).endpoint()

    assert found is not None
    assert found.credentials() is None


@pytest.mark.parametrize("name", sorted(REFUSED_BY_BOTO3))
def test_what_boto3_refuses_fails_the_cold_start(name: str, environ: Environ) -> None:
    environ.set(UNUSUAL[name])

    with pytest.raises((BotoCoreError, ValueError)):
        BotoClient(connections=1).endpoint()


def test_credentials_are_asked_for_anew_for_each_call_so_that_they_can_be_refreshed(
    environ: Environ, tmp_path: Path
) -> None:
    answer = '{"Version": 1, "AccessKeyId": "A$N", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "%s"}'
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    script = tmp_path / "credentials"
    script.write_text(f"N=$(cat {tmp_path}/n 2>/dev/null || echo 0); N=$((N+1)); echo $N > {tmp_path}/n\n")
    with script.open("a") as more:
        more.write("cat <<END\n" + answer % soon + "\nEND\n")
    (tmp_path / "config").write_text(f"[default]\ncredential_process = /bin/sh {script}\n")
    nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}
    environ.set({**nobody, "AWS_CONFIG_FILE": str(tmp_path / "config"), "PATH": os.defpath})
    found = BotoClient(connections=1).endpoint()
    assert found is not None

    keys = [credentials.access_key for _ in range(3) if (credentials := found.credentials())]

    assert len(keys) == len(set(keys)) == 3
    assert not found.are_at_hand()  # To ask for them takes as long as the process does.


# What is refused at cold start

REFUSED = {
    "AWS_ENDPOINT_URL": [
        "http://127.0.0.1:8000 ",
        " http://127.0.0.1:8000",
        "http://a.test\n",
        "localhost:8000",
        "http:// a",
    ],
    "AWS_ENDPOINT_URL_DYNAMODB": ["https://dynamodb.test/a b", "ftp://a.test", "https://"],
    "AWS_ENDPOINT_URL_SQS": ["\thttps://sqs.test"],
    "AWS_REGION": [" us-east-1", "us-east-1\n"],
    "AWS_DEFAULT_REGION": ["us east 1"],
    "AWS_CA_BUNDLE": ["/nonexistent/own.pem", "", "/etc/ssl/certs/ca-certificates.crt "],
    "REQUESTS_CA_BUNDLE": ["/nonexistent/own.pem"],
}


@pytest.mark.parametrize(("variable", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_what_cannot_be_is_refused_by_the_variables_name_and_value(variable: str, value: str, environ: Environ) -> None:
    with pytest.raises(SettingsError) as raised:
        endpoint.check(environ.set({variable: value}))

    assert str(raised.value).startswith(f"{variable} must ")
    assert repr(value) in str(raised.value)


def test_a_password_in_an_address_is_not_repeated(environ: Environ) -> None:
    with pytest.raises(SettingsError) as raised:
        endpoint.check(environ.set({"AWS_ENDPOINT_URL": "http://user:s3cret@a.test "}))

    assert "s3cret" not in str(raised.value)
    assert "a.test" in str(raised.value)


@pytest.mark.parametrize("changes", [*PLAIN.values(), *UNUSUAL.values()], ids=[*PLAIN, *UNUSUAL])
def test_what_boto3_can_use_is_not_refused(changes: dict[str, str | None], environ: Environ) -> None:
    bundles = {name: os.devnull for name, value in changes.items() if name.endswith("CA_BUNDLE") and value != ""}
    given = environ.set({**changes, **bundles})

    if given.get("AWS_CA_BUNDLE") != "":
        endpoint.check(given)


def test_an_address_that_is_ignored_may_be_anything(environ: Environ) -> None:
    endpoint.check(environ.set({"AWS_ENDPOINT_URL": "x y", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}))


# Certificates


@pytest.mark.parametrize(
    ("content", "why"), [(None, "there is no such file"), ("", "no certificate"), ("no PEM", "no certificate")]
)
def test_certificates_that_cannot_be_read_are_told_by_variable_and_path(
    content: str | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(SettingsError, match=why) as raised:
        trust.tls_context(str(path), {"AWS_CA_BUNDLE": "/other", "REQUESTS_CA_BUNDLE": str(path)})

    assert str(raised.value).startswith("REQUESTS_CA_BUNDLE must ")
    assert repr(str(path)) in str(raised.value)


def test_certificates_are_read_at_cold_start_for_dynamodb_alone(environ: Environ, tmp_path: Path) -> None:
    path = tmp_path / "own.pem"
    path.write_text("no PEM")
    environ.set({"AWS_CA_BUNDLE": str(path)})

    Aws(1, 1).sqs()
    with pytest.raises(SettingsError, match="AWS_CA_BUNDLE must "):
        Aws(1, 1).dynamodb()


def test_a_certifi_that_a_system_has_patched_is_believed(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certifi.where", lambda: "/etc/ssl/certs/ca-certificates.crt")

    found = endpoint.plain(environ.set({}), "dynamodb")

    assert found is not None
    assert found.ca_bundle == "/etc/ssl/certs/ca-certificates.crt"


def test_without_certifi_botocores_own_certificates_are_taken(
    environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "certifi", None)

    assert trust.ca_bundle(environ.set({})) == botocore.httpsession.DEFAULT_CA_BUNDLE


@pytest.mark.parametrize("region", [{"AWS_DEFAULT_REGION": None}, {"AWS_DEFAULT_REGION": ""}, {"AWS_REGION": None}])
def test_either_variable_of_the_region_is_enough_for_boto3s_clients(
    region: dict[str, str | None], environ: Environ
) -> None:
    environ.set(region)

    sdk = BotoClient(connections=1)

    assert sdk.client(1.0).meta.region_name == sdk.sqs().meta.region_name == "us-east-1"


def test_new_credentials_are_looked_up_where_they_come_from(environ: Environ) -> None:
    environ.set({"AWS_CREDENTIAL_EXPIRATION": "2199-01-01T00:00:00Z"})
    sdk = BotoClient(connections=1)
    found, sqs = sdk.endpoint(), sdk.sqs()
    assert found is not None
    before = found.credentials()
    environ.set({"AWS_CREDENTIAL_EXPIRATION": "2199-01-01T00:00:00Z", "AWS_ACCESS_KEY_ID": "ASIANEW"})

    assert found.credentials() == before
    sdk.renew()

    after = found.credentials()
    assert after is not None
    assert after.access_key == "ASIANEW"
    assert sdk.sqs() is not sqs
