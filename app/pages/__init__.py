"""One module a page: read, ask, draw, write. Pages are run, never imported; `FOLDER` is where they lie."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
