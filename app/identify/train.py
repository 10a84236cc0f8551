"""Making a probe on the page: choose questions and how strict to be, and start.

Owns the form. The runs beside it are `identify_runs`'s.
"""

from __future__ import annotations

import time

import streamlit as st
from pydantic import ValidationError

from app import session, shelf, text
from app.identify import form, question_file, runs
from app.identify.form import CHOOSING, SIZES, WINDOWS, Size, plan
from app.identify.runs import FAILED
from app.identify.view import AS_BEGUN, FILTERS, OWN
from app.shared import frame, into_view, jobs, terms
from app.shared.frame import muted
from backend.errors import BadInput, HNeuronsError
from backend.types import IdentifyRequest
from backend.types.identify import CONSISTENCIES, Question
from backend.types.plan import RunView, Training
from backend.types.probe import Probe
from backend.types.refusal import refused
from backend.types.results import ModelInfo

LEAST = 10
"""Right and wrong answers that a probe needs of each; a test holds it equal to `MIN_SIDE` of
`backend.identify.answers.items`."""
SOURCES = {AS_BEGUN: "As started", "Those that ship": "Built-in", "My file": "My file"}
SIZE_LABELS = {AS_BEGUN: "As started", "A look": "Quick look", "Thorough": "Thorough"}
"""What the choices of two fields are called on the page; an address holds the choices themselves."""


def draw_training(probe: Probe | None) -> None:
    """The form on the left, the runs on the right."""
    left, right = st.columns([5, 4], gap="medium")
    with left:
        changed = _form()
    with right:
        frame.heading(
            "Runs",
            "A run saves every batch when it is done. You can stop it and resume it later from there, on this page or "
            "with `hneurons identify resume NAME`. Questions from the other pages are answered between its batches.",
        )
        runs.draw_runs(changed)


def _form() -> RunView | None:
    """Draw the form; the run that it changes."""
    frame.heading(
        "Train on this model",
        "The model answers many questions, greedily and by sampling. The run keeps those that it answers right again "
        "and again, or wrong again and again. A sparse probe then looks for neurons whose CETT tells the two apart "
        "(Gao et al. 2025, section 6.1).",
    )
    info = session.status().info
    if info is None:
        st.markdown(muted("A run can be started when the model is loaded."))
        return None
    try:
        changed, gone = form.open_form()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return None
    if changed is not None:
        _changing(changed, bool(st.session_state.get(runs.AGAIN)))
    st.session_state.pop(runs.AGAIN, None)
    st.text_input("Name of the run", key="train.name", placeholder="my-first-probe", max_chars=64)
    source = st.segmented_control(
        "Questions", [*([AS_BEGUN] if changed else []), "Those that ship", "My file"],
        required=True, key="train.source", format_func=SOURCES.__getitem__,
    )  # fmt: skip
    uploaded = question_file.uploaded("train", _limit) if source == "My file" else None
    sizes = {AS_BEGUN: _size_of(changed), **SIZES} if changed else SIZES
    size = str(
        st.segmented_control(
            "How thorough", list(sizes), required=True, key="train.size", format_func=SIZE_LABELS.__getitem__
        )
    )
    st.markdown(muted(sizes[size].told(uploaded)))
    _settings()
    _needed(info, sizes[size], uploaded, changed if source == AS_BEGUN else None)
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="train.start"):
        _start(uploaded, sizes[size], changed, gone)
    form.close_form()
    failed = st.session_state.get(FAILED)
    if isinstance(failed, HNeuronsError):
        with st.container(key="not-started"):
            jobs.shown_error(failed)
    runs.just_started()
    if not st.session_state.pop(runs.SHOWN, True):
        into_view.bring("not-started" if isinstance(failed, HNeuronsError) else "just-started", 1)
    return changed


def _changing(run: RunView, again: bool) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", key="changing")
    row.markdown(
        f"Changing **{text.markdown(run.name)}**: its {run.questions:,} questions and its answers stay. Add "
        "questions or samples, or change settings. Under another name, a new run starts with its answers.",
        width="stretch",
    )
    if row.button("Discard changes", key="train.leave"):
        form.leave()
        st.rerun()
    if again:
        name = text.markdown(run.name)
        st.info(
            f"{name} is being changed already: the form below shows its settings with your changes. To start again "
            "from its own settings, discard the changes, then press *Change or widen*.",
            icon=":material/tune:",
        )
        into_view.bring("changing", int(time.time()))


