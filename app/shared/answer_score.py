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
A probe is a weighted sum of the CETT of a few neurons. H-neurons raise its score (wrong answers), negative weights
lower it (right answers). Here each score is that of the answer up to its token.

- the probe was fitted only on the words that answer, in short answers to factual questions: this line over all words
  shows where the score changes, and its height is not a probability
- a true answer may score high and an invented one low; Identify says how often
"""


def line(result: Exploration, probe: Probe) -> None:
    """What the score is like, in a line; or how to get it."""
    if result.score is not None:
        st.markdown(muted(f"Score of {probe_words.named(result.score.probe)}: {text.markdown(result.score.brief)}."))
    elif result.answer_start < len(result.tokens):
        st.markdown(muted(f"Press Run to see how {probe_words.named(probe)} scores its answer."))


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
        frame.heading("Where the score changes", HOW, label="What is the score?")
        frame.figure(
            answer_score.figure(result, score.chances, session.palette()), key="score",
            title="The probe's score along the answer", alt=answer_score.alt(result, score.chances),
            table=answer_score.table(result, score.chances), name=f"score-{score.probe.name}-{result.request.hash[:8]}",
        )  # fmt: skip
