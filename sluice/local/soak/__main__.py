"""`python -m sluice.local.soak`."""

import sys

from .command import main

sys.exit(main())
