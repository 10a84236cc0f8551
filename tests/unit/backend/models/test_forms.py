"""Every form of model gives the figures of plain Transformers, whichever way they are computed and whoever sits beside.

The reference knows nothing of caches, batches or TransformerLens: each text alone, read whole, by torch's own hooks.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from backend.errors import BadPrompt, UnsupportedModel
from backend.forward import reference
from backend.forward.pooling import RegionText, region_means
from backend.forward.prompting import encode
from backend.forward.rows.generation import decode
from backend.forward.whole import full_array
from backend.identify.evaluation.threshold import count_flagged
from backend.models import readings, selfcheck
from backend.models.hooks import bridge_outs, hook_count
from backend.models.loaded import LoadedModel, wrap
from backend.neurons import NeuronSet
from backend.types import Asked, CompareRequest, Decoding, ExploreRequest, LensRequest
from backend.types.identify import Pooling
from backend.verbs.compare import compare
from backend.verbs.explore import explore
from backend.verbs.lens import lens
from backend.watch import SILENT
from tests.plain import FLOAT32, Plain, relative_gap, some_ids
from tests.tiny import FAMILIES, FORMS, LAYERS, SEAM, make_tokenizer

ALL = (*FAMILIES, *FORMS)
CHOSEN = NeuronSet.of("L0:N1", "L1:N7", "L2:N3")
Models = Callable[[str], LoadedModel]
Plains = Callable[[str], Plain]


@functools.cache
def usual(model: LoadedModel) -> reference.Usual:
    """Measured once a model."""
    return reference.measure(model)


def log_probs(plain: Plain, ids: list[int]) -> list[float]:
    """Of each token but the first."""
    told = plain.logits([ids])[0].double().log_softmax(-1)
    return [float(told[place - 1, token]) for place, token in enumerate(ids) if place]


@pytest.mark.parametrize("answer", [None, "It is Cairo."])
@pytest.mark.parametrize("form", ALL)
def test_cett_of_prompt_and_answer_is_that_of_the_whole_text_by_plain_hooks(
    form: str, answer: str | None, tiny: Models, untouched: Plains
) -> None:
    """At prompt time and at decode time, and read as a given answer."""
    model, plain = tiny(form), untouched(form)
    decoding = Decoding(max_new_tokens=12) if answer is None else Decoding()
    request = ExploreRequest(prompt="Is it so?", chat=False, answer=answer, neurons=CHOSEN, decoding=decoding)
    found = explore(model, request, usual(model), SILENT)
    ids = [token.id for token in found.tokens]
    expected = plain.cett(ids)
    chosen = np.stack([expected[n.layer, :, n.index] for n in CHOSEN], axis=1)
    assert relative_gap(found.cett_sum, expected.sum(-1)) <= FLOAT32
    assert relative_gap(found.cett_max, expected.max(-1)) <= FLOAT32
    assert relative_gap(found.set_cett, chosen) <= FLOAT32
    assert relative_gap(found.answer_mean, expected[:, found.answer_start :].mean(1)) <= FLOAT32
    assert relative_gap([token.log_prob for token in found.tokens[1:]], log_probs(plain, ids)) <= FLOAT32


@pytest.mark.parametrize("form", FORMS)
def test_the_full_array_is_that_of_plain_hooks(form: str, tiny: Models, untouched: Plains) -> None:
    model = tiny(form)
    encoded = encode(model, Asked(prompt="The capital of Egypt is Cairo; it lies there.", chat=False))
    expected = untouched(form).cett(list(encoded.ids))
    found = np.zeros(expected.shape, np.float32)
    full_array(model, encoded, found)
    assert relative_gap(found, expected) <= FLOAT32


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("form", FORMS)
def test_features_are_those_of_each_text_alone(form: str, pooling: Pooling, tiny: Models, untouched: Plains) -> None:
    """Texts on both sides of a seam, behind one beginning, in batches of unequal length."""
    head, texts = some_ids(1, 6, seed=5)[0].tolist(), []
    for seed in range(7):
        ids = head + some_ids(1, 3 + 5 * seed, seed=seed)[0].tolist()
        texts.append(RegionText(tuple(ids), ((len(ids) - 1, len(ids) - 2), (1, 2), tuple(range(len(ids))))))
    found = region_means(tiny(form), texts, batch=3, pooling=pooling)
    for place, text in enumerate(texts):
        whole = untouched(form).cett(list(text.ids))
        expected = np.stack([getattr(whole[:, list(region)], pooling)(1) for region in text.regions], axis=1)
        assert relative_gap(found[place], expected) <= FLOAT32, f"text {place}"


@pytest.mark.parametrize("form", FORMS)
def test_a_row_is_the_same_alone_and_beside_others(form: str, tiny: Models, untouched: Plains) -> None:
    """Prompts of unequal length (on both sides of a seam), copies with their own draws, rows that end early."""
    model, plain = tiny(form), untouched(form)
    prompts = [some_ids(1, length, seed=length)[0].tolist() for length in (5, 40, 17, 30)]
    drawn = Decoding(max_new_tokens=6, temperature=1.0, top_k=20, seed=3)
    seeds = list(range(8))
    together = decode(model, prompts, drawn, copies=2, seeds=seeds, ignore_ends=True, keep=True)
    for row, answer in enumerate(together):
        prompt = prompts[row // 2]
        (alone,) = decode(model, [prompt], drawn, seeds=[seeds[row]], ignore_ends=True)
        assert answer.ids == alone.ids
        assert relative_gap(together[row].first_logits, plain.logits([prompt])[0, -1]) <= FLOAT32
        expected = log_probs(plain, prompt + answer.ids)[len(prompt) - 1 :]
        assert relative_gap(answer.log_probs, expected) <= FLOAT32
    stopping = drawn.model_copy(update={"stop": (together[1].text[:1],)})
    for before, after in zip(
        together, decode(model, prompts, stopping, copies=2, seeds=seeds, ignore_ends=True), strict=True
    ):
        assert after.ids == before.ids[: len(after.ids)]


@pytest.mark.parametrize("form", FORMS)
def test_a_comparison_is_that_of_edited_weights(
    form: str, tiny: Models, untouched: Plains, editable: Callable[[str], Plain]
) -> None:
    """Divergence and the change of CETT along the baseline's answer, each row as if it were alone."""
    request = CompareRequest(
        prompt="Is it so?", chat=False, neurons=CHOSEN, alphas=(1.0, 0.0, 2.0), decoding=Decoding(max_new_tokens=8)
    )
    found = compare(tiny(form), request, SILENT)
    ids = [token.id for token in found.prompt_tokens] + list(found.rows[0].token_ids)
    start, plain = len(found.prompt_tokens) - 1, untouched(form)
    before = plain.cett(ids)
    base = plain.logits([ids])[0, start:].double().log_softmax(-1)
    for row in found.rows:
        edited, alpha = editable(form), row.plan.alpha or 0.0
        for neuron in row.plan.neurons:
            edited.scale(neuron.layer, neuron.index, alpha)
        after = edited.cett(ids)
        assert np.abs(row.delta_sum - (after - before).sum(-1)).max() <= FLOAT32 * before.sum(-1).max()
        told = edited.logits([ids])[0, start:].double().log_softmax(-1)
        kl = (base.exp() * (base - told)).sum(-1).numpy()[: len(row.kl)]
        # A divergence near 0 is a difference of log-probabilities of size 1.
        assert np.abs(row.kl - kl).max() <= FLOAT32 * max(1.0, kl.max())
        answered = row.touched.tokens - len(found.prompt_tokens)
        assert not row.plan.neurons or 0 <= answered <= len(row.token_ids)
    assert hook_count(tiny(form)) == 0


