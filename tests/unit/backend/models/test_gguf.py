"""A GGUF file becomes a folder with the very numbers it holds: once, whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils

from backend.errors import ModelTooLarge, ModelUnreadable, StoreError, UnsupportedModel
from backend.models import folders, gguf, gguf_header, memory
from backend.models.checks import gguf_file
from backend.models.progress import silent
from cache import atomic
from cache.paths import models_dir
from tests.tiny_gguf import make_gguf

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def file(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    return make_gguf(tiny_folder("llama"), tmp_path / "tiny.gguf")


def _folders() -> list[str]:
    return sorted(path.name for path in models_dir().iterdir() if path.is_dir())


def test_the_converted_weights_are_those_that_went_in(file: Path, tiny_folder: Callable[[str], Path]) -> None:
    before = load_file(tiny_folder("llama") / "model.safetensors")
    after = load_file(gguf.convert(file, "tiny", silent) / "model.safetensors")
    assert before.keys() == after.keys()
    for name, weight in before.items():
        np.testing.assert_array_equal(after[name], weight)
    assert not np.array_equal(after["model.layers.0.mlp.up_proj.weight"], after["model.layers.1.mlp.up_proj.weight"])


def test_the_converted_folder_is_a_whole_model_with_the_same_tokens(
    file: Path, tiny_folder: Callable[[str], Path]
) -> None:
    folder = gguf.convert(file, "tiny", silent)
    assert "quantization_config" not in folders.inspect(folder)
    before, after = (AutoTokenizer.from_pretrained(place) for place in (tiny_folder("llama"), folder))
    text = [{"role": "user", "content": "What is the capital of Egypt? \U0001f642"}]
    assert after.apply_chat_template(text) == before.apply_chat_template(text)
    assert (after.bos_token, after.eos_token, after.pad_token) == (before.bos_token, before.eos_token, before.pad_token)


def test_a_second_conversion_reads_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = gguf.convert(file, "tiny", silent)
    monkeypatch.setattr(gguf, "_write_converted", lambda *_arguments: pytest.fail("it was converted again"))
    assert gguf.convert(file, "tiny", silent) == first


def test_progress_rises_and_hears_of_the_tensors(file: Path) -> None:
    heard: list[tuple[str, float]] = []
    gguf.convert(file, "tiny", lambda stage, fraction: heard.append((stage, fraction)))
    fractions = [fraction for _, fraction in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert sum("unpacking" in stage for stage, _ in heard) > 20


def test_the_bar_that_is_listened_to_is_put_back(file: Path, tmp_path: Path) -> None:
    reader: Any = modeling_gguf_pytorch_utils
    drawn = reader.tqdm
    gguf.convert(file, "tiny", silent)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(ModelUnreadable):
        gguf.convert(cut, "cut", silent)
    assert reader.tqdm is drawn


KILLED = """
import os, sys
from pathlib import Path
from backend.models import gguf
from backend.models.progress import silent
os.replace = lambda *_arguments: os._exit(9)
gguf.convert(Path(sys.argv[1]), "tiny", silent)
"""


def test_a_process_killed_before_the_rename_leaves_nothing_in_place_and_the_next_one_does_it_again(file: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(file)], cwd=os.getcwd(), capture_output=True, check=False
    )
    assert killed.returncode == 9, killed.stderr.decode()
    left = _folders()
    assert len(left) == 1
    assert atomic.is_unfinished(left[0])
    folder = gguf.convert(file, "tiny", silent)
    folders.inspect(folder)
    assert _folders() == [folder.name]


def test_a_failure_while_writing_leaves_nothing_and_the_next_one_succeeds(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full)
        with pytest.raises(StoreError) as refused:
            gguf.convert(file, "tiny", silent)
    assert "No space left" in refused.value.why
    assert _folders() == []
    folders.inspect(gguf.convert(file, "tiny", silent))


def test_a_data_folder_that_cannot_be_made_is_told(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a-file").write_text("in the way")
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "a-file"))
    with pytest.raises(StoreError) as refused:
        gguf.convert(file, "tiny", silent)
    assert "HNEURONS_HOME" in refused.value.instead


def test_a_folder_without_the_right_to_write_is_not_told_as_a_full_disk(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(StoreError) as told:
        gguf.convert(file, "tiny", silent)
    assert "make the folder writable" in told.value.instead and "gigabytes" not in told.value.sentence


def test_a_conversion_by_another_version_of_transformers_is_made_anew(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = gguf.convert(file, "tiny", silent)
    assert gguf.is_whole(folder)
    marker = folder / gguf.MARKER
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "transformers": "4.0.0"}))
    assert not gguf.is_whole(folder)
    assert gguf.is_whole(gguf.convert(file, "tiny", silent))
    marker.write_text("[" * 200_000)
    assert not gguf.is_whole(folder), "a damaged note is none"


@pytest.mark.parametrize("lost", [gguf.MARKER, "model.safetensors"])
def test_a_conversion_that_lost_something_is_made_anew(file: Path, lost: str) -> None:
    folder = gguf.convert(file, "tiny", silent)
    (folder / lost).unlink()
    assert (gguf.convert(file, "tiny", silent) / lost).is_file()


COUNTED = """
import sys
from pathlib import Path
from backend.models import gguf
from backend.models.progress import silent
inner = gguf._write_converted
def save(*arguments):
    print("converted here")
    inner(*arguments)
