"""The client that runs the engine in this process.

Owns the worker and the store, which its facets share. The first call returns at once: the heavy packages are imported
by the worker's thread while the model loads, and `shelf` when runs are first asked for. It adds no behaviour: what a
verb does is the engine's task, what a model needs is `backend.models`'.
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
    """One engine and its store, shared by everybody in this process. See `backend.serve.client.Client`.

    Args:
        opener: makes the engine of a model, in the worker's thread.
        store: where results are read from; None keeps only the last few, in memory.
        choices: returns the rows of the registry.
        check: refuses at once a model that is known not to open; its last arguments are the bytes that the loaded model
            will free, and on which device.
        prepare: checks all that can be checked without dropping the loaded model; may take long.
        memory: the bytes that an engine's model needs and those free.
        examples: folder of the shipped examples.
        abandoned_after: seconds after which a running job without viewers is stopped.
    """

    def __init__(
        self,
        opener: Opener,
        store: Store | None,
        *,
        choices: Callable[[], tuple[ModelChoice, ...]] = opening.choices,
        check: Callable[[ModelSpec, int, str], None] = opening.check,
        prepare: Callable[[ModelSpec, Progress, int, str], None] = opening.prepare,
        memory: Callable[[Answering], dict[str, int] | None] = opening.memory_use,
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

        With `keep` false no result is read from or written to disk. `ahead` as in `opening.open_engine`.
        """
        store = opening.result_store() if keep else None
        client = cls(lambda spec, progress: opening.open_engine(spec, store, progress, ahead=ahead), store)
        client._worker.load(ModelSpec(model or opening.default_model(), device, dtype))
        return client

    def close(self) -> None:
        """Stop all work and free the model."""
        self._worker.close()
        self.jobs.close()
