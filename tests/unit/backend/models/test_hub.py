"""What the hub refuses, and a hub that does not answer, reach a person as one sentence with the remedy."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils._paths import filter_repo_objects

from backend.errors import HNeuronsError, ModelUnreadable, UnknownModel
from backend.models import hub
from backend.models.registry import DEFAULT

REPO = "somebody/some-model"
ANSWER: Any = SimpleNamespace(headers={}, request=None)


def _fails(error: Exception) -> Callable[..., Any]:
    def fail(*_arguments: Any, **_settings: Any) -> Any:
        raise error

    return fail


@pytest.fixture
def not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "snapshot_download", _fails(LocalEntryNotFoundError("not here")))


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (GatedRepoError("gated", response=ANSWER), ModelUnreadable, "hf auth login"),
        (RepositoryNotFoundError("no", response=ANSWER), UnknownModel, "hneurons models list"),
        (HFValidationError("bad name"), UnknownModel, "hneurons models list"),
        (hub._CLIENT_ERROR("Name or service not known"), ModelUnreadable, DEFAULT),
        (ConnectionError("offline mode is enabled"), ModelUnreadable, DEFAULT),
        (OSError(errno.ENOSPC, "No space left on device"), ModelUnreadable, "HF_HOME"),
    ],
)
def test_each_failure_has_its_remedy(
    error: Exception, kind: type[HNeuronsError], says: str, not_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=_fails(error)))
    with pytest.raises(kind) as refused:
        hub.fetch(REPO)
    assert type(refused.value) is kind
    assert says in refused.value.instead
    assert REPO in refused.value.what


@pytest.mark.parametrize("ask", [hub.fetch, hub.config_folder])
def test_a_hub_that_refuses_the_connection_is_told_at_once(
    ask: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real client, whose errors no stand-in can be trusted to have."""
    monkeypatch.setattr(hub, "HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9"))
    started = time.monotonic()
    with pytest.raises(ModelUnreadable) as refused:
        ask("nobody/no-such-model-is-cached-here")
    assert DEFAULT in refused.value.instead
    assert time.monotonic() - started < 5


def test_a_configuration_that_is_here_is_read_without_asking(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_a, **_k: str(tiny_folder("llama") / "config.json"))
    monkeypatch.setattr(hub, "HfApi", lambda: pytest.fail("the hub was asked"))
    assert hub.config_folder(REPO) == tiny_folder("llama")


def test_a_repository_without_configuration_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any, local_files_only: bool = False) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        raise RemoteEntryNotFoundError("none", response=ANSWER)

    monkeypatch.setattr(hub, "hf_hub_download", none)
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=lambda _repo: None))
    with pytest.raises(ModelUnreadable) as refused:
        hub.config_folder(REPO)
    assert "config.json" in refused.value.why


def _offers(monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
    files = [SimpleNamespace(rfilename=name.replace("__", "/").replace("_dot_", "."), size=size)
             for name, size in sizes.items()]  # fmt: skip
    monkeypatch.setattr(
        hub, "HfApi", lambda: SimpleNamespace(model_info=lambda *_a, **_k: SimpleNamespace(siblings=files))
    )


@pytest.mark.parametrize(
    "name", ["pytorch_model_dot_bin", "original__model_dot_safetensors", "consolidated_dot_safetensors"]
)
def test_nothing_is_downloaded_where_there_are_no_weights_that_are_read(
    name: str, not_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offers(monkeypatch, **{name: 1})
    with pytest.raises(ModelUnreadable) as refused:
        hub.fetch(REPO)
    assert "no safetensors" in refused.value.why


def test_a_download_that_the_disk_cannot_hold_is_not_begun(not_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _offers(monkeypatch, model_dot_safetensors=5 * 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=10**9))
    with pytest.raises(ModelUnreadable) as refused:
        hub.fetch(REPO)
    assert "5.0 GB" in refused.value.why
    assert "1.0 GB" in refused.value.why


def test_what_is_here_is_used_without_asking(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "snapshot_download", lambda *_a, **_k: str(tiny_folder("llama")))
    monkeypatch.setattr(hub, "HfApi", lambda: pytest.fail("the hub was asked"))
    assert hub.fetch(REPO) == tiny_folder("llama")


def test_half_a_download_does_not_count_as_here(
    tiny_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = shutil.copytree(tiny_folder("llama"), tmp_path / "half")
    monkeypatch.setattr(hub, "snapshot_download", lambda *_a, **_k: str(half))
    assert hub.cached(REPO) == half
    (half / "model.safetensors").unlink()
    assert hub.cached(REPO) is None


def test_all_that_is_read_is_fetched_and_nothing_else() -> None:
    read = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "chat_template.json", "chat_template.jinja", "additional_chat_templates/default.jinja",
        "additional_chat_templates/rag.jinja", "vocab.json", "merges.txt", "tokenizer.model", "model.safetensors",
        "model-00001-of-00002.safetensors", "model.safetensors.index.json",
    ]  # fmt: skip
    others = [
        "README.md", "LICENSE.txt", "pytorch_model.bin", "consolidated.safetensors", "consolidated.00.pth",
        "original/model.safetensors", "original/params.json", "original/tokenizer.model", "onnx/model.onnx",
        "onnx/vocab.txt", "gguf/model.gguf", "modeling_own.py", "training_args.bin",
    ]  # fmt: skip
    assert (
        list(filter_repo_objects([*read, *others], allow_patterns=hub._WANTED, ignore_patterns=hub._UNWANTED)) == read
    )


def test_progress_counts_the_bytes_that_have_come() -> None:
    heard: list[tuple[str, float]] = []
    bar = hub._bar(lambda stage, fraction: heard.append((stage, fraction)))(
        total=0, unit="B", mininterval=0, miniters=1
    )
    bar.total = 100
    for _ in range(4):
        bar.update(25)
    bar.close()
    assert heard[-1] == ("downloading", 1.0)
    assert [fraction for _, fraction in heard] == sorted(fraction for _, fraction in heard)