def test_a_family_that_writes_into_its_mlps_output_would_show(tiny: Models) -> None:
    """Guard: what Falcon's hook is shown is another tensor's content by the end of the forward."""
    model, lent = tiny("falcon"), []
    with torch.inference_mode():
        handle = model.outs[0].register_forward_hook(lambda _, args, out: lent.append((out, out.clone())))
        model.plain(some_ids(1, 1))
        handle.remove()
    assert relative_gap(lent[0][0], lent[0][1]) > 1000 * FLOAT32


@pytest.mark.parametrize(
    ("form", "lacking"),
    [
        ("llama", set()),
        ("falcon", set()),
        ("opt", set()),
        ("falcon_alibi", {"bridge"}),
        ("opt_after", {"bridge"}),
        ("gemma4_shared", {"whole"}),
        ("lfm2", {"copied", "dropped", "joined", "shared"}),
        ("falcon_h1", {"copied", "dropped", "joined", "shared"}),
        ("jamba", {"copied", "dropped", "joined", "shared", "pieces"}),
    ],
)
def test_what_a_model_can_be_trusted_with_is_found_out_when_it_is_loaded(
    form: str, lacking: set[str], tiny: Models
) -> None:
    model = tiny(form)
    assert {name for name, holds in vars(model.proof).items() if holds is False} == lacking
    assert bool(model.info.notes) == ("bridge" in lacking)
    assert model.tree(9) == ("plain" if "bridge" in lacking else "bridge")


