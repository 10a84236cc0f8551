"""Whatever is wrong with a model's files is told by file and value, in our words; a limit of ours is never damage."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from backend.errors import HNeuronsError, ModelError, ModelUnreadable, UnsupportedModel
from backend.models import folders, loading
from backend.models.checks import fields, gguf_file, tensors
from backend.models.checks.fault import Fault
from tests.tiny import FAMILIES, FORMS
from tests.tiny_gguf import make_gguf

pytestmark = pytest.mark.usefixtures("home")

WEIGHTS, TOKENIZER, SETTINGS = "model.safetensors", "tokenizer.json", "tokenizer_config.json"
LIBRARY = re.compile(
    r"Error|Traceback|Validation|validator|deserializ|untagged|unpack_from|buffer|object has no|NoneType|<class|codec|"
    r"operand|attribute|mmap|reshape|Expecting|char \d|None\b|True\b|not supported between|must be str|utf-8'"
)
"""Words that only a library or Python puts into a sentence."""


def put(folder: Path, name: str = "config.json", /, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def refused(place: Path, kind: type[ModelError] = ModelUnreadable) -> str:
    """The sentence with which `place` is refused, as one sentence without a word of a library."""
    with pytest.raises(ModelError) as found:
        loading.load(str(place), device="cpu")
    assert type(found.value) is kind, found.value.sentence
    sentence = found.value.sentence
    assert not LIBRARY.search(sentence), sentence
    assert sentence.count("; ") == 1 and "\n" not in sentence, sentence
    return sentence


WHOLE = "where a whole number of at least 1 belongs"
ABOVE = "where a number above 0 belongs"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"vocab_size": "300"}, f'vocab_size is "300", {WHOLE}'),
        ({"hidden_size": 0}, f"hidden_size is 0, {WHOLE}"),
        ({"hidden_size": -1}, f"hidden_size is -1, {WHOLE}"),
        ({"hidden_size": None}, "hidden_size is null, where a whole number belongs"),
        ({"hidden_size": 33}, "hidden_size is 33 and num_attention_heads is 4, and the first is no multiple of"),
        ({"num_hidden_layers": "x"}, f'num_hidden_layers is "x", {WHOLE}'),
        ({"num_hidden_layers": True}, f"num_hidden_layers is true, {WHOLE}"),
        ({"num_attention_heads": 0}, f"num_attention_heads is 0, {WHOLE}"),
        ({"head_dim": 7}, "head_dim is 7, and rotary positions turn pairs of numbers"),
        ({"rms_norm_eps": -1}, "rms_norm_eps is -1, where a number of at least 0 belongs"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is NaN, where a number of at least 0 belongs"),
        ({"rms_norm_eps": [1e-5]}, "rms_norm_eps is [1e-05], where a number belongs"),
        ({"hidden_act": 3}, "hidden_act is 3, where a text belongs"),
        ({"dtype": 7}, "dtype is 7, where the name of a format belongs"),
        ({"dtype": ["float32"]}, 'dtype is ["float32"], where the name of a format belongs'),
        ({"rope_theta": "x"}, f'rope_theta is "x", {ABOVE}'),
        ({"rope_scaling": 3}, "rope_scaling is 3, where an object belongs"),
        ({"rope_parameters": []}, "rope_parameters is [], where an object belongs"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": "two"}}, f'factor is "two", {ABOVE}'),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": -1}}, f"factor is -1, {ABOVE}"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4}}, 'of type "linear" without factor'),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": None}}, f"rope_theta is null, {ABOVE}"),
        ({"rope_parameters": {"rope_type": 3}}, "rope_parameters.rope_type is 3, where the name of a kind belongs"),
        ({"layer_types": ["full_attention"]}, "says 3 layers and lists layer_types for 1"),
        ({"tie_word_embeddings": "x"}, 'tie_word_embeddings is "x", where true or false belongs'),
        ({"eos_token_id": "x"}, 'eos_token_id is "x", where a whole number or a list belongs'),
        ({"initializer_range": -1}, "initializer_range is -1, which a model of type 'llama' cannot have"),
        ({"id2label": "x"}, 'id2label is "x", where an object belongs'),
        ({"num_labels": 10**12}, "num_labels is 1000000000000, where a count of at most 100,000 belongs"),
        ({"auto_map": 3}, "auto_map is 3, where an object belongs"),
        ({"sliding_window": "x"}, 'sliding_window is "x", where a number belongs'),
        ({"text_config": {}}, "text_config is {}, and a model of type 'llama' has no such field"),
    ],
)
def test_a_field_that_means_nothing_is_named_with_its_value(folder: Path, values: dict[str, Any], says: str) -> None:
    put(folder, **values)
    sentence = refused(folder)
    assert "its config.json " in sentence and says in sentence


@pytest.mark.parametrize(
    ("family", "values", "says"),
    [
        ("gpt2", {"n_embd": 30}, "n_embd is 30 and n_head is 4"),
        ("falcon", {"ffn_hidden_size": -3}, "ffn_hidden_size is -3, which a model of type 'falcon' cannot have"),
        (
            "falcon",
            {"attention_dropout": None},
            "attention_dropout is null, which a model of type 'falcon' cannot have",
        ),
        ("falcon_h1", {"mamba_d_conv": -3}, "mamba_d_conv is -3, which a model of type 'falcon_h1' cannot have"),
        ("falcon_h1", {"mamba_n_heads": -3}, "names no field of it (mamba_n_heads is -3 there)"),
        ("lfm2", {"conv_L_cache": -3}, "conv_L_cache is -3, which a model of type 'lfm2' cannot have"),
        ("phi3_longrope", {"original_max_position_embeddings": 0}, f"original_max_position_embeddings is 0, {WHOLE}"),
        ("gpt2", {"layer_norm_epsilon": -1}, "layer_norm_epsilon is -1"),
        ("gpt2", {"resid_pdrop": -1}, "resid_pdrop is -1, where a number from 0 to 1 belongs"),
        ("gemma3_text", {"sliding_window": 0}, f"sliding_window is 0, {WHOLE}"),
        (
            "gemma3_text",
            {"rope_parameters": {"full_attention": "x", "sliding_attention": {"rope_type": "default"}}},
            "rope_parameters.full_attention is \"x\", which a model of type 'gemma3_text' cannot have",
        ),
        ("gemma3_text", {"query_pre_attn_scalar": 0}, f"query_pre_attn_scalar is 0, {ABOVE}"),
    ],
)
def test_a_field_of_one_family_is_named_too(
    family: str, values: dict[str, Any], says: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(tiny_folder(family), tmp_path)
    put(folder, **values)
    assert says in refused(folder)


@pytest.mark.parametrize(
    ("family", "values", "says"),
    [
        ("mistral", {"sliding_window": 0}, f"sliding_window is 0, {WHOLE}; write how many tokens a layer looks back"),
        ("phi3", {"sliding_window": -1}, f"sliding_window is -1, {WHOLE}; write how many tokens"),
        ("gemma3_text", {"sliding_window": 16.0}, "; write 16 there, without a decimal point"),
        ("mistral", {"sliding_window": 4096.0}, "; write 4096 there, without a decimal point"),
        ("llama", {"max_position_embeddings": 1200.0}, f"is 1200.0, {WHOLE}; write 1200 there, without a decimal"),
        ("llama", {"intermediate_size": [48.0]}, f"is [48.0], {WHOLE}; write [48] there, without a decimal point"),
        ("gpt2", {"n_embd": 32.0}, "; write 32 there, without a decimal point"),
        ("qwen3", {"eos_token_id": 1.0}, "; write 1 there, without a decimal point"),
        ("llama", {"max_position_embeddings": 1200.5}, f"is 1200.5, {WHOLE}; name a folder"),
        ("llama", {"hidden_size": 0.0}, f"hidden_size is 0.0, {WHOLE}; name a folder"),
    ],
)
def test_what_to_write_in_the_place_of_a_count_is_told_and_no_library_is_blamed(
    family: str, values: dict[str, Any], says: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(tiny_folder(family), tmp_path)
    put(folder, **values)
    assert says in refused(folder)


@pytest.mark.parametrize(
    ("part", "value", "kind"),
    [
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "Precompiled"),
        ("model", {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]],
                   "continuing_subword_prefix": "####"}, "BPE"),
    ],
)  # fmt: skip
def test_the_part_at_which_the_library_in_rust_breaks_off_is_named(
    folder: Path, part: str, value: Any, kind: str
) -> None:
    put(folder, TOKENIZER, **{part: value})
    assert f'its tokenizer.json has a {part} of type "{kind}" whose settings are not those of that' in refused(folder)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("model", "merges", 0), [["a"], "b"], 'model.merges is [["a"], "b"], where a list of pairs belongs'),
        (("model", "type"), 3, "model.type is 3, where the name of a kind belongs"),
        (("added_tokens", 0, "lstrip"), "x", 'lstrip of the added token "<s>" is "x", where true or false belongs'),
        (("added_tokens", 0, "id"), -3, 'the id of the added token "<s>" is -3, where the number of a token belongs'),
    ],
)
def test_what_lies_deep_in_a_tokenizer_is_named_too(
    folder: Path, place: tuple[str | int, ...], value: Any, says: str
) -> None:
    """The first of them ended in an error of Python's."""
    path = folder / TOKENIZER
    held: Any = json.loads(path.read_text("utf-8"))
    inner = held
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(held), "utf-8")
    assert f"its tokenizer.json says that {says}" in refused(folder)


