"""AWS's SDK for Python v4 (preview): decodes an SQS event and writes its records by BatchWriteItem, every digit kept.

`python main.py EVENT`: a line on standard input is a number of invocations; the answer is what they took together, in
seconds of CPU and on the clock, and how many records they wrote.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from aws_sdk_dynamodb import models  # type: ignore[import-not-found]  # Only in .peers-bench, as what follows.
from aws_sdk_dynamodb.client import AsyncDynamoDBClient  # type: ignore[import-not-found]
from aws_sdk_dynamodb.config import AsyncDynamoDBConfig  # type: ignore[import-not-found]

TABLE = "bench"
BATCH = 25


def attribute(value: Any) -> Any:
    match value:
        case str():
            return models.AttributeValueS(value)
        case bool():
            return models.AttributeValueBOOL(value)
        case int() | Decimal():
            return models.AttributeValueN(str(value))
        case None:
            return models.AttributeValueNULL(True)
        case list():
            return models.AttributeValueL([attribute(each) for each in value])
    return models.AttributeValueM(attributes(value))


def attributes(item: dict[str, Any]) -> dict[str, Any]:
    return {name: attribute(value) for name, value in item.items()}


async def send(client: Any, batch: list[Any]) -> None:
    left: Any = {TABLE: batch}
    while left:
        answer = await client.batch_write_item(models.BatchWriteItemInput(request_items=left))
        left = answer.unprocessed_items


async def invoke(client: Any, raw: bytes) -> int:
    event, batch = json.loads(raw), []
    for record in event["Records"]:
        item = json.loads(record["body"], parse_float=Decimal)["put"]
        batch.append(models.WriteRequest(put_request=models.PutRequest(item=attributes(item))))
        if len(batch) == BATCH:
            await send(client, batch)
            batch = []
    if batch:
        await send(client, batch)
    return len(event["Records"])


async def main() -> None:
    raw = Path(sys.argv[1]).read_bytes()
    config = await AsyncDynamoDBConfig.resolve(
        endpoint_uri=os.environ["AWS_ENDPOINT_URL_DYNAMODB"], region=os.environ["AWS_REGION"]
    )
    client = AsyncDynamoDBClient(config)
    for line in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        written = 0
        for _ in range(int(line)):
            written += await invoke(client, raw)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        sys.stdout.write(json.dumps({"cpu": cpu, "wall": wall, "written": written}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
