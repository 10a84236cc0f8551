"""Making a probe on the page: choose questions and how strict to be, and start.

Owns the form. The runs beside it are `identify_runs`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from pydantic import ValidationError

from app import session
from app.widgets import frame, identify_runs, jobs, text
from app.widgets.frame import muted
from app.widgets.identify_runs import FAILED
from app.widgets.refusals import bad_input
from backend.errors import BadInput, HNeuronsError
from backend.types import IdentifyRequest
from backend.types.identify import CONSISTENCIES, Consistency, Question, ReadQuestions, RegionRule, Sampling
from backend.types.plan import Checks, LlmJudge, Plan, Screening, Source, Training
from backend.types.probe import Probe

OWN = "my own numbers"
_READ = "train:read"
"""The file that was read last: what was asked of it, and its questions or why there are none."""


@dataclass(frozen=True)
class Size:
    """How much is asked: questions of each kind, questions answered in samples, and how thorough the checks are."""

    per_relation: int
    at_most: int
    checks: Checks
    thorough: str
    words: str
    """Of the shipped questions."""

    def told(self, own: tuple[Question, ...] | None) -> str:
        """What it comes to: of the shipped questions, or of `own`, none of which is left out."""
        if own is None:
            return self.words
        asked = f"all {len(own):,} questions that were read" if own else "every question of the file"
        return f"{asked} answered greedily, at most {self.at_most:,} of them in samples; {self.thorough}"


SIZES = {
    "A look": Size(
        40, 300,
        Checks(refits=5, bootstraps=20, random_sets=10, twins=1, alphas=(0.0, 2.0), answers=40, variations=False),
        "few checks", "some 1,500 questions; half an hour on a laptop with the small model",
    ),
    "Thorough": Size(
        500, 3000, Checks(), "every check",
        "some 9,600 questions and every check; hours on a laptop, in the background",
    ),
}  # fmt: skip


def draw(probe: Probe | None) -> None:
    """The form on the left, the runs on the right."""
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _form()
    with right:
        frame.heading(
            "Runs",
            "A run keeps every batch that is done: it can be stopped, and goes on where it was, on this page or with "
            "`hneurons identify resume NAME`. Other questions are answered between its batches.",
        )
        identify_runs.draw()


def _form() -> None:
    frame.heading(
        "Train on this model",
        "The model answers many questions, greedily and in samples. Kept are those that it answers right, or wrong, "
        "time and again. A sparse probe then looks for neurons whose CETT tells the two apart "
        "(Gao et al. 2025, section 6.1).",
    )
    info = session.status().info
    if info is None:
        st.markdown(muted("It can begin when the model is loaded."))
        return
    st.text_input("Name of the run", key="train.name", value="", placeholder="my-first-probe", max_chars=64)
    source = st.segmented_control(
        "Questions", ["Those that ship", "My file"], default="Those that ship", required=True, key="train.source"
    )
    uploaded = _uploaded() if source == "My file" else None
    size = st.segmented_control("How much", list(SIZES), default="A look", required=True, key="train.size")
    st.markdown(muted(SIZES[size].told(uploaded)))
    _settings()
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="train.start"):
        _start(uploaded, SIZES[size])
    failed = st.session_state.get(FAILED)
    if isinstance(failed, HNeuronsError):
        jobs.shown_error(failed)


def _uploaded() -> tuple[Question, ...]:
    file = st.file_uploader(
        "A file of questions", type=["csv", "tsv", "json", "jsonl", "parquet"], key="train.file",
        help="Columns question and answers (spellings apart by |), if you like relation and entity. TriviaQA, NQ-Open "
        "and PopQA are read as they are.",
    )  # fmt: skip
    limit = st.number_input(
        "At most so many questions", 1, value=None, key="train.limit", placeholder="all", width=220,
        help="Drawn from the file at random, by the seed of the settings.",
    )  # fmt: skip
    if file is None:
        return ()
    # Without a limit nothing is drawn, and a file need not be read again for another seed.
    asked = (file.file_id, limit, int(st.session_state.get("train.seed", 0)) if limit else 0)
    held = st.session_state.get(_READ)
    if held is None or held[0] != asked:
        held = st.session_state[_READ] = (asked, _read(file.getvalue(), file.name, limit, asked[2]))
    if isinstance(held[1], HNeuronsError):
        jobs.shown_error(held[1])
        return ()
    found: tuple[Question, ...] = held[1].questions
    kinds = len({question.relation for question in found})
    st.markdown(f"{len(found):,} questions of {kinds} {'kind' if kinds == 1 else 'kinds'}. The first:")
    st.html(text.block(f"{found[0].text}  →  {' | '.join(found[0].answers[:4])}"))
    if held[1].left_out:
        st.markdown(muted(held[1].left_out))
    return found


def _read(payload: bytes, name: str, limit: int | None, seed: int) -> ReadQuestions | HNeuronsError:
    try:
        return session.client().read_questions(payload, name, limit, seed)
    except HNeuronsError as error:
        return error


def _settings() -> None:
    """All that need not be touched."""
    with st.expander("Settings"):
        st.text_input(
            "Behind every question", Sampling().suffix, key="train.suffix", max_chars=500,
            help="The authors' instruction. It is part of the prompt that every figure belongs to.",
        )  # fmt: skip
        one, two, three, four, five = st.columns(5)
        one.number_input("Samples", 1, 100, 10, key="train.samples")
        two.number_input("Temperature", 0.05, 5.0, 1.0, 0.1, key="train.temperature")
        three.number_input("Top-k", 0, 1000, 50, key="train.top_k", help="0 takes every token")
        four.number_input("Top-p", 0.05, 1.0, 0.9, 0.05, key="train.top_p")
        five.number_input("Tokens", 1, 512, 32, key="train.max_new_tokens", help="The longest answer, in tokens")
        named = st.selectbox(
            "Which questions are kept", [*CONSISTENCIES, OWN], index=2, key="train.filter",
            help="How many samples must agree. A small model agrees with itself in 10 of 10 hardly ever when it is "
            "right.",
        )  # fmt: skip
        if named == OWN:
            right, wrong = st.columns(2)
            right.number_input("Samples right, at least", 1, 100, 5, key="train.right")
            wrong.number_input("Samples wrong, at least", 1, 100, 9, key="train.wrong")
            st.toggle("The greedy answer must agree", True, key="train.greedy")
        _fitting()
        _judging()


def _fitting() -> None:
    """What the probe is fitted on, and how."""
    st.segmented_control(
        "A wrong answer against", ["1-vs-1", "3-vs-1"], default="1-vs-1", required=True, key="train.labels",
        format_func=lambda name: {
            "1-vs-1": "right answers", "3-vs-1": "right answers and all other tokens (the paper)"
        }[name],
    )  # fmt: skip
    choice = st.segmented_control(
        "C is chosen by cross-validation as", ["one-se", "cross-validation", "paper", "fixed"], default="one-se",
        required=True, key="train.choice",
        format_func=lambda name: {
            "one-se": "the fewest neurons near the best", "cross-validation": "the best",
            "paper": "accuracy + answers kept when off (the paper)", "fixed": "not at all: this C",
        }[name],
        help="Near the best: its AUROC is within one standard error of the largest.",
    )  # fmt: skip
    if choice == "fixed":
        st.number_input("This C", 0.001, 1e5, 1.0, format="%g", key="train.c", width=220)
    st.segmented_control(
        "The words that answer", ["phrase", "blind", "known"], default="phrase", required=True, key="train.words",
        format_func=lambda name: {
            "phrase": "the phrase that answers, alike in right and wrong",
            "blind": "the first new words, alike in both", "known": "of right answers the known spelling"
        }[name],
        help="Found by one rule on right answers and by another on wrong ones, words can be told apart by the "
        "rules alone, and a probe learns to.",
    )  # fmt: skip
    st.segmented_control(
        "CETT over an answer's tokens", ["mean", "max"], default="mean", required=True, key="train.pooling"
    )
    st.segmented_control(
        "Read at", ["answer", "predicting"], default="answer", required=True, key="train.position",
        format_func=lambda name: {"answer": "the answer's tokens", "predicting": "those before them"}[name],
        help="A token's CETT is made when it is read. The token before it is where the model decides to write it.",
    )  # fmt: skip
    st.number_input("Seed", 0, 2**31 - 1, 0, key="train.seed", width=220)


def _judging() -> None:
    """Whether an LLM judges, and what it may decide."""
    st.text_input(
        "Model of an LLM judge, if one is to judge", "", key="train.judge", max_chars=200, placeholder="none",
        help="Any service with OpenAI's chat completions. Its address stands in HNEURONS_JUDGE_URL, its key in "
        "HNEURONS_JUDGE_KEY, where the program computes.",
    )  # fmt: skip
    st.segmented_control(
        "The LLM", ["decides", "compares"], default="decides", required=True, key="train.judging",
        format_func=lambda name: {
            "decides": "decides, the rules where it is unclear", "compares": "is compared with the rules only"
        }[name],
    )  # fmt: skip
    st.toggle(
        "It also names the words that answer", False, key="train.judge_words",
        help="Where the rules would: features are read over the words that it names, whether it decides or not.",
    )  # fmt: skip


def plan(own_file: str, size: Size) -> Plan:
    """The plan that the form says; `own_file` names a person's file, none the shipped questions. Raises BadInput."""
    state = st.session_state
    seed = int(state["train.seed"])
    filter = CONSISTENCIES.get(state["train.filter"])
    try:
        if filter is None:
            filter = Consistency(
                right=state["train.right"], wrong=state["train.wrong"], greedy=state["train.greedy"], uncertain=3
            )
        return Plan(
            source=Source(file=own_file, per_relation=None, limit=state["train.limit"])
            if own_file
            else Source(per_relation=size.per_relation),
            sampling=Sampling(
                samples=state["train.samples"], temperature=state["train.temperature"], top_k=state["train.top_k"],
                top_p=state["train.top_p"], suffix=state["train.suffix"], seed=seed,
                max_new_tokens=state["train.max_new_tokens"],
            ),
            screening=Screening(at_most=size.at_most),
            filter=filter,
            words=state["train.words"],
            rule=RegionRule(position=state["train.position"], pooling=state["train.pooling"]),
            training=Training(
                labels=state["train.labels"], choice=state["train.choice"],
                c=state["train.c"] if state["train.choice"] == "fixed" else None,
            ),
            checks=size.checks,
            judge=_judge(),
            seed=seed,
        )  # fmt: skip
    except ValidationError as error:
        raise bad_input(error) from error


def _judge() -> LlmJudge | None:
    state = st.session_state
    model = state["train.judge"].strip()
    if not model:
        return None
    return LlmJudge(model=model, decides=state["train.judging"] == "decides", words=state["train.judge_words"])


def _start(own: tuple[Question, ...] | None, size: Size) -> None:
    """Begin the run with the questions of a person's file, or with the shipped ones where there is no `own`."""
    state = st.session_state
    state[FAILED] = None
    file = state.get("train.file")
    try:
        if own is not None and not own:
            raise BadInput("There is no question to ask", "no file was read", "choose a file, or those that ship")
        name = state["train.name"].strip()
        if any(run.name == name for run in session.client().runs()):
            raise BadInput(f"There is a run {name} already", "it has its own questions", "choose another name")
        if any(one.name == name for one in session.probes(fresh=True)):
            raise BadInput(f"There is a probe {name} already", "the run would write over it", "choose another name")
        made = plan(file.name if own and file is not None else "", size)
        identify_runs.start(
            IdentifyRequest(name=name, plan=made, questions=own or (), command="made on the page Identify")
        )
    except ValidationError as error:
        state[FAILED] = bad_input(error)
    except HNeuronsError as error:
        state[FAILED] = error
