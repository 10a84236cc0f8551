"""The client that runs the engine in this process.

Owns the worker and the store, which its facets share. The first call returns at once: the heavy packages are imported
by the worker's thread while the model loads, and what reads runs (`shelf`) when a run is asked for. Refuses behaviour
of its own: what a verb does is the engine's, what a model needs is `backend.models`'.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.bundled import EXAMPLES
from backend.serve import opening
from backend.serve.local.jobs import LocalJobs
from backend.serve.local.links import LocalLinks
from backend.serve.local.models import LocalModels
from backend.serve.local.probes import LocalProbes
from backend.serve.local.results import LocalResults
from backend.serve.local.runs import LocalRuns
from backend.serve.opening import Answering, ModelSpec, Opener, Progress
from backend.serve.worker import Worker
from backend.types import ModelChoice
from cache.store import Store


class LocalClient:
    """One engine and its store, for everybody in this process. See `backend.serve.client.Client`.

    Args:
        opener: makes the engine of a model, in the worker's thread.
        store: where results are read from; None keeps only the last few, in memory.
        choices: the rows of the registry.
        check: refuses at once a model that is known not to open; told how many bytes the loaded one gives back, where.
        prepare: does so with all that can be seen without giving the loaded one back; may take long.
        memory: the bytes that an engine's model needs and those free.
        examples: folder of the finished examples.
        abandoned_after: seconds after which a running job that nobody views is stopped.
    """

    def __init__(
        self,
        opener: Opener,
        store: Store | None,
        *,
        choices: Callable[[], tuple[ModelChoice, ...]] = opening.choices,
        check: Callable[[ModelSpec, int, str], None] = opening.check,
        prepare: Callable[[ModelSpec, Progress, int, str], None] = opening.prepare,
        memory: Callable[[Answering], dict[str, int] | None] = opening.reckon,
        examples: Path = EXAMPLES,
        abandoned_after: float = 60.0,
    ) -> None:
        self._worker = Worker(
            opener,
            check=lambda spec, progress: prepare(spec, progress, *self.models.given_back()),
            memory=memory,
            abandoned_after=abandoned_after,
            ready=lambda info: self.jobs.go_on(info),
        )
        self.models = LocalModels(self._worker, choices, check)
        self.jobs = LocalJobs(self._worker)
        self.results = LocalResults(self._worker, store, examples)
        self.probes = LocalProbes(self._worker)
        self.runs = LocalRuns(self._worker)
        self.links = LocalLinks(store)

    @classmethod
    def start(
        cls, model: str | None = None, device: str | None = None, dtype: str | None = None, *,
        keep: bool = True, ahead: bool = False,
    ) -> LocalClient:  # fmt: skip
        """A client whose model (by default HNEURONS_MODEL, else the one that ships) has begun to load.

        With `keep` false no result is read from disk or written there. `ahead` as in `opening.open_engine`.
        """
        store = opening.result_store() if keep else None
        client = cls(lambda spec, progress: opening.open_engine(spec, store, progress, ahead=ahead), store)
        client._worker.load(ModelSpec(model or opening.default_model(), device, dtype))
        return client

    def close(self) -> None:
        """Stop all work and free the model."""
        self._worker.close()
        self.jobs.close()
