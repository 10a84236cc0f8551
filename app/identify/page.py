"""Identify: the probe's report card, making one of one's own, looking at verdicts, comparing probes.

Reads the view, draws the room it names, writes the view.
"""

from __future__ import annotations

import streamlit as st

from app import session, shelf, text
from app.identify import answers, elsewhere, probes, report, runs, train
from app.identify import words as identify_words
from app.identify.view import IdentifyView, Room
from app.shared import address, frame, model_status, terms
from app.shared.view import Shared
from backend.types.probe import Probe

ROOMS: dict[Room, str] = {
    "report": "Report card", "elsewhere": "Elsewhere", "train": "Train", "answers": "Answers",
    "probes": "Compare probes",
}  # fmt: skip


def page() -> None:
    """The whole page, top to bottom."""
    session.open_view("identify")
    probe = shelf.in_use()
    room = session.view(IdentifyView).room
    _head(probe, room)
    head = st.container()
    with st.container():
        model_status.waiting()
    if room == "train":
        train.draw_training(probe)
    elif room == "elsewhere":
        elsewhere.draw_elsewhere(probe)
    elif room == "answers":
        answers.draw_answers()
    elif room == "probes":
        probes.draw_comparison(probe)
    elif probe is not None:
        report.draw_report(probe)
    else:
        _none()
    # Last, and above: a room finds out too what of a link is not here.
    with head:
        frame.notes(*session.link_notes(), shelf.missing())
    runs.asked_to_delete()
    address.close("identify")


def _head(probe: Probe | None, room: Room) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    tested = shelf.scorings(probe) if probe is not None else ()
    words = identify_words.heading(probe, tested) if probe is not None else "No probe for this model yet"
    row.header(text.markdown(words), anchor=False, width="content", help=terms.IDENTIFY)
    with row.container(horizontal=True, vertical_alignment="center", width="content"):
        _rooms(room)
        if room != "train" and st.button(
            "Train on my questions", type="primary", icon=":material/neurology:", key="go-train"
        ):
            session.change(IdentifyView, room="train")
            st.rerun()
    if probe is not None and room in ("report", "elsewhere"):
        line = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
        line.markdown(frame.muted(text.markdown(identify_words.worth(probe, tested))), width="content")
        _which(probe, line)


def _rooms(room: Room) -> None:
    key = f"room-{room}"

    def pick() -> None:
        session.change(IdentifyView, room=st.session_state[key])

    st.segmented_control(
        "What to see", list(ROOMS), default=room, required=True, key=key, on_change=pick,
        format_func=lambda name: ROOMS[name], label_visibility="collapsed",
    )  # fmt: skip


def _which(probe: Probe, line: st.delta_generator.DeltaGenerator) -> None:
    """The probes that are here, where there is more than one."""
    names = [listed.name for listed in shelf.probes()]
    if len(names) < 2:
        return
    key = f"which-{probe.name}-{len(names)}"

    def pick() -> None:
        session.change(Shared, probe=st.session_state[key], card=None)

    line.selectbox(
        "Probe", names, index=names.index(probe.name) if probe.name in names else 0, key=key, on_change=pick,
        label_visibility="collapsed", width=260,
    )  # fmt: skip


def _none() -> None:
    info = session.status().info
    name = text.markdown(info.name) if info else "this model"
    st.markdown(
        f"A probe belongs to one model, and no probe here was made on {name}. **Train** makes one: it asks the model "
        "questions, keeps those that it answers right again and again or wrong again and again, and looks for neurons "
        "that tell the two apart. To import a probe from a file, go to **Compare probes**."
    )


page()
