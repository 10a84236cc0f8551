"""Making a probe on the page: choose questions and how strict to be, and start.

Owns the form. The runs beside it are `identify_runs`'s.
"""

from __future__ import annotations

import time

import streamlit as st
from pydantic import ValidationError

from app import session, shelf, text
from app.identify import form, runs
from app.identify.form import SIZES, Size, plan
from app.identify.runs import FAILED
from app.identify.view import AS_BEGUN, FILTERS, OWN
from app.shared import frame, into_view, jobs
from app.shared.frame import muted
from backend.errors import BadInput, HNeuronsError
from backend.types import IdentifyRequest
from backend.types.identify import CONSISTENCIES, Question, ReadQuestions
from backend.types.plan import RunView, Training
from backend.types.probe import Probe
from backend.types.refusal import refused
from backend.types.results import ModelInfo

LEAST = 10
"""Right and wrong answers that a probe needs of each; a test holds it equal to `MIN_SIDE` of
`backend.identify.answers.items`."""
_READ = "train:read"
"""The file that was read last: what was asked of it, and its questions or why there are none."""


def draw_training(probe: Probe | None) -> None:
    """The form on the left, the runs on the right."""
    left, right = st.columns([5, 4], gap="medium")
    with left:
        changed = _form()
    with right:
        frame.heading(
            "Runs",
            "A run keeps every finished batch. It can be stopped, and resumed where it was, on this page or with "
            "`hneurons identify resume NAME`. Other questions are answered between its batches.",
        )
        runs.draw_runs(changed)


def _form() -> RunView | None:
    """Draw the form; the run that it changes."""
    frame.heading(
        "Train on this model",
        "The model answers many questions, greedily and in samples. Those that it answers right, or wrong, time and "
        "again are kept. A sparse probe then looks for neurons whose CETT tells the two apart "
        "(Gao et al. 2025, section 6.1).",
    )
    info, again = session.status().info, bool(st.session_state.pop(runs.AGAIN, False))
    if info is None:
        st.markdown(muted("Training can begin when the model is loaded."))
        return None
    try:
        changed, gone = form.open_form()
    except HNeuronsError as error:
        jobs.shown_error(error)
        return None
    if changed is not None:
        _changing(changed, again)
    st.text_input("Name of the run", key="train.name", placeholder="my-first-probe", max_chars=64)
    source = st.segmented_control(
        "Questions", [*([AS_BEGUN] if changed else []), "Those that ship", "My file"],
        required=True, key="train.source",
    )  # fmt: skip
    uploaded = _uploaded() if source == "My file" else None
    sizes = {AS_BEGUN: _size_of(changed), **SIZES} if changed else SIZES
    size = str(st.segmented_control("How much", list(sizes), required=True, key="train.size"))
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
        f"Changing **{text.markdown(run.name)}**: its {run.questions:,} questions and its answers stay. Ask for "
        "more, or change its settings. Under another name, a new run begins with its answers.",
        width="stretch",
    )
    if row.button("Stop changing it", key="train.leave"):
        form.leave()
        st.rerun()
    if again:
        name = text.markdown(run.name)
        st.info(
            f"{name} is already being changed: the form below has its settings, with your changes. To start over from "
            "its own settings, press Stop changing it, then Change or widen.",
            icon=":material/tune:",
        )
        into_view.bring("changing", int(time.time()))


def _size_of(run: RunView) -> Size:
    at_most = run.plan.screening.at_most if run.plan.screening is not None else None
    return Size(
        run.plan.source.per_relation or 500, at_most or 50_000, run.plan.checks, "its checks",
        f"As {run.name} was begun: {run.questions:,} questions, "
        + (f"at most {at_most:,} of them answered in samples." if at_most else "all that qualify answered in samples."),
        run.questions,
    )  # fmt: skip


