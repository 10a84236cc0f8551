"""A finished text, read once and whole.

Owns that one pass and the full array of CETT along it. Refuses decoding, and the summaries that are kept of a text
(`backend.forward.capture`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.forward.cett import Norms, divided, out_norm
from backend.forward.finite import blamed
from backend.forward.prompting import Encoded
from backend.models.hooks import Tree, observe
from backend.models.loaded import LoadedModel
from backend.models.readings import tree_of


def whole_text(model: LoadedModel, ids: Sequence[int], tree: Tree) -> Float[Tensor, "pos vocab"]:
    """Logits of a finished text, read once in this tree."""
    batch = torch.tensor([list(ids)], device=model.device)
    if tree == "bridge":
        logits: Tensor = model.bridge(batch)[0]
        return logits
    return cast("Tensor", model.plain(batch, use_cache=False).logits[0])


def full_array(model: LoadedModel, encoded: Encoded, into: np.ndarray) -> None:
    """CETT of every neuron at every token, written layer by layer into [layer pos neuron].

    Raises ZeroOutput, NotFinite: then what was written is of no use.
    """
    norms = Norms()

    def keep(layer: int, z: Tensor, h: Tensor) -> None:
        norm = out_norm(h)
        norms.add(layer, norm)
        values = divided(z, model.w_norms[layer], norm)[0]
        into[layer, :, : values.shape[1]] = values.cpu().numpy()

    tree = tree_of(model, encoded.ids)
    with torch.inference_mode(), observe(model, keep, tree):
        whole_text(model, encoded.ids, tree)
    with blamed(model, encoded.ids):
        norms.check()
