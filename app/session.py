"""What one browser session holds: the engine's client, the pages' views, finished results, chosen neurons.

Owns every key of session state that more than one page reads, with its type, and keeps views and
address in step. Refuses to draw and to compute. Pages never touch these keys by name.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import links, presence, style, views
from app.shared.view import Shared
from app.views import Page, Views
from backend.errors import HNeuronsError
from backend.neurons import NeuronSet
from backend.serve.client import Client, connect
from backend.types import Exploration, ModelStatus, Request, Result, Verb
from backend.types.base import Frozen

_CLIENT, _ID, _VIEWS, _NOTES = "client", "session_id", "views", "link_notes"
_STATUS = "engine_status"
_SEEN, _WRITTEN, _LEFT_OUT = "address_seen", "address_written", "address_left_out"
_BARE, _KEPT, _CLOSED = "address_bare", "address_kept", "address_closed"
T = TypeVar("T")
V = TypeVar("V", bound=Frozen)


@st.cache_resource(show_spinner=False)
def _connected() -> Client:
    return connect()


def client() -> Client:
    """The engine, one for all sessions; another where `use` named one for this session."""
    return st.session_state.get(_CLIENT) or _connected()


def status() -> ModelStatus:
    """The engine's model, asked once a run: `open_view` begins one, and a fragment's own run calls `ask_status`.

    An engine that does not answer counts as one whose model failed, with the reason.
    """
    remembered = st.session_state.get(_STATUS)
    return remembered if isinstance(remembered, ModelStatus) else ask_status()


def ask_status() -> ModelStatus:
    """The engine's model as it is now."""
    try:
        answer = client().models.status()
    except HNeuronsError as error:
        answer = ModelStatus(state="failed", error=error.to_json())
    st.session_state[_STATUS] = answer
    return answer


def use(engine: Client) -> None:
    """Let this session speak to `engine` rather than to the process's own."""
    st.session_state[_CLIENT] = engine


def session_id() -> str:
    """A name for this browser session, random and stable while it lasts."""
    named = str(st.session_state.setdefault(_ID, uuid.uuid4().hex))
    presence.drawn(named)
    return named


def palette() -> style.Palette:
    """The colours of the theme that this browser shows."""
    return style.of(st.context.theme.type)


def view(kind: type[V]) -> V:
    """What is on a page, by the type of its view, or what pages share. Call `open_view` first, once a run."""
    return _views().of(kind)


def _views() -> Views:
    remembered = st.session_state.get(_VIEWS)
    return remembered if isinstance(remembered, Views) else Views()


def change(kind: type[V], **fields: Any) -> V:
    """Change fields of one view, and the view so changed; `close_view` writes the address.

    A mapping stands for fields of a frozen value within the view. Raises AttributeError for a field that there is not.
    """
    st.session_state[_VIEWS] = _views().changed(kind, fields)
    return view(kind)


def put(view: Frozen) -> None:
    """Let this be the view of its type."""
    change(type(view), **dict(view))


def change_page(page: Page, **fields: Any) -> None:
    """Change fields of the view of another page, which whoever calls need not know: as `change`."""
    change(views.PAGES[page], **fields)


def open_view(page: Page) -> bool:
    """Take up the address at the start of a run of `page`; whether it named another view than the one held.

    The address wins where the browser changed it: a link at the start of the session, Back, Forward. It does not when
    it only lags behind what this session wrote, and not when another page's address came up empty: that one stands for
    what was on the page then, and Back to it brings that back. Of another page's fields an address says nothing.
    """
    st.session_state.pop(_STATUS, None)
    now = st.query_params.to_dict()
    back, first = went_back(), _VIEWS not in st.session_state
    if not (back or first) and _known(page, now):
        return False
    st.session_state[_SEEN], st.session_state[_WRITTEN] = (page, now), []
    if not now and page in _bare():
        opened, st.session_state[_NOTES] = _bare()[page], ()
    else:
        params, unread = _whole({key: st.query_params.get_all(key) for key in now})
        opened, notes = views.read(params)
        st.session_state[_NOTES] = (*unread, *notes)
        now = params
    # Of a link that opens a session all fields count: none is held yet that it could stand against.
    st.session_state[_VIEWS] = _views().taking(opened, page, now)
    if not now:
        _bare()[page] = _views()
    return bool(now) or back


def went_back() -> bool:
    """Whether this run was begun by the browser's Back or Forward."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _bare() -> dict[Page, Views]:
    """What was on all pages when each one's address was empty: Back to an empty address names it."""
    views_by_page: dict[Page, Views] = st.session_state.setdefault(_BARE, {})
    return views_by_page


