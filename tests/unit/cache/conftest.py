"""A store in a folder of its own, and keys to fill it with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cache import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def key() -> Callable[[object], str]:
    """A valid key for any name."""
    return lambda name: hashlib.sha256(repr(name).encode()).hexdigest()
