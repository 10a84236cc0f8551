"""How sure a model was of an answer is read from its own logits, with all that its family does to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from backend.identify.features.extract import extract, head_logits, text_of_item
from backend.models.loaded import LoadedModel
from backend.types.identify import Item, Question, RegionRule, Sampling
from tests.conftest import wrapped
from tests.plain import FLOAT32, relative_gap
from tests.tiny import CONTEXT, D_MLP, D_MODEL, FAMILIES, LAYERS, make_tokenizer

SAMPLING = Sampling(suffix="")
QUESTIONS = {"q": Question(id="q", text="Who is this?", answers=("a",))}
ITEM = Item(question="q", side="wrong", response="It is Cairo now.", start=6, end=11)
COMMON = {
    "num_hidden_layers": LAYERS,
    "hidden_size": D_MODEL,
    "intermediate_size": D_MLP,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
GEMMA2 = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16, "final_logit_softcapping": 3.0}
WITH_A_HEAD_OF_THEIR_OWN: dict[str, dict[str, Any]] = {
    "gemma2": COMMON | GEMMA2,
    "granite": COMMON | {"logits_scaling": 8.0},
    "cohere": COMMON | {"logit_scale": 0.0625},
}


def made(family: str, folder: Path) -> LoadedModel:
    """A tiny model of the family whose embedding, and so its head, is inflated: its raw logits reach far."""
    tokenizer = make_tokenizer()
    ids = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = AutoConfig.for_model(family, **(ids | WITH_A_HEAD_OF_THEIR_OWN[family]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            model.get_output_embeddings().weight.normal_(0.0, 1.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return wrapped(folder, f"tiny-{family}")


@pytest.mark.parametrize("family", WITH_A_HEAD_OF_THEIR_OWN)
def test_confidence_is_that_of_logits_which_the_family_caps_or_scales(family: str, tmp_path: Path) -> None:
    model = made(family, tmp_path / "model")
    found = extract(model, [ITEM], QUESTIONS, SAMPLING, RegionRule(), tmp_path / "features").confidences[0]
    text = text_of_item(model, ITEM, QUESTIONS, SAMPLING, RegionRule())
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    with torch.inference_mode():
        told = alone(torch.tensor([text.ids]), use_cache=False).logits[0].double().log_softmax(-1)
    places = text.regions[0]
    log_probs = [float(told[place - 1, text.ids[place]]) for place in places]
    entropies = -(told.exp() * told).sum(-1)
    assert found.log_prob == pytest.approx(np.mean(log_probs), rel=FLOAT32)
    assert found.first_probability == pytest.approx(np.exp(log_probs[0]), rel=20 * FLOAT32)
    assert found.entropy == pytest.approx(np.mean([float(entropies[place - 1]) for place in places]), rel=FLOAT32)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_alone_gives_the_logits_of_a_whole_forward_and_leaves_the_model_as_it_was(
    family: str, tiny: Callable[[str], LoadedModel]
) -> None:
    model = tiny(family)
    ids = torch.arange(4, 20)[None]
    before = model.plain.base_model
    with torch.inference_mode():
        hidden = before(ids, use_cache=False).last_hidden_state[0]
        logits = head_logits(model, hidden)
        assert relative_gap(logits, model.plain(ids, use_cache=False).logits[0]) <= FLOAT32
    assert model.plain.base_model is before