def _needed(info: ModelInfo, size: Size, own: tuple[Question, ...] | None, changed: RunView | None) -> None:
    """What a run must come to, and how long it takes, before it is begun."""
    state = st.session_state
    samples = int(state["train.samples"])
    filter = CONSISTENCIES.get(state["train.filter"])
    right = filter.right if filter else int(state.get("train.right", 5))
    wrong = filter.wrong if filter else int(state.get("train.wrong", 9))
    agree = ", and the greedy answer agrees" if (filter.greedy if filter else state.get("train.greedy", True)) else ""
    least = max(Training().held_out, Training().folds + 1)
    st.markdown(
        f"**Needed:** {LEAST} right and {LEAST} wrong answers, each right one paired with a wrong one to the same "
        f"kind of question, about {least} or more subjects. A question is kept as right where {right} of {samples} "
        f"samples are right, as wrong where {wrong} of {samples} are wrong{agree}."
    )
    asked = size.asked if own is None else len(own)
    asked = changed.questions if changed is not None else asked
    st.markdown(f"**Time:** {form.time_words(info, asked, min(size.at_most, asked))}")


def _uploaded() -> tuple[Question, ...]:
    file = st.file_uploader(
        "A file of questions", type=["csv", "tsv", "json", "jsonl", "parquet"], key="train.file",
        help="Columns question and answers (several spellings separated by |); optional: relation and entity. Files of "
        "TriviaQA, NQ-Open and PopQA can be used unchanged.",
    )  # fmt: skip
    limit = st.number_input(
        "Maximum number of questions", 1, value=None, key="train.limit", placeholder="all", width=220,
        help="Drawn at random from the file, with the seed under Settings.",
    )  # fmt: skip
    if file is None:
        return _held_file()
    # Without a limit nothing is drawn, and a file need not be read again for another seed.
    asked = (file.file_id, limit, int(st.session_state.get("train.seed", 0)) if limit else 0)
    read_before = st.session_state.get(_READ)
    if read_before is None or read_before[0] != asked:
        read_before = st.session_state[_READ] = (
            asked,
            _questions_in(file.getvalue(), file.name, limit, asked[2]),
            file.name,
        )
    return _shown_file(read_before[1])


def _held_file() -> tuple[Question, ...]:
    """The file that was read before this page was left: the browser has let it go, its questions are here."""
    read_before = st.session_state.get(_READ)
    if read_before is None or isinstance(read_before[1], HNeuronsError):
        return ()
    row = st.container(horizontal=True, vertical_alignment="center")
    row.markdown(f"Read before: **{text.markdown(read_before[2])}**", width="content")
    if row.button("Remove it", key="train.let_go"):
        st.session_state.pop(_READ)
        st.rerun()
    return _shown_file(read_before[1])


def _shown_file(read: ReadQuestions | HNeuronsError) -> tuple[Question, ...]:
    if isinstance(read, HNeuronsError):
        jobs.shown_error(read)
        return ()
    questions = read.questions
    kinds = len({question.relation for question in questions})
    st.markdown(f"{len(questions):,} questions of {kinds} {'kind' if kinds == 1 else 'kinds'}. The first:")
    st.html(text.block(f"{questions[0].text}  →  {' | '.join(questions[0].answers[:4])}"))
    if read.left_out:
        st.markdown(muted(read.left_out))
    return questions


def _questions_in(payload: bytes, name: str, limit: int | None, seed: int) -> ReadQuestions | HNeuronsError:
    try:
        return session.client().runs.read_questions(payload, name, limit, seed)
    except HNeuronsError as error:
        return error