def test_a_chat_template_in_a_folder_of_its_own_is_named_too(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_bytes(b"{{ messages }} \xff")
    assert "its tools.jinja is not UTF-8 (byte 15 belongs to no character)" in refused(folder)


@pytest.mark.parametrize("value", [0, -1, 8, 8.0, True])
def test_a_window_that_no_layer_of_the_family_has_is_nothing(
    value: Any, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """The cache went by it and dropped tokens that the forward of a whole text sees."""
    folder = copied(tiny_folder("llama"), tmp_path)
    before = loading.load(str(folder), device="cpu")
    put(folder, sliding_window=value)
    model = loading.load(str(folder), device="cpu")
    assert model.proof == before.proof and model.plain.config.sliding_window is None


def copied(folder: Path, tmp_path: Path) -> Path:
    place = tmp_path / "copy"
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return place


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"dtype": "float8"}, 'dtype is "float8", and no number format of that name is known'),
        ({"dtype": "float8_e4m3fn"}, 'dtype is "float8_e4m3fn", and models run here in float32, bfloat16 or float16'),
        ({"dtype": None, "torch_dtype": "float8_e4m3fn"}, 'torch_dtype is "float8_e4m3fn", and models run here in'),
        ({"dtype": "int8"}, 'dtype is "int8", and models run here in'),
        ({"hidden_act": "nosuch"}, 'names "nosuch" as hidden_act, and no activation of that name is known'),
        (
            {"rope_parameters": {"rope_type": "newer", "rope_theta": 1e4}},
            'names "newer" as rope_parameters.rope_type, and no kind of rotary positions of that name is known',
        ),
        ({"layer_types": ["newer"] * 3}, 'names "newer" as one of layer_types, and no kind of layer of that name'),
    ],
)
def test_what_may_be_real_and_is_not_known_here_is_not_told_as_damage(
    folder: Path, values: dict[str, Any], says: str
) -> None:
    put(folder, **values)
    sentence = refused(folder, UnsupportedModel)
    assert says in sentence and "fetch" not in sentence


