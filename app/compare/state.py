"""What Compare asks for: its controls' settings, in step with the view that the address holds.

Owns the page's keys `compare.*` of session state. Refuses to draw and to run: it hands the page a
request, or the error that says why there is none.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from app import session
from app.compare import switches
from app.compare.switches import BESIDE, Options
from app.links import View
from backend.errors import HNeuronsError
from backend.neurons import NeuronSet
from backend.text.verdict import aliases
from backend.types import CompareRequest, Comparison, Decoding, OwnAlpha
from backend.types.numbers import short
from backend.types.refusal import refused

TWIN = "Random twin"
AGAINST = "Negative weights"
KINDS = {"layer": "same layers", "free": "any layer"}
_OTHERS, _EXAMPLE = "compare.others", "compare.example"
_KNOWN_OF = "compare.known_of"
"""The question that the known answer was typed for."""


def take_up() -> bool:
    """Set the controls from the view where it is not the one they wrote; whether it was another.

    So a link, the Back button and another page's choices reach the switches.
    """
    view = session.view()
    asked, mine = (view.prompt, view.typed), _mine(view)
    other = st.session_state.get("compare.view") != mine or st.session_state.get("compare.asked") != asked
    if st.session_state.get("compare.view") != mine:
        _put(view)
        st.session_state["compare.view"] = mine
    if st.session_state.get("compare.asked") != asked:
        st.session_state["compare.prompt"] = view.typed if view.typed is not None else view.prompt or ""
        st.session_state["compare.asked"] = asked
    return other


def show_example(result: Comparison) -> None:
    """Put the request of a finished example into the view, so that its switches can be flipped."""
    request = result.request
    st.session_state[_EXAMPLE] = request.prompt, request.decoding.max_new_tokens
    session.change(
        prompt=request.prompt, chat=request.chat, system=request.system, decoding=request.decoding,
        neurons=NeuronSet(tuple(switches.settings(request))), alphas=request.alphas, own=request.own,
        controls=request.controls, kinds=request.control_kinds, control_seed=request.control_seed,
        positions=request.positions, against=bool(request.against),
    )  # fmt: skip


def press_run() -> None:
    """Run was pressed: told before the page is drawn, so that its fields can still be set."""
    st.session_state["compare.pressed"] = True


def pressed() -> bool:
    """Whether Run was pressed, told once."""
    return bool(st.session_state.pop("compare.pressed", False))


def _leave_example() -> None:
    """Let another question than the example's have answers of the usual length, not the example's short ones."""
    prompt, longest = st.session_state.get(_EXAMPLE) or _example_of_link()
    if prompt is None or st.session_state["compare.prompt"] == prompt:
        return
    st.session_state.pop(_EXAMPLE, None)
    if st.session_state["compare.longest"] == longest:
        st.session_state["compare.longest"] = Decoding().max_new_tokens


def _example_of_link() -> tuple[str | None, int | None]:
    """The example's question and length where its link was opened, as after a reload; nothing where it was not."""
    view = session.view()
    if view.decoding.max_new_tokens == Decoding().max_new_tokens:
        return None, None
    try:
        example = session.client().results.example("compare")
    except HNeuronsError:
        return None, None
    if not isinstance(example, Comparison):
        return None, None
    told = example.request.prompt, example.request.decoding.max_new_tokens
    return told if told == (view.prompt, view.decoding.max_new_tokens) else (None, None)


def ask_the_same() -> None:
    """Ask what the exploration on the other page asked, where its neurons are chosen and nothing is asked here."""
    asked = session.asked()
    if asked is not None:
        session.change(prompt=asked.prompt, chat=asked.chat, system=asked.system, decoding=asked.decoding)


def _mine(view: View) -> tuple[Any, ...]:
    """The fields of the view that only this page writes."""
    return (
        view.alphas, view.own, view.controls, view.kinds, view.control_seed, view.positions, view.known, view.decoding,
        view.against, view.known_of,
    )  # fmt: skip


def _put(view: View) -> None:
    """Set every control to what the view says."""
    alphas = {own.neuron: own.alpha for own in view.own}
    main = view.alphas[0] if view.alphas and not view.own else 0.0
    switches.put({neuron: alphas.get(neuron, main) for neuron in view.neurons})
    rest = view.alphas if view.own else view.alphas[1:]
    beside = [name for name, alpha in BESIDE.items() if alpha in rest]
    if 1.0 in rest:
        session.note("At α = 1 nothing is changed: the baseline is that column.")
    state = st.session_state
    others = state[_OTHERS] = switches.others(rest)
    state["compare.beside"] = [
        *beside, *map(at_alpha, others), *([AGAINST] if view.against else []), *([TWIN] if view.controls else []),
    ]  # fmt: skip
    state["compare.twins"] = max(view.controls, 1)
    state["compare.kinds"] = list(view.kinds)
    state["compare.seed"] = view.control_seed
    state["compare.positions"] = view.positions
    state["compare.known"] = view.known or ""
    state[_KNOWN_OF] = view.known_of or view.prompt
    state["compare.longest"] = view.decoding.max_new_tokens
    state["compare.temperature"] = view.decoding.temperature


