"""Other implementations of the same work, written from their descriptions: what ours is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.forward.pooling import RegionText
from backend.forward.products import FewTokens
from backend.models.loaded import LoadedModel, twin


def own_tree(model: LoadedModel) -> PreTrainedModel:
    """Transformers' own modules over the same weights, since our modules compute few tokens in another way."""
    if "own tree" not in model.extras:
        made = twin(model.plain)
        for parent in list(made.modules()):
            for name, module in parent._modules.items():
                if isinstance(module, FewTokens):
                    own = nn.Linear(module.in_features, module.out_features, module.bias is not None, device="meta")
                    own.weight, own.bias = module.weight, module.bias
                    parent._modules[name] = own.eval()
        model.extras["own tree"] = made
    tree: PreTrainedModel = model.extras["own tree"]
    return tree


def official_means(model: LoadedModel, texts: Sequence[RegionText]) -> np.ndarray:
    """Regional means as the official extractor computes them: one text at a time, full array, float32.

    Hooks on every down projection keep its input and the norm of its output; CETT of all layers is stacked, [layer pos
    neuron], and averaged over each region. Returns [text layer region neuron].
    """
    downs = [module for name, module in own_tree(model).named_modules() if "down_proj" in name]
    norms = torch.stack([torch.norm(down.weight, dim=0) for down in downs])[:, None]
    means = []
    for text in texts:
        acts: list[Tensor] = []
        outs: list[Tensor] = []

        def keep(module: object, args: tuple[Tensor, ...], output: Tensor, a: list = acts, o: list = outs) -> None:
            a.append(args[0][0])
            o.append(torch.norm(output[0], dim=-1, keepdim=True))

        handles = [down.register_forward_hook(keep) for down in downs]
        with torch.no_grad():
            own_tree(model)(torch.tensor([text.ids]))
        for handle in handles:
            handle.remove()
        cett = torch.stack(acts).abs() * norms / (torch.stack(outs) + 1e-8)
        means.append(torch.stack([cett[:, list(region)].mean(1) for region in text.regions], dim=1).numpy())
    return np.stack(means)


def plain_batches(model: LoadedModel, texts: Sequence[RegionText], batch: int) -> None:
    """The lower limit: forward passes of the same batches without hooks, shared prefixes or output head."""
    order = sorted(texts, key=lambda text: len(text.ids))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = [text.ids for text in order[start : start + batch]]
            width = max(map(len, rows))
            ids = torch.tensor([list(row) + [row[-1]] * (width - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
            own_tree(model).base_model(ids, attention_mask=mask, use_cache=False)


def transformers_generate(model: LoadedModel, ids: Sequence[int], rows: int, tokens: int) -> None:
    """Greedy `generate` of exactly `tokens` tokens, without hooks."""
    prompt = torch.tensor([list(ids)] * rows)
    with torch.inference_mode():
        generate = cast("Any", own_tree(model)).generate
        generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
        )
