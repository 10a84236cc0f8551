"""Makes the finished examples that a first visit shows: `python -m backend.bundled.make`.

Owns their requests. Each example is a whole result of this engine on the default model, stored with its
request; nothing in it is typed by hand. The neurons of the comparison are the three with the largest CETT in
layer 21 at the answer's "is", found in the first example.
"""

from __future__ import annotations

from pathlib import Path

from backend.engine import Engine
from backend.models.loading import load
from backend.models.registry import DEFAULT
from backend.neurons import NeuronId, NeuronSet
from backend.types import CompareRequest, Decoding, Exploration, ExploreRequest, Frozen, NeuronRequest

FOLDER = Path(__file__).parent / "examples"
QUESTION = "Who is the CEO of Nortel?"
LAYER, WORD, PICKED = 21, " is", 3
DECODING = Decoding(max_new_tokens=12)


def picked(exploration: Exploration) -> NeuronSet:
    """The strongest neurons of layer LAYER where the answer first says WORD."""
    start = exploration.answer_start
    place = next(i for i, token in enumerate(exploration.tokens[start:], start) if token.text == WORD)
    return NeuronSet(tuple(NeuronId(LAYER, int(n)) for n in exploration.top_index[LAYER, place][:PICKED]))


def main() -> None:
    """Compute every example and write it in the compact form of the store."""
    engine = Engine(load(DEFAULT))
    exploration = engine.explore(ExploreRequest(prompt=QUESTION, decoding=DECODING))
    neurons = picked(exploration)
    results: dict[str, Frozen] = {
        "explore": exploration,
        "compare": engine.compare(CompareRequest(prompt=QUESTION, neurons=neurons, decoding=DECODING)),
        "neuron": engine.neuron(NeuronRequest(neuron=neurons[0], text=exploration.request)),
    }
    FOLDER.mkdir(exist_ok=True)
    for verb, result in results.items():
        (FOLDER / f"{verb}.json").write_bytes(result.to_bytes() + b"\n")


if __name__ == "__main__":
    main()
