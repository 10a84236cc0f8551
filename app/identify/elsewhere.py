"""A probe on questions that it was not made from: a file is chosen, its answers are scored, and the figures are shown.

Owns the form and the order of the figures. What is computed and kept is the engine's.
"""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from app import session, shelf, text
from app.charts import probe_elsewhere, probe_worth
from app.charts.probe_worth import interval
from app.identify import question_file
from app.shared import frame, jobs
from app.shared.frame import muted
from backend.errors import BadInput, HNeuronsError
from backend.types import Verb
from backend.types.identify import Question
from backend.types.numbers import counted
from backend.types.probe import Probe
from backend.types.refusal import refused
from backend.types.scoring import ScoreRequest, Scoring

VERB: Verb = "score"
FORM = "elsewhere"
HOW = (
    "The model answers the questions of your file greedily. Each answer is judged by the known ones, and the probe "
    "scores the words that answer. Nothing is fitted again: weights, window and threshold are the probe's own. "
    "Questions that the probe was made from are left out. Every batch is saved: stopped and started again, or with a "
    "larger number of questions, it goes on where it was."
)
HOW_AUROC = (
    "**AUROC** is the chance that a wrong answer gets a higher score than a right one: 0.5 is a coin toss, and below "
    "0.5 a score points the wrong way. **H-neurons, weights as they are**: the positive weights alone, as the probe "
    "has them. **Random neurons**: as many others of the same layers with the same weights, the mean of 20 draws. The "
    "scores without neurons are longer, less probable and less certain; **together**: fitted on these answers by "
    "cross-validation. The line is a 95 % interval over resampled entities."
)


def draw_elsewhere(probe: Probe | None) -> None:
    """The form on the left, what was found before on the right."""
    if probe is None:
        st.markdown(muted("There is no probe of this model yet: make or import one first."))
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _form(probe)
    with right:
        _found(probe)


def _form(probe: Probe) -> None:
    frame.heading(f"Score {text.markdown(probe.name)} on other questions", HOW, label=None)
    questions = question_file.uploaded(FORM)
    limit = st.number_input(
        "Ask at most", 1, value=300, key=f"{FORM}.limit", width=220, persist_state="session",
        help="Drawn from the file at random; a larger number later asks the same ones first. 300 take a few minutes "
        "with the small model on a laptop. Leave it empty for all.",
    )  # fmt: skip
    go_on = st.checkbox(
        "Go on if none of the first 100 answers is right, or none is wrong", key=f"{FORM}.go_on",
        persist_state="session",
        help="Without both, nothing can be told apart, so the scoring stops there to save your time.",
    )  # fmt: skip
    if jobs.running(VERB) is not None:
        jobs.watch_job(VERB, lambda progress: None)
        st.markdown(muted("It goes on when this page is closed, and its figures are here when it has ended."))
        return
    if st.button("Score", type="primary", icon=":material/play_arrow:", key=f"{FORM}.start"):
        _start(probe, questions, limit, go_on)
    jobs.shown_failure(VERB)


def _start(probe: Probe, questions: tuple[Question, ...], limit: int | None, go_on: bool) -> None:
    try:
        request = _request(probe, questions, limit, go_on)
    except ValidationError as error:
        session.fail(VERB, refused(error))
    except HNeuronsError as error:
        session.fail(VERB, error)
    else:
        jobs.run_job(VERB, request)
    st.rerun()


def _request(probe: Probe, questions: tuple[Question, ...], limit: int | None, go_on: bool) -> ScoreRequest:
    """Raises BadInput, ValidationError."""
    ref = shelf.ref_of(probe)
    if not questions:
        raise BadInput("There is no question to ask", "no file was read", "choose a file of questions")
    if ref is None:
        raise BadInput(f"{probe.name} scores no answer", "it has no neurons, or was deleted", "choose another probe")
    info = session.status().info
    return ScoreRequest(
        probe=ref.model_copy(update={"force": info is not None and probe.forced == info.name}),
        questions=questions, source=question_file.name(FORM), limit=limit, go_on=go_on,
    )  # fmt: skip


def _found(probe: Probe) -> None:
    found = shelf.scorings(probe)
    if not found:
        frame.heading("Not tested elsewhere", None)
        st.markdown(
            "How this probe does is known only from answers to questions like those that it was made from. On "
            "questions of another kind it may do worse, or point the wrong way."
        )
        return
    names = [f"{one.source or 'questions'}: {counted(one.n.asked, 'question')}, {one.made[:10]}" for one in found]
    place = 0
    if len(found) > 1:
        place = st.selectbox(
            "Tested on (the worst first)", range(len(found)), format_func=names.__getitem__, key=f"which-{len(found)}"
        )
    _figures(probe, found[place], names[place])


def _figures(probe: Probe, scoring: Scoring, name: str) -> None:
    frame.heading(text.markdown(name), HOW_AUROC)
    for sentence in scoring.sentences:
        st.markdown(f"- {text.markdown(sentence)}")
    rows = probe_elsewhere.scored(scoring)
    if rows:
        answers = counted(rows[0].auroc.n, "answer")
        frame.figure(
            probe_worth.auroc_figure(rows, session.palette(), answers),
            key="elsewhere", title="The probe on other questions", alt=probe_worth.auroc_alt(rows),
            table=probe_worth.auroc_shown(rows), csv=probe_worth.auroc_table(rows), name=f"{probe.name}-elsewhere",
            result=scoring,
        )  # fmt: skip
    st.markdown(muted(_counts(scoring)))
    if scoring.neurons:
        with st.expander("Each neuron's direction", key="elsewhere-neurons"):
            frame.figures(probe_elsewhere.neurons_table(scoring), key="elsewhere-table", alt="Direction of each neuron")


def _counts(scoring: Scoring) -> str:
    """The funnel in words, and how good the probe's own threshold is."""
    n = scoring.n
    words = (
        f"{counted(n.asked, 'question')} asked: {n.right:,} right, {n.wrong:,} wrong, {n.uncertain:,} uncertain; in "
        f"{n.without_words:,} of the right or wrong ones the words that answer were not found."
    )
    if scoring.accuracy is not None:
        words += f" Balanced accuracy at the probe's own threshold: {interval(scoring.accuracy)}."
    return words
