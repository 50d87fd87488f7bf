// AWS's SDK for JavaScript: decodes an SQS event and writes its records by BatchWriteItem, every digit kept.
//
// "node main.mjs EVENT": a line on standard input is a number of invocations; the answer is what they took together,
// in seconds of CPU and on the clock, and how many records they wrote.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { BatchWriteItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";

const TABLE = "bench";
const BATCH = 25;

// JSON.parse tells a number's source from Node 22 on; without it the digits would not be kept.
// https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/JSON/parse#the_reviver_parameter
class Digits {
  constructor(source) {
    this.source = source;
  }
}
const keepDigits = (_, value, context) => (typeof value === "number" ? new Digits(context.source) : value);
JSON.parse("1", (_, value, context) => {
  if (context?.source !== "1") throw new Error(`Node ${process.version} does not keep the digits of numbers`);
  return value;
});

function attribute(value) {
  if (typeof value === "string") return { S: value };
  if (value instanceof Digits) return { N: value.source };
  if (typeof value === "boolean") return { BOOL: value };
  if (value === null) return { NULL: true };
  if (Array.isArray(value)) return { L: value.map(attribute) };
  return { M: attributes(value) };
}

function attributes(object) {
  const made = {};
  for (const name in object) made[name] = attribute(object[name]);
  return made;
}

const client = new DynamoDBClient({});

async function send(batch) {
  let left = { [TABLE]: batch };
  while (left && Object.keys(left).length > 0) {
    left = (await client.send(new BatchWriteItemCommand({ RequestItems: left }))).UnprocessedItems;
  }
}

async function invoke(raw) {
  const event = JSON.parse(raw);
  let batch = [];
  for (const record of event.Records) {
    batch.push({ PutRequest: { Item: attributes(JSON.parse(record.body, keepDigits).put) } });
    if (batch.length === BATCH) {
      await send(batch);
      batch = [];
    }
  }
  if (batch.length > 0) await send(batch);
  return event.Records.length;
}

const raw = readFileSync(process.argv[2], "utf8");
for await (const line of createInterface({ input: process.stdin })) {
  const used = process.cpuUsage();
  const began = performance.now();
  let written = 0;
  for (let left = Number(line); left > 0; left--) written += await invoke(raw);
  const { user, system } = process.cpuUsage(used);
  const wall = (performance.now() - began) / 1e3;
  console.log(JSON.stringify({ cpu: (user + system) / 1e6, wall, written }));
}