gguf._write_converted = save
print(gguf.convert(Path(sys.argv[1]), "tiny", silent))
"""


def test_two_processes_convert_the_same_file_once(file: Path) -> None:
    command = [sys.executable, "-c", COUNTED, str(file)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum(out.count("converted here") for out, _ in told) == 1
    assert len({out.splitlines()[-1] for out, _ in told}) == 1


@pytest.mark.parametrize("kept", [0, 3, 40, 3000, -2000])
def test_a_file_cut_short_is_refused_and_leaves_nothing(file: Path, tmp_path: Path, kept: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelUnreadable) as refused:
        gguf.convert(cut, "cut", silent)
    assert "cut.gguf" in refused.value.what
    assert not models_dir().exists() or _folders() == []


def test_weights_that_the_file_lacks_are_not_made_up(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    file = make_gguf(tiny_folder("llama"), tmp_path / "holed.gguf", leave_out="blk.1.ffn_up")
    with pytest.raises(ModelUnreadable) as refused:
        gguf.convert(file, "holed", silent)
    assert "lacks 1 of the weights" in refused.value.why


@pytest.mark.parametrize("says", [1, 2, 4, 10**9])
def test_a_header_that_says_another_number_of_blocks_than_the_file_holds_is_refused(
    says: int, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """With fewer it would be converted to another model, without a word."""
    file = make_gguf(tiny_folder("llama"), tmp_path / "odd.gguf", blocks=says)
    with pytest.raises(ModelUnreadable, match=f"says {says:,} blocks and it holds 3"):
        gguf.parameters(file)
    with pytest.raises((ModelUnreadable, UnsupportedModel), match=f"{says:,}"):
        gguf.convert(file, "odd", silent)
    assert _folders() == []


def test_a_tensor_without_a_place_is_refused_and_is_not_left_out(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    extra = {"blk.1.attn_q.bias": np.ones(32, np.float32)}
    file = make_gguf(tiny_folder("llama"), tmp_path / "odd.gguf", extra=extra)
    with pytest.raises(ModelUnreadable, match="no place for.*blk.1.attn_q.bias"):
        gguf.convert(file, "odd", silent)


def test_scaled_positions_are_refused_since_transformers_does_not_read_them(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """As in the files of Llama 3.1: unscaled it would be another model."""
    factors = {"rope_freqs.weight": np.array([1, 1, 4, 8], np.float32)}
    for file in (
        make_gguf(tiny_folder("llama"), tmp_path / "freqs.gguf", extra=factors),
        make_gguf(tiny_folder("llama"), tmp_path / "yarn.gguf", scaling="yarn"),
    ):
        with pytest.raises(UnsupportedModel, match="positions are scaled"):
            gguf.convert(file, "odd", silent)
    ones = {"rope_freqs.weight": np.ones(4, np.float32)}
    gguf.convert(make_gguf(tiny_folder("llama"), tmp_path / "ones.gguf", extra=ones), "fine", silent)


def test_a_file_that_cannot_be_unpacked_in_float32_is_refused_whatever_it_runs_in(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _device: gguf.parameters(file) * 2)
    with pytest.raises(ModelTooLarge, match="Unpacking tiny does not fit"):
        gguf.convert(file, "tiny", silent)
    assert _folders() == []


def test_the_numbers_of_the_file_are_counted_from_its_header(file: Path, tiny_folder: Callable[[str], Path]) -> None:
    stored = load_file(tiny_folder("llama") / "model.safetensors")
    assert gguf.parameters(file) == sum(weight.size for weight in stored.values())


def test_what_is_asked_of_a_header_is_read_without_the_slow_reader(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes an object of each token of the vocabulary, and took seconds at each of four places of one load."""
    theirs = GGUFReader(file)
    monkeypatch.setattr(gguf, "GGUFReader", lambda _file: pytest.fail("it was read by the library"))
    header = gguf_file.check(file)
    told = {key: field.contents() for key, field in theirs.fields.items() if not key.startswith("GGUF.")}
    assert header.entries == {key: None if isinstance(value, list) else value for key, value in told.items()}
    assert header.shapes == {one.name: tuple(map(int, one.shape)) for one in theirs.tensors}
    assert header.own["block_count"] == 3 and gguf.parameters(file) > 0


