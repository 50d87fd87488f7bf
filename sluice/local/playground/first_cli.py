"""Version 1 of the AWS CLI, which sends what is for SQS to AWS whatever AWS_ENDPOINT_URL says.

Only its --endpoint-url counts there (awscli/customizations/overridesslcommonname.py, in 1.46).
"""

from __future__ import annotations

import shutil
import subprocess

OF_FIRST_CLI = (
    "The AWS CLI here is version 1: for SQS it ignores AWS_ENDPOINT_URL. The function",
    "`aws` above passes --endpoint-url in this shell; in scripts pass it yourself.",
)
FUNCTION = 'aws() { command aws ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} "$@"; }'


def first_aws_cli() -> bool:
    """Whether `aws` on the PATH is version 1."""
    if (command := shutil.which("aws")) is None:
        return False
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return (done.stdout + done.stderr).startswith("aws-cli/1.")