def test_a_text_lies_on_one_side_of_the_seam(tiny: Models) -> None:
    """An answer that could cross it is refused before anything is read; both sides by themselves are answered."""
    model, short = tiny("phi3_longrope"), Decoding(max_new_tokens=4)
    assert model.proof.seam == SEAM
    assert model.tree(SEAM) == "bridge"
    assert model.tree(SEAM + 1) == "plain"
    for length in (SEAM - 3, SEAM):
        with pytest.raises(BadPrompt, match=f"could cross token {SEAM}.*shorter answer"):
            decode(model, [some_ids(1, 40)[0].tolist(), some_ids(1, length)[0].tolist()], short)
    for length in (SEAM - 4, SEAM + 1):
        assert len(decode(model, [some_ids(1, length)[0].tolist()], short, ignore_ends=True)[0].ids) == 4


def test_the_threshold_counts_each_text_as_if_alone(tiny: Models) -> None:
    """Whatever a batch may hold, padding included."""
    texts = [
        RegionText(tuple(some_ids(1, length, seed=length)[0].tolist()), ((1, length - 1),)) for length in (5, 9, 23, 40)
    ]
    for form in ("jamba", "phi3_longrope", "opt"):
        together = count_flagged(tiny(form), texts, 1.0, CHOSEN)
        for place, text in enumerate(texts):
            alone = count_flagged(tiny(form), [text], 1.0, CHOSEN)
            assert all(together[kind].all[place] == alone[kind].all[0] for kind in alone), form


def test_the_lens_asks_whether_the_head_is_one_product(tiny: Models) -> None:
    """Softcaps and factors change no order."""
    request = LensRequest(neurons=CHOSEN, top=3)
    for form in FORMS:
        told = lens(tiny(form), request)
        assert len(told.pushed) == len(CHOSEN)


