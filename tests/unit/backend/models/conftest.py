"""A model folder that a test may spoil, and a data folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, and no choice of device or format from outside."""
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HNEURONS_DEVICE", raising=False)
    monkeypatch.delenv("HNEURONS_DTYPE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Llama model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder("llama"), tmp_path / "model"))
