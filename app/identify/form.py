"""What the form of a run holds while another page is looked at, and from which run it was filled.

Owns the copy of the form's state, the plan that it says, and how long a run will take by what runs of this model took.
Refuses to draw the form (`identify_train`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st
from pydantic import ValidationError

from app import session, text
from app.identify.view import AS_BEGUN, MOST_ASKED, OWN, IdentifyView, TrainForm
from app.shared import joins
from app.shared.joins import Field, Join
from backend.errors import HNeuronsError
from backend.types.base import Frozen
from backend.types.identify import CONSISTENCIES, Consistency, Position, Question
from backend.types.numbers import fixed
from backend.types.plan import Checks, LlmJudge, Plan, QuestionSource, RunView, Screening, Select
from backend.types.refusal import refused
from backend.types.results import ModelInfo

MOST_UNCERTAIN = 3
"""Uncertain samples of a question that is kept by one's own numbers, in a run that is new."""
_KEPT, _CHANGED, _PUT = "train:form", "train:changed", "train:put"
_ONLY_BESIDE = {
    "train.right": ("train.filter", OWN), "train.wrong": ("train.filter", OWN), "train.greedy": ("train.filter", OWN),
    "train.c": ("train.choice", "fixed"), "train.limit": ("train.source", "My file"),
}  # fmt: skip
"""Fields that are drawn only where another says this."""
_NOT_KEPT = ("train.start", "train.file", "train.leave", "train.let_go")
WINDOWS: dict[Position, str] = {
    "answer": "the answer's tokens",
    "predicting": "the tokens before them",
    "both": "both",
    "whole": "the whole response",
}
CHOOSING: dict[Select, str] = {
    "l1": "from all, at one price (the paper)",
    "positive": "from all, with positive weights alone",
    "stable": "from those that stay on one side in resamples and in halves of the kinds",
    "matched": "from all, on answers alike in kind, length and first token's probability",
    "agreeing": "from all, dearer the more their side differs between kinds",
}
F = TypeVar("F", bound=Frozen)


@dataclass(frozen=True)
class Size:
    """How much is asked: questions of each kind, questions answered in samples, and how thorough the checks are."""

    per_relation: int
    at_most: int
    checks: Checks
    thorough: str
    words: str
    """Of the shipped questions."""
    asked: int
    """So many of these there are."""

    def told(self, own: tuple[Question, ...] | None) -> str:
        """What it comes to: of the shipped questions, or of `own`, none of which is left out."""
        if own is None:
            return self.words
        asked = f"All {len(own):,} questions that were read are" if own else "Every question of the file is"
        return f"{asked} answered greedily, at most {self.at_most:,} of them also by sampling; {self.thorough}."


SIZES = {
    "A look": Size(
        24, 300,
        Checks(refits=5, bootstraps=20, random_sets=10, twins=1, alphas=(0.0, 2.0), answers=40, variations=False),
        "few checks", "About 1,500 questions; half an hour on a laptop with the small model.", 1500,
    ),
    "Thorough": Size(
        250, 3000, Checks(), "every check",
        "About 9,900 questions and every check; hours on a laptop, in the background.", 9900,
    ),
}  # fmt: skip


def open_form() -> tuple[RunView | None, str | None]:
    """Put back what the form held, or what a run was begun with where one is to be changed.

    What a link says, or Back, stands above what the form held. Raises HNeuronsError where the engine cannot say what
    a run was begun with: the view then stays as it is.

    Returns:
        That run, and the name of the one that was changed until now and is there no more: what was typed stays.
    """
    state = st.session_state
    joins.take_up((FORM,))
    gone = _gone()
    joins.take_up((FORM,))
    kept, was_put = state.get(_KEPT, {}), state.get(_PUT, False)
    for name in sorted(kept, key=_ONLY_BESIDE.__contains__):
        # Streamlit forgets what stands in a field as soon as the field is not drawn, and then tells what was set before
        # it was: so none is set that is not drawn, and `_KEPT` alone has it.
        if not _is_drawn(name):
            state.pop(name, None)
        elif was_put or name not in state:
            state[name] = kept[name]
    # Last: where another run of the page ends this one early, the next still fills the fields.
    state.pop(_PUT, None)
    return state.get(_CHANGED), gone


