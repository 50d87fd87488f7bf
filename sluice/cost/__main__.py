"""`python -m sluice.cost`."""

import sys

from sluice.cli import main

if __name__ == "__main__":
    sys.exit(main(["cost", *sys.argv[1:]]))