def test_a_head_that_is_no_product_has_no_lens(tmp_path: Path) -> None:
    settings = {"vocab_size": 300, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    model = remade(tmp_path, "opt", settings | {"word_embed_proj_dim": 16, "max_position_embeddings": 64})
    with pytest.raises(UnsupportedModel, match="more than one product"):
        lens(model, LensRequest(neurons=CHOSEN, top=3))


def remade(folder: Path, kind: str, settings: dict[str, Any]) -> LoadedModel:
    """A model of these settings, as the program takes it in."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    hf_model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    named = {"name": kind, "fingerprint": "e" * 64, "device": "cpu", "dtype": "float32"}
    return wrap(hf_model, AutoTokenizer.from_pretrained(folder), source=str(folder), **named)


_WIDE = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
_LONG = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
LAYOUTS: dict[str, dict[str, Any]] = {
    # Both products lie in the block itself, in no MLP of their own.
    "xglm": {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48},
    # No gate, and no width in the configuration: four times the model's.
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    "gpt_bigcode": _LONG,
    # Beside the attention, not behind it.
    "codegen": _LONG | {"rotary_dim": 4},
    "starcoder2": _WIDE,
    # A square of what is above 0; an activation with weights of its own.
    "nemotron": _WIDE,
    "apertus": _WIDE,
    # A norm between the activation and the down projection.
    "bitnet": _WIDE,
    # Gate and up projection in one matrix, and a norm behind the whole.
    "glm4": _WIDE | {"head_dim": 8},
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_neurons_are_the_inputs_of_the_last_product_however_an_mlp_is_laid_out(kind: str, tmp_path: Path) -> None:
    ids = {"vocab_size": 300, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1}
    model, plain = remade(tmp_path, kind, LAYOUTS[kind] | ids), Plain(tmp_path, kind)
    request = ExploreRequest(prompt="Is it so?", chat=False, decoding=Decoding(max_new_tokens=6))
    found = explore(model, request, usual(model), SILENT)
    expected = plain.cett([token.id for token in found.tokens])
    assert expected.shape == (2, len(found.tokens), model.info.widths[0])
    assert relative_gap(found.cett_sum, expected.sum(-1)) <= FLOAT32
    assert relative_gap(found.cett_max, expected.max(-1)) <= FLOAT32


def test_layers_that_share_one_mlp_are_refused(tiny_folder: Callable[[str], Path]) -> None:
    """A neuron of one would be a neuron of the other."""
    hf_model = AutoModelForCausalLM.from_pretrained(tiny_folder("llama"), dtype=torch.float32)
    hf_model.model.layers[1].mlp = hf_model.model.layers[0].mlp
    named = {"name": "shared", "fingerprint": "e" * 64, "device": "cpu", "dtype": "float32"}
    with pytest.raises(UnsupportedModel, match=r"cannot be told apart by layer.*share one feed-forward part"):
        wrap(hf_model, AutoTokenizer.from_pretrained(tiny_folder("llama")), source="", **named)


def test_a_forward_that_runs_its_layers_twice_is_refused(tiny: Models) -> None:
    model = tiny("llama")
    bare = copy.copy(model.plain)
    forward = type(model.plain).forward
    bare.forward = lambda *args, **kwargs: [forward(bare, *args, **kwargs) for _ in range(2)][1]
    with pytest.raises(UnsupportedModel, match=r"ran them as 0, 1, 2, 0, 1, 2, where each should run once"):
        selfcheck.prove(LoadedModel(**{**vars(model), "plain": bare}))


def test_a_forward_that_fails_is_told_without_its_librarys_words(tiny: Models) -> None:
    model = tiny("llama")
    bare = copy.copy(model.plain)

    def fails(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    bare.forward = fails
    says = r"cannot be run: Transformers' own forward fails at a text of 16 tokens; check its configuration"
    with pytest.raises(UnsupportedModel, match=says):
        selfcheck.prove(LoadedModel(**{**vars(model), "plain": bare}))


@pytest.mark.parametrize(
    ("blocks", "says"),
    [((), "no layers that can be taken apart"), ((SimpleNamespace(mlp=SimpleNamespace()),), "layer 0 .*no down proj")],
)
def test_a_bridge_that_names_no_layers_or_no_down_projection_is_refused(blocks: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UnsupportedModel, match=says):
        bridge_outs(SimpleNamespace(blocks=blocks))


def test_a_model_without_a_cache_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedModel, match=r"one token read behind the cache.*keeps no cache\); choose another model"
    ):
        remade(tmp_path, "openai-gpt", {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64})


def test_a_layer_with_experts_beside_its_mlp_is_refused(tmp_path: Path) -> None:
    """The MLP's neurons are a part of such a layer's, and its output is not the layer's."""
    settings = {
        "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8, "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 300, "moe_intermediate_size": 16, "num_experts": 4, "top_k_experts": 2,
        "num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"],
    }  # fmt: skip
    assert remade(tmp_path / "dense", "gemma4_text", settings).info.n_layers == 2
    with pytest.raises(UnsupportedModel, match=r"layer 0 .*experts beside its MLP.*choose a dense model"):
        remade(tmp_path / "experts", "gemma4_text", settings | {"enable_moe_block": True})