TEXTS = {
    "is empty": b"",
    "is not a JSON object": b"[]",
    "is UTF-16, and must be UTF-8": b"\xff\xfe{\0}\0",
    "is not UTF-8 (byte 6 belongs to no character)": b'{"a":"\xe9"}',
    "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
    "is a web page": b"<!DOCTYPE html><html></html>",
    "holds nothing but zeros": bytes(500),
    "begins with a byte order mark": b"\xef\xbb\xbf{}",
    "is broken JSON (line 1, column 3: something follows its end)": b"{}x",
    "is broken JSON (line 2, column 1: a name in double quotes is missing)": b'{\na: "b"}',
    "has lists that are nested too deeply": b'{"a": ' + b"[" * 100_000,
    "holds a number of thousands of digits": b'{"a":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("name", ["config.json", TOKENIZER, SETTINGS, "generation_config.json"])
@pytest.mark.parametrize("says", TEXTS)
def test_a_text_that_is_no_json_object_is_called_what_it_is(folder: Path, name: str, says: str) -> None:
    (folder / name).write_bytes(TEXTS[says])
    assert f"its {name} {says}" in refused(folder)


@pytest.mark.parametrize("name", ["config.json", TOKENIZER, SETTINGS, "generation_config.json"])
def test_a_text_cut_anywhere_is_called_cut(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes().rstrip()
    for kept in random.Random(1).sample(range(1, len(whole)), 12):
        (folder / name).write_bytes(whole[:kept])
        assert re.search(rf"its {name} (breaks off in line \d+: it is cut|is broken JSON)", refused(folder))


def longer(whole: bytes) -> bytes:
    return struct.pack("<Q", 3 * len(whole)) + whole[8:]


def header(edit: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """Spoil the header of a safetensors file: `edit` is given that of its head."""

    def spoilt(whole: bytes) -> bytes:
        length = int.from_bytes(whole[:8], "little")
        told = json.loads(whole[8 : 8 + length])
        edit(told)
        text = json.dumps(told).encode()
        return struct.pack("<Q", len(text)) + text + whole[8 + length :]

    return spoilt


def head(**values: Any) -> Callable[[bytes], bytes]:
    return header(lambda told: told["lm_head.weight"].update(values))


SPOILT: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda whole: whole[: len(whole) // 2], "is cut: its header tells of 169,856 bytes of weights, and it holds"),
    (lambda whole: b"", "is empty"),
    (lambda whole: whole[:4], "has 4 bytes, and its first 8 should say how long its header is"),
    (lambda whole: whole[:100], "bytes, and the whole file has 100"),
    (longer, "says that its header has"),
    (lambda whole: b"\xff" * 64, "is no safetensors file: it does not begin with the length of a header"),
    (lambda whole: bytes(8) + whole[8:], "is damaged: its header is empty"),
    (lambda whole: whole[:8] + b"\xff" * 40 + whole[48:], "is damaged: its header is not UTF-8"),
    (lambda whole: whole + b"xx", "holds 2 bytes more than its header tells of"),
    (lambda whole: b"<html>not found</html>" * 9, "is a web page"),
    (head(shape=[5]), "by its header lm_head.weight is [5] in F32, which takes 20 bytes, and has 38,400"),
    (head(shape=[-5]), "by its header the shape of lm_head.weight is [-5]"),
    (head(data_offsets="x"), 'by its header the place of lm_head.weight is "x"'),
    (head(dtype=3), "by its header the format of lm_head.weight is 3"),
    (header(lambda told: told.update({"lm_head.weight": 3})), "does not say format, shape and place of lm_head.weight"),
    (header(lambda told: told.update(__metadata__={"a": 3})), "(__metadata__) is not all text"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILT)
def test_a_file_of_weights_is_held_to_its_own_size(folder: Path, spoil: Callable[[bytes], bytes], says: str) -> None:
    path = folder / WEIGHTS
    path.write_bytes(spoil(path.read_bytes()))
    sentence = refused(folder)
    assert f"its {WEIGHTS} " in sentence and says in sentence


def test_a_format_of_weights_that_is_not_known_is_not_damage(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(head(dtype="F5")(path.read_bytes()))
    assert 'keeps lm_head.weight in the format "F5", which is not known here' in refused(folder, UnsupportedModel)


def shards(folder: Path) -> tuple[list[str], dict[str, str]]:
    held = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    files = [f"model-0000{place}-of-00002.safetensors" for place in (1, 2)]
    index = {name: files["layers.2" in name] for name in held}
    for file in files:
        save_file({name: held[name] for name in held if index[name] == file}, folder / file, metadata={"format": "pt"})
    return files, index


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("gone", "1 of its 2 weight files are missing (model-00002-of-00002.safetensors is the first)"),
        ("empty", "its model-00002-of-00002.safetensors is empty"),
        ("cut", "its model-00002-of-00002.safetensors is cut: its header tells of 30,976 bytes"),
        ("extra", f"its {folders.WEIGHTS_INDEX} names model.no.weight in model-00001-of-00002.safetensors, which does"),
        ("other", f"its {folders.WEIGHTS_INDEX} names lm_head.weight in model-00002-of-00002.safetensors, which does"),
        ("index", f"its {folders.WEIGHTS_INDEX} breaks off in line 1: it is cut"),
    ],
)
def test_shards_are_told_by_the_one_that_is_wrong(folder: Path, spoil: str, says: str) -> None:
    files, index = shards(folder)
    last = folder / files[1]
    extra = {"extra": {"model.no.weight": files[0]}, "other": {"lm_head.weight": files[1]}}.get(spoil, {})
    text = json.dumps({"metadata": {}, "weight_map": index | extra})
    (folder / folders.WEIGHTS_INDEX).write_text(text[:-40] if spoil == "index" else text, "utf-8")
    if spoil == "gone":
        last.unlink()
    elif spoil in ("empty", "cut"):
        last.write_bytes(b"" if spoil == "empty" else last.read_bytes()[:3000])
    assert says in refused(folder)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda told: told.pop("model"), "model is null, where an object belongs"),
        (lambda told: told["model"].update(vocab="x"), 'model.vocab is "x", where an object belongs'),
        (lambda told: told["model"]["vocab"].update(a="x"), 'vocab "a" is "x", where the number of a token belongs'),
        (lambda told: told["model"].update(merges=[["zz", "q"]]), 'merges "zz", which is none of its tokens'),
        (lambda told: told["model"].update(merges=[None]), "model.merges is null, where a list of pairs belongs"),
        (lambda told: told["model"].update(merges="x"), 'model.merges is "x", where a list of pairs belongs'),
        (lambda told: told.update(added_tokens="x"), 'added_tokens is "x", where'),
        (lambda told: told.update(normalizer=3), "normalizer is 3, where an object or null belongs"),
        (lambda told: told.update(truncation="x"), 'truncation is "x", where an object or null belongs'),
        (
            lambda told: told.update(post_processor={"type": "TemplateProcessing"}),
            'a post_processor of type "TemplateProcessing" whose settings are not those of that type',
        ),
    ],
)
def test_a_part_of_a_tokenizer_is_named(folder: Path, edit: Callable[[Any], Any], says: str) -> None:
    told = json.loads((folder / TOKENIZER).read_text("utf-8"))
    edit(told)
    (folder / TOKENIZER).write_text(json.dumps(told), "utf-8")
    sentence = refused(folder)
    assert f"its {TOKENIZER} " in sentence and says in sentence


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"vocab.json": b'{"a": 1, "b', "merges.txt": b""}, "vocab.json breaks off in line 1: it is cut"),
        ({"vocab.json": b'{"a": "x"}', "merges.txt": b"a b"}, 'vocab.json says that "a" is "x", where the number of'),
        ({"vocab.json": b'{"a": 1}', "merges.txt": b"a \xe9\n"}, "merges.txt is not UTF-8"),
        ({"tokenizer.model": b""}, "tokenizer.model is empty"),
        ({"tokenizer.model": b"version https://git-lfs.github.com/spec/v1"}, "tokenizer.model is a pointer of Git LFS"),
        ({"vocab.txt": b"<html></html>"}, "vocab.txt is a web page"),
        ({"tokenizer.model": b"some other"}, "which is read from a tokenizer.json, and it has none"),
    ],
)
def test_a_tokenizer_in_other_files_is_told_by_them(folder: Path, files: dict[str, bytes], says: str) -> None:
    (folder / TOKENIZER).unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert says in refused(folder)


