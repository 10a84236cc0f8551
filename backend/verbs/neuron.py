"""The verb neuron: one neuron's card.

Owns the content of the card: the tokens that the neuron pushes, its reference CETT, its CETT along a text. Statistics
over question sets are not part of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from backend.forward.cett import not_finite
from backend.forward.reference import EDGES, Usual
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import Exploration, NeuronCard, NeuronRequest
from backend.verbs.lens import pushed
from backend.verbs.table import EXPLORE
from backend.watch import Watch

if TYPE_CHECKING:
    from backend.engine import Engine


def run(engine: Engine, request: NeuronRequest, watch: Watch) -> NeuronCard:
    """The card, with the neuron's CETT along `request.text` if given: explored, or taken from the store."""
    engine.info.layout.check([request.neuron])
    text = None
    if request.text is not None:
        followed = request.text.model_copy(update={"neurons": NeuronSet((request.neuron,)), "probe": None})
        text = engine.ask(EXPLORE, followed, watch)
    return card(engine.model, request, engine.usual(watch), text)


def card(model: LoadedModel, request: NeuronRequest, usual: Usual, text: Exploration | None) -> NeuronCard:
    """The card of `request.neuron`; `text` is the exploration of `request.text` with this neuron chosen.

    Raises BadNeurons for a neuron that the model does not have, NotFinite, UnsupportedModel (`backend.verbs.lens`).
    """
    neuron = request.neuron
    layer, offset = model.info.layout.offset_of(neuron)
    (tokens_pushed,) = pushed(model, NeuronSet((neuron,)), request.top)
    out_norm = float(model.w_norms[layer][offset])
    if not math.isfinite(out_norm):
        raise not_finite(f"the output direction of {neuron} is NaN or infinite")
    return NeuronCard(
        request=request,
        model=model.info,
        neuron=neuron,
        promotes=tokens_pushed.promotes,
        suppresses=tokens_pushed.suppresses,
        out_norm=out_norm,
        usual_tokens=usual.tokens,
        usual_mean=float(usual.mean[layer, offset]),
        usual_max=float(usual.peak[layer, offset]),
        usual_counts=usual.counts[layer, offset],
        usual_edges=EDGES[:-1],
        tokens=text.tokens if text else (),
        cett=text.set_cett[:, 0] if text else None,
        act=text.set_act[:, 0] if text else None,
    )
