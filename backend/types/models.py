"""Models and stored results as they are listed: rows of tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backend.types.base import Frozen


class ModelChoice(Frozen):
    """A row of the table of models with the memory that it needs on this machine. Sizes in bytes."""

    name: str
    repo: str
    source: str
    licence: str
    family: str
    layers: int
    neurons: int
    """Feed-forward neurons in one layer."""
    parameters: int
    context: int
    gated: bool
    note: str
    needs: int
    fits: bool
    here: bool
    """Whether its files are on this machine."""


class StoredResult(Frozen):
    """A result in the store: its request, its model, and when it was made."""

    key: str
    verb: str
    created: datetime
    size: int
    request: dict[str, Any]
    model: str
    label: str | None = None
