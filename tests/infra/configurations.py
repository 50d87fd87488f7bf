"""Settings of the stacks that tests look at, chosen to differ as much as they can, and the ARNs in them."""

from __future__ import annotations

from typing import Any

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
    "lean": {
        "stage": "lean",
        "alarms": "essential",
        "dashboard": "false",
        "pointInTimeRecovery": 0,
        "tableRemoval": "destroy",
    },
    "fresh": {
        "stage": "fresh",
        "freshnessTarget": 60,
        "fairQueue": True,
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
                "skipUnchanged": True,
                "tableEncryption": "managed",
                "pointInTimeRecovery": 7,
            },
            {"alias": "fixed", "billing": "provisioned", "maxWriteUnits": 50, "tableEncryption": KEY},
        ],
    },
    "chosen": {
        "stackName": "Orders",
        "partitionKey": "id:N",
        "sortKey": "at:B",
        "tableRemoval": "destroy",
        "recordFormat": "item",
        "recordExpression": "detail",
        "versionAttribute": "v",
        "onConditionFailed": "dead-letter",
        "updateOnce": "true",
        "memory": 512,
        "timeout": 30,
        "deadlineMargin": 3,
        "maxConnections": 4,
        "maxWriteUnitsPerSecond": 600,
        "batchSize": 200,
        "batchingWindow": 7,
        "maxConcurrency": 6,
        "queueRetention": 2,
        "maxReceiveCount": 9,
        "survivedOutage": 0,
        "logRetention": 7,
        "alarmEmail": "ops@example.com",
    },
}