def test_what_the_bridge_cannot_be_put_around_is_refused_in_words(tmp_path: Path) -> None:
    settings = {"vocab_size": 300, "d_model": 32, "decoder_layers": 2, "encoder_layers": 2, "decoder_ffn_dim": 48}
    with pytest.raises(UnsupportedModel, match="TransformerLens does not know this form of Blenderbot"):
        remade(tmp_path, "blenderbot", settings | {"decoder_attention_heads": 4, "encoder_attention_heads": 4})


def broken(model: LoadedModel, change: Callable[[dict[str, Any]], dict[str, Any]]) -> LoadedModel:
    """The same model with a forward whose arguments are changed on the way: as another version might take them."""
    bare = copy.copy(model.plain)
    forward = type(model.plain).forward
    bare.forward = lambda *args, **kwargs: forward(bare, *args, **change(kwargs))
    return LoadedModel(**{**vars(model), "plain": bare})


def test_a_cache_that_stays_empty_is_refused_and_not_decoded_with(tiny: Models) -> None:
    """A renamed argument is swallowed in silence by some versions of Transformers."""
    model = broken(tiny("llama"), lambda given: {k: v for k, v in given.items() if k != "past_key_values"})
    with pytest.raises(UnsupportedModel, match=r"one token read behind the cache.*requirements\.lock"):
        selfcheck.prove(model)


def test_padding_that_is_not_masked_is_found_and_rows_are_read_alone(tiny: Models) -> None:
    model = broken(tiny("llama"), lambda given: {k: v for k, v in given.items() if k != "attention_mask"})
    found = selfcheck.prove(model)
    assert not found.left
    assert found.pieces and found.copied and found.dropped
    assert "one by one" in found.notes[0]


def test_rows_are_answered_alone_where_padding_does_not_hold(tiny: Models) -> None:
    """The slower way gives the same answers."""
    model = tiny("llama")
    prompts = [some_ids(1, length, seed=length)[0].tolist() for length in (5, 17, 9, 17)]
    slow = replace(
        model, proof=replace(model.proof, left=False, right=False, copied=False, dropped=False, shared=False)
    )
    asked = Decoding(max_new_tokens=6, temperature=1.0, seed=2)
    told = [[a.ids for a in decode(m, prompts, asked, copies=2, seeds=list(range(8)))] for m in (model, slow)]
    assert told[0] == told[1]
    texts = [RegionText(tuple(prompt), ((1, 2),)) for prompt in prompts]
    assert relative_gap(region_means(slow, texts), region_means(model, texts)) <= FLOAT32
    assert relative_gap(reference.measure(slow).mean, reference.measure(model).mean) <= FLOAT32