def _known(page: Page, now: dict[str, str]) -> bool:
    """Whether this session wrote the address, or saw it before, or it is another page's that came up empty."""
    written: list[dict[str, str]] = st.session_state.setdefault(_WRITTEN, [])
    seen, st.session_state[_SEEN] = st.session_state.get(_SEEN), (page, now)
    if now in written:
        st.session_state[_WRITTEN] = written[written.index(now) + 1 :]
        return True
    if (page, now) == seen:
        return True
    if not now:
        _bare()[page] = _views()
    return not now


def _whole(given: dict[str, list[str]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parameters with those that the engine keeps for this address, and what is to be said of them."""
    named, unread = links.once({links.STORED: given.pop(links.STORED, [])}, views.KINDS)
    kept, missing = _fetched(named[links.STORED]) if named else ({}, ())
    params, twice = links.once({**given, **{key: [kept[key], *given.get(key, [])] for key in kept}}, views.KINDS)
    return params, (*unread, *missing, *twice)


def _fetched(key: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The parameters that the engine keeps under this key, and what is to be said where it has none."""
    try:
        kept = client().links.kept(key)
    except HNeuronsError as error:
        return {}, (f"The long part of this link cannot be read: {error.why}. It was left out.",)
    if kept is None:
        return {}, (
            "The long part of this link is not stored here: the link was made on another machine, or long ago. "
            "That part was left out. Ask the sender of the link for the list itself.",
        )
    return kept, ()


def close_view(page: Page) -> dict[str, str] | None:
    """Write what the page's address holds into it at the end of a run.

    Returns what is to stand in the place of a bare address that the page was come to by, unwritten: written, it would
    be a step of its own, and the first Back would show the same once more.
    """
    params, long = views.write(_views(), page)
    st.session_state[_LEFT_OUT] = ()
    if long:
        try:
            params[links.STORED] = _kept(long)
        except HNeuronsError:
            st.session_state[_LEFT_OUT] = links.lost(long, views.KINDS)
    now, last = st.query_params.to_dict(), st.session_state.get(_CLOSED)
    st.session_state[_CLOSED] = (page, params, _views())
    if params == now:
        return None
    st.session_state[_WRITTEN] = [*st.session_state.get(_WRITTEN, []), params][-20:]
    if not now and (last is None or last[0] != page or last[1] == params):
        return params
    st.query_params.from_dict(params)
    return None


def leave() -> None:
    """Hold what this page shows, before another is switched to: Streamlit empties the address first, which makes a
    step of its own, and Back comes upon that."""
    closed = st.session_state.get(_CLOSED)
    if closed is not None:
        _bare()[closed[0]] = closed[2]


def _kept(long: dict[str, str]) -> str:
    """The key under which the engine keeps this part of a view; asked once while the part stays the same."""
    remembered = st.session_state.get(_KEPT)
    if remembered is None or remembered[0] != long:
        st.session_state[_KEPT] = remembered = (long, client().links.keep(long))
    return str(remembered[1])


def link_notes() -> tuple[str, ...]:
    """What could not be read from the address, and what did not fit into it."""
    return (*st.session_state.get(_NOTES, ()), *st.session_state.get(_LEFT_OUT, ()))


def note(*sentences: str) -> None:
    """Say something beside the notes on the link until another link is opened."""
    earlier = st.session_state.get(_NOTES, ())
    st.session_state[_NOTES] = (*earlier, *(text for text in sentences if text not in earlier))


def chosen() -> NeuronSet:
    """The neurons chosen on any page."""
    return view(Shared).neurons


def choose(neurons: NeuronSet) -> None:
    """Choose these neurons, for every page and for the address."""
    change(Shared, neurons=neurons)


def finish(verb: Verb, key: str, result: Result) -> None:
    """Hold the finished result of `verb` that stands in the store under `key`."""
    st.session_state[f"result:{verb}"] = (key, result)


def stands(shown: Exploration) -> bool:
    """Whether this exploration is of the question in the view: a click into an older figure changes nothing."""
    return view(Shared).prompt in (None, shown.request.prompt)


def result_key(verb: Verb) -> str | None:
    """The key of the result on the page."""
    remembered = st.session_state.get(f"result:{verb}")
    return remembered[0] if remembered else None


def result(verb: Verb, kind: type[T]) -> T | None:
    """The result on the page, where there is one of type `kind`."""
    remembered = st.session_state.get(f"result:{verb}")
    return remembered[1] if remembered and isinstance(remembered[1], kind) else None


def fail(verb: Verb, error: HNeuronsError | None) -> None:
    """Hold why the last run of `verb` ended badly, None where it did not."""
    st.session_state[f"error:{verb}"] = error


def failure(verb: Verb) -> HNeuronsError | None:
    """Why the last run of `verb` ended badly."""
    return st.session_state.get(f"error:{verb}")


def answers(verb: Verb, request: Request) -> bool:
    """Whether the result on the page is that of `request`."""
    remembered = st.session_state.get(f"result:{verb}")
    return remembered is not None and remembered[1].request == request
