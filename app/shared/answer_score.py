"""The answer's score on Explore: what the words that answer are like, what that can be held to, and the running line.

Owns its place and words on the page. Refuses to compute: the engine scores, and says what the score is worth.
"""

from __future__ import annotations

import streamlit as st

from app import session, text
from app.charts import answer_score
from app.shared import frame, probe_words
from app.shared.frame import muted
from backend.types import Exploration
from backend.types.probe import Probe

HOW = """
A probe is a weighted sum of the CETT of a few neurons: H-neurons count towards wrong, negative weights towards right.
Here it is summed over the answer as far as it has come.

- it was fitted over the words that answer alone, of short answers to factual questions: a line over all words shows
  where the score moves, and its level is no chance
- a fluent truth may score high and an invention low; Identify says how often
"""


def line(result: Exploration, probe: Probe) -> None:
    """What the score is like, in a line; or how to get it."""
    if result.score is not None:
        st.markdown(muted(f"Score of {probe_words.named(result.score.probe)}: {text.markdown(result.score.brief)}."))
    elif result.answer_start < len(result.tokens):
        st.markdown(muted(f"Run the question to see how {probe_words.named(probe)} scores its answer."))


def draw_score(result: Exploration, probe: Probe) -> None:
    """Folded: what the score says of this answer, and the line token by token. Nothing where it was not scored."""
    score = result.score
    if score is None:
        return
    with st.expander("The probe’s score of this answer", icon=":material/show_chart:", key="answer-score"):
        for sentence in score.sentences:
            st.markdown(text.markdown(sentence))
        # Another one may be in use than scored what is shown, as beside the example.
        if probe.name == score.probe.name:
            st.markdown(muted(probe_words.judged(probe)))
        frame.heading("Where the score moves", HOW, label="What is the score?")
        frame.figure(
            answer_score.figure(result, score.chances, session.palette()), key="score",
            title="The probe's score along the answer", alt=answer_score.alt(result, score.chances),
            table=answer_score.table(result, score.chances), name=f"score-{score.probe.name}-{result.request.hash[:8]}",
        )  # fmt: skip
