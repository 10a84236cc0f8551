"""Links that are too long for an address: the view as JSON, kept under the hash of its text.

Owns the folder `links` of the data folder with its bounds: so many bytes a link, so many in all, the least recently
opened dropped first. A key is the hash of what it names, so one link has one key, and a key leads to no other file.
Refuses meaning: what the parameters say is the page's. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from backend.errors import BadInput, in_tree
from cache import digests
from cache.errors import StoreProblem
from cache.store import Store

MAX_LINK_BYTES = 1_000_000
"""Longest link that is kept: 10,000 neurons with an alpha each, and the longest texts beside them, take less."""
MAX_BYTES = 64 * 1024**2
KIND = "link"


def store_beside(results: Store) -> Store:
    """The store of links that lies beside that of results."""
    return Store(Path(results.root).parent / "links", MAX_BYTES)


def written(params: Mapping[str, str]) -> bytes:
    """The one spelling of these parameters. Raises BadInput where they are too long to keep."""
    try:
        text = json.dumps(dict(params), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise BadInput("The link cannot be kept", "it holds half a character", "type the text again") from error
    if len(text) > MAX_LINK_BYTES:
        raise BadInput(
            "The link cannot be kept",
            f"it has {len(text):,} bytes, and at most {MAX_LINK_BYTES:,} are kept",
            "choose fewer neurons, or save the set as a file",
        )
    return text


def keep(store: Store, params: Mapping[str, str]) -> str:
    """Keep these parameters; their key. Raises BadInput, StoreError."""
    text = written(params)
    key = digests.of_bytes(text)
    try:
        if store.get(key) is None:
            store.put(key, text, KIND, {})
    except StoreProblem as error:
        raise in_tree(error) from error
    return key


def read(store: Store, key: str) -> dict[str, str] | None:
    """The parameters under `key`; None where nothing is kept there. Raises BadInput, StoreError."""
    try:
        payload = store.get(key)
    except StoreProblem as error:
        raise in_tree(error) from error
    if payload is None:
        return None
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else None
