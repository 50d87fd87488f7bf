"""SQS messages in, DynamoDB batch writes out; this directory is what runs in Lambda."""
