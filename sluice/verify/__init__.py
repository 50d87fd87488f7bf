"""Whether the table holds what a file says."""
