"""What Compare asks for: its controls joined with the draft, and the request that the draft makes.

Owns the page's keys `compare.*` of session state. Refuses to draw and to run: it hands the page a
request, or the error that says why there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

from app import session, shelf
from app.compare import draft, switches
from app.compare.switches import BESIDE
from app.compare.view import SETTINGS, CompareView
from app.shared import example, joins
from app.shared.joins import Field, Join
from app.shared.view import Shared
from backend.errors import HNeuronsError
from backend.neurons import NeuronSet
from backend.text.verdict import aliases
from backend.types import CompareRequest, CompareSettings, Comparison, Decoding, Exploration, OwnAlpha
from backend.types.base import Frozen
from backend.types.numbers import short
from backend.types.refusal import refused

TWIN = "Random twin"
AGAINST = "Negative weights"
_OTHERS, _PRESSED = "compare.others", "compare.pressed"
_PROMPT, _KNOWN, _BESIDE, TWINS = "compare.prompt", "compare.known", "compare.beside", "compare.twins"
_DECODED = ("max_new_tokens", "temperature")
"""Of decoding, what this page shows; the rest stays as Explore or a link has it."""
_KNOWN_OF = "compare.known_of"
"""The question that the known answer was typed for."""


def key(name: str) -> str:
    """The key of the widget that shows a setting of the draft, or of decoding."""
    return f"compare.{name}"


def take_up() -> bool:
    """Let controls and view say the same, whichever was changed; whether the view was, by something else than them.

    So a link, the Back button and another page's choices reach the switches.
    """
    other = joins.take_up(JOINS)
    joins.keep(JOINS)
    return other


def choose_own() -> None:
    """A link that gives neurons alphas of their own chooses them; those that it does not choose beside others are told
    of, for they have no switch, and those that it gives two alphas, for they have neither."""
    settings = session.view(CompareView).draft
    once, twice = draft.own_once(settings)
    if twice:
        session.change(CompareView, draft=once)
        session.note(
            f"The link gives {_some(twice)} two alphas, and it is not clear which one to use. The switch is set to "
            "Suppress."
        )
    own = NeuronSet(tuple(pair.neuron for pair in settings.own))
    chosen = session.chosen()
    left_out = [str(neuron) for neuron in own if neuron not in chosen.ids]
    if not chosen:
        session.choose(own)
    elif left_out:
        session.note(f"The link has an alpha for {_some(left_out)}, but does not choose it. The alpha was left out.")


def _some(neurons: Sequence[str]) -> str:
    more = f" and {len(neurons) - 3} more" if len(neurons) > 3 else ""
    return f"{', '.join(neurons[:3])}{more}"


def show_example(result: Comparison) -> bool:
    """Put the request of a finished example into the view, so that its switches can be flipped.

    Returns:
        Whether it stands in the place of settings that were in the view.
    """
    asked = result.request
    example.shown(asked.prompt, asked.decoding.max_new_tokens)
    chosen, settings = draft.of_request(asked)
    its: dict[type[Frozen], dict[str, Any]] = {
        Shared: {
            "prompt": asked.prompt, "chat": asked.chat, "system": asked.system, "decoding": asked.decoding,
            "neurons": chosen,
        },
        CompareView: {"draft": settings, "against": bool(asked.against)},
    }  # fmt: skip
    stood = any(getattr(session.view(kind), name) != getattr(kind(), name) for kind in its for name in its[kind])
    for kind, fields in its.items():
        session.change(kind, **fields)
    return stood


def press_run() -> None:
    """Run was pressed: told before the page is drawn, so that its fields can still be set."""
    st.session_state[_PRESSED] = True


def pressed() -> bool:
    """Whether Run was pressed and nothing was asked for it yet."""
    return bool(st.session_state.get(_PRESSED, False))


def forget_press() -> None:
    """Run was pressed and has asked. Not before: a run of the page that another one ends early would lose the press."""
    st.session_state[_PRESSED] = False


def ask_the_same() -> None:
    """Ask what the exploration on the other page asked, where its neurons are chosen and nothing is asked here."""
    shown = session.result("explore", Exploration)
    if shown is not None:
        asked = shown.request
        session.change(Shared, prompt=asked.prompt, chat=asked.chat, system=asked.system)
        if asked.answer is None:
            session.change(Shared, decoding=asked.decoding)


def _put_switchboard(alphas: tuple[float, ...], own: tuple[OwnAlpha, ...], against: bool, controls: int) -> None:
    """Set the switches and what stands beside them."""
    settings = CompareSettings.model_construct(alphas=alphas, own=own)
    switches.put(draft.switches(settings, session.chosen()))
    beside = draft.columns(settings)
    if 1.0 in beside:
        session.note("At α = 1 nothing changes: that column would be the baseline.")
    others = st.session_state[_OTHERS] = switches.others(beside)
    st.session_state[_BESIDE] = [
        *(name for name, alpha in BESIDE.items() if alpha in beside), *map(at_alpha, others),
        *([AGAINST] if against else []), *([TWIN] if controls else []),
    ]  # fmt: skip
    st.session_state[TWINS] = max(controls, 1)


def _read_switchboard() -> tuple[Any, ...]:
    state = st.session_state
    beside = state[_BESIDE] or ()
    # A column at the alpha of the switches stands twice: it is one row, and two choices.
    columns = (
        *(alpha for name, alpha in BESIDE.items() if name in beside),
        *(alpha for alpha in others() if at_alpha(alpha) in beside),
    )
    set_so = draft.fields(switches.current(session.chosen()), columns)
    return set_so["alphas"], set_so["own"], AGAINST in beside, state[TWINS] if TWIN in beside else 0


# Whole, so that a seed that was set on another page counts as changed here too.
def _put_decoding(decoding: Decoding) -> None:
    for name in _DECODED:
        st.session_state[key(name)] = getattr(decoding, name)


def _read_decoding() -> tuple[Any, ...]:
    shown = {name: st.session_state[key(name)] for name in _DECODED}
    return (session.view(Shared).decoding.model_copy(update=shown),)


def _put_prompt(typed: str | None, prompt: str | None) -> None:
    st.session_state[_PROMPT] = typed if typed is not None else prompt or ""


def _read_prompt() -> tuple[Any, ...]:
    typed = st.session_state[_PROMPT]
    return (typed if typed != (session.view(Shared).prompt or "") else None,)


def _put_known(known: str | None, known_of: str | None) -> None:
    if known_of and not known:
        session.note(
            f"The link names “{known_of[:90]}” as the question of a known answer, but has no known answer. "
            "It was left out."
        )
    st.session_state[_KNOWN] = known or ""
    st.session_state[_KNOWN_OF] = known_of or session.view(Shared).prompt


def _read_known() -> tuple[Any, ...]:
    return st.session_state[_KNOWN] or None, _other_question()


_BOARD = ("alphas", "own", "controls")
"""The settings that switches and columns show together."""
JOINS = (
    Join(
        (
            Field(CompareView, "draft.alphas"),
            Field(CompareView, "draft.own"),
            Field(CompareView, "against"),
            Field(CompareView, "draft.controls"),
        ),
        _put_switchboard,
        _read_switchboard,
    ),
    *(joins.plain(CompareView, f"draft.{name}", key(name)) for name in SETTINGS if name not in _BOARD),
    Join((Field(Shared, "decoding"),), _put_decoding, _read_decoding),
    Join((Field(CompareView, "typed"),), _put_prompt, _read_prompt, shown=(Field(Shared, "prompt"),)),
    Join((Field(CompareView, "known"), Field(CompareView, "known_of")), _put_known, _read_known),
)
"""The page's controls with the fields that they show."""


