"""The parts of Models: what is loaded, how far loading is, the table of what could be, the way to another.

Owns how a model and its memory are told. Refuses to load anything itself: the engine does.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app import presence, session, text
from app.shared import frame, jobs
from backend.errors import Busy, HNeuronsError, ModelTooLarge, Unknown, UnknownModel
from backend.types import ModelChoice, ModelInfo, ModelOrder, ModelStatus, numbers
from backend.types.numbers import byte_size, counted

AUTOMATIC = "automatic"
DTYPES = (AUTOMATIC, "float32", "bfloat16", "float16")
DEVICES = (AUTOMATIC, "cpu", "cuda", "mps")
REFUSED, ASKED = "models.refused", "models.asked"
MEMORY = {"weights": "weights", "kv_cache": "key-value cache of the tokens read", "capture": "measuring CETT"}
ROW_HEIGHT = 34


def short(count: int) -> str:
    """A count as it is said of models: 135M, 7.2B."""
    if count >= 10**9:
        return f"{numbers.short(count / 10**9)}B"
    return f"{numbers.short(count / 10**6)}M" if count >= 10**6 else f"{count:,}"


def headline(status: ModelStatus) -> str:
    """The page's first sentence: which model is there, or why none is."""
    name = status.name or "The model"
    if status.state == "ready" and status.info is not None:
        return f"{status.info.name} is loaded: {status.info.n_neurons:,} neurons in {status.info.n_layers} layers"
    headings = {"loading": f"{name} is loading", "failed": f"{name} could not be loaded"}
    return headings.get(status.state, "No model is loaded")


def current(status: ModelStatus) -> None:
    """The loaded model with its memory, its progress, or its error with the remedy."""
    if status.state == "failed":
        jobs.shown_error(HNeuronsError.from_json(status.error or {}))
    elif status.state == "loading":
        st.progress(min(max(status.fraction or 0.0, 0.0), 1.0), text=text.markdown(status.stage or "Loading"))
        st.markdown(frame.muted("You can ask questions already: they wait until the model is loaded."))
        _cancel(status)
    elif status.info is not None:
        _facts(status.info)
    if status.memory:
        _memory(status.memory)


def coming(status: ModelStatus) -> None:
    """The model that is on its way while the loaded one answers, or why the last one is not here; runs that wait."""
    change, loaded = status.change, text.markdown(status.name or "The model")
    if change is not None and change.state == "checking":
        words = f"Checking {change.name}: {change.stage or 'its files'}"
        st.progress(min(max(change.fraction or 0.0, 0.0), 1.0), text=text.markdown(words))
        st.markdown(frame.muted(f"{loaded} keeps answering until the other model has been checked."))
        _cancel(status)
    elif change is not None and change.error is not None and not _refused_since() and status.state == "ready":
        jobs.shown_error(HNeuronsError.from_json(change.error))
        st.markdown(frame.muted(f"{loaded} is still loaded and answers."))
    if status.paused:
        words = f"Runs that wait until their model is loaded again, then continue: {', '.join(status.paused)}."
        st.markdown(frame.muted(text.markdown(words)))


def _refused_since() -> bool:
    """Whether this person asked for another model since and was refused: then that is what is told, not the older."""
    return st.session_state.get(REFUSED) is not None


def _cancel(status: ModelStatus) -> None:
    """The way back from a change of model that is under way."""
    if status.change is not None and status.change.error is None:
        st.button("Cancel", icon=":material/close:", key="models.cancel", on_click=cancel)


def cancel() -> None:
    """Call off the change of model; that it is over already is nothing to tell."""
    try:
        session.client().models.cancel()
    except Unknown:
        return
    except HNeuronsError as error:
        st.session_state[REFUSED] = error


def _facts(info: ModelInfo) -> None:
    widths = sorted(set(info.widths))
    neurons = f"{widths[0]:,}" if len(widths) == 1 else f"{widths[0]:,} to {widths[-1]:,}"
    facts = (
        ("Layers × neurons", f"{info.n_layers} × {neurons}"),
        ("Parameters", short(info.parameters)),
        ("Number format", info.dtype),
        ("Runs on", info.device),
    )
    for column, (label, value) in zip(st.columns(len(facts), gap="small"), facts, strict=True):
        column.metric(label, value, border=True)
    rest = (
        f"Family {info.family}, residual width {info.d_model:,}, vocabulary of {info.n_vocab:,} tokens, context of up "
        f"to {info.context:,} tokens."
    )
    fast = "A few tokens at a time are computed in a faster way (W xᵀ by MKL). " if info.fast_products else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(info.versions.items()))
    st.markdown(frame.muted(text.markdown(f"{rest} {fast}{versions}")))
    for note in info.notes:
        st.markdown(text.markdown(note))


def _memory(memory: dict[str, int]) -> None:
    parts = ", ".join(f"{byte_size(memory[key])} {word}" for key, word in MEMORY.items() if key in memory)
    total = f"Memory, calculated before loading: {byte_size(memory['total'])}" if "total" in memory else "Memory"
    free = f" Free now: {byte_size(memory['free'])}." if "free" in memory else ""
    st.markdown(f"{total} ({parts}).{free}" if parts else f"{total}.{free}")


def table(choices: Sequence[ModelChoice]) -> pd.DataFrame:
    """The registry with what each model takes here."""
    return pd.DataFrame(
        {
            "model": [choice.name for choice in choices],
            "layers × neurons": [f"{choice.layers} × {choice.neurons:,}" for choice in choices],
            "size": [short(choice.parameters) for choice in choices],
            "needs": [byte_size(choice.needs) for choice in choices],
            "status": [_here(choice) for choice in choices],
            "licence": [choice.licence + (" (gated)" if choice.gated else "") for choice in choices],
            "note": [choice.note for choice in choices],
        }
    )


