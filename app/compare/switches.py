"""Neuron switches: what each neuron is set to, as it is drawn.

Owns the settings (one alpha a neuron) with their controls. Refuses to run anything; `draft` says what request they
make. Settings live in session state under `switch.*`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import pandas as pd
import streamlit as st

from app import session, text
from app.roles import alpha_text
from app.shared.neuron import dialog
from backend.neurons import NeuronId, NeuronSet
from backend.types import MAX_ALPHA
from backend.types.numbers import counted

Choice = Literal["Suppress", "Normal", "Amplify", "Own α"]
Beside = Literal["Half", "Double", "Triple"]

ALPHAS: dict[Choice, float] = {"Suppress": 0.0, "Normal": 1.0, "Amplify": 2.0}
BESIDE: dict[Beside, float] = {"Half": 0.5, "Double": 2.0, "Triple": 3.0}
MOST_ROWS = 12
"""Beyond so many neurons one switch moves the whole set, and a table holds each one's alpha."""
WHOLE = "set"
_EDITS = "switch.table"
_NARROW = """<style>
.st-key-compare-beside [role="toolbar"] { flex-wrap: wrap; overflow: visible; }
@media (max-width: 640px) {
  [class*="st-key-switchrow-"] { flex-wrap: wrap; row-gap: 0.25rem; padding-bottom: 0.5rem; }
  [class*="st-key-switchrow-"] > :has([data-testid="stButtonGroup"]) { flex: 1 1 100%; order: 3; }
  [class*="st-key-switchrow-"] > :nth-child(2) { flex: 1 1 0; min-width: 0; }
}
</style>"""
"""On a phone a switch takes two lines: name, what it pushes towards and alpha, then its positions. Pills wrap."""


def others(alphas: Sequence[float]) -> tuple[float, ...]:
    """Those of the columns' alphas that have no name here; one at 1 would be the baseline once more."""
    return tuple(dict.fromkeys(alpha for alpha in alphas if alpha not in BESIDE.values() and alpha != 1.0))


def choice_of(alpha: float) -> Choice:
    """The switch position that an alpha has: its own name where there is one."""
    return next((name for name, value in ALPHAS.items() if value == alpha), "Own α")


def put(alphas: Mapping[NeuronId, float]) -> None:
    """Set the switches, before they are drawn. Others keep their setting."""
    for neuron, alpha in alphas.items():
        _put(str(neuron), alpha)


def put_all(neurons: Sequence[NeuronId], alpha: float) -> None:
    """One alpha for every switch: what a preset does."""
    put(dict.fromkeys(neurons, alpha))


def _put(name: str, alpha: float) -> None:
    st.session_state[f"switch.{name}"] = choice_of(alpha)
    st.session_state[f"switch.alpha.{name}"] = alpha


def current(chosen: NeuronSet) -> dict[NeuronId, float]:
    """What the switches of `chosen` are set to, drawn or not; a new neuron is suppressed."""
    return {neuron: _get(str(neuron)) for neuron in chosen}


def _get(name: str) -> float:
    choice: Choice = st.session_state.get(f"switch.{name}") or "Suppress"
    return ALPHAS[choice] if choice in ALPHAS else float(st.session_state.get(f"switch.alpha.{name}", 0.0))


def draw_switches(chosen: NeuronSet, pushes: Mapping[NeuronId, str]) -> None:
    """The switches of `chosen`; `current` reads them.

    Args:
        chosen: the neurons, in the order of the model.
        pushes: what each neuron's output direction raises most, where it is known.
    """
    st.html(_NARROW)
    if len(chosen) > MOST_ROWS:
        _draw_set(chosen)
        return
    for neuron in chosen:
        st.session_state.setdefault(f"switch.{neuron}", "Suppress")
        st.session_state.setdefault(f"switch.alpha.{neuron}", 0.0)
        _row(str(neuron), str(neuron), pushes.get(neuron, ""))


