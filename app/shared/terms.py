"""Words that a newcomer does not have, and settings that several pages have, explained beside them.

Owns their explanations, as Markdown for a help mark. No Streamlit.
"""

from __future__ import annotations

CETT = (
    "**CETT** (named after *Cumulative Errors of Tail Truncation*, the measure that it comes from): the length of what "
    "one neuron adds, divided by the length of what its whole layer adds at that token. 0: it writes nothing there."
)
H_NEURON = (
    "**H-neuron**: a neuron to whose CETT a sparse classifier gives a positive weight: a larger CETT counts as a sign "
    "of a wrong answer. It goes with invented answers; this does not say that it causes them."
)
TWIN = (
    "**Random twin**: as many other neurons, drawn at random and set to the same α. What changes with them too is not "
    "an effect of the chosen neurons."
)

EXPLORE = f"{CETT}\n\n{H_NEURON}"
COMPARE = f"{TWIN}\n\n{H_NEURON}\n\n{CETT}"
IDENTIFY = f"{H_NEURON}\n\n{TWIN}\n\n{CETT}"

TEMPERATURE = "0 always takes the likeliest token (greedy). Above 0, answers also differ by chance."
TOP_K = "Draws from the k likeliest tokens; 0: from all"
TOP_P = "Draws from the likeliest tokens whose probabilities add up to p"
