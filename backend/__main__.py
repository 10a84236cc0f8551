"""`python -m backend` is the command line."""

import sys

from backend.cli.main import main

sys.exit(main())
