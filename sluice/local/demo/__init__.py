"""`make demo`: deploy to a local AWS, send real records through the function, prove that every one is in the table."""
