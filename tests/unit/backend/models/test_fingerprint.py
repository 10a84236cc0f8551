"""A fingerprint stands for contents and number format, wherever the files lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from backend.models.fingerprint import fingerprint
from cache.paths import models_dir

pytestmark = pytest.mark.usefixtures("home")


def test_a_copy_elsewhere_has_the_same_fingerprint(folder: Path, tmp_path: Path) -> None:
    assert fingerprint(folder, "float32") == fingerprint(shutil.copytree(folder, tmp_path / "copy"), "float32")
    assert len(fingerprint(folder, "float32")) == 64


def test_the_number_format_is_part_of_it(folder: Path) -> None:
    assert fingerprint(folder, "float32") != fingerprint(folder, "bfloat16")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_one_changed_byte_in_any_file_of_the_model_changes_it(folder: Path, name: str) -> None:
    before = fingerprint(folder, "float32")
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(bytes(content))
    os.utime(folder / name, ns=(1, 1))
    assert fingerprint(folder, "float32") != before


@pytest.mark.parametrize("name", ["additional_chat_templates/default.jinja", "qwen.tiktoken"])
def test_whatever_else_makes_the_tokens_is_part_of_it(folder: Path, name: str) -> None:
    found = [fingerprint(folder, "float32")]
    (folder / name).parent.mkdir(exist_ok=True)
    for content in ("one", "two"):
        (folder / name).write_text(content)
        found.append(fingerprint(folder, "float32"))
    assert len(set(found)) == 3


def test_the_note_of_a_conversion_is_no_part_of_it(folder: Path) -> None:
    before = fingerprint(folder, "float32")
    (folder / "converted.json").write_text("{}")
    assert fingerprint(folder, "float32") == before


def test_hashes_are_remembered_and_a_damaged_memory_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(folder, "float32")
    (models_dir() / "hashes.json").write_text("{ half of it")
    assert fingerprint(folder, "float32") == before
    monkeypatch.setattr("cache.digests.of_file", lambda _file: pytest.fail("a file was hashed again"))
    assert fingerprint(folder, "float32") == before


def test_a_memory_that_cannot_be_written_only_costs_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(folder, "float32")
    (tmp_path / "a-file").write_text("in the way")
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "a-file"))
    assert fingerprint(folder, "float32") == before
