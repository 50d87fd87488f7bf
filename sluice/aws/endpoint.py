"""Where DynamoDB and SQS are and who calls them, from the environment alone, as Lambda sets it.

boto3 takes longer to find the same out than all else does to start. So only what is certain is decided here: static
credentials in variables, a region of the partition aws, and no variable or file that could mean anything else. A test
compares the answer with that of boto3 in many environments.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from sluice.message.errors import SettingsError

from . import trust
from .signature import Credentials

Service = Literal["dynamodb", "sqs"]

_REGION = re.compile("(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]{1,2}")  # botocore's data/partitions.json: aws
_URL = re.compile(r"(https?)://([A-Za-z0-9][A-Za-z0-9.-]*)(?::([0-9]{1,5}))?/?")
_PRINTABLE = re.compile("[!-~]+")

_ADDRESS = re.compile("(?i:https?)://[!-.0-~]+(/[!-~]*)?")
_USER = re.compile("//.*@")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ADDRESSES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS")

# What neither changes the endpoint nor the credentials, or is read below. Any other AWS_ variable is for boto3.
_KNOWN = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS", "AWS_CA_BUNDLE"),
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EXECUTION_ENV"),
        # How often and how boto3 tries again, which the function says itself.
        *("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_DEFAULTS_MODE"),
        # Where credentials come from that are asked for only where the variables above have none.
        *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_IMDS_USE_IPV6"),
        *("AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "AWS_STS_REGIONAL_ENDPOINTS"),
        # What no call to DynamoDB or SQS has.
        *("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION", "AWS_SDK_UA_APP_ID"),
        *("AWS_DISABLE_REQUEST_COMPRESSION", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES"),
        # Of other SDKs and tools; boto3 does not read them.
        *("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SDK_LOAD_CONFIG", "AWS_NODEJS_CONNECTION_REUSE_ENABLED"),
        *("AWS_PAGER", "AWS_DEFAULT_OUTPUT"),
    }
)
# The Lambda runtime's own and its extensions'; other services'; credentials as above; the command line's.
_HARMLESS = (
    *("AWS_LAMBDA_", "AWS_XRAY_", "AWS_LWA_", "AWS_APPCONFIG_", "AWS_ENDPOINT_URL_", "AWS_S3_", "AWS_S3CONTROL_"),
    *("AWS_CONTAINER_", "AWS_EC2_METADATA_", "AWS_CLI_"),
)


class Endpoint(Struct, frozen=True):
    """A service's address, the region that signatures name, and the credentials of the moment."""

    service: Service
    scheme: str
    host: str
    port: int
    region: str
    ca_bundle: str
    """File or directory; empty where the scheme is http."""
    credentials: Callable[[], Credentials | None]
    """None where boto3 itself must make the call."""
    are_at_hand: Callable[[], bool] = lambda: True
    """Whether asking for the credentials takes no time now: they are not about to expire."""

    @property
    def authority(self) -> str:
        """As the Host header and the signature have it: without a port that goes without saying."""
        usual = {"https": 443, "http": 80}[self.scheme]
        return self.host if self.port == usual else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"


def check(environ: Mapping[str, str]) -> None:
    """Raises `SettingsError`, which names the variable, where an address or region cannot be one; boto3 may name none.

    A blank that was copied along is the usual mistake.
    """
    for variable in _REGIONS:
        if not _PRINTABLE.fullmatch(environ.get(variable) or "-"):
            raise SettingsError(f"{variable} must be a region such as us-east-1, got {environ[variable]!r}")
    for variable in () if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true" else _ADDRESSES:
        if not _ADDRESS.fullmatch(environ.get(variable) or "http://host"):
            shown = _USER.sub("//...@", repr(environ[variable]))
            raise SettingsError(f"{variable} must be a URL such as https://host or http://host:8000, got {shown}")
    trust.check(environ)


def plain(environ: Mapping[str, str], service: Service) -> Endpoint | None:
    """The endpoint in an environment in which nothing unusual is set; None where boto3 has to be asked."""
    if not all(_is_harmless(name) for name in environ) or _has_config_file(environ):
        return None
    found = region(environ)
    access_key, secret_key = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key or not _REGION.fullmatch(found):
        return None
    credentials = Credentials(access_key, secret_key, environ.get("AWS_SESSION_TOKEN") or None)
    if not are_printable(credentials):
        return None
    url = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", environ.get("AWS_ENDPOINT_URL"))
    if url is None:
        url = f"https://{service}.{found}.amazonaws.com"
    return at(url, service, found, environ, lambda: credentials)


def region(environ: Mapping[str, str]) -> str:
    """The region that the environment names; boto3 reads the first of the two alone, Lambda sets both."""
    return environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION", "")


def are_printable(credentials: Credentials) -> bool:
    """Whether they can stand in a header as they are."""
    return all(_PRINTABLE.fullmatch(part) for part in credentials if part is not None)


def at(
    url: str,
    service: Service,
    region: str,
    environ: Mapping[str, str],
    credentials: Callable[[], Credentials | None],
    *,
    bundle: str | None = None,
    are_at_hand: Callable[[], bool] = lambda: True,
) -> Endpoint | None:
    """The endpoint with this URL; None where it is more than scheme, host and port, or nothing vouches for the host.

    `bundle` are the CA certificates, if not those of the environment.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match[1]
    certificates = (bundle or trust.ca_bundle(environ)) if scheme == "https" else ""
    if scheme == "https" and not certificates:
        return None
    port = int(match[3]) if match[3] else {"https": 443, "http": 80}[scheme]
    return Endpoint(service, scheme, match[2].lower(), port, region, certificates, credentials, are_at_hand)


def _is_harmless(name: str) -> bool:
    if name.startswith("AWS_"):
        return name in _KNOWN or name.startswith(_HARMLESS)
    lower = name.lower()
    return not lower.endswith("_proxy") and not lower.startswith(("botocore_", "boto_"))


def _has_config_file(environ: Mapping[str, str]) -> bool:
    """Whether there is a word in the files that boto3 reads; they can change anything."""
    home = environ.get("HOME") or "~"
    files = (
        environ.get("AWS_CONFIG_FILE", f"{home}/.aws/config"),
        environ.get("AWS_SHARED_CREDENTIALS_FILE", f"{home}/.aws/credentials"),
        f"{home}/.boto",
        "/etc/boto.cfg",
    )
    for file in files:
        try:
            if os.stat(os.path.expandvars(os.path.expanduser(file))).st_size > 0:
                return True
        except OSError:
            continue
    return False
