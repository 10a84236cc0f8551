"""The results of this process: recent ones in memory, stored ones, and the shipped examples."""

from __future__ import annotations

from pathlib import Path

from backend.errors import StoreError, Unknown
from backend.serve.failures import explain
from backend.serve.worker import Worker
from backend.types import Result, StoredResult, Verb
from backend.types.base import checked_key
from backend.types.refusal import read_stored
from backend.verbs import table
from backend.verbs.table import VERBS
from cache.errors import StoreProblem
from cache.record import Entry
from cache.store import Store


class LocalResults:
    """See `backend.serve.client.Results`; `examples` is the folder of the shipped examples."""

    def __init__(self, worker: Worker, store: Store | None, examples: Path) -> None:
        self._worker, self._store, self._examples = worker, store, examples

    def get(self, key: str) -> Result | None:
        """The result under `key`, recent or stored, or None.

        Raises BadSettings for a malformed key, StoreError if the store cannot be read.
        """
        recent = self._worker.result(checked_key(key))
        if recent is not None or self._store is None:
            return recent
        try:
            entry = self._store.entry(key)
            payload = self._store.get(key) if entry is not None and entry.kind in VERBS else None
        except StoreProblem as error:
            raise explain(error) from error
        return None if entry is None or payload is None else read_stored(VERBS[entry.kind].result, payload)

    def list(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """The stored results, newest first."""
        if self._store is None:
            return ()
        try:
            entries = [entry for entry in self._store.entries() if entry.kind in VERBS]
        except StoreProblem as error:
            raise explain(error) from error
        return tuple(_stored_result(entry) for entry in entries[:limit])

    def example(self, verb: Verb) -> Result:
        """The shipped example of `verb`. Raises Unknown if there is none."""
        row = table.row(verb)
        path = self._examples / f"{row.name}.json"
        try:
            payload = path.read_bytes()
        except OSError as error:
            raise Unknown(
                f"There is no finished example for {verb}", f"{path.name} is not installed", "run your own question"
            ) from error
        result = read_stored(row.result, payload)
        if result is None:
            raise StoreError(
                f"The example for {verb} cannot be read", f"{path.name} is of another version", "install again"
            )
        return result


def _stored_result(entry: Entry) -> StoredResult:
    meta = entry.meta
    return StoredResult(
        key=entry.key,
        verb=entry.kind,
        created=entry.created,
        size=entry.size,
        request=meta.get("request", {}),
        model=str(meta.get("model", "")),
        label=meta.get("label"),
    )
