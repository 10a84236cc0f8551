"""Where NaN or infinity comes from: the layer and the token to be named when a figure is refused.

Owns the second look, taken only where a first has found something. Refuses the first, which the readers take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from backend.errors import NotFinite
from backend.forward.cett import Norms, not_finite, out_norm
from backend.models.hooks import observe
from backend.models.loaded import LoadedModel


@contextmanager
def blamed(model: LoadedModel, ids: Sequence[int]) -> Iterator[None]:
    """Within the block, a refusal of what is not finite names the token of `ids` that it comes from. No hook is on."""
    try:
        yield
    except NotFinite:
        refuse_text(model, ids)
        raise


def refuse_text(model: LoadedModel, ids: Sequence[int]) -> None:
    """Raises NotFinite for the first token with which `ids` stop being finite, and the first layer there.

    Attention multiplies what it must not see by 0, and 0 times NaN is NaN: one token may spoil all before it. So
    beginnings of the text are read, by halves. Nothing is raised where the whole text's outputs are finite.
    """
    sound, spoilt = 0, len(ids)
    layer = _first_layer(model, ids)
    if layer is None:
        return
    while spoilt - sound > 1:
        middle = (sound + spoilt) // 2
        wild_layer = _first_layer(model, ids[:middle])
        if wild_layer is None:
            sound = middle
        else:
            spoilt, layer = middle, wild_layer
    raise not_finite(f"what the MLP writes in layer {layer}, token {spoilt - 1} (the first is 0) is NaN or infinite")


def _first_layer(model: LoadedModel, ids: Sequence[int]) -> int | None:
    """The first layer with an output that is not finite anywhere in the text."""
    norms = Norms()
    with torch.inference_mode(), observe(model, lambda layer, z, h: norms.add(layer, out_norm(h))):
        model.plain.base_model(torch.tensor([list(ids)], device=model.device), use_cache=False)
    bad = (~norms.stacked().isfinite()).any(2).any(1).nonzero()
    return int(bad[0]) if len(bad) else None