def _gone() -> str | None:
    """Let go of the run that is changed where it was deleted, here or elsewhere; its name."""
    run = st.session_state.get(_CHANGED)
    # One that was put into the form just now was there just now.
    if run is None or _PUT in st.session_state:
        return None
    with suppress(HNeuronsError):
        if all(other.name != run.name for other in session.client().runs.list()):
            # What was typed last stands in the fields, and not in the view yet.
            joins.keep((FORM,))
            session.change(IdentifyView, changing=None)
            stays = " What you typed stays in the form." if session.view(IdentifyView).form is not None else ""
            session.note(f"The run {run.name} was deleted while it was being changed.{stays}")
            return str(run.name)
    return None


def _is_drawn(name: str) -> bool:
    beside, choice = _ONLY_BESIDE.get(name, (name, None))
    return choice is None or st.session_state.get(beside) == choice


def _run_called(name: str) -> RunView | None:
    named = next((run for run in session.client().runs.list() if run.name == name), None)
    if named is None:
        session.note(f"There is no run {name} here that could be changed.")
        session.change(IdentifyView, changing=None)
    return named


def close_form() -> None:
    """Keep what the form holds."""
    st.session_state[_KEPT] = _held()
    joins.keep((FORM,))


def _held() -> dict[str, Any]:
    """What stands in the form's fields by their keys: in those that are drawn, and what is kept of the others."""
    state = st.session_state
    keys = [str(name) for name in state if str(name).startswith("train.")]
    return {**state.get(_KEPT, {}), **{key: state[key] for key in keys if key not in _NOT_KEPT and _is_drawn(key)}}


def _put(form: TrainForm | None, changing: str | None) -> None:
    """Fill the form. An untouched one is a fresh form, or where a run is changed what that was begun with."""
    run = None if changing is None else _run_called(changing)
    st.session_state.pop(_CHANGED, None)
    fresh = TrainForm()
    if run is not None:
        st.session_state[_CHANGED] = run
        fresh = begun_with(run)
    elif form is not None and AS_BEGUN in (form.source, form.size):
        session.note("The form belonged to a run that is not here. It now asks the built-in questions.")
        form = form.model_copy(update={"source": fresh.source, "size": fresh.size})
    form = form or fresh
    # Set, not only let go of: a browser sends again what stands in its fields.
    st.session_state[_KEPT] = {f"train.{name}": value for name, value in form.model_dump().items()}
    st.session_state[_PUT] = True


def _read_form() -> tuple[TrainForm | None]:
    kept, run = _held(), st.session_state.get(_CHANGED)
    begun = TrainForm() if run is None else begun_with(run)
    said = before = session.view(IdentifyView).form or begun
    for name in TrainForm.model_fields:
        # Start says what is wrong with a field; until then the address has what was right before.
        with suppress(ValidationError):
            value = kept.get(f"train.{name}", getattr(before, name))
            said = said.model_copy(update={name: getattr(TrainForm.model_validate({name: value}), name)})
    return (None if said == begun else said,)


FORM = Join((Field(IdentifyView, "form"),), _put, _read_form, shown=(Field(IdentifyView, "changing"),))
"""The form's fields."""


def leave() -> None:
    """The run that was changed stays as it is; the form begins anew."""
    session.change(IdentifyView, changing=None, form=None)
    joins.take_up((FORM,))


def begun_with(run: RunView) -> TrainForm:
    """The form's fields as the run's plan has them."""
    plan: Plan = run.plan
    sampling, training, judge = plan.sampling, plan.training, plan.judge
    return TrainForm(
        name=run.name, source=AS_BEGUN, size=AS_BEGUN, suffix=sampling.suffix, samples=sampling.samples,
        temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p,
        max_new_tokens=sampling.max_new_tokens, labels=training.labels, select=training.select, choice=training.choice,
        c=TrainForm().c if training.c is None else training.c, words=plan.words,
        filter=next((name for name, rule in CONSISTENCIES.items() if rule == plan.filter), OWN),
        right=plan.filter.right, wrong=plan.filter.wrong, greedy=plan.filter.greedy,
        pooling=plan.rule.pooling, position=plan.rule.position, seed=plan.seed, judge=judge.model if judge else "",
        judging="decides" if judge is None or judge.decides else "compares",
        judge_words=judge is not None and judge.words,
        # Shown for a file alone; the run's own source stays as it is.
        limit=None if plan.source.limit is None else min(plan.source.limit, MOST_ASKED),
    )  # fmt: skip


