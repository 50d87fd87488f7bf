"""A local AWS with the deployed stack that keeps running, for developers to play with."""
