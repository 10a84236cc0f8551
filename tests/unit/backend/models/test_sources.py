"""A name is understood in one order: row, folder, GGUF file, hub name; anything else is refused with a likeness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import ModelUnreadable, UnknownModel
from backend.models import hub, sources
from backend.models.progress import silent
from backend.models.registry import DEFAULT, PLANTED


@pytest.mark.parametrize("name", [None, "", "   ", DEFAULT, DEFAULT.upper()])
def test_no_name_and_its_own_name_mean_the_model_that_ships(name: str | None) -> None:
    source = sources.resolve(name)
    assert (source.name, source.kind) == (DEFAULT, "package")


def test_a_row_is_a_hub_model_by_either_name() -> None:
    assert sources.resolve("gpt-2") == sources.resolve("openai-community/gpt2")
    assert sources.resolve("gpt-2").kind == "hub"


def test_the_planted_model_is_here_without_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "snapshot_download", lambda *_a, **_k: pytest.fail("the hub was asked"))
    source = sources.resolve("PLANTED-3m")
    assert (source.name, source.kind) == (PLANTED, "bundled") and sources.is_here(source)
    assert (sources.local_path(source, silent) / "model.safetensors").is_file()


def test_a_folder_is_found_and_handed_out_as_it_stands(tiny_folder: Callable[[str], Path]) -> None:
    folder = tiny_folder("qwen3")
    source = sources.resolve(str(folder))
    assert (source.kind, source.name, source.row) == ("directory", folder.name, None)
    assert sources.local_path(source, silent) == folder


def test_a_folder_is_found_from_where_one_stands(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder("qwen3")
    monkeypatch.chdir(folder.parent)
    assert sources.resolve(folder.name).place == str(folder)


def test_a_folder_that_lacks_something_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    source = sources.resolve(str(tmp_path))
    with pytest.raises(ModelUnreadable):
        sources.local_path(source, silent)


def test_a_gguf_file_is_found_whatever_its_case(tmp_path: Path) -> None:
    path = tmp_path / "Some.GGUF"
    path.write_bytes(b"GGUF")
    source = sources.resolve(str(path))
    assert (source.kind, source.name, source.place) == ("gguf", "Some", str(path))


def test_a_name_with_an_owner_is_a_hub_name_without_asking_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "snapshot_download", lambda *_a, **_k: pytest.fail("the hub was asked"))
    assert sources.resolve("somebody/some-model_2.0") == sources.ModelSource(
        "somebody/some-model_2.0", "hub", "somebody/some-model_2.0"
    )


@pytest.mark.parametrize(
    "name",
    ["nothing", "/no/such/folder", "./no", "~/no-such-model", "a/b/c", "a/", "/a", "no.gguf", "x/no.gguf", "a b/c",
     "owner/na\0me", "x" * 5000, "<script>alert(1)</script>", "../../etc/passwd", "é/è"],
)  # fmt: skip
def test_what_stands_for_nothing_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel) as refused:
        sources.resolve(name)
    assert len(refused.value.sentence) < 400


def test_space_around_a_name_does_not_count() -> None:
    assert sources.resolve(" owner/name\n") == sources.resolve("owner/name")


def test_a_slip_of_the_finger_is_answered_with_the_name_that_was_meant() -> None:
    with pytest.raises(UnknownModel) as refused:
        sources.resolve("SmolLM2-135M-Instrukt")
    assert DEFAULT in refused.value.instead


def test_a_file_that_is_no_gguf_is_not_taken_for_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").write_text("text")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModel):
        sources.resolve("owner/name")