@pytest.mark.parametrize("part", ["model", "pre_tokenizer", "decoder"])
def test_a_tokenizer_of_a_newer_kind_is_not_damage(folder: Path, part: str) -> None:
    told = json.loads((folder / TOKENIZER).read_text("utf-8"))
    told[part] = {**told[part], "type": "Newer"}
    (folder / TOKENIZER).write_text(json.dumps(told), "utf-8")
    assert f'a {part} of type "Newer", which cannot be read here' in refused(folder, UnsupportedModel)


@pytest.mark.parametrize(
    ("file", "values", "says"),
    [
        (SETTINGS, {"bos_token": 3}, "bos_token is 3, where a text belongs"),
        (SETTINGS, {"tokenizer_class": 3}, "tokenizer_class is 3, where the name of a class belongs"),
        (SETTINGS, {"added_tokens_decoder": "x"}, 'added_tokens_decoder is "x", where an object belongs'),
        (SETTINGS, {"extra_special_tokens": 3}, "extra_special_tokens is 3, where a list of texts belongs"),
        (SETTINGS, {"padding_side": "x"}, 'padding_side is "x", where "left" or "right" belongs'),
        ("generation_config.json", {"pad_token_id": "x"}, 'pad_token_id is "x", which cannot be read here'),
    ],
)
def test_a_setting_beside_the_model_is_named(folder: Path, file: str, values: dict[str, Any], says: str) -> None:
    put(folder, file, **values)
    assert f"its {file} says that {says}" in refused(folder)


