"""What ships with the program, and where it lies: facts, a reference text, finished examples, the probe, and the model
with planted H-neurons."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FACTS = FOLDER / "facts.jsonl"
REFERENCE = FOLDER / "reference.txt"
EXAMPLES = FOLDER / "examples"
PROBES = FOLDER / "probes"
PLANTED = FOLDER / "planted"
