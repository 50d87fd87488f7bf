"""What `send`, the producer and `dlq` share: records into messages, messages to the queue."""
