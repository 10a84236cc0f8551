"""The answer's score on Explore: what the words that answer are like, what that can be held to, and the running line.

Owns its place and words on the page. Refuses to compute: the probe scores, the engine says what the score is worth.
"""

from __future__ import annotations

import streamlit as st

from app import session, text
from app.charts import answer_score
from app.shared import frame, probe_words
from app.shared.frame import muted
from backend.errors import HNeuronsError
from backend.types import Asked, Exploration
from backend.types.probe import Probe
from backend.types.standing import Standing, score_of

HOW = """
A probe is a weighted sum of the CETT of a few neurons: H-neurons count towards wrong, negative weights towards right.
Here it is summed over the answer as far as it has come.

- it was fitted over the words that answer alone, of short answers to factual questions: a line over all words shows
  where the score moves, and its level is no chance
- a fluent truth may score high and an invention low; Identify says how often
"""
MAX_HELD = 100
_HELD = "standings-held"


def line(result: Exploration, probe: Probe) -> None:
    """What the score is like, in a line; or how to get it."""
    if probe.along(result) is not None:
        st.markdown(muted(f"Score of {probe_words.named(probe)}: {text.markdown(brief(result, probe))}."))
    elif result.answer_start < len(result.tokens):
        st.markdown(muted(f"Run the question to see how {probe_words.named(probe)} scores its answer."))


def draw(result: Exploration, probe: Probe) -> None:
    """Folded: what the score says of this answer, and the line token by token. Nothing where it was not followed."""
    chances = probe.along(result)
    if chances is None:
        return
    with st.expander("The probe’s score of this answer", icon=":material/show_chart:", key="answer-score"):
        for sentence in _told(result, probe):
            st.markdown(text.markdown(sentence))
        st.markdown(muted(probe_words.judged(probe)))
        frame.heading("Where the score moves", HOW, label="What is the score?")
        frame.figure(
            answer_score.figure(result, chances, session.palette()), key="score",
            title="The probe's score along the answer", alt=answer_score.alt(result, chances),
            table=answer_score.table(result, chances), name=f"score-{probe.name}-{result.request.hash[:8]}",
        )  # fmt: skip


def brief(result: Exploration, probe: Probe) -> str:
    """What the score of the words that answer is like, in one short plain clause."""
    if probe.forced:
        return "means nothing here, since it was made for another model"
    standing = stand(result, probe)
    return "not known" if isinstance(standing, HNeuronsError) else standing.brief(_score(result, probe, standing))


def _score(result: Exploration, probe: Probe, standing: Standing) -> float | None:
    return None if standing.words is None else score_of(probe, result, standing.words)


def _told(result: Exploration, probe: Probe) -> tuple[str, ...]:
    """What the score can be held to, in plain sentences."""
    if probe.forced:
        return (f"The probe {probe.name} was made for another model: its score means nothing here.",)
    standing = stand(result, probe)
    if isinstance(standing, HNeuronsError):
        return (standing.sentence,)
    return standing.told(_score(result, probe, standing))


def stand(result: Exploration, probe: Probe) -> Standing | HNeuronsError:
    """How this question stands to the probe's own: asked for once a session, or why that cannot be told."""
    held: dict[str, Standing | HNeuronsError] = st.session_state.setdefault(_HELD, {})
    asked = Asked(prompt=result.request.prompt, chat=result.request.chat, system=result.request.system)
    key = f"{probe.name}:{probe.made}:{asked.hash}:{result.answer}"
    if key not in held:
        while len(held) >= MAX_HELD:
            del held[next(iter(held))]
        try:
            held[key] = session.client().probes.standing(probe.name, asked, result.answer)
        except HNeuronsError as error:
            # Not kept: the next run asks again.
            return error
    return held[key]