def time_words(info: ModelInfo, asked: int, drawn: int) -> str:
    """How long the answers take, by the last run of this model; where there is none, when it will be known."""
    try:
        runs = session.client().runs.list()
    except HNeuronsError:
        runs = ()
    last = next((run for run in runs if run.fingerprint == info.fingerprint and run.speed is not None), None)
    if last is None or last.speed is None:
        return (
            "not known yet, because no run has measured this model here. The page shows it soon after the start; Stop "
            "loses nothing."
        )
    low, high = (_long(asked * last.speed[0] + count * last.speed[1]) for count in (0, drawn))
    return (
        f"{low} to {high} for the answers to {asked:,} questions, depending on how many qualify for samples (speed of "
        f"the run {text.markdown(last.name)}). Features and checks take additional time."
    )


def _long(seconds: float) -> str:
    if seconds < 90:
        return f"{fixed(max(seconds, 1), 0)} s"
    return f"{fixed(seconds / 60, 0)} min" if seconds < 5400 else f"{fixed(seconds / 3600, 1)} h"


def plan(own_file: str, size: Size, changed: RunView | None = None) -> Plan:
    """The plan that the form says; `own_file` names a person's file, none the shipped questions. Raises BadInput.

    Args:
        changed: the run that is changed; what the form does not show stays as it is there.
    """
    state = st.session_state
    was = changed.plan if changed is not None else Plan()
    as_begun = changed is not None and state["train.size"] == AS_BEGUN
    seed = int(state["train.seed"])
    source = QuestionSource(per_relation=size.per_relation)
    try:
        if own_file:
            source = QuestionSource(file=own_file, per_relation=None, limit=state.get("train.limit"))
        elif changed is not None and state["train.source"] == AS_BEGUN:
            source = was.source
        return Plan(
            source=source,
            sampling=_with(
                was.sampling, "samples", "temperature", "top_k", "top_p", "suffix", "max_new_tokens",
                seed=was.sampling.seed if changed is not None and seed == was.seed else seed,
            ),
            screening=was.screening if as_begun else Screening(at_most=size.at_most),
            filter=_filter(changed),
            words=state["train.words"],
            rule=_with(was.rule, "position", "pooling"),
            training=_with(
                was.training, "labels", "select", "choice",
                **({"c": state["train.c"], "most": None} if state["train.choice"] == "fixed" else {"c": None}),
            ),
            checks=size.checks,
            judge=_judge(was.judge),
            seed=seed,
        )  # fmt: skip
    except ValidationError as error:
        raise refused(error) from error


def _with(was: F, *shown: str, **more: Any) -> F:
    """A part of a plan with the fields that the form shows under their names, and `more`. Raises ValidationError."""
    said = {name: st.session_state[f"train.{name}"] for name in shown}
    return type(was)(**{**dict(was), **said, **more})


def _filter(changed: RunView | None) -> Consistency:
    """The filter named in the form, or one's own numbers. Raises ValidationError."""
    named = CONSISTENCIES.get(st.session_state["train.filter"])
    if named is not None:
        return named
    was = Consistency(uncertain=MOST_UNCERTAIN)
    if changed is not None and changed.plan.filter not in CONSISTENCIES.values():
        was = changed.plan.filter
    return _with(was, "right", "wrong", "greedy")


def _judge(was: LlmJudge | None) -> LlmJudge | None:
    state = st.session_state
    typed = state["train.judge"]
    model = typed if was is not None and typed == was.model else typed.strip()
    if not model:
        return None
    said = {"model": model, "decides": state["train.judging"] == "decides", "words": state["train.judge_words"]}
    return LlmJudge(**{**(dict(was) if was is not None else {}), **said})
