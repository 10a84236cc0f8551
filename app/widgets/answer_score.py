"""The running answer score on Explore: what the probe makes of the answer, token by token.

Owns its place and words on the page. Refuses to compute: `Probe.along` does.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.charts import answer_score
from app.widgets import explore_words, frame
from app.widgets.frame import muted
from backend.types import Exploration
from backend.types.probe import Probe

HOW = """
A probe is a weighted sum of the CETT of a few neurons: H-neurons count towards wrong, negative weights towards right.
Here it is summed over the answer as far as it has come, and squeezed between 0 and 1.

- it was fitted on short factual answers, over the words that answer: on other text its level means little
- a fluent truth may score high and an invention low; Identify says how often
"""


def draw(result: Exploration, probe: Probe) -> None:
    """The line under the strip; nothing where the probe's neurons were not followed."""
    chances = probe.along(result)
    if chances is None:
        return
    frame.heading("How the probe scores it, token by token", HOW, label="What is the score?")
    frame.figure(
        answer_score.figure(result, chances, session.palette()), key="score", title="The probe's score of the answer",
        alt=answer_score.alt(result, chances), table=answer_score.table(result, chances),
        name=f"score-{probe.name}-{result.request.hash[:8]}",
    )  # fmt: skip


def worth(result: Exploration, probe: Probe) -> None:
    """How the probe scores the whole answer and what that is worth, or how to get it."""
    chances = probe.along(result)
    if chances is not None:
        st.markdown(muted(explore_words.scored(probe, float(chances[-1]))))
    elif result.answer_start < len(result.tokens):
        st.markdown(muted(f"Run the question to see how {explore_words.named(probe)} scores its answer."))
