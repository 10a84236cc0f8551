"""The example of Compare, whose answers are short because they are shipped: its length is no setting of a person's.

Owns what of it another question leaves behind, on whichever page that is asked. Refuses to draw and to run.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared.view import Shared
from backend.errors import HNeuronsError
from backend.types import Comparison, Decoding

_SHOWN = "example.shown"
"""Key of the question and the length of the example that this session was shown."""


def shown(asked: str, longest: int) -> None:
    """The example stands in the view now, with answers of at most `longest` tokens."""
    st.session_state[_SHOWN] = asked, longest


def set_by_hand() -> None:
    """The length is a person's from now on, whatever it is."""
    st.session_state[_SHOWN] = None, None


def length(prompt: str, longest: int) -> int:
    """How long an answer to `prompt` may be: `longest`, or the usual where the example alone brought that number.

    To be asked while the view still has the question before.
    """
    if prompt == session.view(Shared).prompt:
        return longest
    asked, its = st.session_state.get(_SHOWN) or _of_link()
    if asked is None or prompt == asked:
        return longest
    st.session_state.pop(_SHOWN, None)
    return Decoding().max_new_tokens if longest == its else longest


def _of_link() -> tuple[str | None, int | None]:
    """The example's question and length where its link was opened, as after a reload; nothing where it was not."""
    shared = session.view(Shared)
    if shared.decoding.max_new_tokens == Decoding().max_new_tokens:
        return None, None
    try:
        example = session.client().results.example("compare")
    except HNeuronsError:
        return None, None
    if not isinstance(example, Comparison):
        return None, None
    asked = example.request.prompt, example.request.decoding.max_new_tokens
    return asked if asked == (shared.prompt, shared.decoding.max_new_tokens) else (None, None)
