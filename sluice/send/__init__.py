"""From a file of records to messages on the queue."""
