"""Sluice on this machine: a local AWS, the real deployment, the deployed function, no AWS account."""
