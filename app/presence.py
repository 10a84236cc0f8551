"""Which of the browser sessions that this process served are gone: their tab is closed, or was loaded anew.

Owns which connection of Streamlit each session was last drawn over. Refuses to say what follows from that: the engine
decides who is at work, and sessions of other processes are not known here.
"""

from __future__ import annotations

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

MAX_KNOWN = 200
"""Sessions that are remembered, the last drawn ones: older ones count nowhere any more."""
_DRAWN: dict[str, str] = {}
"""Session -> its connection, the one drawn last at the end."""


def drawn(session: str) -> None:
    """This session is drawn now, over the connection of the run that calls."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return
    _DRAWN.pop(session, None)
    _DRAWN[session] = context.session_id
    for oldest in list(_DRAWN)[:-MAX_KNOWN]:
        _DRAWN.pop(oldest, None)


def gone() -> tuple[str, ...]:
    """Sessions without a connection. One that has lost it for a moment counts again once it is back."""
    if not runtime.exists():
        return ()
    server = runtime.get_instance()
    return tuple(session for session, over in list(_DRAWN.items()) if not server.is_active_session(over))
