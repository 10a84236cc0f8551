"""The three words that a newcomer does not have, explained where they first stand on a page.

Owns their explanations, as Markdown for a help mark. No Streamlit.
"""

from __future__ import annotations

CETT = (
    "**CETT** (named after *Cumulative Errors of Tail Truncation*, the measure that it comes from): the length of what "
    "one neuron adds, over the length of what its whole layer adds at that token. 0: it writes nothing there."
)
H_NEURON = (
    "**H-neuron**: a neuron whose CETT a sparse classifier weighs towards “this answer is wrong”. It goes with "
    "invented answers; that it causes them is not said."
)
TWIN = (
    "**Random twin**: as many neurons drawn at random and switched in the same way. What changes with them too is no "
    "effect of the chosen ones."
)

EXPLORE = f"{CETT}\n\n{H_NEURON}"
COMPARE = f"{TWIN}\n\n{H_NEURON}\n\n{CETT}"
IDENTIFY = f"{H_NEURON}\n\n{TWIN}\n\n{CETT}"