def _settings() -> None:
    """All that need not be touched."""
    with st.expander("Settings", key="train-settings"):
        st.text_input(
            "Added after every question", key="train.suffix", max_chars=500,
            help="By default the authors' instruction. It is a part of every prompt, so every figure depends on it.",
        )  # fmt: skip
        first, second, third, fourth, fifth = st.columns(5)
        first.number_input("Samples", 1, 100, key="train.samples")
        second.number_input("Temperature", 0.01, 5.0, step=0.1, key="train.temperature", format="%g")
        third.number_input("Top-k", 0, 1000, key="train.top_k", help="Draws from the k likeliest tokens; 0: from all")
        fourth.number_input("Top-p", 0.0, 1.0, step=0.05, key="train.top_p", format="%g")
        fifth.number_input("Tokens", 1, 512, key="train.max_new_tokens", help="The longest answer, in tokens")
        named = st.selectbox(
            "Which questions are kept", FILTERS, key="train.filter",
            help="How many samples must agree. A small model is hardly ever right in 10 samples of 10.",
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
        "Wrong answers are compared with", ["1-vs-1", "3-vs-1"], required=True, key="train.labels",
        format_func=lambda name: {
            "1-vs-1": "right answers", "3-vs-1": "right answers and all other tokens (the paper)"
        }[name],
    )  # fmt: skip
    choice = st.segmented_control(
        "C, chosen by cross-validation", ["one-se", "cross-validation", "paper", "fixed"],
        required=True, key="train.choice",
        format_func=lambda name: {
            "one-se": "the fewest neurons near the best", "cross-validation": "the best",
            "paper": "accuracy + answers kept when off (the paper)", "fixed": "fixed",
        }[name],
        help="Near the best: its AUROC is within one standard error of the largest.",
    )  # fmt: skip
    if choice == "fixed":
        st.number_input("C", 0.0, format="%g", key="train.c", width=220)
    st.segmented_control(
        "The words that answer", ["phrase", "blind", "known"], required=True, key="train.words",
        format_func=lambda name: {
            "phrase": "the phrase that answers, one rule for both",
            "blind": "the first new words, one rule for both", "known": "in right answers the known spelling"
        }[name],
        help="If one rule finds them in right answers and another in wrong ones, a probe can learn to tell the two "
        "rules apart.",
    )  # fmt: skip
    st.segmented_control("CETT over an answer's tokens", ["mean", "max"], required=True, key="train.pooling")
    st.segmented_control(
        "Read at", ["answer", "predicting"], required=True, key="train.position",
        format_func=lambda name: {"answer": "the answer's tokens", "predicting": "those before them"}[name],
        help="A token's CETT arises when the model reads it. At the token before, the model decides to write it.",
    )  # fmt: skip
    st.number_input("Seed", 0, 2**31 - 1, key="train.seed", width=220)


def _judging() -> None:
    """Whether an LLM judges, and what it may decide."""
    st.text_input(
        "LLM judge (optional): name of the model", key="train.judge", max_chars=200, placeholder="none",
        help="Any service with OpenAI's chat completions. Set its address in HNEURONS_JUDGE_URL and its key in "
        "HNEURONS_JUDGE_KEY, on the machine that computes.",
    )  # fmt: skip
    st.segmented_control(
        "The LLM", ["decides", "compares"], required=True, key="train.judging",
        format_func=lambda name: {
            "decides": "decides; if unclear, the rules do", "compares": "is only compared with the rules"
        }[name],
    )  # fmt: skip
    st.toggle(
        "The LLM also names the words that answer", key="train.judge_words",
        help="In place of the rules: features are read over the words that it names, even where it does not decide.",
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
    file = state.get("train.file")
    try:
        if gone is not None:
            raise BadInput(
                f"There is no run {gone} any more", "it was deleted while it was being changed",
                "look at the form again, and press Start for a new run",
            )  # fmt: skip
        if own is not None and not own:
            raise BadInput(
                "There is no question to ask", "no file was read", "choose a file, or the questions that ship"
            )
        name = state["train.name"].strip()
        if not name:
            raise BadInput("The run has no name", "its answers and its probe are kept under it", "give it one above")
        again = changed is not None and changed.name == name
        if not again and any(run.name == name for run in session.client().runs.list()):
            raise BadInput(f"There is a run {name} already", "it has its own questions", "choose another name")
        if not again and any(probe.name == name for probe in shelf.probes(fresh=True)):
            raise BadInput(f"There is a probe {name} already", "the run would write over it", "choose another name")
        read_before = state.get(_READ)
        read = file.name if file is not None else read_before[2] if read_before is not None else ""
        request = IdentifyRequest(
            name=name, plan=plan(read if own else "", size, changed), questions=own or (),
            answers_of=None if changed is None or again else changed.name, command="made on the page Identify",
        )  # fmt: skip
        runs.start(request)
    except ValidationError as error:
        state[FAILED] = refused(error)
    except HNeuronsError as error:
        state[FAILED] = error
