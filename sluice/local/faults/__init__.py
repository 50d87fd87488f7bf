"""A DynamoDB that misbehaves on purpose: an HTTP server between a real client and a real endpoint, and a soak on it."""
