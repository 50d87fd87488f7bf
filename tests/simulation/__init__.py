"""The whole function, from event to bytes on simulated sockets and back, in virtual time: see run.py."""
