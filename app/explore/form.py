"""The question and how it is put: prompt box, examples, Run, settings.

Owns the form's fields, which stay as typed whatever becomes of the run, on every page and after an
error. Refuses to run: it hands over a request, or says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from pydantic import ValidationError

from app.explore.view import Unrun
from app.explore.words import visible
from app.shared import example, terms
from app.shared.frame import muted
from backend.types import Decoding, ExploreRequest, Population, Threshold
from backend.types.base import Frozen
from backend.types.refusal import refused

EXAMPLES = (
    "What is the capital of Egypt?",
    "Who is the CEO of Nortel?",
    "What is the opposite of hot?",
    "Who wrote the novel The Glass Harbour?",
)
"""Questions worth asking: two that the small model answers rightly, two that invite it to invent."""

_FORM, _GENERATION = "ask-form", "ask-generation"
_SETTINGS = tuple(Unrun.model_fields)
"""The fields beside the prompt: the request's own, its decoding's and its threshold's, by the names that they have
there."""
_POPULATIONS: dict[Population, str] = {
    "layer": "this layer at this token",
    "token": "all layers at this token",
    "model": "all layers and tokens",
}


def fill(request: ExploreRequest | None, draft: str | None = None, changed: Mapping[str, Any] | None = None) -> None:
    """Put a request into the form's fields, before they are drawn.

    What was typed and not run stands for it: `draft` for its prompt, `changed` for settings by their names.
    """
    form = _form_of(request) | dict(changed or {})
    _put(form if draft is None else form | {"prompt": draft})


def _form_of(request: ExploreRequest | None) -> dict[str, Any]:
    """The fields' values that ask `request`; without one those of a fresh form."""
    request = request or ExploreRequest.model_construct(prompt="")
    parts = (request, request.decoding, request.threshold)
    said = {name: getattr(part, name) for part in parts for name in _SETTINGS if name in type(part).model_fields}
    # An empty text field says that there is none.
    return {"prompt": request.prompt, **{name: "" if value is None else value for name, value in said.items()}}


def _put(form: dict[str, Any]) -> None:
    """New values for all fields, under new keys, so that no browser's older value of a field can win."""
    st.session_state[_FORM] = form
    st.session_state[_GENERATION] = st.session_state.get(_GENERATION, 0) + 1


def typed() -> str:
    """The prompt as it stands in the form."""
    return str(_form().get("prompt", ""))


def changed(asked: ExploreRequest | None) -> dict[str, Any]:
    """The settings, the prompt aside, that no longer stand as `asked` has them."""
    return _differing(_form(), _form_of(asked))


def differing(request: ExploreRequest) -> dict[str, Any]:
    """The settings of `request`, the prompt aside, that no fresh form has."""
    return _differing(_form_of(request), _form_of(None))


def _differing(form: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in form.items() if name != "prompt" and value != before[name]}


def request() -> tuple[ExploreRequest, Decoding]:
    """What the form asks, and how answers are decoded, which is not asked of a given one. Raises BadInput where that
    cannot be asked."""
    form = _form()
    said: dict[str, Any] = {name: None if value == "" else value for name, value in form.items()}

    def of(kind: type[Frozen]) -> dict[str, Any]:
        return {name: value for name, value in said.items() if name in kind.model_fields}

    try:
        decoding, threshold = Decoding(**of(Decoding)), Threshold(**of(Threshold))
        asked = of(ExploreRequest) | {"prompt": form["prompt"], "threshold": threshold}
        return ExploreRequest(**asked, decoding=decoding if asked["answer"] is None else Decoding()), decoding
    except ValidationError as error:
        raise refused(error) from error


def _form() -> dict[str, Any]:
    """The form's values, newest first from its fields: Streamlit forgets fields that a run did not draw."""
    form: dict[str, Any] = st.session_state.setdefault(_FORM, {})
    for name in form:
        value = st.session_state.get(_key(name), form[name])
        form[name] = tuple(value) if isinstance(value, list) else value
    return form


def _key(name: str) -> str:
    return f"ask-{name}-{st.session_state.get(_GENERATION, 0)}"


def _field(name: str) -> dict[str, Any]:
    """Key and value of a field. The value goes as its default, which holds even before the browser has sent any."""
    return {"key": _key(name), "value": _form()[name]}


def draw_form(on_run: Callable[[], None], extra: Callable[[], None]) -> None:
    """The prompt's row and the examples under it.

    Args:
        on_run: called when Run is pressed or an example is picked, before the page is drawn.
        extra: draws what else stands in the row.
    """
    row = st.container(horizontal=True, vertical_alignment="center")
    # A one-line field would drop the line breaks of a prompt that has them.
    field = row.text_area if "\n" in typed() else row.text_input
    field("Your question", **_field("prompt"), placeholder="Ask the model something", label_visibility="collapsed")
    row.button(
        "Run", type="primary", icon=":material/play_arrow:", shortcut="Ctrl+Enter", key="ask-run", on_click=on_run
    )
    with row.popover("Settings", icon=":material/tune:", key="ask-settings"):
        _settings()
    with row:
        extra()
    st.pills(
        "Questions worth asking", EXAMPLES, key="ask-example", on_change=_take_example, args=(on_run,),
        label_visibility="collapsed",
    )  # fmt: skip


def _take_example(on_run: Callable[[], None]) -> None:
    """Ask the example. An answer that was given to look into belongs to another question."""
    picked = st.session_state["ask-example"]
    st.session_state["ask-example"] = None
    if picked is not None:
        _put({**_form(), "prompt": picked, "answer": ""})
        on_run()


def _settings() -> None:
    left, right = st.columns(2)
    left.number_input("Longest answer, in tokens", 1, 2048, **_field("max_new_tokens"), on_change=example.set_by_hand)
    right.number_input(
        "Temperature", 0.0, 5.0, step=0.1, format="%g", **_field("temperature"),
        help=terms.TEMPERATURE,
    )  # fmt: skip
    if _form()["temperature"] > 0:
        left.number_input("Top-k", 0, 1000, **_field("top_k"), help=terms.TOP_K)
        right.number_input(
            "Top-p", 0.0, 1.0, step=0.05, format="%g", **_field("top_p"),
            help=terms.TOP_P,
        )  # fmt: skip
        left.number_input("Seed", 0, 2**31 - 1, **_field("seed"), help="The same seed draws the same answer again")
    st.multiselect(
        "Texts that end the answer", _form()["stop"], _form()["stop"], key=_key("stop"), accept_new_options=True,
        max_selections=8, format_func=visible, placeholder="none yet: type one",
    )  # fmt: skip
    st.text_area("System prompt", **_field("system"), height=68, placeholder="the template’s own, if it has one")
    st.text_area(
        "Look into this answer instead of a new one", **_field("answer"), height=68,
        placeholder="leave empty to let the model answer",
    )  # fmt: skip
    if _form()["answer"]:
        st.markdown(muted("A given answer is read unchanged. The settings above for writing an answer are not used."))
    st.toggle("Chat template around the question", **_field("chat"))
    st.markdown("**A neuron is strong** if its CETT is above the mean + k standard deviations over")
    left, right = st.columns([3, 2])
    populations = list(_POPULATIONS)
    left.selectbox(
        "neurons of", populations, index=populations.index(_form()["population"]), key=_key("population"),
        format_func=lambda name: _POPULATIONS[name], label_visibility="collapsed",
    )  # fmt: skip
    right.number_input("k", 0.0, 20.0, step=0.5, format="%g", **_field("k"), label_visibility="collapsed")
