"""Bringing a figure into the window: a link to a cell opens where the cell is.

Owns the one piece of script that scrolls, by the least that shows the figure whole, and never twice for one turn.
Refuses to scroll once a person did.
"""

from __future__ import annotations

import streamlit as st

_JS = """
export default function (component) {
  const { data, parentElement } = component;
  const held = parentElement.host || parentElement;
  if (held.dataset.turn === String(data.turn)) return;
  held.dataset.turn = String(data.turn);
  let moved = false;
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    window.addEventListener(kind, () => { moved = true; }, { once: true, capture: true });
  }
  // Charts above it take their height one after another, so once is not enough.
  for (const after of [50, 400, 1200, 2500]) {
    setTimeout(() => {
      const figure = document.querySelector(`.st-key-${CSS.escape(data.key)}`);
      if (figure && !moved) figure.scrollIntoView({ block: "nearest" });
    }, after);
  }
}
"""


def bring(key: str, turn: int) -> None:
    """Scroll to the container of `key`, once for each `turn`; a turn of 0 leaves the window as it is."""
    if turn:
        mount = st.components.v2.component("into_view", html="<span></span>", js=_JS)
        mount(key=f"into-view-{key}", data={"key": key, "turn": turn})
