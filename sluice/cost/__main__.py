"""`python -m sluice.cost`."""

import argparse
import sys

from .command import configure, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sluice cost", description="Dollars per million records")
    configure(parser)
    sys.exit(run(parser.parse_args()))
