"""Device and number format: the fastest here unless one is named, and no word is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from backend.errors import BadSettings
from backend.models import devices


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HNEURONS_DEVICE", raising=False)
    monkeypatch.delenv("HNEURONS_DTYPE", raising=False)


def _with_gpu(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)


def test_the_gpu_comes_before_the_cpu_and_the_cpu_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.available() == ("cpu",)
    _with_gpu(monkeypatch, True)
    assert devices.available() == ("cuda", "cpu")
    assert devices.choose_device() == "cuda"


def test_a_named_device_wins_over_the_environment_and_that_over_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_gpu(monkeypatch, True)
    monkeypatch.setenv("HNEURONS_DEVICE", "cpu")
    assert devices.choose_device() == "cpu"
    assert devices.choose_device("cuda") == "cuda"


@pytest.mark.parametrize(("bfloat16", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_gets_half_precision_of_the_kind_it_computes_in(
    monkeypatch: pytest.MonkeyPatch, bfloat16: bool, expected: str
) -> None:
    _with_gpu(monkeypatch, bfloat16)
    assert devices.choose_dtype("cuda") == expected
    assert devices.choose_dtype("cpu") == "float32"


def test_a_named_format_wins_over_the_environment_and_that_over_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNEURONS_DTYPE", "bfloat16")
    assert devices.choose_dtype("cpu") == "bfloat16"
    assert devices.choose_dtype("cpu", "float16") == "float16"


@pytest.mark.parametrize("word", ["gpu", "cuda:99", "cpu;rm", "tpu", "\0"])
def test_a_device_that_is_not_here_is_refused_by_name(word: str) -> None:
    with pytest.raises(BadSettings) as refused:
        devices.choose_device(word)
    assert "this machine has" in refused.value.why


@pytest.mark.parametrize("word", ["float64", "int8", "half", "32"])
def test_a_format_that_is_not_known_is_refused(word: str) -> None:
    with pytest.raises(BadSettings):
        devices.choose_dtype("cpu", word)


def _group(folder: Path, limit: str, used: int, idle: int) -> tuple[tuple[str, str, str], ...]:
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {idle}\nactive_file 2\n")
    return ((str(folder), "memory.max", "memory.current"),)


def test_a_container_limit_binds_before_the_machine_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_GROUPS", _group(tmp_path, "1000000", 700_000, 200_000))
    assert devices.free_bytes("cpu") == 500_000


def test_without_a_limit_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_GROUPS", _group(tmp_path, "max", 700_000, 0))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 12345})())
    assert devices.free_bytes("cpu") == 12345
