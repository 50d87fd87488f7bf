"""The function's package as an asset of the CDK app, made by pip on this machine, without Docker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from .bundle import FUNCTION, Bundle, BundleError


def function_code(bundle: Bundle) -> lambda_.Code:
    """The package; it is made only where `cdk.out` has none of the same digest."""
    return lambda_.Code.from_asset(
        str(FUNCTION),
        asset_hash=bundle.digest(),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            # CDK asks for an image but never pulls it, as the local bundling either succeeds or ends the program.
            image=DockerImage.from_registry("not-used"),
            local=_PipBundling(bundle),
        ),
    )


@jsii.implements(ILocalBundling)
class _PipBundling:
    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def try_bundle(self, output_dir: str, *_options: Any, **_more_options: Any) -> bool:
        try:
            self._bundle.write(Path(output_dir))
        except BundleError as error:
            # Any other exception would go through Node and come back with two stack traces around pip's words.
            sys.exit(f"sluice: {error}")
        return True