def options() -> Options:
    """What the controls say beside the switches. Call `take_up` first."""
    state, view = st.session_state, session.view()
    beside = state["compare.beside"] or []
    decoding = view.decoding.model_copy(
        update={"max_new_tokens": state["compare.longest"], "temperature": state["compare.temperature"]}
    )
    return Options(
        beside=tuple(name for name in BESIDE if name in beside),
        others=tuple(alpha for alpha in others() if at_alpha(alpha) in beside),
        against=negative() if AGAINST in beside else NeuronSet(),
        twins=state["compare.twins"] if TWIN in beside else 0,
        twin_kinds=tuple(state["compare.kinds"]) or view.kinds,
        seed=state["compare.seed"],
        positions=state["compare.positions"],
        decoding=decoding,
        chat=view.chat,
        system=view.system,
    )


def others() -> tuple[float, ...]:
    """Alphas of columns that have no name here, as the last link brought them."""
    found: tuple[float, ...] = st.session_state.get(_OTHERS, ())
    return found


def at_alpha(alpha: float) -> str:
    """The name of a column at an alpha that has none of its own."""
    return f"α = {short(alpha, 6)}"


def negative() -> NeuronSet:
    """The negative weights of the probe in use, where it is of the loaded model."""
    info = session.status().info
    found = session.probe_of(info) if info is not None else None
    return NeuronSet() if found is None else found.against


def keep() -> None:
    """Write the controls into the view: switches, options, known answer, and what is typed but not run."""
    alphas, chosen = switches.current(session.chosen()), options()
    values = set(alphas.values())
    main = tuple(values) if len(values) == 1 else ()
    own = () if len(values) < 2 else tuple(OwnAlpha(neuron=neuron, alpha=alphas[neuron]) for neuron in alphas)
    # A column at the alpha of the switches stands twice: it is one row, and two choices.
    beside = (*(BESIDE[name] for name in chosen.beside), *chosen.others)
    typed = st.session_state["compare.prompt"]
    view = session.change(
        alphas=(*main, *beside) if alphas else (0.0, *beside), own=own,
        controls=chosen.twins, kinds=chosen.twin_kinds, control_seed=chosen.seed, positions=chosen.positions,
        decoding=chosen.decoding, against=AGAINST in (st.session_state["compare.beside"] or ()),
        known=st.session_state["compare.known"] or None, known_of=_other_question(),
        typed=typed if typed != (session.view().prompt or "") else None,
    )  # fmt: skip
    st.session_state["compare.view"] = _mine(view)
    st.session_state["compare.asked"] = (view.prompt, view.typed)


def commit_prompt() -> None:
    """Let what is typed be what is asked, as when Run is pressed. Before the field is drawn."""
    _leave_example()
    session.change(prompt=st.session_state["compare.prompt"], typed=None)
    st.session_state["compare.asked"] = (session.view().prompt, None)


def settle_box() -> None:
    """Let the field and what is about to be asked say the same, before the field is drawn.

    What was typed is asked; a field that was emptied says again what is asked.
    """
    if st.session_state["compare.prompt"].strip():
        commit_prompt()
    else:
        st.session_state["compare.prompt"] = session.view().prompt or ""
    keep()


def wanted() -> CompareRequest | HNeuronsError:
    """The request of the prompt last asked and the switches as they stand, or why there is none."""
    try:
        return switches.compose(session.view().prompt or "", switches.current(session.chosen()), options())
    except ValidationError as error:
        return refused(error)
    except HNeuronsError as error:
        return error


def known_typed() -> None:
    """A known answer was typed: it is that of the question in the box, asked or not yet."""
    st.session_state[_KNOWN_OF] = st.session_state["compare.prompt"]


def known_here_too() -> None:
    """The known answer was typed for another question, and holds for the one that was asked as well."""
    st.session_state[_KNOWN_OF] = session.view().prompt


def _other_question() -> str | None:
    """The question that the known answer was typed for, where that is not the one asked."""
    of = st.session_state.get(_KNOWN_OF)
    return of if st.session_state["compare.known"] and of and of != session.view().prompt else None


def known(prompt: str) -> tuple[str, ...]:
    """The spellings of the known answer that the person typed for `prompt`; none where it was typed for another."""
    if st.session_state.get(_KNOWN_OF) != prompt:
        return ()
    return aliases(st.session_state.get("compare.known") or "")


def known_of_another(prompt: str) -> str | None:
    """The question that the known answer was typed for, where there is one and it is not `prompt`."""
    of = st.session_state.get(_KNOWN_OF)
    return of if of and of != prompt and aliases(st.session_state.get("compare.known") or "") else None
