"""What is said of a probe wherever one is used: its name, its triangles on a map, how well it tells answers apart.

Owns sentences computed from a `Probe`. No Streamlit; text comes out as Markdown, escaped.
"""

from __future__ import annotations

from app.charts import cells
from app.text import markdown
from backend.types import Exploration
from backend.types.names import ProbeRef
from backend.types.numbers import counted, per_cent
from backend.types.probe import Probe


def named(probe: Probe | ProbeRef) -> str:
    """'the probe smollm2', as Markdown."""
    return f"the probe “{markdown(probe.name)}”"


def judged(probe: Probe) -> str:
    """How well the probe tells answers apart, as far as that was judged."""
    if probe.report is None:
        return f"How well {named(probe)} tells right from wrong answers on this model was not measured."
    auroc = probe.report.scores.auroc
    return (
        f"Of a right and a wrong answer, {named(probe)} scores the wrong one higher in {per_cent(auroc.value)} of 100 "
        f"pairs (95 % interval {per_cent(auroc.low)} to {per_cent(auroc.high)}; {auroc.n:,} held-out answers, scored "
        "over the words that answer). About a single answer it proves nothing."
    )


def triangles(probe: Probe | None) -> str:
    """What the triangles on a map of neurons are."""
    if probe is None:
        return ""
    against = f", ▼ {counted(len(probe.against), 'negative weight')}" if probe.against else ""
    return f"▲ {counted(len(probe.h_neurons), 'H-neuron')} of {markdown(probe.name)}{against}."


def marked(result: Exploration, probe: Probe, places: tuple[int, ...]) -> str:
    """What the triangles on the map of cells are, or that there is none."""
    count = len(cells.holding(result, probe.h_neurons, places))
    which = f"of the {counted(len(probe.h_neurons), 'H-neuron')} of {markdown(probe.name)}"
    if not count:
        return f"None {which} is among the ten largest of any cell here."
    return f"▲ At least one {which} is among the cell’s ten largest ({counted(count, 'cell')})."