def others() -> tuple[float, ...]:
    """Alphas of columns that have no name here, as the last link brought them."""
    alphas: tuple[float, ...] = st.session_state.get(_OTHERS, ())
    return alphas


def at_alpha(alpha: float) -> str:
    """The name of a column at an alpha that has none of its own."""
    return f"α = {short(alpha, 6)}"


def put_twin_beside() -> None:
    """Let the switches have a random twin, before the columns are drawn."""
    beside = st.session_state.get(_BESIDE) or []
    if TWIN not in beside:
        st.session_state[_BESIDE] = [*beside, TWIN]


def negative() -> NeuronSet:
    """The negative weights of the probe in use, where it is of the loaded model."""
    info = session.status().info
    probe = shelf.of(info) if info is not None else None
    return NeuronSet() if probe is None else probe.against


def commit_prompt() -> None:
    """Let what is typed be what is asked, as when Run is pressed. Before the field is drawn."""
    # Another question than the example's has answers of the usual length, not the example's short ones.
    longest = key("max_new_tokens")
    st.session_state[longest] = example.length(st.session_state[_PROMPT], st.session_state[longest])
    session.change(Shared, prompt=st.session_state[_PROMPT])
    joins.keep(JOINS)


def settle_box() -> None:
    """Let the field and what is about to be asked say the same, before the field is drawn.

    What was typed is asked; a field that was emptied says again what is asked.
    """
    if st.session_state[_PROMPT].strip():
        commit_prompt()
    else:
        st.session_state[_PROMPT] = session.view(Shared).prompt or ""
        joins.keep(JOINS)


def wanted() -> CompareRequest | HNeuronsError:
    """The request of the prompt last asked and the switches as they stand, or why there is none."""
    view = session.view(CompareView)
    try:
        asked = draft.request(session.view(Shared), view.draft, negative() if view.against else NeuronSet())
    except ValidationError as error:
        return refused(error)
    except HNeuronsError as error:
        return error
    return asked.model_copy(update={"probe": shelf.scored_by()})


def known_typed() -> None:
    """A known answer was typed: it is that of the question in the box, asked or not yet."""
    st.session_state[_KNOWN_OF] = st.session_state[_PROMPT]


def known_here_too() -> None:
    """The known answer was typed for another question, and holds for the one that was asked as well."""
    st.session_state[_KNOWN_OF] = session.view(Shared).prompt


def _other_question() -> str | None:
    """The question that the known answer was typed for, where that is not the one asked."""
    of = st.session_state.get(_KNOWN_OF)
    return of if st.session_state[_KNOWN] and of and of != session.view(Shared).prompt else None


def known(prompt: str) -> tuple[str, ...]:
    """The spellings of the known answer that the person typed for `prompt`; none where it was typed for another."""
    if st.session_state.get(_KNOWN_OF) != prompt:
        return ()
    return aliases(st.session_state.get(_KNOWN) or "")


def known_of_another(prompt: str) -> str | None:
    """The question that the known answer was typed for, where there is one and it is not `prompt`."""
    of = st.session_state.get(_KNOWN_OF)
    return of if of and of != prompt and aliases(st.session_state.get(_KNOWN) or "") else None
