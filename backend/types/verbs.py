"""The verbs: what each is asked with and what it answers."""

from __future__ import annotations

from typing import Literal

from backend.types.plan import IdentifyRequest
from backend.types.probe import Probe
from backend.types.requests import CompareRequest, ExploreRequest, LensRequest, NeuronRequest
from backend.types.results import Comparison, Exploration, Lens, NeuronCard

Verb = Literal["explore", "compare", "neuron", "lens", "identify"]
LONG: frozenset[Verb] = frozenset({"identify"})
"""Verbs that run for minutes or hours: others go between their batches, and nobody need look on."""

Request = ExploreRequest | CompareRequest | NeuronRequest | LensRequest | IdentifyRequest
Result = Exploration | Comparison | NeuronCard | Lens | Probe

REQUESTS: dict[
    str,
    type[ExploreRequest] | type[CompareRequest] | type[NeuronRequest] | type[LensRequest] | type[IdentifyRequest],
] = {
    "explore": ExploreRequest,
    "compare": CompareRequest,
    "neuron": NeuronRequest,
    "lens": LensRequest,
    "identify": IdentifyRequest,
}
RESULTS: dict[str, type[Exploration] | type[Comparison] | type[NeuronCard] | type[Lens] | type[Probe]] = {
    "explore": Exploration,
    "compare": Comparison,
    "neuron": NeuronCard,
    "lens": Lens,
    "identify": Probe,
}