def _here(choice: ModelChoice) -> str:
    if not choice.fits:
        return "too large"
    return "ready to load" if choice.here else "to download"


def selected(choices: Sequence[ModelChoice]) -> ModelChoice | None:
    """The table, and the row that is ticked in it."""
    state = st.dataframe(
        table(choices), hide_index=True, key="models.table", on_select="rerun", selection_mode="single-row",
        row_height=ROW_HEIGHT, height=37 + ROW_HEIGHT * min(len(choices), 16), alt="Models that can be loaded",
        column_config={
            "model": st.column_config.TextColumn(width=204),
            "layers × neurons": st.column_config.TextColumn(width=112),
            "size": st.column_config.TextColumn(width=56, help="Parameters"),
            "needs": st.column_config.TextColumn(
                width=72, help="Memory in the automatic number format, calculated before loading"
            ),
            "status": st.column_config.TextColumn(width=100),
            "licence": st.column_config.TextColumn(width=218, help="Gated: the hub asks for consent first"),
        },
    )  # fmt: skip
    row = next((choices[place] for place in state.selection.rows if place < len(choices)), None)
    if row is not None:
        # A table cuts long words: the row that is ticked is told in full.
        st.markdown(frame.muted(text.markdown(f"{row.name}, family {row.family}, {row.licence}. {row.note}")))
    return row


def refusal(choice: ModelChoice, free: int | None) -> ModelTooLarge:
    """Why a model of the table is not offered, and what would be."""
    room = f", and {byte_size(free)} are free" if free is not None else ""
    return ModelTooLarge(
        f"{choice.name} does not fit in the memory of this machine",
        f"it needs {byte_size(choice.needs)}{room}",
        "choose a smaller model or number format below, or set HNEURONS_BACKEND to a service on a larger machine",
    )


def loader(choice: ModelChoice | None, free: int | None) -> None:
    """Load the ticked model, or anything that is named; why it is refused stands in its place."""
    if choice is not None:
        if choice.fits:
            _button(f"Load {choice.name}", choice.name, primary=True, key="models.load")
        else:
            jobs.shown_error(refusal(choice, free))
    else:
        st.markdown(frame.muted("Tick a row to load that model."))
    _refused()
    line = st.container(horizontal=True, vertical_alignment="bottom")
    named = line.text_input(
        "Or another model: hub name, local folder or GGUF file", key="models.name", max_chars=300,
        placeholder="owner/name, /path/to/model or /path/to/model.gguf", persist_state="session",
    )  # fmt: skip
    line.selectbox("Number format", DTYPES, key="models.dtype", width=150, persist_state="session")
    line.selectbox("Runs on", DEVICES, key="models.device", width=150, persist_state="session")
    with line:
        _button("Load this model", (named or "").strip(), primary=False, key="models.load-named")


def _refused() -> None:
    """Why the last model that was asked for is not loaded; above the buttons, where it is seen."""
    asked, error = st.session_state.get(ASKED), st.session_state.get(REFUSED)
    if isinstance(error, Busy) and asked is not None:
        _confirmation(error, asked)
    elif error is not None:
        jobs.shown_error(error)


def _confirmation(error: Busy, asked: ModelOrder) -> None:
    """Who is at work, and the choice between them and the model that was asked for."""
    what, why = (text.markdown(part) for part in (error.what, error.why[:1].upper() + error.why[1:]))

    @st.dialog("Others are using the model", on_dismiss=_forget)
    def shown() -> None:
        st.warning(f"**{what}.** {why}.", icon=":material/group:")
        line = st.container(horizontal=True)
        name = text.markdown(asked.name)
        # Callbacks in a dialog run it alone once more; the page has to follow.
        if line.button(f"Load {name} anyway", key="models.confirm", on_click=_load, args=(asked, True)):
            st.rerun()
        if line.button("Do not load it", key="models.leave", on_click=_forget):
            st.rerun()

    shown()


def back(status: ModelStatus) -> None:
    """The way back to the model that was loaded before this one."""
    if status.previous is not None and status.state == "ready":
        st.button(
            f"Back to {text.markdown(status.previous.name)}", icon=":material/undo:", key="models.back", on_click=_load,
            args=(status.previous, False),
        )  # fmt: skip


def _button(label: str, name: str, *, primary: bool, key: str) -> None:
    st.button(
        label, type="primary" if primary else "secondary", icon=":material/download:", key=key, on_click=load,
        args=(name,),
    )  # fmt: skip


def load(name: str) -> None:
    """Ask the engine for a model with the dtype and device that are set; a refusal is kept for the page."""
    dtype, device = (st.session_state.get(f"models.{field}", AUTOMATIC) for field in ("dtype", "device"))
    _load(
        ModelOrder(
            name=name, device=None if device == AUTOMATIC else device, dtype=None if dtype == AUTOMATIC else dtype
        )
    )


def _load(order: ModelOrder, confirm: bool = False) -> None:
    """Ask for this model; where others are at work the answer is kept with what was asked, to be confirmed."""
    _forget()
    try:
        if not order.name:
            raise UnknownModel("No model is named", "the field is empty", "write a hub name, a folder or a GGUF file")
        session.client().models.load(
            order.name, order.device, order.dtype, session=session.session_id(), confirm=confirm, gone=presence.gone()
        )
    except HNeuronsError as error:
        st.session_state[REFUSED], st.session_state[ASKED] = error, order


def _forget() -> None:
    st.session_state[REFUSED] = st.session_state[ASKED] = None


def waiting(status: ModelStatus) -> str:
    """How many questions wait for the engine, in words; empty where none does."""
    return f"{counted(status.queued, 'question')} waiting." if status.queued else ""
