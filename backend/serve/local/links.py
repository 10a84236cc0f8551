"""The long links of this process, kept beside its store (`backend.serve.long_links`)."""

from __future__ import annotations

from collections.abc import Mapping

from backend.errors import NotAllowed
from backend.serve import long_links
from backend.types.base import checked_key
from cache.store import Store


class LocalLinks:
    """See `backend.serve.client.Links`."""

    def __init__(self, store: Store | None) -> None:
        self._links = None if store is None else long_links.store_beside(store)

    def keep(self, params: Mapping[str, str]) -> str:
        """Keep the parameters of a link that is too long for an address; returns their key."""
        if self._links is None:
            raise NotAllowed(
                "The link cannot be kept", "nothing is written to disk here", "choose fewer neurons for a shorter one"
            )
        return long_links.keep(self._links, params)

    def kept(self, key: str) -> Mapping[str, str] | None:
        """The parameters kept under `key`, or None."""
        checked_key(key)
        return None if self._links is None else long_links.read(self._links, key)
