"""The probes of this process: those that are here, and those from files."""

from __future__ import annotations

from collections.abc import Mapping

from backend.probes import library
from backend.serve import opening
from backend.serve.worker import Worker
from backend.types.probe import Probe, ProbeSummary


class LocalProbes:
    """See `backend.serve.client.Probes`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def list(self) -> tuple[ProbeSummary, ...]:
        """The probes that are here."""
        return library.listed()

    def read(self, name: str) -> Probe:
        """A probe with its report card."""
        return library.read(name)

    def add(self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None) -> Probe:
        """Keep a probe from the files of others, for the loaded model where there is one, or for the one named."""
        now = self._worker.status()
        from backend.serve import shelf

        if model is not None and model != now.name:
            return shelf.take(files, name, None, force, said=opening.shape_of(model))
        return shelf.take(files, name, now.info, force, now.name or "" if now.state == "loading" else "")
