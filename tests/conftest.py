"""Models shared by all tests: each is made once a session, and no test may leave a mark on it.

Owns the fixtures `tiny`, `untouched`, `editable` and `smol`. Heavy libraries are imported inside them, so
that tests without a model stay quick.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from backend.models.loaded import LoadedModel
    from tests.plain import Plain

SMOL = "SmolLM2-135M-Instruct"

# Workers that each compute on all cores wait for one another more than they compute.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

# No deadline: a machine busy with something else is no counterexample.
settings.register_profile("tests", deadline=None, max_examples=60)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def loaded_models() -> list[LoadedModel]:
    """Every model that a fixture of this session has loaded."""
    return []


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny random model."""
    from tests.tiny import make_tiny

    home = tmp_path_factory.mktemp("tiny")
    return functools.cache(lambda family: make_tiny(family, home))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Callable[[str], Path], loaded_models: list[LoadedModel]) -> Callable[[str], LoadedModel]:
    """A family's tiny random model as the engine uses it, float32 on the CPU."""

    @functools.cache
    def make(family: str) -> LoadedModel:
        model = wrapped(tiny_folder(family), f"tiny-{family}")
        loaded_models.append(model)
        return model

    return make


def wrapped(folder: Path, name: str) -> LoadedModel:
    """The model of a local folder, wrapped without the project's own way of loading."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from backend.models.loaded import wrap

    return wrap(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        AutoTokenizer.from_pretrained(folder),
        name=name,
        source=str(folder),
        fingerprint=hashlib.sha256(name.encode()).hexdigest(),
        device="cpu",
        dtype="float32",
    )


@pytest.fixture(scope="session")
def untouched(tiny_folder: Callable[[str], Path]) -> Callable[[str], Plain]:
    """The same tiny model loaded a second time by Transformers alone; not to be changed."""
    from tests.plain import Plain

    return functools.cache(lambda family: Plain(tiny_folder(family), family))


@pytest.fixture
def editable(tiny_folder: Callable[[str], Path]) -> Callable[[str], Plain]:
    """A fresh copy at each call, whose weights may be edited."""
    from tests.plain import Plain

    return lambda family: Plain(tiny_folder(family), family)


@pytest.fixture(scope="session")
def smol(loaded_models: list[LoadedModel]) -> LoadedModel:
    """The default model, loaded as the program loads it. Without its files: a skip at home, a failure in CI."""
    from backend.errors import ModelError
    from backend.models.loading import load

    try:
        model = load(SMOL)
    except ModelError as error:
        if os.environ.get("CI"):
            pytest.fail(f"{SMOL} must be there in CI: {error.sentence}")
        pytest.skip(error.sentence)
    loaded_models.append(model)
    return model
