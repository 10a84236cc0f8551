"""How probes did on questions that they were not made from: the finished scorings, found by the probe's digest.

Owns where they are: those of this machine in the folder `scores`, and those that ship beside their probe. How they are
computed is `backend.identify.elsewhere`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from backend.probes import library
from backend.runs.folder import RunFolder, ScoringFolder
from backend.types.scoring import Scoring
from cache.files import content
from cache.paths import home

log = logging.getLogger(__name__)


def folder() -> Path:
    """The folder of this machine's scorings, each in a folder of its own."""
    return home() / "scores"


def of_probe(name: str) -> tuple[Scoring, ...]:
    """The finished scorings of the probe as it is now, the worst first: by the AUROC of its H-neurons alone, then those
    without one. Raises Unknown where there is no such probe, StoreError where it cannot be read."""
    own = [ScoringFolder(path).result for path in sorted(folder().glob("*"))]
    return _of_digest(name, [*own, *_shipped_files(name)])


def shipped(name: str) -> tuple[Scoring, ...]:
    """Those of them that ship."""
    return _of_digest(name, _shipped_files(name))


def _of_digest(name: str, paths: Sequence[Path]) -> tuple[Scoring, ...]:
    summary = next((probe for probe in library.listed() if probe.name == name), None)
    if summary is None:
        library.read(name)
        return ()
    found = [scoring for path in paths if (scoring := _read(path)) is not None]
    of_this = [scoring for scoring in found if summary.digest and scoring.digest == summary.digest]
    return tuple(sorted(of_this, key=lambda scoring: (scoring.worth is None, scoring.worth or 0.0)))


def _shipped_files(name: str) -> list[Path]:
    return sorted(RunFolder(library.SHIPPED / name).elsewhere.glob("*.json"))


def _read(path: Path) -> Scoring | None:
    """None where there is none: the scoring has not ended. One that cannot be read is named in the log."""
    try:
        return Scoring.model_validate_json(content(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        log.warning("the scoring %s is left out: %s", path.parent.name, error)
        return None
