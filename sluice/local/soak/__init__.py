"""The real function under faults, SIGKILL and redelivery, and the proof of its promise."""