def test_a_list_that_changes_the_forward_is_refused_as_having_no_place() -> None:
    with pytest.raises(UnsupportedModel, match="sets attention.sliding_window to a list, which Transformers does not"):
        gguf_header.apply_header("x.gguf", {"attention.sliding_window": None}, AutoConfig.for_model("llama"))


def test_an_architecture_that_has_no_reader_is_unsupported(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    file = make_gguf(tiny_folder("llama"), tmp_path / "odd.gguf", architecture="nonsense")
    for refuse in (lambda: gguf.header_config(file), lambda: gguf.convert(file, "odd", silent)):
        with pytest.raises(UnsupportedModel) as refused:
            refuse()
        assert "nonsense" in refused.value.why


def test_the_header_tells_the_shape_without_the_weights(file: Path) -> None:
    config = gguf.header_config(file)
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (3, 32, 48)


def test_a_file_other_than_the_pinned_one_is_not_converted(file: Path, tmp_path: Path) -> None:
    wrong = gguf.Pin("some-package", file.name, "0" * 64)
    with pytest.raises(ModelUnreadable) as refused:
        gguf.convert(file, "tiny", silent, wrong)
    assert "make setup" in refused.value.instead
    assert not models_dir().exists()
    right = gguf.Pin("some-package", file.name, gguf._checked_hash(file, None))
    assert gguf.convert(Path(shutil.copy(file, tmp_path / "copy.gguf")), "tiny", silent, right) == gguf.converted(right)


def test_a_package_that_is_not_installed_names_the_remedy() -> None:
    with pytest.raises(ModelUnreadable) as refused:
        gguf.packaged_file(gguf.Pin("no-such-package-here", "a.gguf", "0" * 64))
    assert "make setup" in refused.value.instead
    with pytest.raises(ModelUnreadable) as half:
        gguf.packaged_file(gguf.Pin("pytest", "no/such.gguf", "0" * 64))
    assert "such.gguf" in half.value.why


def test_the_marker_says_what_was_converted_with_what(file: Path) -> None:
    marker = json.loads((gguf.convert(file, "tiny", silent) / gguf.MARKER).read_text("utf-8"))
    assert marker["sha256"] == gguf._checked_hash(file, None)
    assert marker["transformers"].startswith("5.")


def test_what_transformers_passes_over_in_a_header_is_put_into_the_configuration() -> None:
    """Without these a model answers, and is another one."""
    star = AutoConfig.for_model("starcoder2")
    told = {"rope.freq_base": 999999.4375, "attention.sliding_window": 512, "context_length": 16384}
    assert gguf_header.apply_header("s", told, star)
    assert (star.rope_parameters["rope_theta"], star.sliding_window) == (999999.4375, 512)
    assert not gguf_header.apply_header("s", told, star), "once is enough"
    phi = AutoConfig.for_model("phi3")
    assert gguf_header.apply_header("p", {"attention.sliding_window": 2047, "context_length": 4096}, phi)
    assert phi.sliding_window == 2047
    mistral = AutoConfig.for_model("mistral")
    assert gguf_header.apply_header("m", {"context_length": 32768}, mistral)
    assert mistral.sliding_window is None, "that of another version"
    lm = AutoConfig.for_model("stablelm")
    assert gguf_header.apply_header("l", {"rope.dimension_count": 40, "use_parallel_residual": True}, lm)
    assert (lm.rope_parameters["partial_rotary_factor"], lm.use_parallel_residual) == (0.5, True)
    gemma = AutoConfig.for_model("gemma2")
    assert gguf_header.apply_header(
        "g", {"attn_logit_softcapping": 20.0, "attention.layer_norm_rms_epsilon": 1e-5}, gemma
    )
    assert (gemma.attn_logit_softcapping, gemma.rms_norm_eps) == (20.0, 1e-5)


@pytest.mark.parametrize(
    ("kind", "told", "place", "off"),
    [
        ("mistral", {"attention.sliding_window": 0, "context_length": 32768}, "sliding_window", None),
        ("mistral", {"attention.sliding_window": 32768, "context_length": 32768}, "sliding_window", None),
        ("gemma2", {"attention.sliding_window": 0, "context_length": 8192}, "sliding_window", 8192),
        ("gemma2", {"attn_logit_softcapping": 0.0}, "attn_logit_softcapping", None),
        ("gemma2", {"final_logit_softcapping": 0.0}, "final_logit_softcapping", None),
        ("cohere", {"logit_scale": 1.0}, "logit_scale", 1.0),
        ("gpt_neox", {"use_parallel_residual": False}, "use_parallel_residual", False),
    ],
)
def test_what_a_header_says_is_off_is_not_left_on_by_default(
    kind: str, told: dict[str, Any], place: str, off: float | None
) -> None:
    config = AutoConfig.for_model(kind)
    assert getattr(config, place) != off
    assert gguf_header.apply_header("o", told, config)
    assert getattr(config, place) == off
    assert not gguf_header.apply_header("o", told, config), "once is enough"


def test_a_window_of_no_tokens_that_transformers_takes_from_a_header_is_none() -> None:
    config = AutoConfig.for_model("gemma2", sliding_window=0)
    assert gguf_header.apply_header("o", {"attention.sliding_window": 0, "context_length": 8192}, config)
    assert config.sliding_window == 8192


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("llama", {"attention.sliding_window": 512, "context_length": 4096}),
        ("llama", {"logit_scale": 0.5}),
        ("llama", {"residual_scale": 0.22}),
        ("qwen3", {"attention.sliding_window": 512, "context_length": 4096}),
        ("llama", {"final_logit_softcapping": 30.0}),
        ("gemma3_text", {"rope.freq_base": 77.0}),
        ("llama", {"rope.dimension_count": 4096}),
    ],
)
def test_what_has_no_place_in_the_configuration_is_refused(kind: str, told: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel, match="which Transformers does not read .*safetensors"):
        gguf_header.apply_header("odd.gguf", told, AutoConfig.for_model(kind))
    with pytest.raises(UnsupportedModel):
        gguf_header.apply_header("odd.gguf", told, AutoConfig.for_model(kind))


