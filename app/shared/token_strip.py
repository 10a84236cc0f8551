"""The tokens of a text as a row of buttons, tinted by a score, the selected one boxed.

Owns the strip: spaces visible, template tokens dashed and muted, each token a button that keyboard and
screen reader reach. Text enters the page as text alone, so no token can become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import streamlit as st

from app import text
from app.style import Palette
from backend.types import TokenInfo
from backend.types.numbers import fixed, percent

_HTML = '<button class="skip" type="button">Skip the tokens</button><div class="strip" role="group"></div>'

_CSS = """
.strip {
  display: flex; flex-wrap: wrap; gap: 3px; align-items: stretch; max-height: 188px; overflow-y: auto; padding: 4px 0;
}
button {
  font: inherit; font-size: 1.1875rem; line-height: 1.6; color: var(--st-text-color); border: 2px solid transparent;
  border-radius: 6px; padding: 1px 5px; cursor: pointer; white-space: pre; max-width: 100%; overflow-wrap: anywhere;
}
button:hover { border-color: var(--st-border-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
button.template { border: 1px dashed var(--st-border-color); font-size: 0.875rem; }
button.prompt { font-size: 1rem; }
.strip.long button { font-size: 1rem; line-height: 1.5; }
.strip.long button.prompt, .strip.long button.template { font-size: 0.875rem; }
button[aria-pressed="true"] { border: 2px solid var(--strip-chosen); }
button.skip { position: absolute; left: -9999px; font-size: 0.875rem; background: var(--st-background-color); }
button.skip:focus { position: static; border-color: var(--st-border-color); }
.gap { flex-basis: 100%; height: 0; }
"""

_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const strip = parentElement.querySelector(".strip");
  const held = parentElement.activeElement ? parentElement.activeElement.dataset.pos : undefined;
  strip.replaceChildren();
  strip.setAttribute("aria-label", data.label);
  strip.classList.toggle("long", data.tokens.length > 30);
  strip.style.setProperty("--strip-chosen", data.chosen);
  let role = null;
  for (const token of data.tokens) {
    if (role !== null && role !== token.role) {
      const gap = document.createElement("span");
      gap.className = "gap";
      strip.appendChild(gap);
    }
    role = token.role;
    const button = document.createElement("button");
    button.type = "button";
    button.className = token.role;
    button.textContent = token.text;
    button.title = token.title;
    button.dataset.pos = token.pos;
    button.style.backgroundColor = token.tint;
    button.style.color = token.colour;
    button.setAttribute("aria-pressed", token.selected ? "true" : "false");
    button.onclick = () => setTriggerValue("picked", token.pos);
    strip.appendChild(button);
    if (String(token.pos) === held) button.focus();
  }
  const skip = parentElement.querySelector(".skip");
  skip.hidden = data.tokens.length < 2;
  skip.onclick = () => {
    const own = parentElement.host || parentElement;
    const every = [...document.querySelectorAll("button, a[href], input, select, textarea")];
    const behind = (one) => own.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING && !own.contains(one);
    const next = every.find((one) => behind(one) && one.offsetParent !== null && !one.disabled);
    if (next) next.focus();
  };
  strip.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...strip.querySelectorAll("button")];
    const next = all[all.indexOf(parentElement.activeElement) + step];
    if (next) { next.focus(); event.preventDefault(); }
  };
}
"""


@dataclass(frozen=True)
class StripToken:
    """One token of the strip: its position in the text and how deep its tint is, 0..1."""

    pos: int
    token: TokenInfo
    share: float


def strip(
    tokens: Sequence[StripToken],
    palette: Palette,
    *,
    key: str,
    label: str,
    selected: int | None = None,
    on_pick: Callable[[int], object] | None = None,
) -> None:
    """Draw the tokens; `on_pick` is called with the position of one that is pressed.

    Args:
        tokens: what is drawn, in reading order.
        palette: the theme's colours.
        key: unique on the page.
        label: what the strip is, for those who hear it.
        selected: the boxed position.
        on_pick: takes a position that stands in `tokens`.
    """
    drawn = {token.pos for token in tokens}

    def picked() -> None:
        pos = st.session_state[key].get("picked")
        if isinstance(pos, int) and pos in drawn and on_pick is not None:
            on_pick(pos)

    mount = st.components.v2.component("token_strip", html=_HTML, css=_CSS, js=_JS)
    data = {"label": label, "chosen": palette.chosen, "tokens": [_button(token, palette, selected) for token in tokens]}
    mount(key=key, data=data, on_picked_change=picked)


def _button(token: StripToken, palette: Palette, selected: int | None) -> dict[str, Any]:
    template = token.token.role == "template"
    return {
        "pos": token.pos,
        "text": text.named(token.token.shown),
        "title": described(token.token, token.pos),
        "role": token.token.role,
        "tint": "transparent" if template else palette.tint(token.share),
        "colour": palette.muted if template else palette.on_tint(token.share),
        "selected": token.pos == selected,
    }


def described(token: TokenInfo, pos: int) -> str:
    """A token in words: place, role, and how likely the model held it."""
    sentence = f"token {pos}, {token.role}, id {token.id}"
    if token.log_prob is not None:
        sentence += f"; probability {percent(exp(token.log_prob), 1)}"
    if token.entropy is not None:
        sentence += f", entropy {fixed(token.entropy)} nats"
    return sentence


def streaming(tokens: Sequence[TokenInfo], key: str, label: str, palette: Palette) -> None:
    """Tokens that are still coming, untinted."""
    strip([StripToken(i, token, 0.0) for i, token in enumerate(tokens)], palette, key=key, label=label)