def _size_of(run: RunView) -> Size:
    at_most = run.plan.screening.at_most if run.plan.screening is not None else None
    return Size(
        run.plan.source.per_relation or 500, at_most or 50_000, run.plan.checks, "the checks of that run",
        f"As {run.name} was started: {run.questions:,} questions, "
        + (f"at most {at_most:,} of them" if at_most else "all that qualify")
        + " also answered by sampling.",
        run.questions,
    )  # fmt: skip


def _needed(info: ModelInfo, size: Size, own: tuple[Question, ...] | None, changed: RunView | None) -> None:
    """What a run must come to, and how long it takes, before it is begun."""
    state = st.session_state
    samples = int(state["train.samples"])
    filter = CONSISTENCIES.get(state["train.filter"])
    right = filter.right if filter else int(state.get("train.right", 5))
    wrong = filter.wrong if filter else int(state.get("train.wrong", 9))
    must_agree = filter.greedy if filter else state.get("train.greedy", True)
    least = max(Training().held_out, Training().folds + 1)
    st.markdown(
        f"**Needed:** {LEAST} right and {LEAST} wrong answers about {least} or more subjects; each right answer is "
        f"paired with a wrong one to the same kind of question. A question is kept as right if at least {right} of "
        f"{samples} samples are right, and as wrong if at least {wrong} of {samples} are wrong."
        + (" Its greedy answer must agree." if must_agree else "")
    )
    asked = size.asked if own is None else len(own)
    asked = changed.questions if changed is not None else asked
    st.markdown(f"**Time:** {form.time_words(info, asked, min(size.at_most, asked))}")


def _limit() -> question_file.Limit:
    most = st.number_input(
        "Maximum number of questions", 1, value=None, key="train.limit", placeholder="all", width=220,
        help="Drawn from the file at random, with the seed under Settings.",
    )  # fmt: skip
    return most, int(st.session_state.get("train.seed", 0))


def _settings() -> None:
    """All that need not be touched."""
    with st.expander("Settings", key="train-settings"):
        st.text_input(
            "Text after every question", key="train.suffix", max_chars=500,
            help="By default the instruction of the paper's authors. It is part of every prompt, so all figures depend "
            "on it.",
        )  # fmt: skip
        first, second, third, fourth, fifth = st.columns(5)
        first.number_input("Samples", 1, 100, key="train.samples", help="Answers drawn for each question")
        second.number_input("Temperature", 0.01, 5.0, step=0.1, key="train.temperature", format="%g")
        third.number_input("Top-k", 0, 1000, key="train.top_k", help=terms.TOP_K)
        fourth.number_input("Top-p", 0.0, 1.0, step=0.05, key="train.top_p", format="%g")
        fifth.number_input("Tokens", 1, 512, key="train.max_new_tokens", help="The longest answer, in tokens")
        named = st.selectbox(
            "Which questions are kept", FILTERS, key="train.filter",
            help="How many samples must agree. When a small model is right, hardly ever do all 10 of 10 samples agree.",
        )  # fmt: skip
        if named == OWN:
            right, wrong = st.columns(2)
            right.number_input("Samples right, at least", 1, 100, key="train.right")
            wrong.number_input("Samples wrong, at least", 1, 100, key="train.wrong")
            st.toggle("The greedy answer must agree", key="train.greedy")
        _fitting()
        _judging()


