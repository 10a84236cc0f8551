"""`python -m backend` is the command line, and so is `hneurons`."""

from __future__ import annotations

import sys


def run() -> int:
    """Run the command of this process and return its exit status. Ctrl+C is also handled while modules are imported."""
    try:
        from backend.cli.main import main
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(run())
