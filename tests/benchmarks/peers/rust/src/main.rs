//! AWS's SDK for Rust: decodes an SQS event and writes its records by BatchWriteItem, every digit kept.
//!
//! `writer EVENT`: a line on standard input is a number of invocations; the answer is what they took together, in
//! seconds of CPU and on the clock, and how many records they wrote.

use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_sdk_dynamodb::Client;
use serde_json::Value;
use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

const TABLE: &str = "bench";
const BATCH: usize = 25;

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(it) => AttributeValue::Bool(it),
        Value::Number(it) => AttributeValue::N(it.to_string()),
        Value::String(it) => AttributeValue::S(it),
        Value::Array(it) => AttributeValue::L(it.into_iter().map(attribute).collect()),
        Value::Object(it) => AttributeValue::M(it.into_iter().map(|(name, each)| (name, attribute(each))).collect()),
    }
}

async fn send(client: &Client, batch: Vec<WriteRequest>) -> Result<(), Box<dyn Error>> {
    let mut left = HashMap::from([(TABLE.to_string(), batch)]);
    while !left.is_empty() {
        let answer = client.batch_write_item().set_request_items(Some(left)).send().await?;
        left = answer.unprocessed_items.unwrap_or_default();
    }
    Ok(())
}

async fn invoke(client: &Client, event: &[u8]) -> Result<usize, Box<dyn Error>> {
    let event: SqsEvent = serde_json::from_slice(event)?;
    let (mut written, mut batch) = (0, Vec::with_capacity(BATCH));
    for record in event.records {
        let mut body: Value = serde_json::from_str(record.body.as_deref().unwrap_or_default())?;
        let AttributeValue::M(item) = attribute(body["put"].take()) else {
            return Err("a message that is no put".into());
        };
        let put = PutRequest::builder().set_item(Some(item)).build()?;
        batch.push(WriteRequest::builder().put_request(put).build());
        written += 1;
        if batch.len() == BATCH {
            send(client, std::mem::take(&mut batch)).await?;
        }
    }
    if !batch.is_empty() {
        send(client, batch).await?;
    }
    Ok(written)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let event = std::fs::read(std::env::args().nth(1).ok_or("usage: writer EVENT")?)?;
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
    let client = Client::new(&config);
    for line in std::io::stdin().lock().lines() {
        let times: usize = line?.trim().parse()?;
        let (cpu, clock) = (cpu_seconds(), Instant::now());
        let mut written = 0;
        for _ in 0..times {
            written += invoke(&client, &event).await?;
        }
        let (cpu, wall) = (cpu_seconds() - cpu, clock.elapsed().as_secs_f64());
        println!(r#"{{"cpu": {cpu}, "wall": {wall}, "written": {written}}}"#);
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