def test_a_bridge_that_is_wrong_far_behind_the_first_tokens_is_found_when_it_is_read_there(
    tiny: Models, untouched: Plains
) -> None:
    """As with a window or a table of positions that a short text does not reach."""
    model = replace(tiny("llama"), extras={})
    ids = some_ids(1, 60)[0].tolist()

    def wrong(h: torch.Tensor, hook: Any) -> torch.Tensor:
        return torch.cat([h[:, :25], 1.02 * h[:, 25:]], dim=1)

    with model.bridge.hooks(fwd_hooks=[("blocks.0.mlp.out.hook_out", wrong)]):
        told = [readings.tree_of(model, ids[:length]) for length in (16, 25, 26, 60, 25, 16)]
        assert told == ["bridge", "bridge", "plain", "plain", "bridge", "bridge"]
        request = ExploreRequest(prompt="Is it so?", chat=False, answer="It is Cairo, as the author of this book says.")
        found = explore(model, request, usual(model), SILENT)
        expected = untouched("llama").cett([token.id for token in found.tokens])
    assert len(found.tokens) > 26
    assert relative_gap(found.cett_sum, expected.sum(-1)) <= FLOAT32
    sound = replace(model, extras={})
    assert [readings.tree_of(sound, ids[:length]) for length in (16, 60, 20)] == ["bridge"] * 3


def narrow(model: LoadedModel, dtype: torch.dtype) -> LoadedModel:
    """The same model with its weights rounded to `dtype`."""
    hf_model: Any = copy.deepcopy(model.plain)
    hf_model = hf_model.to(dtype)
    named = {"name": "narrow", "fingerprint": "e" * 64, "device": "cpu", "dtype": str(dtype).removeprefix("torch.")}
    return wrap(hf_model, model.tokenizer, source=str(model.tokenizer.name_or_path), **named)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_right_model_holds_in_a_narrow_type_and_a_wrong_bridge_is_found_there(
    dtype: torch.dtype, tiny: Models
) -> None:
    for form in ("llama", "falcon", "gemma2"):
        assert narrow(tiny(form), dtype).info.notes == ()
    assert not narrow(tiny("falcon_alibi"), dtype).proof.bridge


def test_in_a_narrow_type_the_room_is_what_a_rounding_becomes_in_this_very_model(tiny: Models) -> None:
    """It grows where attention is not scaled down: what is known of the type alone would refuse such a model."""
    model = narrow(tiny("llama"), torch.float16)
    ids = selfcheck._trial_texts(model, 16)
    with torch.inference_mode():
        truth, _ = readings.read_forward(model, lambda: model.plain(ids[:1], use_cache=False))
        tolerance = readings.Tolerance(model, ids, truth)
        grown = tolerance.rounding_growth()
        assert len(grown) == LAYERS + 1 and grown == sorted(grown)
        assert 0.5 * torch.finfo(torch.float16).eps < grown[0] < 0.01
        for times, same in ((0.8, True), (1.2, False)):
            layers = [
                (z.float() * (1 + times * readings.GROWN * room), h)
                for (z, h), room in zip(truth.layers, grown, strict=False)
            ]
            assert tolerance.same(readings.Reading(truth.logits, layers), truth) is same
    assert re.fullmatch(r"layer \d: \d\.\d\d% apart, and roundings explain \d\.\d\d%", tolerance.difference)
    assert readings.Tolerance(tiny("llama"), ids, truth).rounding_growth() == [0.0] * (LAYERS + 1), "float32 needs none"


def test_a_down_projection_that_is_no_product_is_refused(tiny: Models) -> None:
    """As of quantised weights: another norm would belong to each neuron."""
    model = tiny("llama")
    handle = model.outs[1].register_forward_hook(lambda _, args, out: out * 1.5)
    with pytest.raises(UnsupportedModel, match="layer 1 .*not one plain product"):
        selfcheck.prove(model)
    handle.remove()
    selfcheck.prove(model)


def test_the_seam_is_found_wherever_a_configuration_keeps_it() -> None:
    rope = {"rope_type": "longrope", "original_max_position_embeddings": 4096}
    assert selfcheck.seam(SimpleNamespace(rope_parameters=rope)) == 4096
    assert selfcheck.seam(SimpleNamespace(rope_parameters={"full_attention": rope, "sliding_attention": {}})) == 4096
    assert selfcheck.seam(SimpleNamespace(rope_parameters={"rope_type": "llama3"})) is None
    assert selfcheck.seam(SimpleNamespace()) is None