def _fitting() -> None:
    """What the probe is fitted on, and how."""
    st.segmented_control(
        "A wrong answer is compared with", ["1-vs-1", "3-vs-1"], required=True, key="train.labels",
        format_func=lambda name: {
            "1-vs-1": "right answers", "3-vs-1": "right answers and all other tokens (the paper)"
        }[name],
    )  # fmt: skip
    st.selectbox(
        "Neurons are chosen", list(CHOOSING), key="train.select", format_func=CHOOSING.__getitem__,
        help="A neuron's side: whether its CETT is larger in wrong or in right answers, within one kind of question. "
        "The choices beside the paper's leave out neurons that change sides, or answers that differ in more than being "
        "right, so that the set may hold on other questions.",
    )  # fmt: skip
    choice = st.segmented_control(
        "C is chosen by cross-validation for", ["one-se", "cross-validation", "paper", "fixed"],
        required=True, key="train.choice",
        format_func=lambda name: {
            "one-se": "fewest neurons near the best AUROC", "cross-validation": "best AUROC",
            "paper": "accuracy + answers kept when off (the paper)", "fixed": "not chosen: a fixed C",
        }[name],
        help="C is the inverse of the penalty on weights: the larger C, the more neurons get a weight. Near the best: "
        "within one standard error of the largest AUROC.",
    )  # fmt: skip
    if choice == "fixed":
        st.number_input("Fixed C", 0.0, format="%g", key="train.c", width=220)
    st.segmented_control(
        "The words that answer", ["phrase", "blind", "known"], required=True, key="train.words",
        format_func=lambda name: {
            "phrase": "the phrase that answers (one rule)", "blind": "the first new words (one rule)",
            "known": "in right answers the known spelling (two rules)",
        }[name],
        help="The words over which CETT is read. With one rule for right answers and another for wrong ones, the words "
        "can be told apart by the rules alone, and a probe learns to do that.",
    )  # fmt: skip
    st.segmented_control("CETT over an answer's tokens", ["mean", "max"], required=True, key="train.pooling")
    st.segmented_control(
        "CETT is read at", list(WINDOWS), required=True, key="train.position", format_func=WINDOWS.__getitem__,
        help="A token's CETT is computed when the model reads that token. At the token before it, the model decides to "
        "write it. The whole response includes that token before, and all words beside those that answer.",
    )  # fmt: skip
    st.number_input("Seed", 0, 2**31 - 1, key="train.seed", width=220)


def _judging() -> None:
    """Whether an LLM judges, and what it may decide."""
    st.text_input(
        "LLM judge (optional): name of its model", key="train.judge", max_chars=200, placeholder="none",
        help="Any service with OpenAI's chat completions. Set its address in HNEURONS_JUDGE_URL and its key in "
        "HNEURONS_JUDGE_KEY on the machine that computes.",
    )  # fmt: skip
    st.segmented_control(
        "The LLM", ["decides", "compares"], required=True, key="train.judging",
        format_func=lambda name: {
            "decides": "decides; the rules where its reply is unclear", "compares": "is only compared with the rules"
        }[name],
    )  # fmt: skip
    st.toggle(
        "The LLM also names the words that answer", key="train.judge_words",
        help="CETT is then read over the words that the LLM names instead of the rules, whether or not it decides.",
    )  # fmt: skip


def _start(own: tuple[Question, ...] | None, size: Size, changed: RunView | None, gone: str | None) -> None:
    """Begin the run with the questions of a person's file, or with the shipped ones where there is no `own`.

    A run that is changed goes on under its name; under another one a new run begins with its answers.

    Args:
        gone: the run that was changed until now and is there no more: without it another one would begin.
    """
    state = st.session_state
    state[FAILED] = None
    state[runs.SHOWN] = False
    try:
        if gone is not None:
            raise BadInput(
                f"There is no run {gone} any more", "it was deleted while it was being changed",
                "check the form, then press Start for a new run",
            )  # fmt: skip
        if own is not None and not own:
            raise BadInput(
                "There is no question to ask", "no file was read", "choose a file, or the built-in questions"
            )
        name = state["train.name"].strip()
        if not name:
            raise BadInput("The run has no name", "its answers and its probe are saved under it", "write one above")
        again = changed is not None and changed.name == name
        if not again and any(run.name == name for run in session.client().runs.list()):
            raise BadInput(f"There is already a run {name}", "it has its own questions", "choose another name")
        if not again and any(probe.name == name for probe in shelf.probes(fresh=True)):
            raise BadInput(f"There is already a probe {name}", "the run would overwrite it", "choose another name")
        request = IdentifyRequest(
            name=name, plan=plan(question_file.name("train") if own else "", size, changed), questions=own or (),
            answers_of=None if changed is None or again else changed.name, command="made on the page Identify",
        )  # fmt: skip
        runs.start(request)
    except ValidationError as error:
        state[FAILED] = refused(error)
    except HNeuronsError as error:
        state[FAILED] = error
