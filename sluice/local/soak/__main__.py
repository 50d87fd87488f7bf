"""`python -m sluice.local.soak`."""

import sys

from .run import main

sys.exit(main())
