"""The lowest layer of the program: a store of bytes on disk, and the folders that hold them.

Imports nothing of `backend` or `app`, and knows nothing of models, tensors or results.
"""

from cache.errors import (
    BadKey,
    BadMeta,
    ExpectedError,
    PathEscapes,
    PayloadTooLarge,
    StoreFull,
    StoreProblem,
    StoreUnreadable,
    StoreUnwritable,
)
from cache.paths import home, inside, models_dir, results_dir
from cache.store import DEFAULT_MAX_BYTES, Entry, Store

__all__ = [
    "DEFAULT_MAX_BYTES",
    "BadKey",
    "BadMeta",
    "Entry",
    "ExpectedError",
    "PathEscapes",
    "PayloadTooLarge",
    "Store",
    "StoreFull",
    "StoreProblem",
    "StoreUnreadable",
    "StoreUnwritable",
    "home",
    "inside",
    "models_dir",
    "results_dir",
]
