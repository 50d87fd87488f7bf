"""Where DynamoDB is and who calls it, from the environment alone, as Lambda sets it.

boto3 takes longer to find the same out than all else does to start. So only what is certain is decided here: static
credentials in variables, a region of the partition aws, and no variable or file that could mean anything else. A test
compares the answer with that of boto3 in many environments.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from botocore.credentials import EnvProvider
from botocore.exceptions import PartialCredentialsError

from .signature import Credentials

_REGION = re.compile("(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]{1,2}")  # botocore's data/partitions.json: aws
_URL = re.compile(r"(https?)://([A-Za-z0-9][A-Za-z0-9.-]*)(?::([0-9]{1,5}))?/?")
_PRINTABLE = re.compile("[!-~]+")

# What neither changes the endpoint nor the credentials, or is read below. Any other AWS_ variable is for boto3.
_KNOWN = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS", "AWS_CA_BUNDLE"),
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_EXECUTION_ENV"),
    }
)
_HARMLESS = ("AWS_LAMBDA_", "AWS_XRAY_")  # The Lambda runtime's own.


@dataclass(frozen=True, slots=True)
class Endpoint:
    """DynamoDB's address, the region that signatures name, and the credentials of the moment."""

    scheme: str
    host: str
    port: int
    region: str
    ca_bundle: str
    """File or directory; empty where the scheme is http."""
    credentials: Callable[[], Credentials | None]
    """None where boto3 itself must make the call."""
    are_static: bool = True
    """Whether the credentials never change, and asking for them takes no time."""

    @property
    def authority(self) -> str:
        """As the Host header and the signature have it: without a port that goes without saying."""
        usual = {"https": 443, "http": 80}[self.scheme]
        return self.host if self.port == usual else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"


def plain(environ: Mapping[str, str]) -> Endpoint | None:
    """The endpoint of an environment in which nothing unusual is set; None where boto3 has to be asked."""
    if not all(_is_harmless(name) for name in environ) or _has_config_file(environ):
        return None
    region = environ.get("AWS_DEFAULT_REGION", "")
    try:
        source = EnvProvider(dict(environ)).load()
    except PartialCredentialsError:
        return None
    if source is None or not _REGION.fullmatch(region):
        return None
    frozen = source.get_frozen_credentials()
    credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
    if not are_printable(credentials):
        return None
    url = environ.get("AWS_ENDPOINT_URL_DYNAMODB", environ.get("AWS_ENDPOINT_URL"))
    return at(
        f"https://dynamodb.{region}.amazonaws.com" if url is None else url,
        region,
        ca_bundle(environ),
        lambda: credentials,
    )


def are_printable(credentials: Credentials) -> bool:
    """Whether they can stand in a header as they are."""
    return all(_PRINTABLE.fullmatch(part) for part in credentials if part is not None)


def at(
    url: str, region: str, bundle: str, credentials: Callable[[], Credentials | None], *, are_static: bool = True
) -> Endpoint | None:
    """The endpoint with this URL; None where it is more than scheme, host and port, or nothing vouches for the host."""
    match = _URL.fullmatch(url)
    if match is None or (match[1] == "https" and not bundle):
        return None
    scheme = match[1]
    port = int(match[3]) if match[3] else {"https": 443, "http": 80}[scheme]
    return Endpoint(
        scheme, match[2].lower(), port, region, bundle if scheme == "https" else "", credentials, are_static
    )


def ca_bundle(environ: Mapping[str, str]) -> str:
    """The certificates that boto3 would trust, found without importing it (botocore/httpsession.py)."""
    given = environ.get("AWS_CA_BUNDLE", environ.get("REQUESTS_CA_BUNDLE"))
    if given is not None:
        return given
    for package in ("certifi", "botocore"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            return os.path.join(os.path.dirname(spec.origin), "cacert.pem")
    return ""


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
