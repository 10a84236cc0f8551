"""Compares the selections: `python -m tools.selections RUN FILE... --work FOLDER`, then renders docs/selections.md.

The files have questions of other kinds, which are asked for the comparison alone and are not shipped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backend.models.loading import load
from backend.probes import library
from backend.runs import archive, runs
from cache import atomic
from tools.selections import page
from tools.selections.comparing import compare


def main() -> None:
    """Measure what is not measured yet, write the results and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="the run whose answers are fitted")
    parser.add_argument("files", type=Path, nargs="*", help="questions of other kinds")
    parser.add_argument("--packed", type=Path, help="the run's answers, packed, where the run is not here")
    parser.add_argument("--model", help="the model of the run; by default the one that comes with the program")
    parser.add_argument("--work", type=Path, required=True, help="a folder for answers, features and candidates")
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    if chosen.packed is not None:
        archive.unpack(chosen.packed, library.folder_of(chosen.run))
    model = load(chosen.model)
    if runs.begun(chosen.run)[0].fingerprint != model.info.fingerprint:
        sys.exit(f"{chosen.run} was answered by another model than {model.info.name}: name its model with --model")
    comparison = compare(model, chosen.run, chosen.files, chosen.work)
    atomic.export(page.RESULTS, comparison.model_dump_json(indent=1).encode() + b"\n")
    page.main()


if __name__ == "__main__":
    main()
