"""`python -m tests.benchmarks`: every target of speed and cost as a ratio, measured side by side in one run."""