def _draw_set(chosen: NeuronSet) -> None:
    """One switch that moves every neuron of a large set, and a table in which each can be set by itself."""
    alphas = current(chosen)
    values = set(alphas.values())
    together = "one for all" if len(values) == 1 else "each its own α"
    if len(values) > 1:
        st.session_state[f"switch.{WHOLE}"] = None
        st.session_state.setdefault(f"switch.alpha.{WHOLE}", 0.0)
    elif st.session_state.get(f"switch.{WHOLE}") is None or _get(WHOLE) not in values:
        _put(WHOLE, *values)
    _row(WHOLE, f"All {len(chosen):,}", together, on_change=lambda: put_all(chosen.ids, _get(WHOLE)))
    with st.expander(f"Set each of the {counted(len(chosen), 'neuron')} separately", key="each-switch"):
        # A new key takes the table up as it now is, so that no edit of it is taken twice.
        key = f"{_EDITS}.{st.session_state.setdefault(_EDITS, 0)}"
        table = pd.DataFrame({"Neuron": [str(neuron) for neuron in alphas], "α": list(alphas.values())})

        def take() -> None:
            put(edited(list(alphas), st.session_state[key].get("edited_rows", {})))
            st.session_state[_EDITS] += 1

        st.data_editor(
            table, key=key, on_change=take, hide_index=True, num_rows="fixed", disabled=["Neuron"], height=260,
            # With a step, alphas between two steps would be cut.
            column_config={"α": st.column_config.NumberColumn(min_value=0.0, max_value=MAX_ALPHA, format="%g")},
        )  # fmt: skip


def edited(neurons: Sequence[NeuronId], rows: Mapping[Any, Mapping[str, Any]]) -> dict[NeuronId, float]:
    """The alphas that were typed into the table: row number -> column -> value. What is no alpha is left out."""
    alphas = {}
    for place, cells in rows.items():
        alpha = cells.get("α")
        if 0 <= int(place) < len(neurons) and isinstance(alpha, int | float) and 0 <= alpha <= MAX_ALPHA:
            alphas[neurons[int(place)]] = float(alpha)
    return alphas


def _row(name: str, label: str, note: str, on_change: Callable[[], None] | None = None) -> None:
    """One switch: its name, what it pushes towards, the four positions, its alpha or the field for it."""
    key, field = f"switch.{name}", f"switch.alpha.{name}"
    with st.container(
        horizontal=True, wrap=False, vertical_alignment="center", gap="small",
        key=f"switchrow-{name}".replace(":", "-"),
    ):  # fmt: skip
        with st.container(width=96):
            if name == WHOLE:
                st.markdown(f"**{text.markdown(label)}**")
            elif st.button(f"**{label}**", key=f"open.{name}", type="tertiary", help="Open this neuron's card"):
                dialog.open_card(NeuronId.parse(name), note)
        with st.container(width=128):
            st.html(_one_line(note))
        choice = st.segmented_control(
            f"Switch of {label}", get_args(Choice), key=key, required=name != WHOLE, label_visibility="collapsed",
            width="content", wrap=False, persist_state="session", on_change=on_change,
        )  # fmt: skip
        if choice == "Own α":
            st.number_input(
                f"α of {label}, 0 to {MAX_ALPHA:g}", 0.0, MAX_ALPHA, step=0.25, format="%g", key=field,
                label_visibility="collapsed", width=92, persist_state="session", on_change=on_change,
            )  # fmt: skip
            return
        with st.container(width=92):
            st.text(f"α = {alpha_text(ALPHAS[choice])}" if choice else "")


def _one_line(words: str) -> str:
    """Muted words that end in an ellipsis where they are too long, so that every switch is one line high."""
    style = f"color:{session.palette().muted};white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
    shown = text.html(words)
    return f'<div style="{style}" title="{shown}">{shown or "&nbsp;"}</div>'