def test_a_header_that_changes_nothing_leaves_a_configuration_alone() -> None:
    config = AutoConfig.for_model("llama", head_dim=64, rope_parameters={"rope_type": "default", "rope_theta": 1e5})
    told = {
        "rope.freq_base": 1e5, "rope.dimension_count": 64, "attention.sliding_window": 4096, "context_length": 4096,
        "attention.layer_norm_rms_epsilon": float(np.float32(1e-6)), "logit_scale": 1.0, "use_parallel_residual": False,
    }  # fmt: skip
    assert not gguf_header.apply_header("l", told, config)


def test_a_files_own_settings_reach_the_folder_also_where_it_was_converted_before(file: Path) -> None:
    folder = gguf.convert(file, "tiny", silent)
    whole = (folder / "config.json").read_text("utf-8")
    weights = (folder / "model.safetensors").read_bytes()
    stale = json.loads(whole) | {"rms_norm_eps": 0.5}
    (folder / "config.json").write_text(json.dumps(stale), "utf-8")
    assert gguf.convert(file, "tiny", silent) == folder
    assert json.loads((folder / "config.json").read_text("utf-8")) == json.loads(whole)
    assert (folder / "model.safetensors").read_bytes() == weights


def test_a_file_with_settings_that_are_not_read_is_refused_before_it_is_unpacked(
    tiny_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft = make_gguf(tiny_folder("llama"), tmp_path / "soft.gguf", keys={"final_logit_softcapping": 30.0})
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("it was unpacked"))
    for refuse in (lambda: gguf.header_config(soft), lambda: gguf.convert(soft, "soft", silent)):
        with pytest.raises(UnsupportedModel, match="final_logit_softcapping to 30"):
            refuse()
    assert not list(models_dir().glob("gguf-*/"))


def test_weights_of_other_shapes_than_the_header_says_are_told_so(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    odd = make_gguf(tiny_folder("llama"), tmp_path / "odd.gguf", keys={"rope.dimension_count": 4})
    with pytest.raises(ModelUnreadable, match="its weights have other shapes than its header describes"):
        gguf.convert(odd, "odd", silent)
