"""The controls of Compare: question, known answer, Run, settings, switches and presets.

Owns how they are drawn. What they show and set, `state` says; of switches, `switches` does.
"""

from __future__ import annotations

import streamlit as st

from app import session, text
from app.compare import popovers, presets, rows, state, switches
from app.compare.state import AGAINST, TWIN
from app.compare.switches import BESIDE
from app.compare.view import CompareView
from app.shared import example, frame, joins, terms
from app.shared.neuron import pushes, sets
from backend.types import MAX_PROMPT_CHARACTERS, CompareRequest
from backend.types.numbers import short
from backend.types.requests import CONTROL_KINDS

POSITIONS = {"all": "all tokens", "prompt": "the question only", "answer": "the answer only"}
FLIP = "compare.flip"
ALPHA_HELP = (
    "A switch multiplies its neuron's activation by a number, **α**: 0 for Suppress, 1 for Normal, 2 for Amplify. In "
    "the columns beside, α is 0.5 for Half, 2 for Double and 3 for Triple."
)


def question() -> None:
    """Question, known answer, Run and settings in one line."""
    line = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    line.text_input(
        "Question", key="compare.prompt", max_chars=MAX_PROMPT_CHARACTERS, icon=":material/edit:",
        label_visibility="collapsed", placeholder="Ask something the model may know, or may invent",
        persist_state="session",
    )  # fmt: skip
    line.text_input(
        "Known answer", key="compare.known", label_visibility="collapsed", width=250, persist_state="session",
        placeholder="Known answer: Cairo | Al-Qahirah", on_change=state.known_typed,
        help="Marks each answer right or wrong. Separate several spellings with |. If it is empty, nothing is marked.",
    )  # fmt: skip
    line.button(
        "Run", type="primary", icon=":material/play_arrow:", shortcut="Ctrl+Enter", key="compare.run", wrap=False,
        on_click=state.press_run,
    )  # fmt: skip
    with line.popover("Settings", icon=":material/tune:", key=popovers.key(popovers.SETTINGS)):
        _settings()


def _settings() -> None:
    st.segmented_control(
        "The switches act on", list(POSITIONS), format_func=lambda name: POSITIONS[name], key=state.key("positions"),
        required=True, persist_state="session",
    )  # fmt: skip
    st.pills(
        "Random twins are drawn from", list(CONTROL_KINDS), selection_mode="multi",
        format_func=CONTROL_KINDS.__getitem__, key=state.key("control_kinds"), persist_state="session",
        help="A random twin sets as many other neurons to the same α. They are drawn from the layers of your neurons, "
        "or from any layer.",
    )  # fmt: skip
    left, right = st.columns(2)
    left.number_input("Random twins of each kind", 1, 20, key=state.TWINS, persist_state="session")
    right.number_input(
        "Seed of the draw", 0, 2**31 - 1, key=state.key("control_seed"), persist_state="session"
    )  # fmt: skip
    left.number_input(
        "Longest answer, in tokens", 1, 2048, key=state.key("max_new_tokens"), persist_state="session",
        on_change=example.set_by_hand,
    )  # fmt: skip
    right.number_input(
        "Temperature", 0.0, 5.0, step=0.1, format="%g", key=state.key("temperature"), persist_state="session",
        help=terms.TEMPERATURE,
    )  # fmt: skip
    st.toggle("Run at every flip of a switch", **joins.follow(CompareView, "flips", FLIP))


def switchboard() -> None:
    """One switch a neuron, with the presets and the way to more neurons."""
    chosen, model = session.chosen(), session.status().info
    line = frame.heading("Switches", ALPHA_HELP, label=None)
    if model is not None:
        with line.container(horizontal=True, width="content", vertical_alignment="center"):
            presets.menu(model)
            sets.adder("compare", model.layout, popover=popovers.key("adder"))
    if not chosen:
        st.markdown("No neuron is chosen. Tick some on Explore, or add some here, and each gets a switch.")
    directions = pushes.towards(chosen.ids) if 0 < len(chosen) <= switches.MOST_ROWS else None
    switches.draw_switches(chosen, dict(zip(chosen.ids, directions or (), strict=False)))
    with st.container(horizontal=True, vertical_alignment="center", wrap=True):
        st.pills(
            "Columns beside", _beside_names(), selection_mode="multi", key="compare.beside",
            label_visibility="collapsed", format_func=_beside, persist_state="session",
            help="More answers to compare: with every switched neuron at half, double or triple, with as many other "
            "neurons in their place (random twin), or with the probe's negative weights in their place.",
        )  # fmt: skip
        if chosen:
            st.button(
                "All off", key="compare.off", type="tertiary", icon=":material/toggle_off:",
                on_click=switches.put_all, args=(chosen.ids, 0.0), help="Set every switch to Suppress",
            )  # fmt: skip


def _beside_names() -> list[str]:
    """What can stand beside the switches: negative weights only where a probe of this model has some."""
    more = map(state.at_alpha, state.others())
    return [*BESIDE, *more, *(name for name in (AGAINST, TWIN) if name != AGAINST or state.negative())]


def _beside(name: str) -> str:
    alphas: dict[str, float] = dict(BESIDE.items())
    if name in alphas:
        return f"+ {name}, α = {short(alphas[name], 6)}"
    return f"+ {name}" if name.startswith("α") else name


def runs_on_flip() -> bool:
    """Whether a flipped switch runs at once."""
    return session.view(CompareView).flips


def stale(wanted: CompareRequest, shown: CompareRequest) -> None:
    """Say where what is shown answers other switches than those that stand now, or another question than the box."""
    typed = session.view(CompareView).typed
    asked = text.markdown(shown.prompt[:90])
    if typed is not None and typed != shown.prompt:
        words = (
            f"These answers are to “{asked}”. The box holds another question. Run asks it; so does a flipped switch."
        )
    elif wanted.prompt != shown.prompt:
        words = f"These answers are to “{asked}”, an earlier question. Press Run to ask the present one."
    elif rows.unscored(wanted) != rows.unscored(shown):
        words = "These answers were made with other settings of the switches. Press Run to use the present ones."
    else:
        return
    st.info(words, icon=":material/history:")
