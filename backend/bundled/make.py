"""Makes the finished examples that a first visit shows: `python -m backend.bundled.make`.

Owns their requests. Each example is a whole result of this engine on the default model, stored with its
request; nothing in it is typed by hand but what is known of the question. The probe that ships scores the answers. The
neurons of the comparison are the three with the largest CETT in layer 21 at the answer's "is", found in the first
example.
"""

from __future__ import annotations

import numpy as np

from backend.bundled import EXAMPLES
from backend.engine import Engine
from backend.identify.answers.judge import rule_verdict
from backend.models.loading import load
from backend.models.registry import DEFAULT
from backend.neurons import NeuronId, NeuronSet
from backend.probes import library
from backend.runs.folder import probes_in
from backend.types import CompareRequest, Decoding, Exploration, ExploreRequest, Frozen, NeuronRequest
from backend.types.content import content_positions
from backend.types.identify import Question
from backend.types.names import ProbeRef
from backend.types.results import Truth
from backend.verbs import table
from cache import atomic, digests

QUESTION = "Who is the CEO of Nortel?"
KNOWN = ("Mike Zafirovski",)
NOTE = "Nortel went bankrupt in 2009 and is no more; its last chief executive was Mike Zafirovski."
LAYER, WORD, PICKED = 21, " is", 3
DECODING = Decoding(max_new_tokens=12)


def picked(exploration: Exploration) -> NeuronSet:
    """The strongest neurons of layer LAYER where the answer first says WORD."""
    start = exploration.answer_start
    place = next(i for i, token in enumerate(exploration.tokens[start:], start) if token.text == WORD)
    return NeuronSet(tuple(exploration.model.layout.at(LAYER, exploration.top_index[LAYER, place][:PICKED])))


def largest(exploration: Exploration) -> NeuronId:
    """The neuron with the largest CETT at the answer's words that carry content: the cell that is marked at first."""
    places = list(content_positions(exploration.tokens))
    found = exploration.cett_max[:, places]
    layer, column = np.unravel_index(int(found.argmax()), found.shape)
    return exploration.model.layout.at(int(layer), exploration.top_index[layer, places[int(column)], :1])[0]


def known(exploration: Exploration) -> Exploration:
    """The exploration with what is known of its question, its answer judged as a run's answers are."""
    judged = rule_verdict(exploration.answer, Question(id="example", text=QUESTION, answers=KNOWN))
    return exploration.model_copy(update={"truth": Truth(known=KNOWN, verdict=judged, note=NOTE)})


def shipped(fingerprint: str) -> tuple[NeuronSet, ProbeRef | None]:
    """The neurons of the probe that ships for the model, and its name; none where none does."""
    # Those beside the code, whatever a person has made under the same name.
    for path in sorted(probes_in(library.SHIPPED)):
        probe = library.read_file(path)
        if probe.model is not None and probe.model.fingerprint == fingerprint:
            return probe.all, ProbeRef(name=path.parent.name, digest=digests.of_file(path))
    return NeuronSet(), None


def main() -> None:
    """Compute every example and write it in the compact form of the store."""
    engine = Engine(load(DEFAULT))
    neurons, probe = shipped(engine.info.fingerprint)
    exploration = engine.ask(
        table.EXPLORE, ExploreRequest(prompt=QUESTION, decoding=DECODING, neurons=neurons, probe=probe)
    )
    chosen = picked(exploration)
    # The card that stands beside the example: along its answer, which is read and not written again.
    read = exploration.request.reading(exploration.answer)
    results: dict[str, Frozen] = {
        "explore": known(exploration),
        "compare": engine.ask(
            table.COMPARE, CompareRequest(prompt=QUESTION, neurons=chosen, decoding=DECODING, probe=probe)
        ),
        "neuron": engine.ask(table.NEURON, NeuronRequest(neuron=largest(exploration), text=read)),
    }
    EXAMPLES.mkdir(exist_ok=True)
    for verb, result in results.items():
        atomic.export(EXAMPLES / f"{verb}.json", result.to_bytes() + b"\n")


if __name__ == "__main__":
    main()
