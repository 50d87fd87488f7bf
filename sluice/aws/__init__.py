"""Whatever talks to AWS: one HTTP client, the signature, the meanings of errors, the queue and the tables."""
