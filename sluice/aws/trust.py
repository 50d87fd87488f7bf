"""Which certificate authorities vouch for AWS's hosts: those that boto3 would trust, found without loading it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sluice.message.errors import SettingsError

if TYPE_CHECKING:
    import ssl

VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""The first that is set counts; botocore/args.py and botocore/httpsession.py."""


def ca_bundle(environ: Mapping[str, str]) -> str:
    """A file or a directory; empty where nothing is found. Without a variable it is what botocore/httpsession.py takes.

    certifi is asked, not looked into: distributions patch it so that it names the system's own certificates.
    """
    for variable in VARIABLES:
        if variable in environ:
            return environ[variable]
    try:
        from certifi import where
    except ImportError:
        spec = importlib.util.find_spec("botocore")
        return "" if spec is None or spec.origin is None else os.path.join(os.path.dirname(spec.origin), "cacert.pem")
    return where()


def check(environ: Mapping[str, str]) -> None:
    """Raises `SettingsError` where a variable names certificates that are not there."""
    for variable in VARIABLES:
        if variable in environ:
            path = environ[variable]
            if not os.path.exists(path):
                raise _wrong(path, "there is no such file", environ)
            return


def tls_context(path: str, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """TLS 1.2 or newer, host names checked; `path` is a file or a directory, as for AWS_CA_BUNDLE.

    Raises `SettingsError` where it has no certificates; the text names the variable of `environ` that it comes from.
    """
    import ssl  # Not loaded for a local endpoint.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except FileNotFoundError:
        raise _wrong(path, "there is no such file", environ) from None
    except ssl.SSLError:  # An OSError, too.
        raise _wrong(path, "it has no certificate that can be read", environ) from None
    except OSError as error:
        raise _wrong(path, f"it cannot be read ({error.strerror})", environ) from None
    return context


def _wrong(path: str, why: str, environ: Mapping[str, str]) -> SettingsError:
    named = next((variable for variable in VARIABLES if environ.get(variable) == path), None)
    source = named or "ca_bundle in AWS's config file, or else certifi,"
    return SettingsError(f"{source} must name a file or directory of CA certificates, got {path!r}: {why}")
