"""The probes on this machine, and importing probes from files."""

from __future__ import annotations

from collections.abc import Mapping

from backend.probes import library, scorings
from backend.serve import opening
from backend.serve.worker import Worker
from backend.types.probe import Probe, ProbeSummary
from backend.types.scoring import Scoring


class LocalProbes:
    """See `backend.serve.client.Probes`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def list(self) -> tuple[ProbeSummary, ...]:
        """The probes on this machine."""
        return library.listed()

    def read(self, name: str) -> Probe:
        """A probe with its report card."""
        return library.read(name)

    def scorings(self, name: str) -> tuple[Scoring, ...]:
        """How the probe did on questions that it was not made from."""
        return scorings.of_probe(name)

    def add(self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None) -> Probe:
        """Import a probe from files of other programs, for the loaded model if there is one, or for the named one."""
        now = self._worker.status()
        from backend.serve import shelf

        if model is not None and model != now.name:
            return shelf.add_probe(files, name, None, force, absent=opening.shape_of(model))
        return shelf.add_probe(files, name, now.info, force, now.name or "" if now.state == "loading" else "")