def test_a_template_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "chat_template.jinja").write_bytes(b"{{ '\xe9' }}")
    assert "its chat_template.jinja is not UTF-8 (byte 4" in refused(folder)


@pytest.fixture
def whole(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A healthy GGUF file that a test may spoil."""
    return make_gguf(tiny_folder("llama"), tmp_path / "tiny.gguf")


CUT = "it is cut: by its header it has 177,280 bytes, and it has"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda whole: whole[: len(whole) // 2], CUT),
        (lambda whole: whole[:-10], CUT),
        (lambda whole: whole[:5000], "it is cut: its header goes on where the file ends, after 5,000 bytes"),
        (lambda whole: whole[:100], "its header tells of 18 entries and 30 tensors, more than fit into its 100 bytes"),
        (lambda whole: whole[:4], "it is cut: its header goes on where the file ends, after 4 bytes"),
        (lambda whole: b"", "it is empty"),
        (lambda whole: b"something else" * 30, "it is no GGUF file: it does not begin with GGUF"),
        (lambda whole: whole[:8] + struct.pack("<Q", 2**40) + whole[16:], "1,099,511,627,776 tensors, more than fit"),
        (lambda whole: whole[:16] + struct.pack("<Q", 2**40) + whole[24:], "1,099,511,627,776 entries and 30 tensors"),
        (lambda whole: whole[:24] + bytes(len(whole) - 24), "its header names no architecture (general.architecture)"),
    ],
)
def test_a_gguf_file_is_held_to_its_own_size(whole: Path, spoil: Callable[[bytes], bytes], says: str) -> None:
    whole.write_bytes(spoil(whole.read_bytes()))
    sentence = refused(whole)
    assert sentence.startswith("tiny.gguf cannot be read: ") and says in sentence


def test_what_only_the_reader_of_a_gguf_file_looks_at_is_named_too(whole: Path) -> None:
    held = whole.read_bytes()
    token = held.index(b"<|im_end|>")
    whole.write_bytes(held[:token] + b"\xff" + held[token + 1 :])
    assert f"its header is damaged: a text at byte {token:,} is not UTF-8" in refused(whole)
    whole.write_bytes(held.replace(b"tokenizer.ggml.model", b"tokenizer.ggml.other"))
    assert "its header does not say the kind of its tokenizer (tokenizer.ggml.model)" in refused(whole)
    whole.write_bytes(held.replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.others"))
    assert "its header lists no tokens (tokenizer.ggml.tokens)" in refused(whole)


@pytest.mark.parametrize("version", [b"\1\0\0\0", b"\x63\0\0\0", b"\0\0\0\3"])
def test_a_gguf_file_of_another_version_is_not_damage(whole: Path, version: bytes) -> None:
    held = whole.read_bytes()
    whole.write_bytes(held[:4] + version + held[8:])
    assert "versions 2 and 3 in the usual order are read here" in refused(whole, UnsupportedModel)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("attention.head_count", 0, f"llama.attention.head_count is 0, {WHOLE}"),
        ("attention.head_count_kv", 0, f"llama.attention.head_count_kv is 0, {WHOLE}"),
        ("attention.head_count", 3, "llama.embedding_length is 32 and llama.attention.head_count is 3, and the first"),
        ("embedding_length", 0, f"llama.embedding_length is 0, {WHOLE}"),
        ("context_length", 0, f"llama.context_length is 0, {WHOLE}"),
        ("block_count", 0, f"llama.block_count is 0, {WHOLE}"),
        ("rope.dimension_count", 0, f"head_dim is 0, {WHOLE}"),
        ("attention.layer_norm_rms_epsilon", -1.0, "llama.attention.layer_norm_rms_epsilon is -1.0, where a number"),
        ("rope.freq_base", -5.0, f"llama.rope.freq_base is -5.0, {ABOVE}"),
    ],
)
def test_a_number_in_a_gguf_header_is_named_with_its_value(whole: Path, key: str, value: float, says: str) -> None:
    held = whole.read_bytes()
    name = f"llama.{key}".encode()
    place = held.index(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
    packed = struct.pack("<f" if isinstance(value, float) else "<I", value)
    whole.write_bytes(held[:place] + packed + held[place + 4 :])
    sentence = refused(whole)
    assert "header" in sentence and "config.json" not in sentence and says in sentence


def test_a_family_without_heads_says_0_of_them_and_that_is_no_division(whole: Path) -> None:
    held = whole.read_bytes().replace(b"llama", b"mamba")
    name = b"mamba.attention.head_count"
    place = held.index(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
    whole.write_bytes(held[:place] + struct.pack("<I", 0) + held[place + 4 :])
    assert "no multiple" not in str(gguf_file.explain(whole, ValueError("the width must be divisible by the heads")))


def test_no_byte_of_a_header_makes_a_library_speak(whole: Path, folder: Path) -> None:
    """Whatever stands there, the walk ends, and says so in our words or lets it pass."""
    draw = random.Random(7)
    for path, check in ((whole, gguf_file.check), (folder / WEIGHTS, tensors.fault)):
        held = path.read_bytes()
        for _ in range(200):
            spoilt = bytearray(held)
            for _ in range(draw.choice([1, 1, 4])):
                spoilt[draw.randrange(3000)] = draw.randrange(256)
            path.write_bytes(bytes(spoilt[: draw.choice([len(held), len(held), draw.randrange(len(held))])]))
            try:
                found: Any = check(path)
            except Fault as fault:
                found = fault
            assert not isinstance(found, Fault) or not LIBRARY.search(found.why)


def test_whatever_value_a_field_has_the_refusal_is_in_our_words(folder: Path) -> None:
    path = folder / "config.json"
    whole = json.loads(path.read_text("utf-8"))
    for name in whole:
        values: tuple[Any, ...] = ("x", -3, 1.5, None, [], {}, [None], True)
        for value in values:
            path.write_text(json.dumps(whole | {name: value}), "utf-8")
            try:
                loading.prepare(str(folder), "cpu", None)
            except HNeuronsError as error:
                assert not LIBRARY.search(error.sentence), error.sentence
                assert name in error.sentence.replace("model type", "model_type"), error.sentence


def test_no_family_that_transformers_knows_is_refused_for_its_own_defaults() -> None:
    kinds = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}
    for kind in sorted(kinds - {"gemma4_assistant"}):
        fields.check(CONFIG_MAPPING[kind]().to_dict())


@pytest.mark.parametrize("family", [*FAMILIES, *FORMS])
def test_a_healthy_folder_passes_every_check(family: str, tiny_folder: Callable[[str], Path]) -> None:
    folder = tiny_folder(family)
    fields.check(folders.inspect(folder))
    assert loading.describe(folder).shape.layers
