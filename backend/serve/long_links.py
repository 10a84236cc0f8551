"""Links that are too long for an address: the parameters of the view as JSON, stored under the hash of their text.

Owns the folder `links` of the data folder and its limits: bytes per link and bytes in all, the least recently opened
links dropped first. A key is the hash of the link's content, so a link has exactly one key, and no key reaches another
file. What the parameters mean is the page's business. Imports no torch.
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
"""Longest link that is kept. 10,000 neurons with an alpha each and the longest texts need less."""
MAX_BYTES = 64 * 1024**2
KIND = "link"


def store_beside(results: Store) -> Store:
    """The store of links, in the folder beside the store of results."""
    return Store(Path(results.root).parent / "links", MAX_BYTES)


def link_text(params: Mapping[str, str]) -> bytes:
    """The parameters as canonical JSON, UTF-8. Raises BadInput if they are too long to keep."""
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
    """Keep these parameters and return their key. Raises BadInput, StoreError."""
    text = link_text(params)
    key = digests.of_bytes(text)
    try:
        if store.get(key) is None:
            store.put(key, text, KIND, {})
    except StoreProblem as error:
        raise in_tree(error) from error
    return key


def read(store: Store, key: str) -> dict[str, str] | None:
    """The parameters under `key`, or None if there are none. Raises BadInput, StoreError."""
    try:
        payload = store.get(key)
    except StoreProblem as error:
        raise in_tree(error) from error
    if payload is None:
        return None
    try:
        params = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return {str(name): str(value) for name, value in params.items()} if isinstance(params, dict) else None
