"""After every test of the engine no hook is left on any model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel


@pytest.fixture(autouse=True)
def no_hook_is_left(loaded_models: list[LoadedModel]) -> Iterator[None]:
    """A hook left on would change every later answer in silence."""
    yield
    for model in loaded_models:
        from backend.models.hooks import hook_count

        assert hook_count(model) == 0, model.info.name
