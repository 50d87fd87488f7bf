"""The stack, synthesised once for all tests that only read its template, in the configurations that differ most."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.infra.template import Template

ACCOUNT = "210987654321"
ROLE = "arn:aws:iam::210987654321:role/path/orders"
RULE = "arn:aws:events:eu-west-1:123456789012:rule/bus/orders"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
KEY = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
ALARM_TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "fifo": {"queueType": "fifo", "queueEncryption": "kms", "alarmEmail": "ops@example.com", "stage": "fifo"},
    "guarded": {
        "stage": "guarded",
        "queueEncryption": "kms",
        "dataKeyReuse": 3600,
        "producers": [ACCOUNT, ROLE, RULE, TOPIC],
        "tracing": True,
        "reserveConcurrency": True,
        "tags": {"team": "data"},
    },
    "tables": {
        "stage": "tables",
        "minPollers": 3,
        "maxPollers": 5000,
        "alarmTopicArn": ALARM_TOPIC,
        "queueEncryption": KEY,
        "tables": [
            {
                "alias": "orders",
                "partitionKey": "customer:S",
                "sortKey": "time:N",
                "billing": "provisioned",
                "minWriteUnits": 10,
                "maxWriteUnits": 1000,
                "targetUtilization": 60,
                "pointInTimeRecovery": 0,
                "tableRemoval": "destroy",
            },
            {"alias": "old", "existingTable": "Legacy", "partitionKey": "id:B", "tableEncryption": KEY},
            {
                "alias": "events",
                "maxWriteUnits": 20000,
                "maxReadUnits": 30000,
                "warmWriteUnits": 12000,
                "ttlAttribute": "ends",
                "versionAttribute": "v",
                "tableEncryption": "managed",
                "pointInTimeRecovery": 7,
            },
            {"alias": "fixed", "billing": "provisioned", "maxWriteUnits": 50, "tableEncryption": KEY},
        ],
    },
}


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All configurations, each of them found clean by cdk-nag."""
    # Here, for pytest's main process loads this file as well, and has no need of CDK and Node.
    from tests.infra.template import Template, from_context

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    found = {}
    for name, context in CONFIGURATIONS.items():
        file = shared / f"template-{name}.json"
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # The first worker synthesises for all.
            if not file.exists():
                made = from_context(tmp_path_factory.mktemp(name), json.loads(json.dumps(context)))
                file.write_text(json.dumps([made.content, dict(made.acknowledged)]))
        found[name] = Template(*json.loads(file.read_text()))
    return found


@pytest.fixture(scope="session")
def template(templates: dict[str, Template]) -> Template:
    """The stack as it is without any setting."""
    return templates["default"]
