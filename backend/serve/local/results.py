"""The results of this process: those of a moment ago, those in the store, and the examples that ship."""

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
    """See `backend.serve.client.Results`; `examples` is the folder of the finished ones."""

    def __init__(self, worker: Worker, store: Store | None, examples: Path) -> None:
        self._worker, self._store, self._examples = worker, store, examples

    def get(self, key: str) -> Result | None:
        """The result under `key`, of this run of the program or stored by an earlier one; None where there is none.

        Raises BadSettings for a malformed key, StoreError where the store cannot be read.
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
        """What is in the store, newest first."""
        if self._store is None:
            return ()
        try:
            found = [entry for entry in self._store.entries() if entry.kind in VERBS]
        except StoreProblem as error:
            raise explain(error) from error
        return tuple(_listed(entry) for entry in found[:limit])

    def example(self, verb: Verb) -> Result:
        """The finished example that ships for `verb`. Raises Unknown where there is none."""
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


def _listed(entry: Entry) -> StoredResult:
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
